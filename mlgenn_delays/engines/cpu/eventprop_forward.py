"""The forward pass of EventProp, one example at a time.

With A_g[t] the arrivals over synapse group g, h the bias, a = exp(-dt/tau_mem):

    y_g[t] = decay_g y_g[t-1] + A_g[t];   I[t] = h + sum_g scale_g y_g[t]
    V[t] = a V[t-1] + (1 - a) I[t];       V >= v_thresh: spike in step t, V = 0

V stays 0 in refractory steps. For each spike, `SpikeStore` keeps what the backward pass needs: its
step, slope = I - v_thresh, and release = I of the last step before V moves again.

`BLOCK` neurons go side by side. A population without recurrent synapses runs so many at a time
through the whole trial, with their states in registers for `FLUSH_EVERY` steps, for all of its
arrivals are known; a recurrent one runs as a whole, step by step. No step asks whether a neuron
spikes: bits are kept, and listed once the trial is over.
"""

from typing import NamedTuple

import numpy as np

from mlgenn_delays.engines.cpu.linear_neurons import LinearBuffers, run_linear
from mlgenn_delays.engines.cpu.synapses import (
    ONE,
    STRIDE,
    ZERO,
    ZERO_PLACE,
    feed_back,
    scatter,
    source_of,
    synapses_of,
    take_from_line,
)
from mlgenn_delays.engines.shared.lanes import (
    BLOCK,
    LANES,
    at_least,
    load,
    load_rows,
    lowest,
    put,
    put_rows,
    splat,
    where,
)
from mlgenn_delays.engines.shared.numerics import (
    FLUSH_EVERY,
    MIN_SLOPE,
    flush_all_subnormal,
    kernel,
)
from mlgenn_delays.engines.shared.plan import INPUT, READOUT

BLOCK_STRIDE, ONE_PLACE = np.uint64(BLOCK), np.uint64(1)
ALPHA, V_THRESH = 0, 1  # rows of `Plan.constant` for LIF
NEVER = np.float32(np.nan)  # a threshold that no V is at, nor above


class SpikeStore(NamedTuple):
    """Spikes and outputs of a batch."""

    # (B, H) uint64; neuron j of a population with spike_offset o spiked at
    # time[start[b, o + j]:start[b, o + j + 1]]
    start: np.ndarray
    time: np.ndarray  # (B * capacity,) uint32 [steps]
    slope: np.ndarray  # (B * capacity,) I + bias - v_thresh in the step of the spike, above 0
    release: np.ndarray  # (B * capacity,) I + bias in the step before V moves again
    voltage: np.ndarray  # (B, K, T) V of the output
    # (B,) spikes of the example; above the capacity, the example must be run again
    needed: np.ndarray


class Neurons(NamedTuple):
    """Neurons that take their steps together, n in whole blocks, with G synapse groups; float32."""

    alpha: np.ndarray  # (n,)
    v_thresh: np.ndarray  # (n,), NaN of those that do not spike
    bias: np.ndarray  # (n,)
    decay: np.ndarray  # (G, n)
    scale: np.ndarray  # (G, n)
    v: np.ndarray  # (n,)
    rest: np.ndarray  # (n,) the number of steps in which V does not move yet, below 1 if none
    inner: np.ndarray  # (G, n) y


class EventBuffers(NamedTuple):
    """Buffers of one thread of `EventSimulation` for L neurons; rows are padded for the largest
    delay, to R steps.
    """

    # (G, L / LANES, R LANES) arrivals: a row has those of a step at `LANES` neurons, then the next
    rows: np.ndarray
    # (G, L / QUAD, R QUAD 2): r and D of QUAD neurons in a step, then the next; r is the adjoint of
    # inSyn, D the derivative with respect to the arrival time of unit weight; zero from step T on
    adjoint: np.ndarray
    # (G, 2 M, W) of a population of up to W neurons that projects to itself, whose synapses reach
    # less than M steps ahead: what arrives in step t is the sum of entries t mod M and M later; on
    # the way back each of them holds D of the step
    line: np.ndarray
    fired: np.ndarray  # (L / BLOCK, T) uint32, bit k: the k-th neuron spikes in the step
    resting: np.ndarray  # the same of the steps after a spike in which V does not move
    listed: np.ndarray  # (BLOCK T + 2,) uint32 spikes of BLOCK neurons, see `list_spikes`
    # (capacity,) derivative with respect to each spike's time, over its synapses
    outgoing: np.ndarray
    kept: LinearBuffers  # of the neurons at hand, where they run step by step
    nothing: LinearBuffers  # without room


