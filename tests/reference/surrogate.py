"""Float64 twin of surrogate-gradient BPTT, in plain loops; imports nothing from any engine.

The exact gradient of the step equations of `steps`, but for psi in place of the derivative of a
spike, and with nothing through the reset. R = dL/d arrivals of a projection, G = dL/d emitted:

    G_i[t] = gain_i sum over outgoing synapses of w sum_k K[k] R_post[t + k + 1] + pull_i
    pull_i = strength (mean count_i over the batch - target) + operations (synapses of i)
    LIF             lam_u[t] = psi(u[t] - theta) G[t] + (1 - s[t]) lam[t],  lam[t-1] = a lam_u[t]
                    dL/dI'[t] = (1 - a) lam_u[t]
    LIF, waiting    lam[t-1] = lam[t],  dL/dI'[t] = 0
    EulerLIF         lam[t-1] = psi(V[t-1] - theta) G[t] + (1 - dt/tau_mem)(1 - s[t]) lam[t]
                    dL/dI'[t] = (1 - s[t]) lam[t]
    LeakyIntegrator l = lam[t] + dL/dV[t];  lam[t-1] = a l,  dL/dI'[t] = (1 - a) l
    EulerLI          the same with lam[t-1] = (1 - dt/tau_mem) l,  dL/dI'[t] = l
    SpikeCounter    dL/dI'[t] = dL/dV[t]
    Exponential     R[t] = (tau_syn/dt)(1 - e) dL/dI[t] + e R[t+1];  Delta  R[t] = dL/dI[t]

lam[t] is dL/dV after step t. With C[k] = sum over examples and t of x_i[t] R_j[t + k + 1],

    dL/dw = sum_k K[k] C[k]
    dL/dd = w (C[d + 1] - C[d]) (Dirac),  w sum_k dK[k]/dd C[k] (Gaussian)

Each example's loss counts 1 in all of these; the results are divided by B.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlgenn_delays.learning.rules import Atan, Boxcar, Surrogate, Triangle
from mlgenn_delays.network import (
    LIF,
    EulerLIF,
    Exponential,
    LeakyIntegrator,
    Network,
    Projection,
    SpikeCounter,
)
from tests.reference import equations, steps
from tests.reference import forward as single
from tests.reference.eventprop import fan_out, readout_gradient, share_delays
from tests.reference.steps import Layer, Spike, Trace, forward

__all__ = ["Result", "candidate", "forward", "gradients", "primitive", "psi", "tap_slopes"]


ByParameter = dict[tuple[str, str], np.ndarray]


@dataclass(frozen=True)
class Result:
    """Mean over a batch.

    Attributes:
        loss: Mean cross-entropy, without the spike count's part.
        weight: (S,) by projection.
        delay: [1/step] by projection, in the shape of its delays.
        gain: (n,) by normalised population.
        offset: (n,) by normalised population.
        trace: The batch; its `tie` counts the edges of a `Boxcar` too.
        parameter: (n,) by population and parameter of its neurons.
    """

    loss: float
    weight: dict[str, np.ndarray]
    delay: dict[str, np.ndarray]
    gain: dict[str, np.ndarray]
    offset: dict[str, np.ndarray]
    trace: Trace
    parameter: ByParameter = field(default_factory=dict)


def psi(surrogate: Surrogate, u: np.ndarray) -> np.ndarray:
    """Return the surrogate derivative at u = V - v_thresh."""
    if isinstance(surrogate, Atan):
        return (surrogate.slope / 2) / (1 + (math.pi / 2 * surrogate.slope * u) ** 2)
    if isinstance(surrogate, Triangle):
        return surrogate.height * np.maximum(0.0, 1 - np.abs(u) / surrogate.width)
    assert isinstance(surrogate, Boxcar)
    return surrogate.height * (np.abs(u) < surrogate.width)


def primitive(surrogate: Surrogate, u: np.ndarray) -> np.ndarray:
    """Return a function of which `psi` is the derivative: a smooth spike."""
    if isinstance(surrogate, Atan):
        return 0.5 + np.arctan(math.pi / 2 * surrogate.slope * u) / math.pi
    inside = np.clip(u, -surrogate.width, surrogate.width)
    if isinstance(surrogate, Triangle):
        share = inside / surrogate.width
        return surrogate.height * surrogate.width * (share - share * np.abs(share) / 2 + 0.5)
    return surrogate.height * (inside + surrogate.width)


def tap_slopes(delay: float, last: int, width: float) -> np.ndarray:
    """Return dK/dd, (M+1,), of one delay [steps] of a Gaussian kernel."""
    k = steps.taps(delay, last, width)
    pull = np.array([(tap - delay) / width**2 for tap in range(last + 1)])
    return k * (pull - (k * pull).sum())


def step_back(
    model: Any,
    layer: Layer,
    t: int,
    sent: np.ndarray,
    lam: np.ndarray,
    surrogate: Surrogate,
    dt: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return dL/dI' of step t and dL/dV after step t - 1, (B, n) each.

    Arguments:
        model: Of the population.
        layer: What it did.
        t: The step.
        sent: G of step t, (B, n); of an output population, dL/dV of the readout.
        lam: dL/dV after step t through later steps, (B, n).
        surrogate: Derivative of a spike.
        dt: Length of a step [ms].
    """
    if isinstance(model, SpikeCounter):
        return sent, np.zeros_like(sent)
    a, leak = math.exp(-dt / model.tau_mem), 1 - dt / model.tau_mem
    if isinstance(model, LIF | EulerLIF):
        kept = np.where(layer.fired[:, t], 0.0, lam)
        spiked = psi(surrogate, layer.tested[:, t] - model.v_thresh) * sent
        if isinstance(model, EulerLIF):
            return kept, spiked + leak * kept
        still, lam_u = layer.still[:, t], spiked + kept
        return np.where(still, 0.0, (1 - a) * lam_u), np.where(still, lam, a * lam_u)
    lam = lam + sent
    if isinstance(model, LeakyIntegrator):
        return (1 - a) * lam, a * lam
    return lam, leak * lam


