"""Float64 twin of the EventProp backward pass, in plain loops; imports nothing from any engine.

Continuous EventProp (Wunderlich and Pehle 2021; with delays, Meszaros, Knight and Nowotny 2025)
on the grid. p adjoint of V at the end of step t, P the same carried back from later steps, r
adjoint of inSyn just after the arrivals of step t, D derivative of the loss by the arrival time
of unit weight, per step; a = exp(-dt/tau_mem), e = exp(-dt/tau_syn), s = (tau_syn/dt)(1 - e):

    readout        p = P + dL/dV[t]
    LIF            p = P
    LIF, spike     p = (P I_end - (tau_mem/dt) G) / slope + reg
                   slope = I[t] + bias - v_thresh,  I_end = I[t + R] + bias
                   G = sum over the neuron's synapses of w D_target[t + d + 1]
                   reg = strength (mean count over the batch - target)
                         + operations (synapses of the neuron)
    refractory     p = 0, P stays
    r[t] = (1 - a) s p + e r[t+1];  D[t] = r[t+1] - r[t];  P = a p

    dL/dw = sum of r_target[t + d + 1],  dL/dd = w sum of D_target[t + d + 1],  over spikes t

A current counts in these sums as a spike of its value in every step.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, Projection
from tests.reference import forward
from tests.reference.forward import Trace

FORM = "forward"  # of `arrival_derivative`


@dataclass(frozen=True)
class Regularisation:
    """Spike count regularisation: strength, target and mean count over the batch.

    Besides, what a spike costs for each synapse that its neuron has.
    """

    strength: float = 0.0
    target: float = 0.0
    mean: dict[str, np.ndarray] = field(default_factory=dict)
    operations: float = 0.0


@dataclass
class Adjoint:
    """Adjoints of the synapses of one projection.

    Attributes:
        r: (T+2, n), zero from T on.
        p: (T+2, n), p of the target; 0 in refractory steps.
        lag: Delay of each synapse in steps, (S,).
        tau_syn, tau_mem, dt: Time constants [ms].
        form: How D is formed, see `arrival_derivative`.
    """

    r: np.ndarray
    p: np.ndarray
    lag: np.ndarray
    tau_syn: float
    tau_mem: float
    dt: float
    form: str


def arrival_derivative(adjoint: Adjoint, t: int, j: int) -> float:
    """Return D[t] of neuron j: by how much the loss grows a step of later arrival.

    `FORM` is the most accurate of the forms, as `tests.reference.variants` shows: the grid
    finds spikes half a step late on average, and a difference over the step after the arrival
    makes up for that. ``"ap"`` is the adjoint equation at the arrival itself, ``"p"`` with p
    at the end of the step.
    """
    r, p = adjoint.r[:, j], adjoint.p[:, j]
    per_syn, per_mem = adjoint.dt / adjoint.tau_syn, adjoint.dt / adjoint.tau_mem
    if adjoint.form == "ap":
        return per_syn * r[t] - per_mem * math.exp(-per_mem) * p[t]
    if adjoint.form == "p":
        return per_syn * r[t] - per_mem * p[t]
    if adjoint.form == "forward":
        return r[t + 1] - r[t]
    assert adjoint.form == "central"
    return (r[t + 1] - r[t - 1]) / 2 if t else r[1] - r[0]


def readout_gradient(v: np.ndarray, kind: str, by_logit: np.ndarray) -> np.ndarray:
    """Return dL/dV (T, K) of output voltages (T, K), given dL/dlogits (K,)."""
    steps, n = v.shape
    if kind == "mean":
        return np.tile(by_logit / steps, (steps, 1))
    if kind == "sum":
        return np.tile(by_logit, (steps, 1))
    if kind == "expweighted":
        return np.exp(-np.arange(steps) / steps)[:, None] * by_logit / steps
    out = np.zeros((steps, n))
    if kind == "max":
        for k in range(n):
            out[int(np.argmax(v[:, k])), k] = by_logit[k]
        return out
    assert kind == "softmax-sum"
    share = forward.softmax(v)
    return share * (by_logit - (share * by_logit).sum(axis=1, keepdims=True))


def loss_by_voltage(network: Network, trace: Trace, label: int) -> np.ndarray:
    """Return dL/dV of the output population, (T, K)."""
    output = network.output()
    assert isinstance(output.model, LeakyIntegrator)
    by_logit = forward.softmax(trace.logits)
    by_logit[label] -= 1.0
    return readout_gradient(trace.voltage[output.name], output.model.readout, by_logit)


def backward(
    network: Network,
    trace: Trace,
    label: int,
    regularisation: Regularisation | None = None,
    form: str = FORM,
    at_end: bool = False,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the gradients of one trial by weight and delay [1/step], by projection.

    Arguments:
        network: The network that gave the trace.
        trace: What happened.
        label: Class of the trial.
        regularisation: Regularisation of the spike counts, if any.
        form: See `arrival_derivative`.
        at_end: Take I of slope and I_end at the end of the step, not its mean over the step.
    """
    regularisation = regularisation or Regularisation()
    steps, dt = len(trace.stimulus), network.dt
    by_voltage = loss_by_voltage(network, trace, label)
    adjoints = {p.name: _adjoint(network, p, steps, form) for p in network.projections.values()}
    carried = {name: np.zeros(v.shape[1]) for name, v in trace.voltage.items()}
    still = {name: _refractory(network, trace, name) for name in trace.spikes}
    order = [p.name for p in reversed(network.order()) if p.name in trace.voltage]
    for t in reversed(range(steps)):
        for name in order:
            if name in trace.spikes:
                p = _lif_adjoint(
                    network, trace, name, t, carried[name], adjoints, regularisation, at_end
                )
                p[still[name][t]] = 0.0
            else:
                p = carried[name] + by_voltage[t]
            a = math.exp(-dt / network.populations[name].model.tau_mem)
            moving = ~still[name][t] if name in still else np.ones(len(p), dtype=bool)
            carried[name][moving] = a * p[moving]
            for q in network.incoming(name):
                adjoint = adjoints[q.name]
                e = math.exp(-dt / adjoint.tau_syn)
                gain = (1.0 - a) * (adjoint.tau_syn / dt) * (1.0 - e)
                adjoint.p[t] = p
                adjoint.r[t] = gain * p + e * adjoint.r[t + 1]
    return _gather(network, trace, adjoints)


