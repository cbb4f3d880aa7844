"""Making a network ready for inference: it computes the same with less.

Normalisation is folded in, delays are whole steps, one per synapse. What cannot change a prediction
is left out: synapses of weight 0, neurons from which no path leads to the output, and neurons that
nothing can drive: neither the input nor a bias reaches them, and they do not spike by themselves.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from mlgenn_delays.distributions import PerNeuron
from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Exponential, Network, Projection
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.neurons.declare import Neuron, SpikingNeuron
from mlgenn_delays.neurons.linear import step_of

Kept = dict[str, np.ndarray]


def prepare(network: Network) -> tuple[Network, Kept]:
    """The network for inference, and by spiking population that is left the indices (n,) int64
    that its neurons had before; input and output keep all of theirs.
    """
    network = network.folded()
    for projection in network.projections.values():
        _whole_steps(projection, network.dt)
    leading, driven = _leads_on(network), _driven(network)
    return _without(network, {name: own & driven[name] for name, own in leading.items()})


def _whole_steps(projection: Projection, dt: float) -> None:
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


def _leads_on(network: Network) -> dict[str, np.ndarray]:
    """From which neurons a path leads to the output, (n,) bool by population."""
    found = {name: np.zeros(p.n, bool) for name, p in network.populations.items()}
    found[network.output().name][:] = True
    return _spread(network, found, backwards=True)


def _driven(network: Network) -> dict[str, np.ndarray]:
    """Which neurons the input or a bias can drive, by whatever path, or which spike by themselves,
    (n,) bool.
    """
    found = {}
    for name, population in network.populations.items():
        model, bias = population.model, population.bias
        if not isinstance(model, Neuron):
            found[name] = np.ones(population.n, bool)
            continue
        upwards = np.where(_goes_one_way(model, network.dt), bias > 0, bias != 0)
        found[name] = upwards | ~_rests(model, network.dt)
    return _spread(network, found, backwards=False)


def _goes_one_way(model: Neuron, dt: float) -> np.ndarray:
    """Whether nothing but a positive current drives neurons to a spike, as in a LIF, (n,) bool;
    others may rebound from a negative one.
    """
    try:
        step = step_of(model, dt)
    except InputError:  # it is not linear
        return np.zeros(model.n, bool)
    parts = [
        getattr(of, name) for of in (step.quiet, step.distance) for name in ("matrix", "by_current")
    ]
    return np.all([(part.reshape(model.n, -1) >= 0).all(1) for part in parts], axis=0)


@np.errstate(all="ignore")
def _rests(model: Neuron, dt: float) -> np.ndarray:
    """Whether neurons stay at 0 without a current, and do not spike, (n,) bool."""
    own, constants = model.equations, model.constants(dt)
    zero = dict.fromkeys(own.states, 0.0)
    kinds = np.array(np.broadcast_arrays(np.zeros(model.n), *constants.values()))
    different, index = np.unique(kinds, axis=1, return_inverse=True)
    rests = []
    for _, *values in different.T:
        after, above = own.step(zero, 0.0, dict(zip(constants, values, strict=True)))
        fires = above > 0 if own.strict else above >= 0
        rests.append(not fires and not any(after[name] for name in own.states))
    return np.array(rests)[index.ravel()]


def _spread(
    network: Network, found: dict[str, np.ndarray], *, backwards: bool
) -> dict[str, np.ndarray]:
    before, count = -1, 0
    while count != before:
        before = count
        for p in network.projections.values():
            source, target = found[p.source], found[p.target]
            if backwards:
                source[p.pre()[target[p.post]]] = True
            else:
                target[p.post[source[p.pre()]]] = True
        count = sum(int(own.sum()) for own in found.values())
    return found


def _without(network: Network, used: dict[str, np.ndarray]) -> tuple[Network, Kept]:
    """The network of the used neurons alone, and which of the spiking ones are left."""
    small = Network(dt=network.dt, seed=network.seed)
    kept, index, places = {}, {}, {}
    for name, population in network.populations.items():
        spikes = isinstance(population.model, SpikingNeuron)
        left = np.flatnonzero(used[name]) if spikes else np.arange(population.n)
        if not len(left):
            continue
        model: Any = replace(population.model, n=len(left), **_of_those(population.model, left))
        small.populations[name] = replace(
            population, model=model, bias=population.bias[left], learn=()
        )
        index[name] = np.full(population.n, -1)
        index[name][left] = np.arange(len(left))
        places[name] = left
        if spikes:
            kept[name] = left
    for name, p in network.projections.items():
        if p.source in index and p.target in index:
            pre, post = index[p.source][p.pre()], index[p.target][p.post]
            fits = (pre >= 0) & (post >= 0)
            counts = np.bincount(pre[fits], minlength=small.populations[p.source].n)
            synapse = p.synapse
            if isinstance(synapse, Exponential):
                synapse = replace(synapse, learn=False, **_of_those(synapse, places[p.target]))
            small.projections[name] = replace(
                p,
                synapse=synapse,
                indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
                post=post[fits].astype(np.int32),
                weight=p.weight[fits],
                delay=p.delay[fits],
                max_delay=float(p.delay[fits].max(initial=0.0)),
            )
    return small, kept


def _of_those(model: object, left: np.ndarray) -> dict[str, Any]:
    """The settings that differ between neurons, for those that are left."""
    own = vars(model).items()
    return {key: PerNeuron(value.array[left]) for key, value in own if isinstance(value, PerNeuron)}
