"""EventProp backward pass for weights and delays (Wunderlich and Pehle 2021, doi
10.1038/s41598-021-91786-z; with delays: Mészáros, Knight and Nowotny 2025).

Backwards in steps t, with P the adjoint of V handed back from later steps, a = exp(-dt/tau_mem),
e = exp(-dt/tau_syn), s = (tau_syn/dt)(1 - e):

    p = P (+ dL/dV[t] at the output)
    at a spike      p = (P I_release - (tau_mem/dt) G) / (I - v_thresh) + regularisation
    r[t] = (1 - a) s p + e r[t+1]                    adjoint of inSyn, after arrivals
    D[t] = r[t+1] - r[t]                             dL/d(arrival time) of unit weight, per step
    P = a p

I is the current of the step (with the bias), G the sum over the spike's outgoing synapses of
w D[t + d + 1] at their targets. D is the papers' (dt/tau_syn) r - (dt/tau_mem) p as a difference
over the step after the arrival: it is zero where they cancel, exact at a readout, and closest to
the continuous-time gradient of all forms tried (tests/reference/variants.py). In refractory steps
V does not move: p counts as 0 in r, and P is kept. Then dL/dw = sum r[t + d + 1] and
dL/dd = w sum D[t + d + 1], over a synapse's spikes. Nothing is left over of tau_mem: this is the
gradient of the loss itself.
"""

import numpy as np

from mlgenn_delays.engines.cpu.store import LANES
from mlgenn_delays.engines.cpu.synapses import collect, pull_back, source_of, synapses_of
from mlgenn_delays.engines.shared.numerics import SETTLE, kernel, settle, settle_all
from mlgenn_delays.engines.shared.plan import INPUT, READOUT
from mlgenn_delays.engines.shared.readout import loss_drive


@kernel
def constants(plan, p, g):
    """Return what the adjoints of population p need: a, e, (1-a)s."""
    a = plan.alpha[p]
    return a, plan.decay[p, g], (np.float32(1.0) - a) * plan.scale[p, g]


@kernel
def back_quiet(c, r, pulled, high, low, both):
    """Run the adjoints of one neuron from step high-1 down to low, without a spike between.

    Writes r and D to `both` (T, 2); returns r and P.
    """
    a, decay, into_r = c
    while high > low:
        end = max(low, high - SETTLE)
        for back in range(np.uint64(high - end)):
            t = np.uint64(high - 1) - back
            before = decay * r + into_r * pulled
            both[t, 0] = before
            both[t, 1] = r - before
            r = before
            pulled = a * pulled
        r, pulled, high = settle(r), settle(pulled), end
    return r, pulled


@kernel
def back_refractory(c, r, high, low, both):
    """Do the same while V stays: returns r."""
    for back in range(np.uint64(high - low)):
        t = np.uint64(high - 1) - back
        before = c[1] * r
        both[t, 0] = before
        both[t, 1] = r - before
        r = before
    return r


@kernel
def back_readout(plan, p, g, drive, steps, both):
    """Run the adjoints of one leaky integrator back from dL/dV (T,)."""
    c = constants(plan, p, g)
    r, pulled = np.float32(0.0), np.float32(0.0)
    for back in range(steps):
        t = steps - 1 - back
        r, pulled = back_quiet(c, r, pulled + drive[t], t + 1, t, both)


@kernel
def through_spike(plan, p, pulled, outgoing, store, c):
    """Return p before spike c of the store, from P after it and its G."""
    return (pulled * store.release[c] - plan.tau_mem[p] * outgoing) / store.slope[c]


@kernel
def back_spiking(plan, p, g, pull, first, last, outgoing, base, store, steps, both):
    """Run the adjoints of one LIF neuron, with spikes first..last-1 of the store, back."""
    c = constants(plan, p, g)
    r, pulled, high = np.float32(0.0), np.float32(0.0), steps
    for back in range(last - first):
        spike = last - np.uint64(1) - back
        t = np.int64(store.time[spike])
        free = min(t + 1 + plan.refractory[p], high)
        r, pulled = back_quiet(c, r, pulled, high, free, both)
        r = back_refractory(c, r, free, t + 1, both)
        pulled = pull + through_spike(plan, p, pulled, outgoing[spike - base], store, spike)
        r, pulled = back_quiet(c, r, pulled, t + 1, t, both)
        high = t
    back_quiet(c, r, pulled, high, 0, both)


@kernel
def fed_back(plan, p, recurrent, gain, i, t, adjoint):
    """Return G of a spike of neuron i in step t over the synapses of its own population."""
    total = np.float32(0.0)
    for q in range(len(plan.target)):
        if plan.target[q] == p and plan.feeds_back[q]:
            first = plan.out_first[q] + i
            both = adjoint[plan.group[q]]
            for k in range(plan.out[first], plan.out[first + 1]):
                at = np.uint64(np.uint32(t) + recurrent.offset[k])
                total += recurrent.weight[k] * both[plan.out_post[k], at, 1]
    return total * gain


