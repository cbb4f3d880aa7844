"""A trained network made ready for inference: it computes the same with less.

Normalisation is folded in, delays are whole steps, one a synapse. What cannot change an answer is
left out: synapses of weight 0, neurons from which no path leads to the output, and neurons that
nothing can drive: neither the input nor a bias > 0 reaches them.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from mlgenn_delays.network import Network, Projection
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.network.models import InputModel, SpikingModel

Kept = dict[str, np.ndarray]


def prepare(network: Network) -> tuple[Network, Kept]:
    """Return the network for inference.

    Arguments:
        network: A trained network; it stays as it is.

    Returns:
        The network, and by population that spikes and is left the indices (n,) int64 that its
        neurons had before. Input and output keep all of theirs.
    """
    network = network.folded()
    for projection in network.projections.values():
        _whole_steps(projection, network.dt)
    used = _leads_on(network) & _driven(network)
    return _without(network, used)


def _whole_steps(projection: Projection, dt: float) -> None:
    """Give each synapse its own delay in whole steps, and drop those of weight 0."""
    steps, pre = delay_steps(projection, dt), projection.pre()
    kept = projection.weight != 0
    n_pre = len(projection.indptr) - 1
    projection.indptr = np.concatenate(
        [[0], np.cumsum(np.bincount(pre[kept], minlength=n_pre))]
    ).astype(np.int64)
    projection.post, projection.weight = projection.post[kept], projection.weight[kept]
    projection.delay = steps[kept] * dt
    projection.max_delay = float(projection.delay.max(initial=0.0))
    projection.granularity, projection.sign = "synapse", None


class _Neurons:
    """A truth value for every neuron of a network.

    Arguments:
        values: (n,) bool by population.
    """

    def __init__(self, values: dict[str, np.ndarray]) -> None:
        self.values = values

    def __and__(self, other: "_Neurons") -> "_Neurons":
        return _Neurons({name: own & other.values[name] for name, own in self.values.items()})

    def count(self) -> int:
        """Return how many are true."""
        return sum(int(own.sum()) for own in self.values.values())


def _leads_on(network: Network) -> _Neurons:
    found = _Neurons({name: np.zeros(p.n, bool) for name, p in network.populations.items()})
    found.values[network.output().name][:] = True
    return _spread(network, found, backwards=True)


def _driven(network: Network) -> _Neurons:
    """Return which neurons the input or a bias > 0 can drive, by whatever path."""
    found = {}
    for name, population in network.populations.items():
        is_input = isinstance(population.model, InputModel)
        found[name] = np.ones(population.n, bool) if is_input else population.bias > 0
    return _spread(network, _Neurons(found), backwards=False)


def _spread(network: Network, found: _Neurons, *, backwards: bool) -> _Neurons:
    """Add to the neurons found all that synapses lead to, or come from."""
    before = -1
    while found.count() != before:
        before = found.count()
        for p in network.projections.values():
            source, target = found.values[p.source], found.values[p.target]
            if backwards:
                source[p.pre()[target[p.post]]] = True
            else:
                target[p.post[source[p.pre()]]] = True
    return found


def _without(network: Network, used: _Neurons) -> tuple[Network, Kept]:
    """Return the network of the used neurons alone, and which of the spiking ones are left."""
    small, kept, index = Network(dt=network.dt, seed=network.seed), {}, {}
    for name, population in network.populations.items():
        spikes = isinstance(population.model, SpikingModel)
        left = np.flatnonzero(used.values[name]) if spikes else np.arange(population.n)
        if not len(left):
            continue
        model: Any = replace(population.model, n=len(left))
        small.populations[name] = replace(population, model=model, bias=population.bias[left])
        index[name] = np.full(population.n, -1)
        index[name][left] = np.arange(len(left))
        if spikes:
            kept[name] = left
    for name, p in network.projections.items():
        if p.source in index and p.target in index:
            pre, post = index[p.source][p.pre()], index[p.target][p.post]
            fits = (pre >= 0) & (post >= 0)
            counts = np.bincount(pre[fits], minlength=small.populations[p.source].n)
            small.projections[name] = replace(
                p,
                indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
                post=post[fits].astype(np.int32),
                weight=p.weight[fits],
                delay=p.delay[fits],
                max_delay=float(p.delay[fits].max(initial=0.0)),
            )
    return small, kept
