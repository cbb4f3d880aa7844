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

from mlgenn_delays.engines.cpu.eventprop_forward import ALPHA, BLOCK, arrive, side_by_side
from mlgenn_delays.engines.cpu.linear_neurons import back_linear, run_linear
from mlgenn_delays.engines.cpu.synapses import (
    ONE,
    QUAD,
    STRIDE,
    ZERO,
    ZERO_PLACE,
    add_spike_time_gradients,
    collect,
    recurrent_time_gradient,
    source_of,
    synapses_of,
)
from mlgenn_delays.engines.shared.lanes import (
    LANES,
    PAIR,
    load,
    put,
    put_pairs,
)
from mlgenn_delays.engines.shared.numerics import FLUSH_EVERY, flush_all_subnormal, kernel
from mlgenn_delays.engines.shared.plan import INPUT, READOUT

NEVER = -(2**62)


@kernel
def through_spike(plan, j, carried, outgoing, store, c):
    """Return p before spike c of the store, of neuron j of all, from P after it and its G."""
    return (carried * store.release[c] - plan.tau_mem[j] * outgoing) / store.slope[c]


@kernel
def back_neurons(
    plan, p, low, lanes, recurrent, neuron_scale, count_gradient, drive, base, store, e, steps,
    buffers,
):  # fmt: skip
    """Run the adjoints of neurons low..low+lanes-1 of a population back, `LANES` side by side.

    r and D go to `buffers.adjoint`; `recurrent_time_gradient` takes D of later steps.
    """
    first, hold, spiking = plan.first[p] + low, plan.refractory[p], plan.kind[p] != READOUT
    alpha, groups = side_by_side(plan.constant[ALPHA], first, lanes, ZERO), plan.groups[p]
    n = np.uint64(len(alpha))
    decay, into = np.empty((groups, n), np.float32), np.empty((groups, n), np.float32)
    for g in range(groups):
        decay[g] = side_by_side(plan.decay[g], first, lanes, ZERO)
        into[g] = (ONE - alpha) * side_by_side(plan.scale[g], first, lanes, ZERO)
    carried, now = np.zeros(n, np.float32), np.zeros(n, np.float32)
    r, adjoint = np.zeros((groups, n), np.float32), buffers.adjoint
    # The spike of each neuron that comes next on the way back, and the last step in which one of
    # `LANES` neurons rests after it.
    left, last = np.zeros(n, np.uint64), np.full(n, NEVER, np.int64)
    busy, entry = np.full(n // STRIDE, NEVER, np.int64), plan.spike_offset[p] + low
    if spiking:
        for k in range(lanes):
            left[k] = store.start[e, entry + k + 1]
            last[k] = spike_before(store.time, store.start[e, entry + k], left[k])
            busy[k // LANES] = max(busy[k // LANES], last[k] + hold)
    for back in range(steps):
        t = steps - 1 - back
        if t % FLUSH_EVERY == FLUSH_EVERY - 1:
            flush_all_subnormal(carried)
            for g in range(groups):
                flush_all_subnormal(r[g])
        if not spiking:
            for k in range(lanes):
                carried[k] += drive[low + k, t]
        for at in range(ZERO_PLACE, n, STRIDE):
            before = load(LANES, carried, at)
            put(now, at, before)
            if t > busy[at // STRIDE]:
                put(carried, at, load(LANES, alpha, at) * before)
                continue
            busy[at // STRIDE] = NEVER
            for k in range(at, at + STRIDE):
                since = t - last[k]
                if since == 0:
                    spike = left[k] - np.uint64(1)
                    total = buffers.outgoing[spike - base]
                    if plan.recurrent_population[p]:
                        own = neuron_scale[first + k]
                        total += recurrent_time_gradient(plan, p, recurrent, own, k, t, adjoint)
                    now[k] = count_gradient[low + k] + through_spike(
                        plan, first + k, carried[k], total, store, spike
                    )
                    left[k] = spike
                    last[k] = spike_before(store.time, store.start[e, entry + k], spike)
                elif since <= hold:
                    now[k] = ZERO
                if not 0 < since <= hold:
                    carried[k] = alpha[k] * now[k]
                busy[at // STRIDE] = max(busy[at // STRIDE], last[k] + hold)
        for g in range(np.uint64(groups)):
            back_arrivals(decay, into, r, g, np.uint64(t), now, adjoint)


@kernel
def back_arrivals(decay, into, r, g, t, now, adjoint):
    """Step r of synapse group g back to step t, from p of the neurons; keep r and D."""
    n, quads, length = np.uint64(len(now)), adjoint.shape[1], np.uint64(adjoint.shape[2])
    for at in range(ZERO_PLACE, n, STRIDE):
        own, quad = g * n + at, g * np.uint64(quads) + at // np.uint64(QUAD)
        later = load(LANES, r, own)
        before = load(LANES, decay, own) * later + load(LANES, into, own) * load(LANES, now, at)
        place = quad * length + t * STRIDE
        put_pairs(adjoint, place, place + length, before, later - before)
        put(r, own, before)


@kernel
def spike_before(time, first, end):
    """Return the step of the last spike of a neuron before `end` of the store, NEVER if none."""
    return np.int64(time[end - np.uint64(1)]) if end > first else NEVER


@kernel
def back_block(
    plan, linear, layout, p, weight, offset, start, time, current, recurrent, neuron_scale,
    count_gradient, drive, low, lanes, store, e, base, steps, buffers, by_matrix, by_synapse
):  # fmt: skip
    """Write the adjoints of neurons low..low+lanes-1 of population p to `buffers.adjoint`."""
    if linear.own[p]:
        buffers.rows[: plan.groups[p], : -(-lanes // LANES)] = 0.0
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
    back_neurons(
        plan, p, low, lanes, recurrent, neuron_scale, count_gradient, drive, base, store, e, steps,
        buffers,
    )  # fmt: skip


@kernel
def keep_adjoint(plan, layout, p, low, lanes, e, steps, buffers, kept):
    """Copy r of neurons low..low+lanes-1 of population p to `Traces.adjoint`, if it has room."""
    if kept.shape[1] == 0:
        return
    for g in range(plan.groups[p]):
        for k in range(lanes):
            at = (e * layout.neurons + layout.neuron_row[p] + low + k) * layout.length
            both = buffers.adjoint[g, k // QUAD]
            for t in range(steps):
                kept[g, at + t] = both[t * LANES + k % QUAD * PAIR]


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
        block = n if plan.recurrent_population[p] else BLOCK
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
                # Recurrent synapses are counted while their adjoints run (`back_neurons`).
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
