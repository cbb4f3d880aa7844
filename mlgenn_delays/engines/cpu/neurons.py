"""Neurons through whole trials, from their synaptic currents: the equations of `network.models`.

Each neuron's current I is taken as ``factor I + shift``, where shift holds the bias, and factor
and shift the normalisation if there is one.
"""

import numpy as np

from mlgenn_delays.engines.cpu.flags import NOTHING, kernel, settle_all
from mlgenn_delays.engines.cpu.plan import READOUT
from mlgenn_delays.engines.cpu.readout import cross_entropy, read_out

# V of a refractory step: so far from any threshold that no surrogate derivative is left.
RESTING = np.float32(-1e30)


@kernel
def spike_lif(plan, p, factor, shift, current, steps, voltage, time):
    """Run one `LIF` neuron through the trial; return its spike count."""
    hold, alpha, beta, threshold = plan.refractory[p], plan.alpha[p], plan.beta[p], plan.v_thresh[p]
    v, count, held = np.float32(0.0), 0, 0
    for t in range(steps):
        if held > 0:
            held -= 1
            voltage[t] = RESTING
            continue
        v = alpha * v + beta * (factor * current[t] + shift)
        if abs(v) <= NOTHING:
            v = np.float32(0.0)
        voltage[t] = v
        if v >= threshold:
            time[count] = t
            count += 1
            v = np.float32(0.0)
            held = hold
    return count


@kernel
def spike_seed(plan, p, factor, shift, current, steps, voltage, time):
    """Run one `SeedLIF` neuron through the trial; return its spike count."""
    alpha, beta, threshold = plan.alpha[p], plan.beta[p], plan.v_thresh[p]
    v, count = np.float32(0.0), 0
    for t in range(steps):
        voltage[t] = v
        spike = v > threshold
        time[count] = t
        count += spike
        v = alpha * v + beta * (factor * current[t] + shift)
        if spike or abs(v) <= NOTHING:
            v = np.float32(0.0)
    return count


@kernel
def run_spiking(plan, frame, p, factor, shift, series, e):
    """Run population p, without recurrent synapses, in example e."""
    first = plan.first[p]
    for j in range(plan.n[p]):
        row = frame.neuron_row[p] + j
        at = (e * frame.neurons + row) * frame.length
        current = series.current[at : at + frame.steps]
        voltage = series.voltage[at : at + frame.steps]
        time, f, h = series.time[e, row], factor[first + j], shift[first + j]
        if plan.seed[p]:
            count = spike_seed(plan, p, f, h, current, frame.steps, voltage, time)
        else:
            count = spike_lif(plan, p, f, h, current, frame.steps, voltage, time)
        series.counts[e, row] = count


@kernel
def show_spikes(plan, frame, p, gain, series, e):
    """Write the spikes of population p as rows of values, where its targets read those."""
    if frame.by_events[p]:
        return
    for j in range(plan.n[p]):
        row = frame.neuron_row[p] + j
        at = (1 + e * frame.sources + frame.source_row[p] + j) * frame.length
        series.sources[at : at + frame.steps] = 0.0
        weight = gain[plan.first[p] + j]
        for k in range(series.counts[e, row]):
            series.sources[at + np.int64(series.time[e, row, k])] = weight


@kernel
def run_recurrent(plan, frame, p, factor, shift, size, first_step, coef, gain, series, e, rows):
    """Run a population that projects to itself through example e, step by step."""
    n, hold, alpha, beta = plan.n[p], plan.refractory[p], plan.alpha[p], plan.beta[p]
    threshold, seed, first = plan.v_thresh[p], plan.seed[p], plan.first[p]
    rows[: plan.groups[p], :n] = 0.0
    v, inner = np.zeros(n, np.float32), np.zeros((plan.groups[p], n), np.float32)
    held = np.zeros(n, np.int64)
    base = e * frame.neurons + frame.neuron_row[p]
    series.counts[e, frame.neuron_row[p] : frame.neuron_row[p] + n] = 0
    for t in range(frame.steps):
        if t % 64 == 0:
            settle_all(v)
            for g in range(plan.groups[p]):
                settle_all(inner[g])
        for k in range(n):
            at = (base + k) * frame.length + t
            total = factor[first + k] * series.current[at] + shift[first + k]
            for g in range(plan.groups[p]):
                inner[g, k] = plan.decay[p, g] * inner[g, k] + rows[g, k, t]
                total += plan.scale[p, g] * inner[g, k]
            if held[k] > 0:
                held[k] -= 1
                series.voltage[at] = RESTING
                continue
            if not seed:
                v[k] = alpha * v[k] + beta * total
            series.voltage[at] = v[k]
            spike = v[k] > threshold or (v[k] == threshold and not seed)
            if seed:
                v[k] = alpha * v[k] + beta * total
            if spike:
                v[k] = 0.0
                held[k] = hold
                row = frame.neuron_row[p] + k
                series.time[e, row, series.counts[e, row]] = t
                series.counts[e, row] += 1
                feed_back(plan, p, k, t, size, first_step, coef, gain[first + k], rows)


@kernel
def feed_back(plan, p, i, t, size, first_step, coef, gain, rows):
    """Add what a spike of neuron i in step t brings to its own population, rows (G, n, length)."""
    for q in range(len(plan.target)):
        if plan.target[q] != p or not plan.feeds_back[q]:
            continue
        first = plan.out_first[q] + i
        out = rows[plan.group[q]]
        for k in range(plan.out[first], plan.out[first + 1]):
            s, j = plan.out_synapse[k], plan.out_post[k]
            at = t + first_step[s] + 1
            for m in range(min(size, out.shape[1] - at)):
                out[j, at + m] += coef[s * np.uint64(size) + np.uint64(m)] * gain


@kernel
def run_readout(plan, frame, p, factor, shift, label, series, e):
    """Run the output population in example e: its V, logits and loss."""
    alpha, beta, first = plan.alpha[p], plan.beta[p], plan.first[p]
    for j in range(plan.n[p]):
        at = (e * frame.neurons + frame.neuron_row[p] + j) * frame.length
        v = np.float32(0.0)
        for t in range(frame.steps):
            v = alpha * v + beta * (factor[first + j] * series.current[at + t] + shift[first + j])
            if abs(v) <= NOTHING:
                v = np.float32(0.0)
            series.voltage_out[e, j, t] = v
    read_out(plan.readout, series.voltage_out[e], series.logits[e])
    series.loss[e] = cross_entropy(series.logits[e], label)


@kernel
def run_neurons(
    plan, frame, p, factor, shift, size, first_step, coef, gains, labels, series, low, high, scratch
):  # fmt: skip
    """Run population p in examples low..high-1 from its synaptic currents."""
    for e in range(low, high):
        gain = gains[e if len(gains) > 1 else 0]
        if plan.kind[p] == READOUT:
            run_readout(plan, frame, p, factor, shift, labels[e], series, e)
            continue
        if plan.recurrent[p]:
            run_recurrent(
                plan, frame, p, factor, shift, size, first_step, coef, gain, series, e,
                scratch.rows,
            )  # fmt: skip
        else:
            run_spiking(plan, frame, p, factor, shift, series, e)
        show_spikes(plan, frame, p, gain, series, e)
