"""Paths through a network: which synapses lie on one from the input to the output."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mlgenn_delays.network.network import Network


def dead_synapses(network: "Network", name: str) -> np.ndarray:
    """Which synapses of a projection lie on no path; see `Network.dead_synapses`."""
    sizes = {key: p.n for key, p in network.populations.items()}
    reached, reaching = ({key: np.zeros(n, bool) for key, n in sizes.items()} for _ in range(2))
    reached[network.input().name][:] = True
    reaching[network.output().name][:] = True
    ends = [
        (p.source, p.target, p.pre(), p.post) for p in network.projections.values() if p.n_synapses
    ]
    before = -1
    while (now := _count(reached) + _count(reaching)) > before:
        before = now
        for source, target, pre, post in ends:
            reached[target][post[reached[source][pre]]] = True
            reaching[source][pre[reaching[target][post]]] = True
    own = network.projections[name]
    return ~(reached[own.source][own.pre()] & reaching[own.target][own.post])


def _count(marked: dict[str, np.ndarray]) -> int:
    return sum(int(np.count_nonzero(each)) for each in marked.values())
