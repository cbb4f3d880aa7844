"""What the engine tests share: rules, and traces of the twin by recipe."""

from functools import lru_cache

import numpy as np

from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.results import Gradients, Recording
from mlgenn_delays.learning import EventProp
from mlgenn_delays.network import Network
from tests.reference import forward, nets
from tests.reference.forward import Trace
from tests.reference.nets import Recipe

NOTHING = EventProp(weights=None, delays=None)


def compiled(network: Network, rule: EventProp = NOTHING, threads: int = 1) -> CompiledNetwork:
    return compile_network(network, rule, total_steps=10, threads=threads)


@lru_cache(maxsize=64)
def traces(recipe: Recipe, n: int = 3) -> tuple[Trace, ...]:
    network, batch = nets.network(recipe), nets.batch(recipe, n)
    return tuple(
        forward.run(network, forward.stimulus(batch, b), int(batch.labels[b])) for b in range(n)
    )


def raster(recording: Recording, name: str, example: int, steps: int) -> np.ndarray:
    """Return the spikes of one example, (T, n) bool."""
    start = recording.start[name][example]
    out = np.zeros((steps, len(start) - 1), dtype=bool)
    for j in range(len(start) - 1):
        out[recording.time[name][start[j] : start[j + 1]], j] = True
    return out


def relative(got: np.ndarray, wanted: np.ndarray) -> float:
    """Return the relative L2 error, the absolute one where nothing is wanted."""
    scale = float(np.linalg.norm(wanted))
    return float(np.linalg.norm(got - wanted)) / (scale or 1.0)


def worst(got: Gradients, weight: dict[str, np.ndarray], delay: dict[str, np.ndarray]) -> float:
    """Return the largest relative error over projections of weight and delay gradients."""
    pairs = [(got.weight[name], weight[name]) for name in weight]
    pairs += [(got.delay[name], delay[name]) for name in delay]
    return max(relative(a, b) for a, b in pairs)
