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
    from mlgenn_delays.learning import Rule
    from mlgenn_delays.network import Network

TOLERANCE = 1e-3  # of the largest gradient


def probe(backend: str) -> dict[str, Any]:
    """Whether ten neurons have the CPU engine's gradients on a backend, within `TOLERANCE`."""
    import numpy as np

    from mlgenn_delays.learning import EventProp, SurrogateBPTT, Triangle

    network, batch, seconds = _network(), _batch(), 0.0
    for rule in (EventProp(), SurrogateBPTT(surrogate=Triangle())):
        expected = _gradients(network, rule, batch)
        began = time.perf_counter()
        # Two side by side and one left, where a backend has them side by side.
        got = _gradients(network, rule, batch, engine="genn", backend=backend, batch_size=2)
        seconds += time.perf_counter() - began
        for name, wanted in expected.items():
            largest = float(np.abs(wanted).max())
            error = float(np.abs(got[name] - wanted).max())
            if not error <= TOLERANCE * largest:
                off = f"{name} is off by {error:.3g}, where the largest is {largest:.3g}"
                reason = f"it computes something else: {type(rule).__name__}, {off}"
                return {"works": False, "reason": reason}
    return {"works": True, "seconds": seconds}


def _network() -> "Network":
    """Ten neurons whose input makes them spike well above the threshold."""
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
    network.connect(
        "hidden", "hidden", Exponential(3.0), weight=0.4, delay=4.0, max_delay=9.0, density=0.5
    )
    return network


def _batch() -> "SpikeBatch":
    import numpy as np

    from mlgenn_delays.data.batching import epoch_batches
    from mlgenn_delays.data.types import SpikeData

    channels = np.tile([0, 1, 2, 3], 3)
    times = np.array([1, 4, 6, 9, 12, 13, 16, 18, 22, 24, 27, 29])
    data = SpikeData.from_events(
        [(channels, times), (channels, times[::-1]), (channels, times + 2)], np.array([0, 1, 0]),
        n_channels=4, n_steps=40, dt=1.0, label_names=("a", "b"),
    )  # fmt: skip
    (batch,) = epoch_batches(data, 3, seed=0, epoch=0, shuffle=False)
    return batch


def _gradients(
    network: "Network", rule: "Rule", batch: "SpikeBatch", **engine: Any
) -> dict[str, Any]:
    from mlgenn_delays.engines.compile import compile_network

    found = compile_network(network, rule, total_steps=1, **engine).gradients(batch)
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
