"""Neurons through whole trials, from their synaptic currents, for `SurrogateBPTT`.

With J = factor I + shift (shift holds the bias; both hold the normalisation, if any), a = alpha,
b = beta:

    LIF       V[t] = a V[t-1] + b J[t];   spike if V[t] >= v_thresh, then V = 0
    SeedLIF   spike if V[t] > v_thresh;   V[t+1] = (a V[t] + b J[t]) (1 - spike)
    readout   V[t] = a V[t-1] + b J[t]

V as the threshold sees it stays in `Traces.voltage`, for the surrogate derivative; refractory steps
are marked `RESTING`. Rows run along time; `LANES` neighbouring neurons go side by side, for each
one's steps depend on the one before.
"""

import numpy as np

from mlgenn_delays.engines.shared.numerics import SUBNORMAL, flush_all_subnormal, kernel
from mlgenn_delays.engines.shared.plan import READOUT

# V of a refractory step: so far from any threshold that no surrogate derivative is left.
RESTING = np.float32(-1e30)
LANES = 8  # neurons worked on at once: each one's steps have to wait for one another


@kernel
def step_lif(plan, p, length, steps, factor, shift, current, voltage):
    """Run `LANES` neighbouring `LIF` neurons through the trial, in rows of `length` values."""
    hold, alpha, beta, threshold = plan.refractory[p], plan.alpha[p], plan.beta[p], plan.v_thresh[p]
    v, resting = np.zeros(LANES, np.float32), np.zeros(LANES, np.int32)
    for t in range(steps):
        for k in range(LANES):
            here = k * length + t
            x = alpha * v[k] + beta * (factor[k] * current[here] + shift[k])
            rests = resting[k] > 0
            x = np.float32(0.0) if rests or abs(x) <= SUBNORMAL else x
            spike = x >= threshold
            voltage[here] = RESTING if rests else x
            v[k] = np.float32(0.0) if spike else x
            resting[k] = resting[k] - 1 if rests else (hold if spike else 0)


@kernel
def step_seed(plan, p, length, steps, factor, shift, current, voltage):
    """Run `LANES` neighbouring `SeedLIF` neurons through the trial, in rows of `length` values."""
    alpha, beta, threshold = plan.alpha[p], plan.beta[p], plan.v_thresh[p]
    v = np.zeros(LANES, np.float32)
    for t in range(steps):
        for k in range(LANES):
            here = k * length + t
            x = v[k]
            voltage[here] = x
            y = alpha * x + beta * (factor[k] * current[here] + shift[k])
            v[k] = np.float32(0.0) if x > threshold or abs(y) <= SUBNORMAL else y


@kernel
def note_spikes(threshold, seed, at, steps, voltage, time):
    """Write the steps at which one neuron spikes from its V, a row; return their number."""
    count = 0
    for t in range(steps):
        v = voltage[at + t]
        # Written in any case: without a branch, and at most where the next step writes again.
        time[count] = t
        count += v > threshold or (v == threshold and not seed)
    return count


@kernel
def run_spiking(plan, layout, p, factor, shift, traces, e, buffers):
    """Run population p, without recurrent synapses, in example e."""
    n, length, steps = plan.n[p], layout.length, layout.steps
    row, f, h = layout.neuron_row[p], factor[plan.first[p] :], shift[plan.first[p] :]
    at = (e * layout.neurons + row) * length
    for low in range(0, n, LANES):
        here, many = at + low * length, min(LANES, n - low)
        end = here + many * length
        if many == LANES:
            current, voltage = traces.current[here:end], traces.voltage[here:end]
            own_f, own_h = f[low:], h[low:]
        else:  # the last few: rows of their own, so that no neighbour's are touched
            current, voltage = buffers.spare[0], buffers.spare[1]
            current[: many * length] = traces.current[here:end]
            own_f, own_h = np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
            own_f[:many], own_h[:many] = f[low : low + many], h[low : low + many]
        if plan.seed[p]:
            step_seed(plan, p, length, steps, own_f, own_h, current, voltage)
        else:
            step_lif(plan, p, length, steps, own_f, own_h, current, voltage)
        if many < LANES:
            for k in range(many):
                to = here + k * length
                traces.voltage[to : to + steps] = voltage[k * length : k * length + steps]
    threshold, seed, voltage = plan.v_thresh[p], plan.seed[p], traces.voltage
    for j in range(n):
        time = traces.time[e, row + j]
        traces.counts[e, row + j] = note_spikes(
            threshold, seed, at + j * length, steps, voltage, time
        )


