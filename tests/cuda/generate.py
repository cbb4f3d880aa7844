"""Generate CUDA code for a model, on a machine that need not have a GPU: ``KIND FOLDER``.

GeNN ends the process on errors, so this is run in one of its own.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

SIZES = 700, 64, 5
MAX_DELAY = 64  # [steps]
BATCH_SIZE = 32
N_KERNELS = 12  # for which GeNN takes a block size


def block_sizes() -> dict[str, Any]:
    """Return the preferences of GeNN's backend with which it need not look for block sizes."""
    from pygenn.cuda_backend import BlockSizeSelect

    return {
        "block_size_select_method": BlockSizeSelect.MANUAL, "manual_block_sizes": [64] * N_KERNELS
    }  # fmt: skip


def give_blocks(patch: Any) -> None:
    """Give GeNN its block sizes: to find them, it generates the code of a network twice more."""
    from mlgenn_delays.engines.genn import running

    patch.setattr(running, "compiler_of", partial(running.compiler_of, **block_sizes()))


def make_model(kind: str) -> Any:
    """Return the `pygenn.GeNNModel` of a kind: a recurrent network with learned delays."""
    from mlgenn_delays.engines.genn.compiler import Target, compiler_of, translate
    from mlgenn_delays.learning import EventProp, Gaussian, SurrogateBPTT, Triangle
    from tests.reference.nets import StepRecipe, step_network

    name, storage = kind.split("-")
    rule = {
        "eventprop": EventProp(),
        "bptt": SurrogateBPTT(surrogate=Triangle()),
        "taps": SurrogateBPTT(surrogate=Triangle(), kernel=Gaussian(8.0, 0.5, 10)),
        "currents": EventProp(dropout={"hidden0": 0.5}),
    }[name]
    net = step_network(
        StepRecipe(
            sizes=SIZES, recurrent=True, density=1.0 if storage == "dense" else 0.2,
            max_delay=MAX_DELAY, tau_refrac=2.0, current=name == "currents",
        )
    )  # fmt: skip
    made = compiler_of(net, rule, True, Target("cuda", BATCH_SIZE), **block_sizes())
    return made.compile(translate(net), name).genn_model


def generate(model: Any, folder: Path) -> None:
    """Write the code of a model to a folder: what `GeNNModel.build` does before it runs make."""
    from pygenn.genn_model import generate_code

    model._finalise()
    preferences = model._backend_module.Preferences()
    for name, value in model._preference_kwargs.items():
        setattr(preferences, name, value)
    out = str(folder)
    model._backend = model._backend_module._create_backend(
        model, out, model.backend_log_level, preferences
    )
    generate_code(model, model._backend, out, True, False)


def main(kind: str, folder: str) -> None:
    from pygenn.genn_model import backend_modules

    assert "cuda" in backend_modules, "pygenn's CUDA backend cannot be imported"
    generate(make_model(kind), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
