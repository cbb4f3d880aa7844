"""Backpropagation through time with a surrogate derivative psi of the spike and a reset that
carries no gradient (Neftci, Mostafa and Zenke 2019; Mészáros, Knight and Nowotny 2024).

Backwards in steps t, with V as the threshold sees it, s its spikes, a = alpha, b = beta:

    G[t] = gain sum_out w sum_k K[k] R[t + k + 1] + regularisation       at a neuron's spike
    LIF         p = psi G[t] + (1 - s[t]) P;   dI[t] = b p;   P = a p    (refractory: dI = 0)
    SeedLIF     q = (1 - s[t]) P;   dI[t] = b q;   P = psi G[t] + a q
    readout     p = dL/dV[t] + P;   dI[t] = b p;   P = a p
    synapse     r = scale dI[t] + decay r;   R[t] = r                    at the arrivals

Then dL/dw and dL/dd are sums of R at the arrivals, weighted by the taps (see `taps`). With a
surrogate of compact support, G is needed only at the steps where psi is not 0.
"""

import numpy as np

from mlgenn_delays.engines.cpu.currents import collect
from mlgenn_delays.engines.cpu.surrogate_forward import LANES, RESTING
from mlgenn_delays.engines.shared.numerics import NOTHING, kernel, settle_all
from mlgenn_delays.engines.shared.plan import READOUT
from mlgenn_delays.engines.shared.readout import loss_drive
from mlgenn_delays.engines.shared.vector import weave

ATAN, TRIANGLE, BOXCAR = 0, 1, 2


@kernel
def derivative(kind, one, other, u):
    """Return psi at u = V - v_thresh; `one` and `other` are its settings, in their order."""
    if kind == ATAN:
        x = np.float32(np.pi / 2) * one * u
        return np.float32(0.5) * one / (np.float32(1.0) + x * x)
    away = abs(u)
    if kind == TRIANGLE:
        return other * max(np.float32(0.0), np.float32(1.0) - away / one)
    return other if away < one else np.float32(0.0)


@kernel
def pull_everywhere(plan, frame, p, size, out_coef, out_address, series, e, pulled):
    """Add to `pulled` (n, length) dL/d(spike) over feed-forward synapses, in every step."""
    base = e * frame.neurons * frame.length
    for q in range(len(plan.source)):
        if plan.source[q] != p or plan.feeds_back[q]:
            continue
        adjoint = series.adjoint[plan.group[q]]
        flat = pulled.reshape(-1)
        for i in range(plan.n[p]):
            first = np.int64(plan.out[plan.out_first[q] + i])
            last = np.int64(plan.out[plan.out_first[q] + i + 1])
            weave(
                flat, i * frame.length, frame.span, adjoint, base, out_address, out_coef,
                first * size, last * size,
            )  # fmt: skip


@kernel
def pull_at(plan, q, i, t, size, out_coef, out_address, base, adjoint):
    """Return dL/d(spike) of neuron i in step t over the synapses of projection q."""
    total = np.float32(0.0)
    first = np.int64(plan.out[plan.out_first[q] + i]) * size
    last = np.int64(plan.out[plan.out_first[q] + i + 1]) * size
    for k in range(first, last):
        total += out_coef[k] * adjoint[base + out_address[k] + t]
    return total


@kernel
def weigh(plan, frame, p, shape, size, out_coef, out_address, gain, pull, series, e, pulled):
    """Turn dL/d(spike) into psi G in every step, `pulled` (n, length).

    With a compact surrogate, dL/d(spike) is summed here, where psi is not 0.
    """
    kind, one, other, compact = shape
    threshold, base = plan.v_thresh[p], e * frame.neurons * frame.length
    for i in range(plan.n[p]):
        at = base + (frame.neuron_row[p] + i) * frame.length
        weight, extra = gain[plan.first[p] + i], pull[plan.first[p] + i]
        row, voltage = pulled[i, : frame.steps], series.voltage[at : at + frame.steps]
        if kind == ATAN:
            for t in range(frame.steps):
                x = np.float32(np.pi / 2) * one * (voltage[t] - threshold)
                psi = np.float32(0.5) * one / (np.float32(1.0) + x * x)
                row[t] = psi * (weight * row[t] + extra)
            continue
        for t in range(frame.steps):
            psi = derivative(kind, one, other, voltage[t] - threshold)
            row[t] = 0.0
            if psi != 0.0 and voltage[t] != RESTING:
                total = np.float32(0.0)
                for q in range(len(plan.source)):
                    if plan.source[q] == p and not plan.feeds_back[q]:
                        adjoint = series.adjoint[plan.group[q]]
                        total += pull_at(plan, q, i, t, size, out_coef, out_address, base, adjoint)
                row[t] = psi * (weight * total + extra)


