"""The forward pass: the equations of `network.models`, one example at a time.

A population without recurrent synapses runs neuron by neuron, each through the whole trial, for
all of its arrivals are known. A recurrent one runs step by step.
"""

import numpy as np

from mlgenn_delays.engines.cpu.store import LANES
from mlgenn_delays.engines.cpu.synapses import scatter, source_of, synapses_of
from mlgenn_delays.engines.shared.numerics import FLATTEST, SETTLE, kernel, settle, settle_all
from mlgenn_delays.engines.shared.plan import INPUT, READOUT
from mlgenn_delays.engines.shared.readout import cross_entropy, read_out


@kernel
def arrive(plan, p, weight, offset, start, time, gain, store, e, low, high, rows):
    """Add what arrives over every feed-forward projection onto neurons low..high-1 of p."""
    for q in range(len(plan.target)):
        if plan.target[q] == p and not plan.feeds_back[q]:
            source = source_of(plan, q, start, time, gain, store, e)
            synapses = synapses_of(plan, q, weight, offset)
            scatter(source, synapses, low, high, rows[plan.group[q]])


@kernel
def driven(frame, current, p, e, k, steps):
    """Return the current (T,) that a `CurrentInput` brings to neuron k of p, empty if none does."""
    if len(current) == 0:
        return current
    at = (e * frame.neurons + frame.neuron_row[p] + k) * frame.length
    return current[at : at + steps]


@kernel
def filter_currents(plan, frame, p, low, current, e, steps, work):
    """Turn the arrivals of `LANES` neurons into their synaptic currents, bias included."""
    bias = plan.bias[plan.first[p] + low :]
    for k in range(LANES):
        work.current[k, :steps] = bias[k] if k < len(bias) else np.float32(0.0)
        if low + k < plan.n[p]:
            own = driven(frame, current, p, e, low + k, steps)
            for t in range(len(own)):
                work.current[k, t] += own[t]
    for g in range(plan.groups[p]):
        decay, scale = plan.decay[p, g], plan.scale[p, g]
        rows, inner = work.rows[g], np.zeros(LANES, np.float32)
        for begin in range(0, steps, SETTLE):
            for t in range(np.uint64(begin), np.uint64(min(begin + SETTLE, steps))):
                for k in range(LANES):
                    x = decay * inner[k] + rows[k, t]
                    inner[k] = x
                    work.current[k, t] += scale * x
            for k in range(LANES):
                inner[k] = settle(inner[k])


@kernel
def integrate_spiking(plan, p, current, steps, time, slope, release):
    """Run one LIF neuron through the trial from its current (T,); return its spike count."""
    hold, alpha, v_thresh = plan.refractory[p], plan.alpha[p], plan.v_thresh[p]
    beta, flattest = np.float32(1.0) - alpha, FLATTEST * v_thresh
    v, count, held = np.float32(0.0), np.uint64(0), 0
    for begin in range(0, steps, SETTLE):
        for t in range(np.uint64(begin), np.uint64(min(begin + SETTLE, steps))):
            drive = current[t]
            if held > 0:
                held -= 1
                if held == 0:
                    release[count - np.uint64(1)] = drive
                continue
            v = alpha * v + beta * drive
            if v >= v_thresh:
                time[count] = t
                slope[count] = max(drive - v_thresh, flattest)
                release[count] = drive
                count += np.uint64(1)
                v = np.float32(0.0)
                held = hold
        v = settle(v)
    return count


@kernel
def integrate_readout(plan, p, current, steps, voltage):
    """Run one leaky integrator through the trial from its current (T,) to its V (T,)."""
    alpha = plan.alpha[p]
    beta = np.float32(1.0) - alpha
    v = np.float32(0.0)
    for begin in range(0, steps, SETTLE):
        for t in range(np.uint64(begin), np.uint64(min(begin + SETTLE, steps))):
            v = alpha * v + beta * current[t]
            voltage[t] = v
        v = settle(v)


@kernel
def feed_back(plan, p, recurrent, gain, i, t, rows):
    """Add the arrivals that a spike of neuron i in step t causes within its own population."""
    for q in range(len(plan.target)):
        if plan.target[q] == p and plan.feeds_back[q]:
            first = plan.out_first[q] + i
            out = rows[plan.group[q]]
            for k in range(plan.out[first], plan.out[first + 1]):
                at = np.uint64(np.uint32(t) + recurrent.offset[k])
                out[plan.out_post[k], at] += recurrent.weight[k] * gain


