"""A network flattened into arrays that kernels can walk: populations in topological order,
synapses in postsynaptic order.

Shapes: P populations, N neurons and S synapses of all of them, Q projections, G synapse groups
(distinct synapse models onto one population, each with its own inSyn).

Synapses are sorted by postsynaptic neuron because one neuron's arrivals over a whole trial are
one short row: the kernels add to it or read it in the first-level cache, whatever the delays.
"""

from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from mlgenn_delays.network import Exponential, Network, Projection
from mlgenn_delays.neurons.declare import READOUTS, Neuron, ReadoutNeuron, SpikingNeuron

INPUT, SPIKING, READOUT = 0, 1, 2


class Plan(NamedTuple):
    """What does not change in training."""

    kind: np.ndarray  # (P,) INPUT, SPIKING or READOUT
    n: np.ndarray  # (P,) neurons
    first: np.ndarray  # (P+1,) index of each population's first neuron
    # (P,) first entry of each spiking population in a row of `SpikeStore.start`
    spike_offset: np.ndarray
    # (C, N) float32: constants of each neuron, in the order in which the equations use them
    constant: np.ndarray
    refractory: np.ndarray  # (P,) steps in which a neuron stays as it is after a spike
    tau_mem: np.ndarray  # (N,) of LIF [steps]
    bias: np.ndarray  # (N,) constant current
    groups: np.ndarray  # (P,) number of synapse groups
    instant: np.ndarray  # (P, G) whether a group's synapses are Delta
    decay: np.ndarray  # (G, N) exp(-dt/tau_syn), 0 for Delta
    scale: np.ndarray  # (G, N) (tau_syn/dt)(1 - exp(-dt/tau_syn)), 1 for Delta
    recurrent_population: np.ndarray  # (P,) whether the population projects to itself
    source: np.ndarray  # (Q,) population index
    target: np.ndarray  # (Q,) population index
    group: np.ndarray  # (Q,) synapse group within the target
    row_first: np.ndarray  # (Q,) where the projection's (n_post+1) entries of `row` begin
    dense: np.ndarray  # (Q,) whether every pair has a synapse
    # synapses of postsynaptic neuron j: ``row[row_first + j]:row[row_first + j + 1]``
    row: np.ndarray
    pre: np.ndarray  # (S,) presynaptic neuron within its population
    recurrent_projection: np.ndarray  # (Q,) whether the projection is recurrent
    # (Q,) where the (n_pre+1) entries of `out` begin, for a source that spikes
    out_first: np.ndarray
    out: np.ndarray  # outgoing synapses of neuron i as indices of `out_synapse`
    out_synapse: np.ndarray  # synapse index of each outgoing synapse of the populations that spike
    out_post: np.ndarray  # postsynaptic neuron of the same
    readout: int  # index into `READOUTS`


class ParameterLayout(NamedTuple):
    """How a network's arrays map to the plan's."""

    names: list[str]  # population names in plan order
    spiking: list[str]  # names of the spiking populations, in plan order
    neurons: dict[str, slice]  # slice of the neurons of all populations, by population
    projections: list[str]  # projection names in plan order
    synapses: dict[str, slice]  # slice of the plan's synapses, by projection
    # CSR index of each of the plan's synapses within its projection, by projection
    csr: dict[str, np.ndarray]
    # slice of the delay parameters, by projection; with one delay per synapse they are in the order
    # of the synapses
    delays: dict[str, slice]
    # where each delay parameter comes from in the projection's delays, by projection
    delay_order: dict[str, np.ndarray]
    delay_of: np.ndarray  # (S,) index of each synapse's delay parameter


def make_plan(network: Network) -> tuple[Plan, ParameterLayout]:
    """Flatten a network; reject one without a single input and readout, or with a circle."""
    network.input()
    order = network.order()
    names = [p.name for p in order]
    populations = _populations(network, names)
    projections, layout = _projections(network, names)
    return Plan(**populations, **projections), layout


def fan_out(plan: Plan) -> np.ndarray:
    """Return how many synapses each neuron sends its spikes to, (N,) int64; 0 for inputs."""
    found = np.zeros(int(plan.first[-1]), np.int64)
    for source, first in zip(plan.source, plan.out_first, strict=True):
        if first >= 0:
            n = int(plan.n[source])
            ends = plan.out[first : first + n + 1].astype(np.int64)
            found[plan.first[source] : plan.first[source] + n] += np.diff(ends)
    return found


def pair_shape(network: Network, projection: Projection) -> tuple[int, int]:
    """Return the numbers of pre- and postsynaptic neurons of a projection."""
    return network.populations[projection.source].n, network.populations[projection.target].n


