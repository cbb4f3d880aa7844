"""What the engine tests share: rules, and traces of the twin by recipe."""

from functools import lru_cache
from typing import Any

import numpy as np

from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.results import Gradients, Recording
from mlgenn_delays.learning import EventProp
from mlgenn_delays.network import Network
from tests.reference import forward, nets
from tests.reference.forward import Trace
from tests.reference.nets import Recipe

KINDS = ("weight", "delay", "gain", "offset")  # of gradients
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


def permuted(net: Network, name: str, order: np.ndarray) -> tuple[Network, dict[str, np.ndarray]]:
    """Return a network whose neuron k is the old order[k], and where each synapse was before."""
    out, moved = net.copy(), {}
    place = np.argsort(order)
    out.populations[name].bias = net.populations[name].bias[order]
    for key, p in out.projections.items():
        pre = place[p.pre()] if p.source == name else p.pre()
        post = place[p.post] if p.target == name else p.post
        moved[key] = at = np.lexsort((post, pre))
        n_pre = net.populations[p.source].n
        p.post = post[at].astype(np.int32)
        p.indptr = np.searchsorted(pre[at], np.arange(n_pre + 1)).astype(np.int64)
        p.weight = p.weight[at]
        if p.granularity == "synapse":
            p.delay = p.delay[at]
        elif p.granularity == "axon" and p.source == name:
            p.delay = p.delay[order]
        p.check(n_pre, net.populations[p.target].n)
    return out, moved


def errors(got: Gradients, wanted: Any) -> dict[str, float]:
    """Return the relative errors of all gradients; `wanted` is of a twin or another engine."""
    out = {}
    for kind in KINDS:
        has, right = getattr(got, kind), getattr(wanted, kind)
        assert set(has) == set(right)
        for name, array in right.items():
            assert has[name].shape == array.shape and has[name].dtype == np.float32
            out[f"{kind} {name}"] = relative(has[name], array)
    return out