def _adjoint(network: Network, projection: Projection, steps: int, form: str) -> Adjoint:
    """Return the adjoint of a projection, all zero."""
    target = network.populations[projection.target]
    assert isinstance(projection.synapse, Exponential)
    shape = (steps + 2, target.n)
    tau_syn, tau_mem = projection.synapse.tau_syn, target.model.tau_mem
    lag = forward.delay_steps(projection, network.dt)
    return Adjoint(np.zeros(shape), np.zeros(shape), lag, tau_syn, tau_mem, network.dt, form)


def _refractory(network: Network, trace: Trace, name: str) -> np.ndarray:
    """Return where a LIF population is refractory: steps t_s + 1 .. t_s + R, (T, n) bool."""
    model = network.populations[name].model
    assert isinstance(model, LIF)
    rest = model.refractory_steps(network.dt)
    out = np.zeros_like(trace.spikes[name])
    for t, j in zip(*np.nonzero(trace.spikes[name]), strict=True):
        out[t + 1 : t + rest + 1, j] = True
    return out


def _lif_adjoint(
    network: Network,
    trace: Trace,
    name: str,
    t: int,
    carried: np.ndarray,
    adjoints: dict[str, Adjoint],
    regularisation: Regularisation,
    at_end: bool,
) -> np.ndarray:
    """Return p of a LIF population in step t, as if no neuron were refractory."""
    population, dt = network.populations[name], network.dt
    model = population.model
    assert isinstance(model, LIF)
    current = (trace.current_end if at_end else trace.current)[name]
    rest = model.refractory_steps(dt)
    p = carried.copy()
    for j in np.flatnonzero(trace.spikes[name][t]):
        bias = float(population.bias[j])
        slope = max(current[t, j] + bias - model.v_thresh, 1e-6 * model.v_thresh)
        restart = current[t + rest, j] + bias if t + rest < len(current) else 0.0
        sent = _by_spike_time(network, name, j, t, adjoints)
        p[j] = (carried[j] * restart - (model.tau_mem / dt) * sent) / slope
        if regularisation.strength:
            off = regularisation.mean[name][j] - regularisation.target
            p[j] += regularisation.strength * off
        p[j] += regularisation.operations * fan_out(network, name, j)
    return p


