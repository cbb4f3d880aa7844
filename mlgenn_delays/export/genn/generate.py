"""Generates GeNN's code of a network, in a process of its own: ``NETWORK FOLDER BACKEND BATCH``.

GeNN ends the process where CUDA fails.
"""

import sys
from pathlib import Path
from typing import Any

from mlgenn_delays.export.genn.layout import DeviceArrays
from mlgenn_delays.network import Network


def write_code(model: Any, folder: Path) -> None:
    """Write the code of a model: what `GeNNModel.build` does before it compiles."""
    from pygenn.genn_model import generate_code

    model._finalise()
    preferences = model._backend_module.Preferences()
    for name, value in model._preference_kwargs.items():
        setattr(preferences, name, value)
    model._backend = model._backend_module._create_backend(
        model, str(folder), model.backend_log_level, preferences
    )
    generate_code(model, model._backend, str(folder), True, False)


def main(network: str, folder: str, backend: str, batch_size: str) -> None:
    """Generate code."""
    from mlgenn_delays.export.genn.model import make_model

    layout = DeviceArrays(Network.load(network), int(batch_size))
    write_code(make_model(layout, backend), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