@kernel
def back_lif(alpha, beta, threshold, length, steps, kick, voltage):
    """Run the adjoints of `LANES` `LIF` neurons back; V, in rows, becomes dL/dI."""
    carried = np.zeros(LANES, np.float32)
    for back in range(steps):
        for k in range(LANES):
            here = k * length + steps - 1 - back
            v, old = voltage[here], carried[k]
            p = kick[here] if v >= threshold else kick[here] + old
            rests = v == RESTING
            p = np.float32(0.0) if rests or abs(p) <= NOTHING else p
            voltage[here] = beta * p
            carried[k] = old if rests else alpha * p


@kernel
def back_seed(alpha, beta, threshold, length, steps, kick, voltage):
    """Run the adjoints of `LANES` `SeedLIF` neurons back; V, in rows, becomes dL/dI."""
    carried = np.zeros(LANES, np.float32)
    for back in range(steps):
        for k in range(LANES):
            here = k * length + steps - 1 - back
            old = carried[k]
            kept = np.float32(0.0) if voltage[here] > threshold or abs(old) <= NOTHING else old
            voltage[here] = beta * kept
            carried[k] = kick[here] + alpha * kept


@kernel
def back_rows(plan, frame, p, series, e, pulled, spare):
    """Run the adjoints of a population without recurrent synapses back."""
    n, length, steps = plan.n[p], frame.length, frame.steps
    alpha, beta, threshold = plan.alpha[p], plan.beta[p], plan.v_thresh[p]
    at, kicks = (e * frame.neurons + frame.neuron_row[p]) * length, pulled.reshape(-1)
    for low in range(0, n, LANES):
        here, many = at + low * length, min(LANES, n - low)
        end = here + many * length
        if many == LANES:
            kick = kicks[low * length : (low + LANES) * length]
            voltage = series.voltage[here:end]
        else:
            kick, voltage = spare[0], spare[1]
            kick[: many * length] = kicks[low * length : (low + many) * length]
            voltage[: many * length] = series.voltage[here:end]
        if plan.seed[p]:
            back_seed(alpha, beta, threshold, length, steps, kick, voltage)
        else:
            back_lif(alpha, beta, threshold, length, steps, kick, voltage)
        if many < LANES:
            for k in range(many):
                to = here + k * length
                series.voltage[to : to + steps] = voltage[k * length : k * length + steps]


@kernel
def back_readout(alpha, beta, drive, steps, out):
    """Run the adjoint of one leaky integrator back from dL/dV (T,); dL/dI goes to `out` (T,)."""
    carried = np.float32(0.0)
    for back in range(steps):
        t = steps - 1 - back
        p = drive[t] + carried
        if abs(p) <= NOTHING:
            p = np.float32(0.0)
        out[t] = beta * p
        carried = alpha * p