@kernel
def arrive(plan, p, weight, offset, start, time, neuron_scale, store, e, low, high, rows):
    """Add what arrives over every feed-forward projection onto neurons low..high-1 of p."""
    for q in range(len(plan.target)):
        if plan.target[q] == p and not plan.recurrent_projection[q]:
            source = source_of(plan, q, start, time, neuron_scale, store, e)
            synapses = synapses_of(plan, q, weight, offset)
            scatter(source, synapses, low, high, rows[plan.group[q]])


@kernel
def put_padded(values, first, lanes, rest, out):
    """Write values (N,) of neurons first..first+lanes-1 to out (n,), then `rest`."""
    for k in range(len(out)):  # assigning a slice takes a second to compile
        out[k] = values[first + k] if k < lanes else rest


@kernel
def neurons_of(plan, p, low, lanes):
    """Return neurons low..low+lanes-1 of a population as they are before the first step."""
    first, groups = plan.first[p] + low, max(plan.groups[p], 1)
    n = -(-lanes // BLOCK) * BLOCK
    alpha, v_thresh = np.empty(n, np.float32), np.empty(n, np.float32)
    put_padded(plan.constant[ALPHA], first, lanes, ONE, alpha)
    spiking = lanes if plan.kind[p] != READOUT else 0
    put_padded(plan.constant[V_THRESH], first, spiking, NEVER, v_thresh)
    decay, scale = np.empty((groups, n), np.float32), np.empty((groups, n), np.float32)
    for g in range(groups):
        put_padded(plan.decay[g], first, lanes, ZERO, decay[g])
        put_padded(plan.scale[g], first, lanes, ZERO, scale[g])
    bias, inner = np.empty(n, np.float32), np.zeros((groups, n), np.float32)
    put_padded(plan.bias, first, lanes, ZERO, bias)
    v, rest = np.zeros(n, np.float32), np.zeros(n, np.float32)
    return Neurons(alpha, v_thresh, bias, decay, scale, v, rest, inner)


@kernel
def run_neurons(
    plan, layout, p, low, lanes, recurrent, neuron_scale, current, store, e, steps, buffers
):  # fmt: skip
    """Run neurons low..low+lanes-1 of a population through the trial, `BLOCK` side by side.

    Spikes go to `buffers.fired`, their currents to group 0 of `buffers.rows`, V of a readout to the
    store. ``current`` is what a `CurrentInput` brings, empty if there is none.
    """
    neurons, feeds_back = neurons_of(plan, p, low, lanes), plan.recurrent_population[p]
    hold, readout = np.float32(min(plan.refractory[p], steps)), plan.kind[p] == READOUT
    first, brings = plan.first[p] + low, len(current) > 0
    own_scale = neuron_scale[first : first + lanes]
    if brings:
        bring(layout, p, low, lanes, neurons.bias, current, e, steps, buffers.rows[-1])
    chunk = 1 if feeds_back else FLUSH_EVERY
    if recurrent is not None and feeds_back:
        buffers.line[:] = 0.0
    for begin in range(0, steps, chunk):
        end = min(begin + chunk, steps)
        if begin % FLUSH_EVERY == 0:
            flush_all_subnormal(neurons.v)
            for g in range(len(neurons.inner)):
                flush_all_subnormal(neurons.inner[g])
        if recurrent is not None and feeds_back:
            take_from_line(buffers.line, len(neurons.inner), begin, buffers.rows)
        if len(neurons.inner) > 1:
            take_arrivals(neurons, begin, end, brings, buffers.rows)
        take_steps(neurons, hold, begin, end, brings, readout, buffers.rows, buffers.fired)
        if recurrent is not None and feeds_back:
            feed_back(p, recurrent, own_scale, buffers.fired, begin, buffers.line)
    if readout:
        for k in range(lanes):
            row, out = buffers.rows[0, k // LANES], store.voltage[e, low + k]
            for t in range(np.uint64(steps)):
                out[t] = row[t * STRIDE + np.uint64(k % LANES)]


@kernel
def bring(layout, p, low, lanes, bias, current, e, steps, rows):
    """Write the bias and what a `CurrentInput` brings to rows (L / LANES, R LANES)."""
    for k in range(len(bias)):
        row, own = rows[k // LANES], np.uint64(k % LANES)
        first = (e * layout.neurons + layout.neuron_row[p] + low + k) * layout.length
        for t in range(np.uint64(steps)):
            row[t * STRIDE + own] = bias[k] + current[first + np.int64(t)] if k < lanes else ZERO


@kernel
def current_before(g, bias, brings, rows):
    """Return where the current lies before synapse group g adds to it.

    It is an array, the place in it of the first `LANES` neurons in step 0, and the distances to
    their next step and to the next `LANES` neurons.
    """
    length, slot = np.uint64(rows.shape[2]), np.uint64(0 if g > 0 else rows.shape[0] - 1)
    if g == 0 and not brings:
        return bias, ZERO_PLACE, ZERO_PLACE, STRIDE
    return rows.reshape(-1), slot * np.uint64(rows.shape[1]) * length, STRIDE, length


@kernel
def take_arrivals(neurons, begin, end, brings, rows):
    """Step all synapse groups but the last; the current so far goes to group 0 of the rows."""
    n, length = np.uint64(len(neurons.bias)), np.uint64(rows.shape[2])
    for g in range(np.uint64(len(neurons.inner) - 1)):
        before, place, step, apart = current_before(g, neurons.bias, brings, rows)
        arrivals = g * np.uint64(rows.shape[1]) * length
        for at in range(ZERO_PLACE, n, BLOCK_STRIDE):
            own, first = g * n + at, at // STRIDE * length
            here = place + at // STRIDE * apart
            d, s = load(BLOCK, neurons.decay, own), load(BLOCK, neurons.scale, own)
            y = load(BLOCK, neurons.inner, own)
            for t in range(np.uint64(begin), np.uint64(end)):
                y = d * y + load_rows(BLOCK, rows, arrivals + first + t * STRIDE, length)
                total = load_rows(BLOCK, before, here + t * step, apart) + s * y
                put_rows(rows, first + t * STRIDE, length, total)
            put(neurons.inner, own, y)


@kernel
def take_steps(neurons, hold, begin, end, brings, readout, rows, fired):
    """Step the last synapse group and V; the current, or V, goes to group 0 of the rows."""
    n, length = np.uint64(len(neurons.bias)), np.uint64(rows.shape[2])
    g = np.uint64(len(neurons.inner) - 1)
    before, place, step, apart = current_before(g, neurons.bias, brings, rows)
    arrivals, steps = g * np.uint64(rows.shape[1]) * length, np.uint64(fired.shape[1])
    zero, one, holds = splat(BLOCK, ZERO), splat(BLOCK, ONE), splat(BLOCK, hold)
    marks = fired.reshape(-1)
    for at in range(ZERO_PLACE, n, BLOCK_STRIDE):
        own, first = g * n + at, at // STRIDE * length
        here, mark = place + at // STRIDE * apart, at // BLOCK_STRIDE * steps
        d, s = load(BLOCK, neurons.decay, own), load(BLOCK, neurons.scale, own)
        a, v_thresh = load(BLOCK, neurons.alpha, at), load(BLOCK, neurons.v_thresh, at)
        y, v = load(BLOCK, neurons.inner, own), load(BLOCK, neurons.v, at)
        into, rest = one - a, load(BLOCK, neurons.rest, at)
        for t in range(np.uint64(begin), np.uint64(end)):
            y = d * y + load_rows(BLOCK, rows, arrivals + first + t * STRIDE, length)
            total = load_rows(BLOCK, before, here + t * step, apart) + s * y
            v = a * v + into * total
            if hold > ZERO:
                v = where(at_least(rest, one), zero, v)
            over = at_least(v, v_thresh)
            v = where(over, zero, v)
            if hold > ZERO:
                rest = where(over, holds, rest - one)
            marks[mark + t] = over
            put_rows(rows, first + t * STRIDE, length, v if readout else total)
        put(neurons.inner, own, y)
        put(neurons.v, at, v)
        put(neurons.rest, at, rest)


@kernel
def keep_spikes(plan, linear, p, low, lanes, limit, at, store, e, steps, buffers):
    """Append the spikes of neurons low..low+lanes-1 to the store; return where the next ones go.

    Past the limit they are counted, not kept: the caller runs the example again.
    """
    first, hold, entry = plan.first[p] + low, plan.refractory[p], plan.spike_offset[p] + low
    for block in range(-(-lanes // BLOCK)):
        done, size = block * BLOCK, min(BLOCK, lanes - block * BLOCK)
        count = list_spikes(buffers.fired[block], steps, buffers.listed)
        ends = store.start[e, entry + done + 1 : entry + done + size + 1]
        ends[:] = 0
        for c in range(count):
            ends[buffers.listed[c] % np.uint32(BLOCK)] += np.uint64(1)
        total = np.uint64(at)
        for k in range(size):
            total, ends[k] = total + ends[k], total
        for c in range(count if total <= np.uint64(limit) else 0):
            k, t = buffers.listed[c] % np.uint32(BLOCK), buffers.listed[c] // np.uint32(BLOCK)
            row, own = buffers.rows[0, (done + k) // LANES], np.uint64(k % np.uint32(LANES))
            place = ends[k]
            store.time[place], ends[k] = t, place + np.uint64(1)
            if linear is not None and linear.own[p]:
                continue
            v_thresh = plan.constant[V_THRESH, first + done + k]
            current = row[np.uint64(t) * STRIDE + own]
            store.slope[place] = max(current - v_thresh, MIN_SLOPE * v_thresh)
            again = np.int64(t) + hold
            if again < steps:
                current = row[np.uint64(again) * STRIDE + own]
            store.release[place] = current
        at = np.int64(total)
    return at


@kernel
def list_spikes(fired, steps, listed):
    """Write the spikes of `BLOCK` neurons to ``listed``, step BLOCK + neuron; return their number.

    They are few in most steps, and always three are written, without asking whether they are there.
    """
    count = 0
    for t in range(steps):
        bits = np.uint64(fired[t])
        while True:
            for _ in range(3):
                listed[count] = np.uint64(t * BLOCK) + lowest(bits)
                count += bits != 0
                bits &= bits - np.uint64(1)
            if bits == 0:
                break
    return count


@kernel
def run_population(
    plan, linear, layout, p, weight, offset, recurrent, start, time, neuron_scale, current, store,
    e, at,
    limit, steps, buffers,
):  # fmt: skip
    """Run population p in example e; return where the next spikes go in the store."""
    n = plan.n[p]
    block = n if plan.recurrent_population[p] else BLOCK
    spiking = plan.kind[p] != READOUT
    if spiking:
        store.start[e, plan.spike_offset[p]] = at
    for low in range(0, n, block):
        lanes = min(block, n - low)
        buffers.rows[: max(plan.groups[p], 1), : -(-lanes // BLOCK) * (BLOCK // LANES)] = 0.0
        arrive(
            plan, p, weight, offset, start, time, neuron_scale, store, e, low, low + lanes,
            buffers.rows,
        )  # fmt: skip
        if linear is not None and linear.own[p]:
            run_linear(
                plan, linear, layout, p, low, lanes, recurrent, neuron_scale[plan.first[p] :],
                current, store, e, steps, buffers, buffers.nothing,
            )  # fmt: skip
        else:
            run_neurons(
                plan, layout, p, low, lanes, recurrent, neuron_scale, current, store, e, steps,
                buffers,
            )  # fmt: skip
        if spiking:
            at = keep_spikes(plan, linear, p, low, lanes, limit, at, store, e, steps, buffers)
    return at


@kernel
def run_chunk(
    plan, linear, layout, weight, offset, recurrent, starts, time, spike_scale, current, store,
    low, high, steps, buffers,
):  # fmt: skip
    """Run examples low..high-1 of a batch.

    ``linear`` and ``recurrent`` are None if no population needs them: their code is compiled for
    networks only that have such neurons, or such synapses.
    ``current`` is what a `CurrentInput` brings, in rows as in `Traces`, or empty.
    Spikes and output voltages go to their rows of the store.
    """
    capacity = len(store.time) // len(store.needed)
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        at = e * capacity
        limit = at + capacity
        for p in range(len(plan.kind)):
            if plan.kind[p] != INPUT and at <= limit:
                at = run_population(
                    plan, linear, layout, p, weight, offset, recurrent, starts[e], time,
                    neuron_scale,
                    current, store, e, at, limit, steps, buffers,
                )  # fmt: skip
        store.needed[e] = at - e * capacity