def filter_back(
    projection: Projection, by_current: np.ndarray, later: np.ndarray, dt: float
) -> np.ndarray:
    """Return R[t] given dL/dI[t] and R[t+1]."""
    if not isinstance(projection.synapse, Exponential):
        return by_current
    tau = np.asarray(projection.synapse.tau_syn, dtype=np.float64)
    e = np.exp(-dt / tau)
    return (tau / dt) * (1 - e) * by_current + e * later


def pull_back(weights: np.ndarray, r: np.ndarray, t: int) -> np.ndarray:
    """Return sum of w K[k] R_post[t + k + 1] of every presynaptic neuron, (B, n_pre)."""
    _, n_pre, n_post = weights.shape
    out = np.zeros((len(r), n_pre))
    for k in range(len(weights)):
        if t + k + 1 < r.shape[1]:
            out += r[:, t + k + 1, :n_post] @ weights[k].T
    return out


def normalise_back(
    network: Network, trace: Trace, name: str, by_drive: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dL/dI (B, T, n), dL/dgain and dL/doffset (n,) through the batch's statistics."""
    mean, variance = trace.statistics[name]
    kept = network.populations[name].normalisation
    assert kept is not None
    n = by_drive.shape[0] * by_drive.shape[1]
    root = np.sqrt(variance + steps.EPSILON)
    off = trace.layers[name].current - mean
    by_standard = by_drive * kept.gain.astype(np.float64)
    by_variance = -(by_standard * off).sum(axis=(0, 1)) / (2 * root**3)
    by_mean = -by_standard.sum(axis=(0, 1)) / root  # the variance's part is 0: sum of off is
    by_current = by_standard / root + by_variance * 2 * off / n + by_mean / n
    return by_current, (by_drive * off / root).sum(axis=(0, 1)), by_drive.sum(axis=(0, 1))


def emitted_gradient(
    network: Network, trace: Trace, name: str, weights: dict[str, np.ndarray],
    arrived: dict[str, np.ndarray], strength: float, target: float, operations: float,
) -> np.ndarray:  # fmt: skip
    """Return G of a population but for its recurrent projections, (B, T, n)."""
    layer, gain = trace.layers[name], trace.gains[name]
    out = np.zeros_like(layer.value)
    for p in network.projections.values():
        if p.source == name and not p.recurrent:
            for t in range(out.shape[1]):
                out[:, t] += gain * pull_back(weights[p.name], arrived[p.name], t)
    if strength:
        out += strength * (layer.value.sum(axis=1).mean(axis=0) - target)
    out += operations * np.array([fan_out(network, name, j) for j in range(out.shape[2])])
    return out


def voltage_gradient(network: Network, trace: Trace, labels: np.ndarray) -> np.ndarray:
    """Return dL/dV of the output population, (B, T, K), of each example's loss."""
    output: Any = network.output()
    v = trace.layers[output.name].after
    out = np.zeros_like(v)
    for b, label in enumerate(labels):
        by_logit = single.softmax(trace.logits[b])
        by_logit[int(label)] -= 1.0
        out[b] = readout_gradient(v[b], output.model.readout, by_logit)
    return out


def backward(
    network: Network,
    trace: Trace,
    labels: np.ndarray,
    surrogate: Surrogate,
    strength: float = 0.0,
    target: float = 0.0,
    operations: float = 0.0,
    learned: tuple[str, ...] = (),
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray], ByParameter]:
    """Return R (B, T, n) by projection, and the sums by gain, by offset, and by `learned`
    parameters (n,).
    """
    dt, gain, offset = network.dt, {}, {}
    constants: ByParameter = {}
    weights = {p.name: steps.kernel(p, dt, trace.width) for p in network.projections.values()}
    arrived = {
        p.name: np.zeros_like(trace.layers[p.target].current) for p in network.projections.values()
    }
    for population in reversed(network.order()):
        name = population.name
        if population is network.input():
            continue
        layer, incoming = trace.layers[name], network.incoming(name)
        loops = [p for p in incoming if p.recurrent]
        if population is network.output():
            sent = voltage_gradient(network, trace, labels)
        else:
            sent = emitted_gradient(
                network, trace, name, weights, arrived, strength, target, operations
            )
        by_drive, lam = np.zeros_like(sent), np.zeros_like(sent[:, 0])
        later: dict[str, np.ndarray] = {}
        for t in reversed(range(sent.shape[1])):
            for p in loops:
                back = pull_back(weights[p.name], arrived[p.name], t)
                sent[:, t] += trace.gains[name] * back
            if isinstance(population.model, steps.BY_HAND):
                by_drive[:, t], lam = step_back(
                    population.model, layer, t, sent[:, t], lam, surrogate, dt
                )
            else:
                by_drive[:, t], later, added = equations.step_back(
                    population.model,
                    steps.values_at(population.model, population.bias, layer, t, dt),
                    layer.fired[:, t], layer.value[:, t],
                    psi(surrogate, layer.tested[:, t] - population.model.v_thresh), sent[:, t],
                    later or dict.fromkeys(layer.states, lam), learned, layer.still[:, t],
                )  # fmt: skip
                for key, value in added.items():
                    constants[name, key] = constants.get((name, key), 0.0) + value.sum(0)
            for p in loops:
                receive(p, arrived[p.name], by_drive, t, dt)
        by_current = by_drive
        if population.normalisation is not None:
            by_current, gain[name], offset[name] = normalise_back(network, trace, name, by_drive)
        for p in incoming:
            if not p.recurrent:
                for t in reversed(range(sent.shape[1])):
                    receive(p, arrived[p.name], by_current, t, dt)
    return arrived, gain, offset, constants


