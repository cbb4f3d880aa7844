"""Float64 twin of the forward pass, in plain loops; imports nothing from any engine.

Written from semantics.md. One step t of `dt` ms, a = exp(-dt/tau_mem), e = exp(-dt/tau_syn):

    inSyn += arrivals of step t;   I = inSyn (tau_syn/dt)(1 - e);   inSyn *= e     (Exponential)
    I = arrivals of step t                                                        (Delta)
    V = a V + (1 - a)(sum of I + bias), unless refractory;  V >= v_thresh: spike in t, V = 0

A spike of step t over d steps arrives in t + d + 1. Every projection has its own inSyn.

Shapes: T steps, C channels, n neurons, K classes.
"""

import math
from dataclasses import dataclass

import numpy as np

from mlgenn_delays.data.types import Batch, CurrentBatch
from mlgenn_delays.network import LIF, Delta, Exponential, LeakyIntegrator, Network, Projection

TIE = 1e-5


@dataclass(frozen=True)
class Trace:
    """One trial.

    Attributes:
        stimulus: (T, C), 1 where a channel spikes (or the value of a current).
        spikes: By LIF population, (T, n) bool.
        voltage: By population but the input, (T, n), V after each step, so after any reset.
        current: By population but the input, (T, n), synaptic current, mean over the step.
        current_end: The same at the end of the step, where `Delta` has none.
        logits: (K,).
        loss: Cross-entropy of the softmax of the logits.
        tie: First step in which some |V - v_thresh| < 1e-5 before the reset, T if none: from
            there on float32 may fall either way.
    """

    stimulus: np.ndarray
    spikes: dict[str, np.ndarray]
    voltage: dict[str, np.ndarray]
    current: dict[str, np.ndarray]
    current_end: dict[str, np.ndarray]
    logits: np.ndarray
    loss: float
    tie: int


def stimulus(batch: Batch, example: int) -> np.ndarray:
    """Return the input of one example, (T, C): spikes as 0 and 1, or currents."""
    if isinstance(batch, CurrentBatch):
        return batch.values[example].astype(np.float64)
    out = np.zeros((batch.n_steps, batch.n_channels))
    for channel in range(batch.n_channels):
        first, last = batch.start[example, channel], batch.start[example, channel + 1]
        for t in batch.time[first:last]:
            out[t, channel] = 1.0
    return out


def delay_steps(projection: Projection, dt: float) -> np.ndarray:
    """Return the delay of each synapse in whole steps, rounded as C does, (S,)."""
    longest = math.floor(projection.max_delay / dt + 0.5)
    steps = [math.floor(d / dt + 0.5) for d in projection.delay_per_synapse()]
    return np.array([min(max(d, 0), longest) for d in steps], dtype=np.int64)


def send(
    arrivals: np.ndarray, projection: Projection, delay: np.ndarray, values: np.ndarray, t: int
) -> None:
    """Add what the presynaptic neurons emit in step t to the arrivals (T, n) of later steps."""
    for i in np.flatnonzero(values):
        for s in range(projection.indptr[i], projection.indptr[i + 1]):
            when = t + delay[s] + 1
            if when < len(arrivals):
                arrivals[when, projection.post[s]] += float(projection.weight[s]) * values[i]


def run(network: Network, given: np.ndarray, label: int = 0) -> Trace:
    """Return everything that happens in one trial driven by `given`, (T, C)."""
    dt, steps = network.dt, len(given)
    sizes = {p.name: p.n for p in network.populations.values() if "Input" not in _kind(p.model)}
    zeros = {name: np.zeros((steps, n)) for name, n in sizes.items()}
    voltage = {name: z.copy() for name, z in zeros.items()}
    current = {name: z.copy() for name, z in zeros.items()}
    current_end = {name: z.copy() for name, z in zeros.items()}
    spikes = {n: z.astype(bool) for n, z in zeros.items() if _kind_of(network, n) == "LIF"}
    waiting = {name: np.zeros(n, dtype=np.int64) for name, n in sizes.items()}
    arrivals = {p.name: np.zeros((steps, sizes[p.target])) for p in network.projections.values()}
    in_syn = {p.name: np.zeros(sizes[p.target]) for p in network.projections.values()}
    delays = {p.name: delay_steps(p, dt) for p in network.projections.values()}
    source_name, tie = network.input().name, steps
    for t in range(steps):
        for p in network.projections.values():
            now, end = synapse_step(p, in_syn[p.name], arrivals[p.name][t], dt)
            current[p.target][t] += now
            current_end[p.target][t] += end
        for name in sizes:
            population = network.populations[name]
            before = voltage[name][t - 1] if t else np.zeros(sizes[name])
            drive = current[name][t] + population.bias.astype(np.float64)
            v = membrane_step(population.model, before, drive, waiting[name], dt)
            if isinstance(population.model, LIF):
                tie = min(tie, t) if np.any(np.abs(v - population.model.v_thresh) < TIE) else tie
                spikes[name][t] = fired = v >= population.model.v_thresh
                v[fired] = 0.0
                waiting[name][fired] = population.model.refractory_steps(dt)
            voltage[name][t] = v
        for p in network.projections.values():
            emitted = given[t] if p.source == source_name else spikes[p.source][t].astype(float)
            send(arrivals[p.name], p, delays[p.name], emitted, t)
    output = network.output()
    assert isinstance(output.model, LeakyIntegrator)
    logits = readout(voltage[output.name], output.model.readout)
    loss = cross_entropy(logits, label)
    return Trace(given, spikes, voltage, current, current_end, logits, loss, tie)


def _kind(model: object) -> str:
    return type(model).__name__


def _kind_of(network: Network, name: str) -> str:
    return _kind(network.populations[name].model)


def synapse_step(
    projection: Projection, in_syn: np.ndarray, arrivals: np.ndarray, dt: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the current of one step, mean and at its end, moving inSyn on in place."""
    if isinstance(projection.synapse, Delta):
        return arrivals, np.zeros_like(arrivals)
    assert isinstance(projection.synapse, Exponential)
    tau = np.asarray(projection.synapse.tau_syn, dtype=np.float64)
    e = np.exp(-dt / tau)
    in_syn += arrivals
    now = in_syn * (tau / dt) * (1.0 - e)
    in_syn *= e
    return now, in_syn.copy()


def membrane_step(
    model: object, before: np.ndarray, drive: np.ndarray, waiting: np.ndarray, dt: float
) -> np.ndarray:
    """Return V before any reset; counts down the refractory steps left in place."""
    assert isinstance(model, (LIF, LeakyIntegrator))
    a = math.exp(-dt / model.tau_mem)
    after = a * before + (1.0 - a) * drive
    for j in range(len(after)):
        if waiting[j] > 0:
            after[j] = before[j]
            waiting[j] -= 1
    return after


def softmax(x: np.ndarray) -> np.ndarray:
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def readout(v: np.ndarray, kind: str) -> np.ndarray:
    """Return the logits (K,) of output voltages (T, K)."""
    steps = len(v)
    if kind == "mean":
        return v.mean(axis=0)
    if kind == "sum":
        return v.sum(axis=0)
    if kind == "max":
        return v.max(axis=0)
    if kind == "expweighted":
        return (np.exp(-np.arange(steps) / steps)[:, None] * v).sum(axis=0) / steps
    assert kind == "softmax-sum"
    return softmax(v).sum(axis=0)


def cross_entropy(logits: np.ndarray, label: int) -> float:
    """Return -log softmax(logits)[label]."""
    top = logits.max()
    return float(top + math.log(np.exp(logits - top).sum()) - logits[label])
