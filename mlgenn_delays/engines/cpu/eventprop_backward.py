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

from mlgenn_delays.engines.cpu.eventprop_forward import (
    ALPHA,
    BLOCK_STRIDE,
    ONE_PLACE,
    arrive,
    put_padded,
)
from mlgenn_delays.engines.cpu.linear_neurons import back_linear, run_linear
from mlgenn_delays.engines.cpu.synapses import (
    ONE,
    QUAD,
    STRIDE,
    ZERO,
    ZERO_PLACE,
    add_recurrent_time_gradients,
    add_spike_time_gradients,
    collect,
    line_place,
    source_of,
    synapses_of,
)
from mlgenn_delays.engines.shared.lanes import (
    BLOCK,
    LANES,
    PAIR,
    load,
    load_rows,
    lowest,
    put,
    put_pairs,
    put_rows,
    splat,
    where,
)
from mlgenn_delays.engines.shared.numerics import FLUSH_EVERY, flush_all_subnormal, kernel
from mlgenn_delays.engines.shared.plan import INPUT, READOUT


@kernel
def alpha_of(plan, first, lanes):
    """Return the factors by which V decays, of neurons first.. of all, then 0 up to a block."""
    alpha = np.empty(-(-lanes // BLOCK) * BLOCK, np.float32)
    put_padded(plan.constant[ALPHA], first, lanes, ZERO, alpha)
    return alpha


@kernel
def filters_of(plan, p, first, lanes):
    """Return decay of r, and what p adds to it, (G, n) each, of neurons first.. of all."""
    groups, alpha = plan.groups[p], alpha_of(plan, first, lanes)
    decay = np.empty((groups, len(alpha)), np.float32)
    into = np.empty((groups, len(alpha)), np.float32)
    for g in range(groups):
        put_padded(plan.decay[g], first, lanes, ZERO, decay[g])
        put_padded(plan.scale[g], first, lanes, ZERO, into[g])
        for k in range(len(alpha)):
            into[g, k] *= ONE - alpha[k]
    return decay, into


@kernel
def back_neurons(
    plan, p, low, lanes, recurrent, neuron_scale, count_gradient, drive, base, store, e, steps,
    buffers,
):  # fmt: skip
    """Run the adjoints of neurons low..low+lanes-1 of a population back, `BLOCK` side by side.

    p goes to group 0 of `buffers.rows`; r and D go to `buffers.adjoint`, or D of a population that
    projects to itself to `buffers.line`.
    """
    first, hold, spiking = plan.first[p] + low, plan.refractory[p], plan.kind[p] != READOUT
    alpha, (decay, into) = alpha_of(plan, first, lanes), filters_of(plan, p, first, lanes)
    n, feeds_back = len(alpha), plan.recurrent_population[p]
    carried, r = np.zeros(n, np.float32), np.zeros((len(decay), n), np.float32)
    left = np.zeros(n, np.uint64)  # the spike of each neuron that comes next on the way back
    buffers.fired[: n // BLOCK] = 0
    if spiking:
        start = store.start[e, plan.spike_offset[p] + low :]
        for k in range(lanes):
            left[k] = start[k + 1]
        mark_spikes(start, lanes, store.time, hold, steps, buffers)
    else:
        bring_drive(drive, low, lanes, steps, buffers.rows[0])
    if recurrent is not None and feeds_back:
        buffers.line[:] = 0.0
    own_scale, chunk = neuron_scale[first : first + lanes], 1 if feeds_back else FLUSH_EVERY
    for back in range(-(-steps // chunk)):
        begin = (-(-steps // chunk) - 1 - back) * chunk
        end = min(begin + chunk, steps)
        if end % FLUSH_EVERY == 0:
            flush_all_subnormal(carried)
            for g in range(len(r)):
                flush_all_subnormal(r[g])
        if recurrent is not None and feeds_back:
            add_recurrent_time_gradients(
                p, recurrent, own_scale, left, buffers.fired, begin, buffers.line, base,
                buffers.outgoing,
            )  # fmt: skip
        back_steps(
            plan.tau_mem[first:], hold, not spiking, count_gradient[low:], alpha, carried, left,
            begin, end, base, store.slope, store.release, buffers.rows, buffers.fired,
            buffers.resting, buffers.outgoing,
        )  # fmt: skip
        if recurrent is not None and feeds_back:
            back_line(decay, into, r, begin, buffers.rows, buffers.line)
        else:
            back_arrivals(decay, into, r, begin, end, buffers.rows[0], buffers.adjoint)


@kernel
def mark_spikes(start, lanes, time, hold, steps, buffers):
    """Mark the spikes of neurons, and the steps after them in which V does not move."""
    if hold > 0:
        buffers.resting[: -(-lanes // BLOCK)] = 0
    for k in range(lanes):
        fired, resting = buffers.fired[k // BLOCK], buffers.resting[k // BLOCK]
        bit = np.uint32(1 << k % BLOCK)
        for c in range(start[k], start[k + 1]):
            t = np.int64(time[c])
            fired[t] |= bit
            for later in range(t + 1, min(t + hold + 1, steps)):
                resting[later] |= bit


@kernel
def bring_drive(drive, low, lanes, steps, rows):
    """Write dL/dV to rows (L / LANES, R LANES)."""
    rows[: -(-lanes // BLOCK) * (BLOCK // LANES)] = 0.0
    for k in range(lanes):
        row, own, given = rows[k // LANES], np.uint64(k % LANES), drive[low + k]
        for t in range(np.uint64(steps)):
            row[t * STRIDE + own] = given[t]


@kernel
def back_steps(
    tau_mem, hold, readout, count_gradient, alpha, carried, left, begin, end, base, slope, release,
    rows, fired, resting, outgoing,
):  # fmt: skip
    """Run p of all neurons back from step end-1 to begin; keep it in group 0 of the rows.

    `left` is one past the spike of each that comes next on the way back.
    """
    length, steps, zero = np.uint64(rows.shape[2]), np.uint64(fired.shape[1]), splat(BLOCK, ZERO)
    spikes, rests = fired.reshape(-1), resting.reshape(-1)
    for at in range(ZERO_PLACE, np.uint64(len(alpha)), BLOCK_STRIDE):
        mark = at // BLOCK_STRIDE * steps
        a, x, place = load(BLOCK, alpha, at), load(BLOCK, carried, at), at // STRIDE * length
        for back in range(np.uint64(end - begin)):
            t = np.uint64(end) - ONE_PLACE - back
            if readout:
                x = x + load_rows(BLOCK, rows, place + t * STRIDE, length)
            now, bits = x, np.uint64(spikes[mark + t])
            if bits != 0:
                put(carried, at, x)
            while bits != 0:
                k = at + lowest(bits)
                left[k] -= ONE_PLACE
                c = left[k]
                before = carried[k] * release[c] - tau_mem[k] * outgoing[c - base]
                before = count_gradient[k] + before / slope[c]
                others = bits & (bits - ONE_PLACE)
                now, bits = where(np.uint32(bits ^ others), splat(BLOCK, before), now), others
            if hold > 0:
                now = where(rests[mark + t], zero, now)
                x = where(rests[mark + t], x, a * now)
            else:
                x = a * now
            put_rows(rows, place + t * STRIDE, length, now)
        put(carried, at, x)


@kernel
def back_arrivals(decay, into, r, begin, end, rows, adjoint):
    """Run r of all synapse groups back, from p of the neurons in rows; keep r and D."""
    n, length = np.uint64(decay.shape[1]), np.uint64(rows.shape[1])
    apart = np.uint64(adjoint.shape[2])
    for g in range(np.uint64(len(decay))):
        for at in range(ZERO_PLACE, n, BLOCK_STRIDE):
            place = (g * np.uint64(adjoint.shape[1]) + at // np.uint64(QUAD)) * apart
            own, first = g * n + at, at // STRIDE * length
            d, i, later = load(BLOCK, decay, own), load(BLOCK, into, own), load(BLOCK, r, own)
            for back in range(np.uint64(end - begin)):
                step = (np.uint64(end) - ONE_PLACE - back) * STRIDE
                before = d * later + i * load_rows(BLOCK, rows, first + step, length)
                put_pairs(adjoint, place + step, apart, before, later - before)
                later = before
            put(r, own, later)


@kernel
def back_line(decay, into, r, t, rows, line):
    """Run r of all synapse groups back to step t, from p of the neurons; keep D in the line."""
    n, length = np.uint64(decay.shape[1]), np.uint64(rows.shape[2])
    again = np.uint64(line.shape[1] // 2 * line.shape[2])
    for g in range(len(decay)):
        now = line_place(line, g, t)
        for at in range(ZERO_PLACE, n, BLOCK_STRIDE):
            own, step = np.uint64(g) * n + at, at // STRIDE * length + np.uint64(t) * STRIDE
            later = load(BLOCK, r, own)
            before = load(BLOCK, into, own) * load_rows(BLOCK, rows, step, length)
            before = load(BLOCK, decay, own) * later + before
            put(line, now + at, later - before)
            put(line, now + at + again, later - before)
            put(r, own, before)


@kernel
def back_kept(plan, p, first, lanes, steps, rows, adjoint):
    """Write r and D of neurons first.. of all, up to `BLOCK`, from p of all steps in rows."""
    decay, into = filters_of(plan, p, first, lanes)
    r = np.zeros(decay.shape, np.float32)
    for back in range(-(-steps // FLUSH_EVERY)):
        begin = (-(-steps // FLUSH_EVERY) - 1 - back) * FLUSH_EVERY
        end = min(begin + FLUSH_EVERY, steps)
        if end % FLUSH_EVERY == 0:
            for g in range(len(r)):
                flush_all_subnormal(r[g])
        back_arrivals(decay, into, r, begin, end, rows, adjoint)


@kernel
def back_block(
    plan, linear, layout, p, weight, offset, start, time, current, recurrent, neuron_scale,
    count_gradient, drive, low, lanes, store, e, base, steps, buffers, by_matrix, by_synapse
):  # fmt: skip
    """Run the adjoints of neurons low..low+lanes-1 of population p back: see `back_neurons`."""
    if linear is not None and linear.own[p]:
        buffers.rows[: max(plan.groups[p], 1), : -(-lanes // BLOCK) * (BLOCK // LANES)] = 0.0
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
def keep_adjoint(plan, layout, p, low, lanes, e, steps, adjoint, quad, kept):
    """Copy r of neurons low..low+lanes-1 of population p to `Traces.adjoint`."""
    for g in range(plan.groups[p]):
        for k in range(lanes):
            at = (e * layout.neurons + layout.neuron_row[p] + low + k) * layout.length
            both = adjoint[g, quad + k // QUAD]
            for t in range(steps):
                kept[g, at + t] = both[t * LANES + k % QUAD * PAIR]


@kernel
def collect_block(
    plan, p, weight, offset, start, time, neuron_scale, store, e, base, low, high, quad, fresh,
    grads, buffers,
):  # fmt: skip
    """Add what arrives at neurons low..high-1 of population p to grads, and to G of its spikes.

    Their adjoints are those from `quad` on. G of recurrent synapses is there already.
    """
    for q in range(len(plan.target)):
        if plan.target[q] != p:
            continue
        source = source_of(plan, q, start, time, neuron_scale, store, e)
        synapses = synapses_of(plan, q, weight, offset)
        adjoint = buffers.adjoint[plan.group[q]][quad:]
        collect(source, synapses, low, high, adjoint, fresh, grads[0], grads[1])
        if plan.kind[plan.source[q]] != INPUT and not plan.recurrent_projection[q]:
            add_spike_time_gradients(source, synapses, low, high, adjoint, base, buffers.outgoing)


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
        n, feeds_back = plan.n[p], plan.recurrent_population[p]
        size, own = n if feeds_back else BLOCK, count_gradient[plan.first[p] : plan.first[p + 1]]
        for low in range(0, n, size):
            end = min(low + size, n)
            back_block(
                plan, linear, layout, p, weight, offset, start, time, current, recurrent,
                neuron_scale, own, drive, low, end - low, store, e, base, steps, buffers,
                by_matrix, by_synapse,
            )  # fmt: skip
            for first in range(low, end, BLOCK):
                lanes, quad = min(BLOCK, end - first), (first - low) // QUAD
                own_way = linear is not None and linear.own[p]
                if recurrent is not None and feeds_back and not own_way:
                    rows, quad = buffers.rows[0][(first - low) // LANES :], 0
                    back_kept(plan, p, plan.first[p] + first, lanes, steps, rows, buffers.adjoint)
                if kept is not None:
                    keep_adjoint(
                        plan, layout, p, first, lanes, e, steps, buffers.adjoint, quad, kept
                    )
                collect_block(
                    plan, p, weight, offset, start, time, neuron_scale, store, e, base, first,
                    first + lanes, quad, fresh, grads, buffers,
                )  # fmt: skip


@kernel
def back_chunk(
    plan, linear, layout, weight, offset, recurrent, starts, time, spike_scale, drive,
    count_gradient, current, store, low, high, steps, grads, buffers, kept, by_matrix, by_synapse,
):  # fmt: skip
    """Write the summed gradients of examples low..high-1 to grads (2, S), from dL/dV (B, K, T).

    Adjoints of inSyn go to ``kept``, `Traces.adjoint`, unless that is None; ``linear`` and
    ``recurrent`` are those of `run_chunk`.
    """
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        back_example(
            plan, linear, layout, weight, offset, recurrent, starts[e], time, neuron_scale,
            drive[e], count_gradient, current, store, e, steps, e == low, grads, buffers, kept,
            by_matrix, by_synapse,
        )  # fmt: skip