@kernel
def back_recurrent(
    plan, frame, p, shape, size, out_coef, out_address, gain, series, e, pulled
):  # fmt: skip
    """Run the adjoints of a population that projects to itself back, step by step.

    `pulled` (n, length) holds dL/d(spike) of what follows it, times gain, regularisation included.
    """
    kind, one, other, compact = shape
    n, alpha, beta, threshold = plan.n[p], plan.alpha[p], plan.beta[p], plan.v_thresh[p]
    base = e * frame.neurons * frame.length
    carried, inner = np.zeros(n, np.float32), np.zeros((plan.groups[p], n), np.float32)
    for back in range(frame.steps):
        t = frame.steps - 1 - back
        if t % 64 == 0:
            settle_all(carried)
            for g in range(plan.groups[p]):
                settle_all(inner[g])
        for i in range(n):
            at = base + (frame.neuron_row[p] + i) * frame.length + t
            v = series.voltage[at]
            psi = derivative(kind, one, other, v - threshold)
            resting = v == RESTING
            kick = np.float32(0.0)
            if psi != 0.0 and not resting:
                kick = pulled[i, t]
                for q in range(len(plan.source)):
                    if plan.source[q] == p and (plan.feeds_back[q] or compact):
                        adjoint = series.adjoint[plan.group[q]]
                        kick += gain[plan.first[p] + i] * pull_at(
                            plan, q, i, t, size, out_coef, out_address, base, adjoint
                        )
                kick *= psi
            if plan.seed[p]:
                kept = np.float32(0.0) if v > threshold else carried[i]
                series.voltage[at] = beta * kept
                carried[i] = kick + alpha * kept
            elif resting:
                series.voltage[at] = 0.0
            else:
                kept = kick if v >= threshold else kick + carried[i]
                series.voltage[at] = beta * kept
                carried[i] = alpha * kept
        for g in range(plan.groups[p]):
            for i in range(n):
                at = base + (frame.neuron_row[p] + i) * frame.length + t
                r = plan.scale[p, g] * series.voltage[at] + plan.decay[p, g] * inner[g, i]
                inner[g, i] = r
                series.adjoint[g, at] = r


@kernel
def back_spiking(
    plan, frame, p, shape, size, out_coef, out_address, gain, pull, series, e, pulled, spare
):  # fmt: skip
    """Turn V of population p in example e into dL/dI."""
    compact, n = shape[3], plan.n[p]
    pulled[:n] = 0.0
    if not compact:
        pull_everywhere(plan, frame, p, size, out_coef, out_address, series, e, pulled)
    if plan.recurrent[p]:
        for i in range(n):
            weight, extra = gain[plan.first[p] + i], pull[plan.first[p] + i]
            for t in range(frame.steps):
                pulled[i, t] = weight * pulled[i, t] + extra
        back_recurrent(plan, frame, p, shape, size, out_coef, out_address, gain, series, e, pulled)
        return
    weigh(plan, frame, p, shape, size, out_coef, out_address, gain, pull, series, e, pulled)
    back_rows(plan, frame, p, series, e, pulled, spare)


@kernel
def back_neurons(
    plan, frame, p, shape, size, out_coef, out_address, gains, labels, pull, series, low, high,
    scratch,
):  # fmt: skip
    """Write dL/dI of population p in examples low..high-1 where V was."""
    for e in range(low, high):
        gain = gains[e if len(gains) > 1 else 0]
        if plan.kind[p] != READOUT:
            back_spiking(
                plan, frame, p, shape, size, out_coef, out_address, gain, pull, series, e,
                scratch.pulled, scratch.spare,
            )  # fmt: skip
            continue
        loss_drive(plan.readout, series.voltage_out[e], series.logits[e], labels[e], scratch.drive)
        for j in range(plan.n[p]):
            at = (e * frame.neurons + frame.neuron_row[p] + j) * frame.length
            out = series.voltage[at : at + frame.steps]
            back_readout(plan.alpha[p], plan.beta[p], scratch.drive[j], frame.steps, out)


@kernel
def back_synapses(plan, frame, p, series, e):
    """Write the adjoints at the arrivals of population p from dL/dI."""
    for g in range(plan.groups[p]):
        decay, scale, out = plan.decay[p, g], plan.scale[p, g], series.adjoint[g]
        for j in range(plan.n[p]):
            at = (e * frame.neurons + frame.neuron_row[p] + j) * frame.length
            if decay == 0.0:
                for t in range(at, at + frame.steps):
                    out[t] = scale * series.voltage[t]
                continue
            inner = np.float32(0.0)
            for back in range(frame.steps):
                t = at + frame.steps - 1 - back
                inner = scale * series.voltage[t] + decay * inner
                if abs(inner) <= NOTHING:
                    inner = np.float32(0.0)
                out[t] = inner


@kernel
def back_arrivals(
    plan, frame, p, size, first_step, address, starts, time, gains, series, low, high, sums
):  # fmt: skip
    """Take dL/dI of examples low..high-1 back to the arrivals, and add up correlations (S W,)."""
    for e in range(low, high):
        gain = gains[e if len(gains) > 1 else 0]
        start = starts[e if len(starts) > 1 else 0]
        if not plan.recurrent[p]:
            back_synapses(plan, frame, p, series, e)
        collect(plan, frame, p, size, first_step, address, start, time, gain, series, e, sums)