@kernel
def back_recurrent(plan, p, recurrent, gain, pull, outgoing, base, store, e, steps, adjoint):
    """Run the adjoints of a recurrent LIF population back, step by step."""
    n, hold = plan.n[p], plan.refractory[p]
    start, own_gain = store.start[e][plan.held[p] :], gain[plan.first[p] :]
    left = start[1 : n + 1].copy()
    last = np.full(n, -steps - hold, np.int64)
    pulled, now = np.zeros(n, np.float32), np.zeros(n, np.float32)
    r = np.zeros((plan.groups[p], n), np.float32)
    for k in range(n):
        if left[k] > start[k]:
            last[k] = np.int64(store.time[left[k] - np.uint64(1)])
    for back in range(steps):
        t = steps - 1 - back
        if t % SETTLE == 0:
            settle_all(pulled)
            for g in range(plan.groups[p]):
                settle_all(r[g])
        for k in range(n):
            since = t - last[k]
            now[k] = pulled[k]
            if since == 0:
                spike = left[k] - np.uint64(1)
                total = outgoing[spike - base]
                total += fed_back(plan, p, recurrent, own_gain[k], k, t, adjoint)
                now[k] = pull[k] + through_spike(plan, p, pulled[k], total, store, spike)
                left[k] = spike
                known = spike > start[k]
                last[k] = np.int64(store.time[spike - np.uint64(1)]) if known else -steps - hold
            elif 0 < since <= hold:
                now[k] = 0.0
            if not 0 < since <= hold:
                pulled[k] = plan.alpha[p] * now[k]
        for g in range(plan.groups[p]):
            _, decay, into_r = constants(plan, p, g)
            for k in range(np.uint64(n)):
                before = decay * r[g, k] + into_r * now[k]
                adjoint[g, k, t, 0] = before
                adjoint[g, k, t, 1] = r[g, k] - before
                r[g, k] = before


@kernel
def back_block(
    plan, p, recurrent, gain, pull, low, lanes, store, e, base, steps, work
):  # fmt: skip
    """Write the adjoints of neurons low..low+lanes-1 of population p to `work.adjoint`."""
    if plan.recurrent[p]:
        back_recurrent(
            plan, p, recurrent, gain, pull, work.outgoing, base, store, e, steps, work.adjoint
        )
        return
    for g in range(plan.groups[p]):
        for k in range(lanes):
            both = work.adjoint[g, k]
            if plan.kind[p] == READOUT:
                back_readout(plan, p, g, work.drive[low + k], steps, both)
            else:
                entry = plan.held[p] + low + k
                back_spiking(
                    plan, p, g, pull[low + k], store.start[e, entry], store.start[e, entry + 1],
                    work.outgoing, base, store, steps, both,
                )  # fmt: skip


@kernel
def keep_adjoint(plan, frame, p, low, lanes, e, steps, work, kept):
    """Copy r of neurons low..low+lanes-1 of population p to `Series.adjoint`, if it has room."""
    if kept.shape[1] == 0:
        return
    for g in range(plan.groups[p]):
        for k in range(lanes):
            at = (e * frame.neurons + frame.neuron_row[p] + low + k) * frame.length
            for t in range(steps):
                kept[g, at + t] = work.adjoint[g, k, t, 0]


@kernel
def back_example(
    plan, frame, weight, offset, recurrent, start, time, gain, label, pull, store, e, steps, fresh,
    grads, work, kept,
):  # fmt: skip
    """Add the gradients of one example to grads (2, S): weights, and delays before times w."""
    base = np.uint64(e * (len(store.time) // len(store.needed)))
    work.outgoing[: store.needed[e]] = 0.0
    loss_drive(plan.readout, store.voltage[e], store.logits[e], label, work.drive)
    for p in range(len(plan.kind) - 1, -1, -1):
        if plan.kind[p] == INPUT:
            continue
        n = plan.n[p]
        block = n if plan.recurrent[p] else LANES
        own = pull[plan.first[p] : plan.first[p + 1]]
        for low in range(0, n, block):
            high = min(low + block, n)
            back_block(plan, p, recurrent, gain, own, low, high - low, store, e, base, steps, work)
            keep_adjoint(plan, frame, p, low, high - low, e, steps, work, kept)
            for q in range(len(plan.target)):
                if plan.target[q] != p:
                    continue
                source = source_of(plan, q, start, time, gain, store, e)
                synapses = synapses_of(plan, q, weight, offset)
                adjoint = work.adjoint[plan.group[q]]
                collect(source, synapses, low, high, adjoint, fresh, grads[0], grads[1])
                # A recurrent spike's share is taken while its adjoints run (`fed_back`).
                if plan.kind[plan.source[q]] != INPUT and not plan.feeds_back[q]:
                    pull_back(source, synapses, low, high, adjoint, base, work.outgoing)


@kernel
def back_chunk(
    plan, frame, weight, offset, recurrent, starts, time, gains, labels, pull, store, low, high,
    steps, grads, work, kept,
):  # fmt: skip
    """Write the summed gradients of examples low..high-1 to grads (2, S).

    Adjoints of inSyn go to ``kept``, `Series.adjoint`, unless it has no room.
    """
    for e in range(low, high):
        gain = gains[e if len(gains) > 1 else 0]
        back_example(
            plan, frame, weight, offset, recurrent, starts[e], time, gain, labels[e], pull, store,
            e, steps, e == low, grads, work, kept,
        )  # fmt: skip