def _by_spike_time(
    network: Network, name: str, i: int, t: int, adjoints: dict[str, Adjoint]
) -> float:
    """Return G: by how much the loss grows through the synapses a step of a later spike."""
    total = 0.0
    for q in network.projections.values():
        if q.source != name:
            continue
        adjoint = adjoints[q.name]
        for s in range(q.indptr[i], q.indptr[i + 1]):
            when = t + adjoint.lag[s] + 1
            if when < len(adjoint.r) - 2:
                total += float(q.weight[s]) * arrival_derivative(adjoint, when, q.post[s])
    return total


def _gather(
    network: Network, trace: Trace, adjoints: dict[str, Adjoint]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return gradients by weight and delay from spikes, or currents, and adjoints."""
    weight, delay = {}, {}
    source_name = network.input().name
    for q in network.projections.values():
        sent = trace.stimulus if q.source == source_name else trace.spikes[q.source].astype(float)
        adjoint, steps = adjoints[q.name], len(trace.stimulus)
        by_weight, by_delay = np.zeros(q.n_synapses), np.zeros(q.n_synapses)
        pre = q.pre()
        for s in range(q.n_synapses):
            for t in np.flatnonzero(sent[:, pre[s]]):
                when = t + adjoint.lag[s] + 1
                if when < steps:
                    x = sent[t, pre[s]]
                    by_weight[s] += x * adjoint.r[when, q.post[s]]
                    slope = arrival_derivative(adjoint, when, q.post[s])
                    by_delay[s] += float(q.weight[s]) * x * slope
        weight[q.name] = by_weight
        delay[q.name] = share_delays(q, by_delay)
    return weight, delay


def share_delays(projection: Projection, by_synapse: np.ndarray) -> np.ndarray:
    """Return the gradient in the shape of the delays: an axonal one sums over its synapses."""
    if projection.granularity == "synapse":
        return by_synapse
    if projection.granularity == "axon":
        out = np.zeros(len(projection.indptr) - 1)
        np.add.at(out, projection.pre(), by_synapse)
        return out
    return np.zeros(1)  # fixed delays are never learned


@dataclass(frozen=True)
class Result:
    """Mean over a batch: loss and gradients by projection, and the trials they come from."""

    loss: float
    weight: dict[str, np.ndarray]
    delay: dict[str, np.ndarray]
    traces: list[Trace]


def fan_out(network: Network, name: str, j: int) -> int:
    """Return how many synapses neuron j of a population has onto others, or onto its own."""
    synapses = 0
    for projection in network.projections.values():
        for pre in projection.pre():
            synapses += projection.source == name and pre == j
    return synapses


def gradients(
    network: Network,
    batch: Batch,
    strength: float = 0.0,
    target: float = 0.0,
    operations: float = 0.0,
    form: str = FORM,
    at_end: bool = False,
) -> Result:
    """Return the mean over a batch of what `backward` gives."""
    traces = [
        forward.run(network, forward.stimulus(batch, b), int(batch.labels[b]))
        for b in range(len(batch))
    ]
    mean = {
        name: np.mean([trace.spikes[name].sum(axis=0) for trace in traces], axis=0)
        for name in traces[0].spikes
    }
    regularisation = Regularisation(strength, target, mean, operations)
    each = [
        backward(network, trace, int(label), regularisation, form, at_end)
        for trace, label in zip(traces, batch.labels, strict=True)
    ]
    names = list(network.projections)
    return Result(
        float(np.mean([trace.loss for trace in traces])),
        {name: np.mean([w[name] for w, _ in each], axis=0) for name in names},
        {name: np.mean([d[name] for _, d in each], axis=0) for name in names},
        traces,
    )
