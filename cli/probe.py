"""Whether a backend of GeNN works: `python -m mlgenn_delays.cli.probe BACKEND`.

A process of its own, for GeNN may end the process that it runs in. The last line on stdout is
JSON: ``works``, and ``seconds`` or ``reason``.
"""

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from mlgenn_delays.errors import DelaysnnError

if TYPE_CHECKING:
    from mlgenn_delays.data.types import SpikeBatch
    from mlgenn_delays.network import Network

TOLERANCE = 1e-3  # of the largest gradient


def probe(backend: str) -> dict[str, Any]:
    """Return whether ten neurons have the gradients on a backend that they have on the CPU engine.

    Arguments:
        backend: As of `compile_network`.

    Raises:
        DelaysnnError: The backend cannot run, or its code cannot be built.
    """
    import numpy as np

    network, batch = _network(), _batch()
    expected = _gradients(network, batch)
    began = time.perf_counter()
    got = _gradients(network, batch, engine="genn", backend=backend, batch_size=len(batch))
    seconds = time.perf_counter() - began
    for name, wanted in expected.items():
        largest = float(np.abs(wanted).max())
        error = float(np.abs(got[name] - wanted).max())
        if not error <= TOLERANCE * largest:
            reason = f"{name} is off by {error:.3g}, where the largest is {largest:.3g}"
            return {"works": False, "reason": f"it computes something else: {reason}"}
    return {"works": True, "seconds": seconds}


def _network() -> "Network":
    """Return ten neurons whose input makes them spike well above the threshold."""
    from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput

    network = Network(dt=1.0, seed=1)
    network.add("input", SpikeInput(4))
    network.add("hidden", LIF(4))
    network.add("output", LeakyIntegrator(2))
    for source, target, weight in (("input", "hidden", 3.0), ("hidden", "output", 0.5)):
        projection = network.connect(
            source, target, Exponential(5.0), weight=weight, delay=0.0, max_delay=9.0
        )
        projection.delay[:] = range(projection.n_synapses)
        projection.delay %= 9.0
        projection.weight[::3] *= 0.5
    return network


def _batch() -> "SpikeBatch":
    """Return two examples."""
    import numpy as np

    from mlgenn_delays.data.batching import epoch_batches
    from mlgenn_delays.data.types import SpikeData

    channels, times = np.array([0, 1, 2, 3]), np.array([1, 4, 6, 9])
    data = SpikeData.from_events(
        [(channels, times), (channels, times[::-1])], np.array([0, 1]), n_channels=4, n_steps=40,
        dt=1.0, label_names=("a", "b"),
    )  # fmt: skip
    (batch,) = epoch_batches(data, 2, seed=0, epoch=0, shuffle=False)
    return batch


def _gradients(network: "Network", batch: "SpikeBatch", **engine: Any) -> dict[str, Any]:
    """Return the gradients on an engine, by name."""
    from mlgenn_delays.engines.base import compile_network
    from mlgenn_delays.learning import EventProp

    found = compile_network(network, EventProp(), total_steps=1, **engine).gradients(batch)
    by_weight = {f"the weights' gradient of {name}": each for name, each in found.weight.items()}
    return by_weight | {f"the delays' gradient of {n}": each for n, each in found.delay.items()}


def main() -> None:
    """Print whether the backend of the command line works."""
    try:
        found = probe(sys.argv[1])
    except DelaysnnError as error:
        found = {"works": False, "reason": str(error)}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
