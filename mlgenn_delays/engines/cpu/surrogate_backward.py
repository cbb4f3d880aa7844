"""Backpropagation through time with a surrogate derivative psi of the spike and a reset that
carries no gradient (Neftci, Mostafa and Zenke 2019; Mészáros, Knight and Nowotny 2024).

Backwards in steps t, with V as the threshold sees it, s its spikes, a = alpha, b = beta:

    G[t] = scale sum_out w sum_k K[k] R[t + k + 1] + regularisation      at a neuron's spike
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
from mlgenn_delays.engines.shared.numerics import SUBNORMAL, flush_all_subnormal, kernel
from mlgenn_delays.engines.shared.plan import READOUT
from mlgenn_delays.engines.shared.vector import shifted_axpy

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
def add_spike_gradients(plan, layout, p, size, out_coef, out_address, traces, e, spike_gradient):
    """Add to `spike_gradient` (n, length) dL/d(spike) over feed-forward synapses, in every step."""
    base = e * layout.neurons * layout.length
    for q in range(len(plan.source)):
        if plan.source[q] != p or plan.recurrent_projection[q]:
            continue
        adjoint = traces.adjoint[plan.group[q]]
        flat = spike_gradient.reshape(-1)
        for i in range(plan.n[p]):
            first = np.int64(plan.out[plan.out_first[q] + i])
            last = np.int64(plan.out[plan.out_first[q] + i + 1])
            shifted_axpy(
                flat, i * layout.length, layout.span, adjoint, base, out_address, out_coef,
                first * size, last * size,
            )  # fmt: skip


@kernel
def spike_gradient_at(plan, q, i, t, size, out_coef, out_address, base, adjoint):
    """Return dL/d(spike) of neuron i in step t over the synapses of projection q."""
    total = np.float32(0.0)
    first = np.int64(plan.out[plan.out_first[q] + i]) * size
    last = np.int64(plan.out[plan.out_first[q] + i + 1]) * size
    for k in range(first, last):
        total += out_coef[k] * adjoint[base + out_address[k] + t]
    return total


@kernel
def weigh(
    plan, layout, p, shape, size, out_coef, out_address, neuron_scale, count_gradient, traces, e,
    spike_gradient,
):  # fmt: skip
    """Turn dL/d(spike) into psi G in every step, `spike_gradient` (n, length).

    With a compact surrogate, dL/d(spike) is summed here, where psi is not 0.
    """
    kind, one, other, compact = shape
    threshold, base = plan.v_thresh[p], e * layout.neurons * layout.length
    for i in range(plan.n[p]):
        at = base + (layout.neuron_row[p] + i) * layout.length
        weight, extra = neuron_scale[plan.first[p] + i], count_gradient[plan.first[p] + i]
        row, voltage = spike_gradient[i, : layout.steps], traces.voltage[at : at + layout.steps]
        if kind == ATAN:
            for t in range(layout.steps):
                x = np.float32(np.pi / 2) * one * (voltage[t] - threshold)
                psi = np.float32(0.5) * one / (np.float32(1.0) + x * x)
                row[t] = psi * (weight * row[t] + extra)
            continue
        for t in range(layout.steps):
            psi = derivative(kind, one, other, voltage[t] - threshold)
            row[t] = 0.0
            if psi != 0.0 and voltage[t] != RESTING:
                total = np.float32(0.0)
                for q in range(len(plan.source)):
                    if plan.source[q] == p and not plan.recurrent_projection[q]:
                        adjoint = traces.adjoint[plan.group[q]]
                        total += spike_gradient_at(
                            plan, q, i, t, size, out_coef, out_address, base, adjoint
                        )
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
            p = np.float32(0.0) if rests or abs(p) <= SUBNORMAL else p
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
            kept = np.float32(0.0) if voltage[here] > threshold or abs(old) <= SUBNORMAL else old
            voltage[here] = beta * kept
            carried[k] = kick[here] + alpha * kept


@kernel
def back_rows(plan, layout, p, traces, e, spike_gradient, spare):
    """Run the adjoints of a population without recurrent synapses back."""
    n, length, steps = plan.n[p], layout.length, layout.steps
    alpha, beta, threshold = plan.alpha[p], plan.beta[p], plan.v_thresh[p]
    at, kicks = (e * layout.neurons + layout.neuron_row[p]) * length, spike_gradient.reshape(-1)
    for low in range(0, n, LANES):
        here, many = at + low * length, min(LANES, n - low)
        end = here + many * length
        if many == LANES:
            kick = kicks[low * length : (low + LANES) * length]
            voltage = traces.voltage[here:end]
        else:
            kick, voltage = spare[0], spare[1]
            kick[: many * length] = kicks[low * length : (low + many) * length]
            voltage[: many * length] = traces.voltage[here:end]
        if plan.seed[p]:
            back_seed(alpha, beta, threshold, length, steps, kick, voltage)
        else:
            back_lif(alpha, beta, threshold, length, steps, kick, voltage)
        if many < LANES:
            for k in range(many):
                to = here + k * length
                traces.voltage[to : to + steps] = voltage[k * length : k * length + steps]


@kernel
def back_readout(alpha, beta, drive, steps, out):
    """Run the adjoint of one leaky integrator back from dL/dV (T,); dL/dI goes to `out` (T,)."""
    carried = np.float32(0.0)
    for back in range(steps):
        t = steps - 1 - back
        p = drive[t] + carried
        if abs(p) <= SUBNORMAL:
            p = np.float32(0.0)
        out[t] = beta * p
        carried = alpha * p


@kernel
def back_recurrent(
    plan, layout, p, shape, size, out_coef, out_address, neuron_scale, traces, e, spike_gradient
):  # fmt: skip
    """Run the adjoints of a population that projects to itself back, step by step.

    `spike_gradient` (n, length) holds dL/d(spike) over its feed-forward synapses, scaled, with
    regularisation.
    """
    kind, one, other, compact = shape
    n, alpha, beta, threshold = plan.n[p], plan.alpha[p], plan.beta[p], plan.v_thresh[p]
    base = e * layout.neurons * layout.length
    carried, inner = np.zeros(n, np.float32), np.zeros((plan.groups[p], n), np.float32)
    for back in range(layout.steps):
        t = layout.steps - 1 - back
        if t % 64 == 0:
            flush_all_subnormal(carried)
            for g in range(plan.groups[p]):
                flush_all_subnormal(inner[g])
        for i in range(n):
            at = base + (layout.neuron_row[p] + i) * layout.length + t
            v = traces.voltage[at]
            psi = derivative(kind, one, other, v - threshold)
            resting = v == RESTING
            kick = np.float32(0.0)
            if psi != 0.0 and not resting:
                kick = spike_gradient[i, t]
                for q in range(len(plan.source)):
                    if plan.source[q] == p and (plan.recurrent_projection[q] or compact):
                        adjoint = traces.adjoint[plan.group[q]]
                        kick += neuron_scale[plan.first[p] + i] * spike_gradient_at(
                            plan, q, i, t, size, out_coef, out_address, base, adjoint
                        )
                kick *= psi
            if plan.seed[p]:
                kept = np.float32(0.0) if v > threshold else carried[i]
                traces.voltage[at] = beta * kept
                carried[i] = kick + alpha * kept
            elif resting:
                traces.voltage[at] = 0.0
            else:
                kept = kick if v >= threshold else kick + carried[i]
                traces.voltage[at] = beta * kept
                carried[i] = alpha * kept
        for g in range(plan.groups[p]):
            for i in range(n):
                at = base + (layout.neuron_row[p] + i) * layout.length + t
                r = plan.scale[p, g] * traces.voltage[at] + plan.decay[p, g] * inner[g, i]
                inner[g, i] = r
                traces.adjoint[g, at] = r


@kernel
def back_spiking(
    plan, layout, p, shape, size, out_coef, out_address, neuron_scale, count_gradient, traces, e,
    spike_gradient, spare
):  # fmt: skip
    """Turn V of population p in example e into dL/dI."""
    compact, n = shape[3], plan.n[p]
    spike_gradient[:n] = 0.0
    if not compact:
        add_spike_gradients(plan, layout, p, size, out_coef, out_address, traces, e, spike_gradient)
    if plan.recurrent_population[p]:
        for i in range(n):
            weight, extra = neuron_scale[plan.first[p] + i], count_gradient[plan.first[p] + i]
            for t in range(layout.steps):
                spike_gradient[i, t] = weight * spike_gradient[i, t] + extra
        back_recurrent(
            plan, layout, p, shape, size, out_coef, out_address, neuron_scale, traces, e,
            spike_gradient,
        )  # fmt: skip
        return
    weigh(
        plan, layout, p, shape, size, out_coef, out_address, neuron_scale, count_gradient, traces,
        e, spike_gradient,
    )  # fmt: skip
    back_rows(plan, layout, p, traces, e, spike_gradient, spare)


@kernel
def back_neurons(
    plan, layout, p, shape, size, out_coef, out_address, spike_scale, drive, count_gradient,
    traces, low, high, buffers,
):  # fmt: skip
    """Write dL/dI of population p in examples low..high-1 where V was.

    `drive` (B, K, T) is dL/dV of the output.
    """
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        if plan.kind[p] != READOUT:
            back_spiking(
                plan, layout, p, shape, size, out_coef, out_address, neuron_scale, count_gradient,
                traces, e, buffers.spike_gradient, buffers.spare,
            )  # fmt: skip
            continue
        for j in range(plan.n[p]):
            at = (e * layout.neurons + layout.neuron_row[p] + j) * layout.length
            out = traces.voltage[at : at + layout.steps]
            back_readout(plan.alpha[p], plan.beta[p], drive[e, j], layout.steps, out)


@kernel
def back_synapses(plan, layout, p, traces, e):
    """Write the adjoints at the arrivals of population p from dL/dI."""
    for g in range(plan.groups[p]):
        decay, scale, out = plan.decay[p, g], plan.scale[p, g], traces.adjoint[g]
        for j in range(plan.n[p]):
            at = (e * layout.neurons + layout.neuron_row[p] + j) * layout.length
            if decay == 0.0:
                for t in range(at, at + layout.steps):
                    out[t] = scale * traces.voltage[t]
                continue
            inner = np.float32(0.0)
            for back in range(layout.steps):
                t = at + layout.steps - 1 - back
                inner = scale * traces.voltage[t] + decay * inner
                if abs(inner) <= SUBNORMAL:
                    inner = np.float32(0.0)
                out[t] = inner


@kernel
def back_arrivals(
    plan, layout, p, size, first_step, address, starts, time, spike_scale, traces, low, high, sums
):  # fmt: skip
    """Add the correlations of examples low..high-1 to sums (S W,), from dL/dI."""
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        if not plan.recurrent_population[p]:
            back_synapses(plan, layout, p, traces, e)
        collect(
            plan, layout, p, size, first_step, address, starts[e], time, neuron_scale, traces, e,
            sums,
        )  # fmt: skip