def receive(p: Projection, arrived: np.ndarray, by_current: np.ndarray, t: int, dt: float) -> None:
    """Fill in R[t] of a projection."""
    ahead = t + 1 < arrived.shape[1]
    later = arrived[:, t + 1] if ahead else np.zeros_like(arrived[:, t])
    arrived[:, t] = filter_back(p, by_current[:, t], later, dt)


def meetings(x: np.ndarray, r: np.ndarray, taps: int) -> np.ndarray:
    """Return C[k] = sum over examples and t of x_i[t] R_j[t + k + 1], (taps, n_pre, n_post)."""
    out = np.zeros((taps, x.shape[2], r.shape[2]))
    for k in range(taps):
        for t in range(x.shape[1] - k - 1):
            out[k] += x[:, t].T @ r[:, t + k + 1]
    return out


def collect(
    projection: Projection, x: np.ndarray, r: np.ndarray, width: float, dt: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums by weight and by delay of each synapse, (S,) each."""
    last = steps.longest(projection, dt)
    met = meetings(x, r, last + 2)
    delays = projection.delay_per_synapse() / dt
    by_weight, by_delay = np.zeros(projection.n_synapses), np.zeros(projection.n_synapses)
    for s, (i, j) in enumerate(zip(projection.pre(), projection.post, strict=True)):
        k, c = steps.taps(delays[s], last, width), met[:, i, j]
        by_weight[s] = k @ c[:-1]
        if width == 0.0:
            d = int(np.argmax(k))
            slope = c[d + 1] - c[d]
        else:
            slope = tap_slopes(delays[s], last, width) @ c[:-1]
        by_delay[s] = float(projection.weight[s]) * slope
    return by_weight, by_delay


def gradients(
    network: Network,
    batch: Any,
    surrogate: Surrogate,
    *,
    kernel_width: float = 0.0,
    strength: float = 0.0,
    target: float = 0.0,
    operations: float = 0.0,
    gains: dict[str, np.ndarray] | None = None,
    spike: Spike | None = None,
    held: dict[str, np.ndarray] | None = None,
    learned: tuple[str, ...] = (),
) -> Result:
    """Return the gradients of the mean loss of one batch, in training mode.

    Arguments:
        network: The network.
        batch: See `forward`.
        surrogate: Derivative of a spike with respect to V.
        kernel_width: See `forward`.
        strength: Of the spike count regularisation.
        target: Of the spike count regularisation.
        operations: What a spike costs per synapse of its neuron.
        gains: See `forward`.
        spike: See `forward`; its derivative should be the surrogate.
        held: See `forward`.
        learned: Parameters of neurons whose gradients are wanted.
    """
    trace = forward(network, batch, kernel_width=kernel_width, gains=gains, spike=spike, held=held)
    if isinstance(surrogate, Boxcar):
        steps.mark_ties(network, trace, surrogate.width)
    arrived, gain, offset, constants = backward(
        network, trace, batch.labels, surrogate, strength, target, operations, learned
    )
    weight, delay, n = {}, {}, len(batch)
    for p in network.projections.values():
        by_weight, by_delay = collect(
            p, trace.sent(p.source), arrived[p.name], kernel_width, network.dt
        )
        weight[p.name], delay[p.name] = by_weight / n, share_delays(p, by_delay) / n
    gain = {name: g / n for name, g in gain.items()}
    offset = {name: g / n for name, g in offset.items()}
    parameter = {key: g / n for key, g in constants.items()}
    return Result(trace.loss, weight, delay, gain, offset, trace, parameter)


def candidate(
    network: Network,
    batch: Any,
    surrogate: Surrogate,
    projection: str,
    pre: int,
    post: int,
    delay: float,
    **options: Any,
) -> float:
    """Return the gradient by the weight of an absent synapse: of a copy that has it at weight 0.

    Arguments:
        network: The network.
        batch: See `forward`.
        surrogate: See `gradients`.
        projection: Name of the projection that lacks the synapse.
        pre: Its presynaptic neuron.
        post: Its postsynaptic neuron.
        delay: Its delay [ms]; of no account where delays are an axon's or fixed.
        options: Of `gradients`.
    """
    work = network.copy()
    p = work.projections[projection]
    row = p.post[p.indptr[pre] : p.indptr[pre + 1]]
    assert post not in row
    place = int(p.indptr[pre]) + int((row < post).sum())
    p.post = np.insert(p.post, place, post)
    p.weight = np.insert(p.weight, place, 0.0)
    p.indptr = p.indptr + (np.arange(len(p.indptr)) > pre)
    if p.granularity == "synapse":
        p.delay = np.insert(p.delay, place, delay)
    if p.sign is not None:
        p.sign = np.insert(p.sign, place, 1)
    p.check(work.populations[p.source].n, work.populations[p.target].n)
    return float(gradients(work, batch, surrogate, **options).weight[projection][place])
