"""EventProp backward pass for weights and delays (Wunderlich and Pehle 2021, doi
10.1038/s41598-021-91786-z; with delays: Mészáros, Knight and Nowotny 2025).

Backwards in steps t, with P the adjoint of V carried back from later steps, a = exp(-dt/tau_mem),
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

from mlgenn_delays.engines.cpu.eventprop_forward import ALPHA, LANES, arrive
from mlgenn_delays.engines.cpu.linear_neurons import back_linear, run_linear
from mlgenn_delays.engines.cpu.synapses import (
    add_spike_time_gradients,
    collect,
    recurrent_time_gradient,
    source_of,
    synapses_of,
)
from mlgenn_delays.engines.shared.numerics import (
    FLUSH_EVERY,
    flush_all_subnormal,
    flush_subnormal,
    kernel,
)
from mlgenn_delays.engines.shared.plan import INPUT, READOUT


@kernel
def constants(plan, j, g):
    """Return a, e and (1-a)s of neuron j of all and synapse group g."""
    a = plan.constant[ALPHA, j]
    return a, plan.decay[g, j], (np.float32(1.0) - a) * plan.scale[g, j]


@kernel
def back_quiet(c, r, carried, high, low, both):
    """Run the adjoints of one neuron from step high-1 down to low, without a spike between.

    Writes r and D to `both` (T, 2); returns r and P.
    """
    a, decay, into_r = c
    while high > low:
        end = max(low, high - FLUSH_EVERY)
        for back in range(np.uint64(high - end)):
            t = np.uint64(high - 1) - back
            before = decay * r + into_r * carried
            both[t, 0] = before
            both[t, 1] = r - before
            r = before
            carried = a * carried
        r, carried, high = flush_subnormal(r), flush_subnormal(carried), end
    return r, carried


@kernel
def back_refractory(c, r, high, low, both):
    """Run r of one refractory neuron back from step high-1 to low; V stays, so P does too."""
    for back in range(np.uint64(high - low)):
        t = np.uint64(high - 1) - back
        before = c[1] * r
        both[t, 0] = before
        both[t, 1] = r - before
        r = before
    return r


@kernel
def back_readout(plan, p, j, g, drive, steps, both):
    """Run the adjoints of one leaky integrator back from dL/dV (T,)."""
    c = constants(plan, j, g)
    r, carried = np.float32(0.0), np.float32(0.0)
    for back in range(steps):
        t = steps - 1 - back
        r, carried = back_quiet(c, r, carried + drive[t], t + 1, t, both)


@kernel
def through_spike(plan, j, carried, outgoing, store, c):
    """Return p before spike c of the store, of neuron j of all, from P after it and its G."""
    return (carried * store.release[c] - plan.tau_mem[j] * outgoing) / store.slope[c]


@kernel
def back_spiking(plan, p, j, g, count_gradient, first, last, outgoing, base, store, steps, both):
    """Run the adjoints of one LIF neuron, with spikes first..last-1 of the store, back."""
    c = constants(plan, j, g)
    r, carried, high = np.float32(0.0), np.float32(0.0), steps
    for back in range(last - first):
        spike = last - np.uint64(1) - back
        t = np.int64(store.time[spike])
        free = min(t + 1 + plan.refractory[p], high)
        r, carried = back_quiet(c, r, carried, high, free, both)
        r = back_refractory(c, r, free, t + 1, both)
        carried = count_gradient + through_spike(
            plan, j, carried, outgoing[spike - base], store, spike
        )
        r, carried = back_quiet(c, r, carried, t + 1, t, both)
        high = t
    back_quiet(c, r, carried, high, 0, both)


@kernel
def back_recurrent(
    plan, p, recurrent, neuron_scale, count_gradient, outgoing, base, store, e, steps, adjoint
):
    """Run the adjoints of a recurrent LIF population back, step by step."""
    n, hold = plan.n[p], plan.refractory[p]
    start, own_scale = store.start[e][plan.spike_offset[p] :], neuron_scale[plan.first[p] :]
    left = start[1 : n + 1].copy()
    last = np.full(n, -steps - hold, np.int64)
    carried, now = np.zeros(n, np.float32), np.zeros(n, np.float32)
    r = np.zeros((plan.groups[p], n), np.float32)
    for k in range(n):
        if left[k] > start[k]:
            last[k] = np.int64(store.time[left[k] - np.uint64(1)])
    for back in range(steps):
        t = steps - 1 - back
        if t % FLUSH_EVERY == 0:
            flush_all_subnormal(carried)
            for g in range(plan.groups[p]):
                flush_all_subnormal(r[g])
        for k in range(n):
            since = t - last[k]
            now[k] = carried[k]
            if since == 0:
                spike = left[k] - np.uint64(1)
                total = outgoing[spike - base]
                total += recurrent_time_gradient(plan, p, recurrent, own_scale[k], k, t, adjoint)
                now[k] = count_gradient[k] + through_spike(
                    plan, plan.first[p] + k, carried[k], total, store, spike
                )
                left[k] = spike
                known = spike > start[k]
                last[k] = np.int64(store.time[spike - np.uint64(1)]) if known else -steps - hold
            elif 0 < since <= hold:
                now[k] = 0.0
            if not 0 < since <= hold:
                carried[k] = plan.constant[ALPHA, plan.first[p] + k] * now[k]
        for g in range(plan.groups[p]):
            for k in range(n):
                _, decay, into_r = constants(plan, plan.first[p] + k, g)
                before = decay * r[g, k] + into_r * now[k]
                adjoint[g, k, t, 0] = before
                adjoint[g, k, t, 1] = r[g, k] - before
                r[g, k] = before


@kernel
def back_block(
    plan, linear, layout, p, weight, offset, start, time, current, recurrent, neuron_scale,
    count_gradient, drive, low, lanes, store, e, base, steps, buffers, by_matrix, by_synapse
):  # fmt: skip
    """Write the adjoints of neurons low..low+lanes-1 of population p to `buffers.adjoint`."""
    if linear.own[p]:
        buffers.rows[: plan.groups[p], :lanes] = 0.0
        arrive(
            plan, p, weight, offset, start, time, neuron_scale, store, e, low, low + lanes,
            buffers.rows,
        )  # fmt: skip
        own_scale = neuron_scale[plan.first[p] :]
        run_linear(
            plan, linear, layout, p, low, lanes, recurrent, own_scale, current, store, e, steps,
            buffers, buffers.kept,
        )  # fmt: skip
        back_linear(
            plan, linear, p, low, lanes, recurrent, own_scale, count_gradient, drive, base, store,
            e, steps, buffers, buffers.kept, by_matrix, by_synapse,
        )  # fmt: skip
        return
    if plan.recurrent_population[p]:
        back_recurrent(
            plan, p, recurrent, neuron_scale, count_gradient, buffers.outgoing, base, store, e,
            steps, buffers.adjoint,
        )  # fmt: skip
        return
    for g in range(plan.groups[p]):
        for k in range(lanes):
            both, j = buffers.adjoint[g, k], plan.first[p] + low + k
            if plan.kind[p] == READOUT:
                back_readout(plan, p, j, g, drive[low + k], steps, both)
            else:
                entry = plan.spike_offset[p] + low + k
                back_spiking(
                    plan, p, j, g, count_gradient[low + k], store.start[e, entry], store.start[e,
                    entry + 1], buffers.outgoing, base, store, steps, both,
                )  # fmt: skip


@kernel
def keep_adjoint(plan, layout, p, low, lanes, e, steps, buffers, kept):
    """Copy r of neurons low..low+lanes-1 of population p to `Traces.adjoint`, if it has room."""
    if kept.shape[1] == 0:
        return
    for g in range(plan.groups[p]):
        for k in range(lanes):
            at = (e * layout.neurons + layout.neuron_row[p] + low + k) * layout.length
            for t in range(steps):
                kept[g, at + t] = buffers.adjoint[g, k, t, 0]


@kernel
def back_example(
    plan, linear, layout, weight, offset, recurrent, start, time, neuron_scale, drive,
    count_gradient, current, store, e, steps, fresh, grads, buffers, kept, by_matrix, by_synapse,
):  # fmt: skip
    """Add the gradients of one example to grads (2, S): weights, and delays before times w."""
    base = np.uint64(e * (len(store.time) // len(store.needed)))
    buffers.outgoing[: store.needed[e]] = 0.0
    for p in range(len(plan.kind) - 1, -1, -1):
        if plan.kind[p] == INPUT:
            continue
        n = plan.n[p]
        block = n if plan.recurrent_population[p] else LANES
        own = count_gradient[plan.first[p] : plan.first[p + 1]]
        for low in range(0, n, block):
            high = min(low + block, n)
            back_block(
                plan, linear, layout, p, weight, offset, start, time, current, recurrent,
                neuron_scale, own, drive, low, high - low, store, e, base, steps, buffers,
                by_matrix, by_synapse,
            )  # fmt: skip
            keep_adjoint(plan, layout, p, low, high - low, e, steps, buffers, kept)
            for q in range(len(plan.target)):
                if plan.target[q] != p:
                    continue
                source = source_of(plan, q, start, time, neuron_scale, store, e)
                synapses = synapses_of(plan, q, weight, offset)
                adjoint = buffers.adjoint[plan.group[q]]
                collect(source, synapses, low, high, adjoint, fresh, grads[0], grads[1])
                # Recurrent synapses are counted while their adjoints run (`back_recurrent`).
                if plan.kind[plan.source[q]] != INPUT and not plan.recurrent_projection[q]:
                    add_spike_time_gradients(
                        source, synapses, low, high, adjoint, base, buffers.outgoing
                    )


@kernel
def back_chunk(
    plan, linear, layout, weight, offset, recurrent, starts, time, spike_scale, drive,
    count_gradient, current, store, low, high, steps, grads, buffers, kept, by_matrix, by_synapse,
):  # fmt: skip
    """Write the summed gradients of examples low..high-1 to grads (2, S), from dL/dV (B, K, T).

    Adjoints of inSyn go to ``kept``, `Traces.adjoint`, unless it has no room.
    """
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        back_example(
            plan, linear, layout, weight, offset, recurrent, starts[e], time, neuron_scale,
            drive[e], count_gradient, current, store, e, steps, e == low, grads, buffers, kept,
            by_matrix, by_synapse,
        )  # fmt: skip