@kernel
def integrate_recurrent(plan, frame, p, recurrent, gain, current, e, steps, work):
    """Run a recurrent LIF population through the trial, step by step."""
    n, hold, alpha, v_thresh = plan.n[p], plan.refractory[p], plan.alpha[p], plan.v_thresh[p]
    beta, flattest = np.float32(1.0) - alpha, FLATTEST * v_thresh
    bias, own_gain = plan.bias[plan.first[p] :], gain[plan.first[p] :]
    v, inner = np.zeros(n, np.float32), np.zeros((plan.groups[p], n), np.float32)
    held, total = np.zeros(n, np.int64), np.empty(n, np.float32)
    work.counts[:n] = 0
    for t in range(np.uint64(steps)):
        if t % np.uint64(SETTLE) == 0:
            settle_all(v)
            for g in range(plan.groups[p]):
                settle_all(inner[g])
        total[:] = bias[:n]
        if len(current) > 0:
            for k in range(n):
                total[k] += current[
                    (e * frame.neurons + frame.neuron_row[p] + k) * frame.length + t
                ]
        for g in range(plan.groups[p]):
            decay, scale, rows, x = plan.decay[p, g], plan.scale[p, g], work.rows[g], inner[g]
            for k in range(np.uint64(n)):
                x[k] = decay * x[k] + rows[k, t]
                total[k] += scale * x[k]
        for k in range(np.uint64(n)):
            if held[k] > 0:
                held[k] -= 1
                if held[k] == 0:
                    work.release[k, work.counts[k] - 1] = total[k]
                continue
            v[k] = alpha * v[k] + beta * total[k]
            if v[k] >= v_thresh:
                c = work.counts[k]
                work.time[k, c] = t
                work.slope[k, c] = max(total[k] - v_thresh, flattest)
                work.release[k, c] = total[k]
                work.counts[k] = c + 1
                v[k] = 0.0
                held[k] = hold
                feed_back(plan, p, recurrent, own_gain[k], k, t, work.rows)


@kernel
def keep_spikes(work, lanes, entry, limit, at, store, e):
    """Append the spikes of `lanes` neurons to the store; return where the next ones go.

    Past the limit they are counted, not kept: the caller runs the example again.
    """
    for k in range(lanes):
        count = work.counts[k]
        if at + count <= limit:
            store.time[at : at + count] = work.time[k, :count]
            store.slope[at : at + count] = work.slope[k, :count]
            store.release[at : at + count] = work.release[k, :count]
        at += count
        store.start[e, entry + k + 1] = at
    return at


@kernel
def run_population(
    plan, frame, p, weight, offset, recurrent, start, time, gain, current, store, e, at, limit,
    steps, work,
):  # fmt: skip
    """Run population p in example e; return where the next spikes go in the store."""
    n = plan.n[p]
    block = n if plan.recurrent[p] else LANES
    spiking = plan.kind[p] != READOUT
    if spiking:
        store.start[e, plan.held[p]] = at
    for low in range(0, n, block):
        lanes = min(block, n - low)
        work.rows[: plan.groups[p], :lanes] = 0.0
        arrive(plan, p, weight, offset, start, time, gain, store, e, low, low + lanes, work.rows)
        if plan.recurrent[p]:
            integrate_recurrent(plan, frame, p, recurrent, gain, current, e, steps, work)
        else:
            filter_currents(plan, frame, p, low, current, e, steps, work)
            for k in range(lanes):
                own = work.current[k]
                if spiking:
                    work.counts[k] = integrate_spiking(
                        plan, p, own, steps, work.time[k], work.slope[k], work.release[k]
                    )
                else:
                    integrate_readout(plan, p, own, steps, store.voltage[e, low + k])
        if spiking:
            at = keep_spikes(work, lanes, plan.held[p] + low, limit, at, store, e)
    return at


@kernel
def run_example(
    plan, frame, weight, offset, recurrent, start, time, gain, label, current, store, e, steps, work
):  # fmt: skip
    """Run one example: its spikes, output voltages, logits and loss go to row e of the store."""
    capacity = len(store.time) // len(store.needed)
    at = e * capacity
    limit = at + capacity
    for p in range(len(plan.kind)):
        if plan.kind[p] != INPUT and at <= limit:
            at = run_population(
                plan, frame, p, weight, offset, recurrent, start, time, gain, current, store, e, at,
                limit, steps, work,
            )  # fmt: skip
    store.needed[e] = at - e * capacity
    if at <= limit:
        read_out(plan.readout, store.voltage[e], store.logits[e])
        store.loss[e] = cross_entropy(store.logits[e], label)


@kernel
def run_chunk(
    plan, frame, weight, offset, recurrent, starts, time, gains, labels, current, store, low, high,
    steps, work,
):  # fmt: skip
    """Run examples low..high-1 of a batch; ``current`` is `Series.current`, or empty."""
    for e in range(low, high):
        gain = gains[e if len(gains) > 1 else 0]
        run_example(
            plan, frame, weight, offset, recurrent, starts[e], time, gain, labels[e], current,
            store, e, steps, work,
        )  # fmt: skip