@kernel
def show_spikes(plan, layout, p, neuron_scale, traces, e):
    """Write the spikes of population p as rows of values, where its targets read those."""
    if layout.event_driven[p]:
        return
    for j in range(plan.n[p]):
        row = layout.neuron_row[p] + j
        at = (1 + e * layout.sources + layout.source_row[p] + j) * layout.length
        traces.sources[at : at + layout.steps] = 0.0
        weight = neuron_scale[plan.first[p] + j]
        for k in range(traces.counts[e, row]):
            traces.sources[at + np.int64(traces.time[e, row, k])] = weight


@kernel
def run_recurrent(
    plan, layout, p, factor, shift, size, first_step, coef, neuron_scale, traces, e, rows
):
    """Run a population that projects to itself through example e, step by step."""
    n, hold, alpha, beta = plan.n[p], plan.refractory[p], plan.alpha[p], plan.beta[p]
    threshold, seed, first = plan.v_thresh[p], plan.seed[p], plan.first[p]
    rows[: plan.groups[p], :n] = 0.0
    v, inner = np.zeros(n, np.float32), np.zeros((plan.groups[p], n), np.float32)
    resting = np.zeros(n, np.int64)
    base = e * layout.neurons + layout.neuron_row[p]
    traces.counts[e, layout.neuron_row[p] : layout.neuron_row[p] + n] = 0
    for t in range(layout.steps):
        if t % 64 == 0:
            flush_all_subnormal(v)
            for g in range(plan.groups[p]):
                flush_all_subnormal(inner[g])
        for k in range(n):
            at = (base + k) * layout.length + t
            total = factor[first + k] * traces.current[at] + shift[first + k]
            for g in range(plan.groups[p]):
                inner[g, k] = plan.decay[p, g] * inner[g, k] + rows[g, k, t]
                total += plan.scale[p, g] * inner[g, k]
            if resting[k] > 0:
                resting[k] -= 1
                traces.voltage[at] = RESTING
                continue
            if not seed:
                v[k] = alpha * v[k] + beta * total
            traces.voltage[at] = v[k]
            spike = v[k] > threshold or (v[k] == threshold and not seed)
            if seed:
                v[k] = alpha * v[k] + beta * total
            if spike:
                v[k] = 0.0
                resting[k] = hold
                row = layout.neuron_row[p] + k
                traces.time[e, row, traces.counts[e, row]] = t
                traces.counts[e, row] += 1
                feed_back(plan, p, k, t, size, first_step, coef, neuron_scale[first + k], rows)


@kernel
def feed_back(plan, p, i, t, size, first_step, coef, neuron_scale, rows):
    """Add what a spike of neuron i in step t brings to its own population, rows (G, n, length)."""
    for q in range(len(plan.target)):
        if plan.target[q] != p or not plan.recurrent_projection[q]:
            continue
        first = plan.out_first[q] + i
        out = rows[plan.group[q]]
        for k in range(plan.out[first], plan.out[first + 1]):
            s, j = plan.out_synapse[k], plan.out_post[k]
            at = t + first_step[s] + 1
            for m in range(min(size, out.shape[1] - at)):
                out[j, at + m] += coef[s * np.uint64(size) + np.uint64(m)] * neuron_scale


@kernel
def run_readout(plan, layout, p, factor, shift, traces, e):
    """Run the output population in example e: its V."""
    alpha, beta, first = plan.alpha[p], plan.beta[p], plan.first[p]
    for j in range(plan.n[p]):
        at = (e * layout.neurons + layout.neuron_row[p] + j) * layout.length
        v = np.float32(0.0)
        for t in range(layout.steps):
            v = alpha * v + beta * (factor[first + j] * traces.current[at + t] + shift[first + j])
            if abs(v) <= SUBNORMAL:
                v = np.float32(0.0)
            traces.voltage_out[e, j, t] = v


@kernel
def run_neurons(
    plan, layout, p, factor, shift, size, first_step, coef, spike_scale, traces, low, high, buffers
):  # fmt: skip
    """Run population p in examples low..high-1 from its synaptic currents."""
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        if plan.kind[p] == READOUT:
            run_readout(plan, layout, p, factor, shift, traces, e)
            continue
        if plan.recurrent_population[p]:
            run_recurrent(
                plan, layout, p, factor, shift, size, first_step, coef, neuron_scale, traces, e,
                buffers.rows,
            )  # fmt: skip
        else:
            run_spiking(plan, layout, p, factor, shift, traces, e, buffers)
        show_spikes(plan, layout, p, neuron_scale, traces, e)