def of_synapse(tau_syn: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Return decay and scale of `Exponential` synapses, float64, or complex for complex tau_syn."""
    return np.exp(-dt / tau_syn), tau_syn / dt * -np.expm1(-dt / tau_syn)


def synapse_groups(network: Network, name: str) -> list[object]:
    """Return the distinct synapse models onto a population."""
    return list(dict.fromkeys(p.synapse for p in network.incoming(name)))


def _populations(network: Network, names: list[str]) -> dict[str, Any]:
    readout = network.output().model
    assert isinstance(readout, ReadoutNeuron)
    dt, models = network.dt, [network.populations[name].model for name in names]
    kinds = [_kind(m) for m in models]
    n = np.array([m.n for m in models], np.int64)
    groups = [synapse_groups(network, name) for name in names]
    most = max(1, max(len(g) for g in groups))
    ends = np.cumsum(n)
    decay, scale = np.zeros((most, ends[-1]), np.float32), np.ones((most, ends[-1]), np.float32)
    instant = np.ones((len(names), most), bool)
    for p, synapses in enumerate(groups):
        for g, synapse in enumerate(synapses):
            if isinstance(synapse, Exponential):
                own, instant[p, g] = slice(ends[p] - n[p], ends[p]), False
                decay[g, own], scale[g, own] = of_synapse(np.asarray(synapse.tau_syn, float), dt)
    sizes = np.where(np.array(kinds) == SPIKING, n + 1, 0)
    refractory = [m.refractory_steps(dt) if isinstance(m, Neuron) else 0 for m in models]
    return {
        "kind": np.array(kinds, np.int64),
        "n": n,
        "first": np.concatenate([[0], np.cumsum(n)]).astype(np.int64),
        "spike_offset": (np.cumsum(sizes) - sizes).astype(np.int64),
        "constant": _constants(models, dt),
        "refractory": np.array(refractory, np.int64),
        "tau_mem": np.concatenate(
            [np.full(m.n, np.divide(getattr(m, "tau_mem", dt), dt), np.float32) for m in models]
        ),
        "bias": np.concatenate([network.populations[name].bias for name in names]),
        "groups": np.array([len(g) for g in groups], np.int64),
        "instant": instant,
        "decay": decay,
        "scale": scale,
        "readout": READOUTS.index(readout.readout),
    }


def write_constants(plan: Plan, layout: ParameterLayout, name: str, values: dict[str, Any]) -> None:
    """Set the constants of a population's neurons, numbers or (n,) each, in their order."""
    for row, value in zip(plan.constant, values.values(), strict=False):
        row[layout.neurons[name]] = value


def _constants(models: list[Any], dt: float) -> np.ndarray:
    own = [list(m.constants(dt).values()) if isinstance(m, Neuron) else [] for m in models]
    out = np.zeros((max(map(len, own)), sum(m.n for m in models)), np.float32)
    first = 0
    for model, values in zip(models, own, strict=True):
        for m, value in enumerate(values):
            out[m, first : first + model.n] = value
        first += model.n
    return out


def _kind(model: object) -> int:
    if isinstance(model, SpikingNeuron):
        return SPIKING
    return READOUT if isinstance(model, ReadoutNeuron) else INPUT


def _projections(network: Network, names: list[str]) -> tuple[dict[str, Any], ParameterLayout]:
    ordered = sorted(network.projections.values(), key=lambda p: names.index(p.target))
    rows, pres, outs, out_synapses, out_posts = [], [], [], [], []
    row_first, out_first, delay_of = [], [], []
    synapses, csr, delays, delay_order = {}, {}, {}, {}
    row_at = out_at = out_synapse_at = synapse_at = delay_at = 0
    for p in ordered:
        n_post = network.populations[p.target].n
        pre, s = p.pre(), p.n_synapses
        permutation = np.lexsort((pre, p.post))
        rows.append(synapse_at + np.searchsorted(p.post[permutation], np.arange(n_post + 1)))
        pres.append(pre[permutation])
        row_first.append(row_at)
        row_at += n_post + 1
        if isinstance(network.populations[p.source].model, SpikingNeuron):
            position = np.empty(s, np.int64)
            position[permutation] = np.arange(s)
            outs.append(out_synapse_at + p.indptr)
            out_synapses.append(synapse_at + position)
            out_posts.append(p.post)
            out_first.append(out_at)
            out_at += len(p.indptr)
            out_synapse_at += s
        else:
            out_first.append(-1)
        index = {"synapse": np.arange(s), "axon": pre[permutation], "fixed": np.zeros(s, np.int64)}
        delay_of.append(delay_at + index[p.granularity])
        synapses[p.name] = slice(synapse_at, synapse_at + s)
        delays[p.name] = slice(delay_at, delay_at + p.n_delays())
        csr[p.name] = permutation
        own = p.granularity == "synapse"
        delay_order[p.name] = permutation if own else np.arange(p.n_delays())
        synapse_at += s
        delay_at += p.n_delays()
    fields = {
        "recurrent_population": np.array(
            [any(p.recurrent for p in network.incoming(n)) for n in names]
        ),
        "source": np.array([names.index(p.source) for p in ordered], np.int64),
        "target": np.array([names.index(p.target) for p in ordered], np.int64),
        "group": np.array(
            [synapse_groups(network, p.target).index(p.synapse) for p in ordered], np.int64
        ),
        "row_first": np.array(row_first, np.int64),
        "dense": np.array([network.is_dense(p) for p in ordered], bool),
        "row": _join(rows, np.uint64),
        "pre": _join(pres, np.uint32),
        "recurrent_projection": np.array([p.recurrent for p in ordered], bool),
        "out_first": np.array(out_first, np.int64),
        "out": _join(outs, np.uint64),
        "out_synapse": _join(out_synapses, np.uint64),
        "out_post": _join(out_posts, np.uint32),
    }
    spiking = [n for n in names if isinstance(network.populations[n].model, SpikingNeuron)]
    ends = accumulate(network.populations[name].n for name in names)
    neurons = {
        name: slice(end - network.populations[name].n, end)
        for name, end in zip(names, ends, strict=True)
    }
    return fields, ParameterLayout(
        names, spiking, neurons, [p.name for p in ordered], synapses, csr, delays, delay_order,
        _join(delay_of, np.int64),
    )  # fmt: skip


def _join(arrays: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate([*arrays, np.zeros(0, kind)]).astype(kind)
