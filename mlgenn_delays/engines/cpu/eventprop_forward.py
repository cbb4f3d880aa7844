"""The forward pass of EventProp, one example at a time.

With A_g[t] the arrivals over synapse group g, h the bias, a = exp(-dt/tau_mem):

    y_g[t] = decay_g y_g[t-1] + A_g[t];   I[t] = h + sum_g scale_g y_g[t]
    V[t] = a V[t-1] + (1 - a) I[t];       V >= v_thresh: spike in step t, V = 0

V stays 0 in refractory steps. For each spike, `SpikeStore` keeps what the backward pass needs: its
step, slope = I - v_thresh, and release = I of the last step before V moves again.

`LANES` neurons go side by side. A population without recurrent synapses runs so many at a time
through the whole trial, for all of its arrivals are known; a recurrent one runs as a whole.
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
)
from mlgenn_delays.engines.shared.lanes import (
    LANES,
    at_least,
    load,
    put,
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

BLOCK = 4 * LANES  # neurons run at once, so that what one vector waits for is hidden by the others
ALPHA, V_THRESH = 0, 1  # rows of `Plan.constant` for LIF


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


class Recurrent(NamedTuple):
    """Recurrent synapses in the order of `Plan.out_synapse`, renewed whenever they change."""

    weight: np.ndarray  # float32
    # uint32 place of the arrival in `EventBuffers.rows` of a group, and of its D in `adjoint`, of a
    # spike in step 0; `synapses.STRIDE` more for each step
    arrival: np.ndarray
    adjoint: np.ndarray


class EventBuffers(NamedTuple):
    """Buffers of one thread of `EventSimulation` for L neurons; rows are padded for the largest
    delay, to R steps.
    """

    # (G, L / LANES, R LANES) arrivals: a row has those of a step at `LANES` neurons, then the next
    rows: np.ndarray
    # (G, L / QUAD, R QUAD 2): r and D of QUAD neurons in a step, then the next; r is the adjoint of
    # inSyn, D the derivative with respect to the arrival time of unit weight; zero from step T on
    adjoint: np.ndarray
    time: np.ndarray  # (L, T) uint32 spikes of the neurons at hand
    slope: np.ndarray  # (L, T)
    release: np.ndarray  # (L, T)
    counts: np.ndarray  # (L,) int64 spikes of the neurons at hand
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
def side_by_side(values, first, lanes, rest):
    """Return values (N,) of neurons first..first+lanes-1, then `rest` up to whole vectors."""
    out = np.full(-(-lanes // LANES) * LANES, rest, np.float32)
    out[:lanes] = values[first : first + lanes]
    return out


@kernel
def run_neurons(
    plan, layout, p, low, lanes, recurrent, neuron_scale, current, store, e, steps, buffers
):  # fmt: skip
    """Run neurons low..low+lanes-1 of a population through the trial, `LANES` side by side.

    Spikes go to `buffers`, V of a readout to the store. ``current`` is what a `CurrentInput`
    brings, empty if there is none.
    """
    first, hold, groups = plan.first[p] + low, plan.refractory[p], plan.groups[p]
    alpha = side_by_side(plan.constant[ALPHA], first, lanes, ONE)
    bias, into, n = side_by_side(plan.bias, first, lanes, ZERO), ONE - alpha, np.uint64(len(alpha))
    v_thresh = np.full(n, np.nan, np.float32)  # no V is at it, nor above
    if plan.kind[p] != READOUT:
        v_thresh[:lanes] = plan.constant[V_THRESH, first : first + lanes]
    decay, scale = np.empty((groups, n), np.float32), np.empty((groups, n), np.float32)
    for g in range(groups):
        decay[g] = side_by_side(plan.decay[g], first, lanes, ZERO)
        scale[g] = side_by_side(plan.scale[g], first, lanes, ZERO)
    v, inner, total = np.zeros(n, np.float32), np.zeros((groups, n), np.float32), bias.copy()
    resting, until = np.zeros(n // STRIDE, np.uint8), np.zeros(n, np.int64)
    time, slope, release, counts = buffers.time, buffers.slope, buffers.release, buffers.counts
    rows, brings = buffers.rows, len(current) > 0
    counts[:lanes] = 0
    for t in range(np.uint64(steps)):
        if t % FLUSH_EVERY == 0:
            flush_all_subnormal(v)
            for g in range(groups):
                flush_all_subnormal(inner[g])
        if brings:
            for k in range(lanes):
                neuron = e * layout.neurons + layout.neuron_row[p] + low + k
                total[k] = bias[k] + current[neuron * layout.length + t]
        for g in range(np.uint64(groups)):
            take_arrivals(decay, scale, inner, g, t, rows, total if g or brings else bias, total)
        for at in range(ZERO_PLACE, n, STRIDE):
            moved = load(LANES, alpha, at) * load(LANES, v, at)
            moved = moved + load(LANES, into, at) * load(LANES, total, at)
            if resting[at // STRIDE]:
                moved = where(resting[at // STRIDE], splat(LANES, ZERO), moved)
                wake(resting, at, t, total, until, counts, release)
            fired = at_least(moved, load(LANES, v_thresh, at))
            if fired:
                moved = where(fired, splat(LANES, ZERO), moved)
                for k in range(at, at + STRIDE):
                    if fired >> (k - at) & 1:
                        c, until[k] = counts[k], np.int64(t) + hold
                        time[k, c], release[k, c], counts[k] = t, total[k], c + 1
                        slope[k, c] = max(total[k] - v_thresh[k], MIN_SLOPE * v_thresh[k])
                        if plan.recurrent_population[p]:
                            own = neuron_scale[first + k]
                            feed_back(plan, p, recurrent, own, k, t, buffers.rows)
                if hold > 0:
                    resting[at // STRIDE] |= fired
            put(v, at, moved)
        if plan.kind[p] == READOUT:
            for k in range(lanes):
                store.voltage[e, low + k, t] = v[k]


@kernel
def take_arrivals(decay, scale, inner, g, t, rows, before, total):
    """Step the filters of synapse group g with what arrives in step t; total = before + scale x."""
    n, first = np.uint64(inner.shape[1]), g * np.uint64(rows.shape[1])
    for at in range(ZERO_PLACE, n, STRIDE):
        own, length = g * n + at, np.uint64(rows.shape[2])
        arrived = load(LANES, rows, (first + at // STRIDE) * length + t * STRIDE)
        x = load(LANES, decay, own) * load(LANES, inner, own) + arrived
        put(inner, own, x)
        put(total, at, load(LANES, before, at) + load(LANES, scale, own) * x)


@kernel
def wake(resting, at, t, total, until, counts, release):
    """Let those of neurons at..at+7 that rest until step t start again, with their current."""
    for k in range(at, at + STRIDE):
        bit = np.uint8(1 << (k - at))
        if resting[at // STRIDE] & bit and until[k] == np.int64(t):
            release[k, counts[k] - 1] = total[k]
            resting[at // STRIDE] ^= bit


@kernel
def keep_spikes(buffers, lanes, entry, limit, at, store, e):
    """Append the spikes of `lanes` neurons to the store; return where the next ones go.

    Past the limit they are counted, not kept: the caller runs the example again.
    """
    for k in range(lanes):
        count = buffers.counts[k]
        if at + count <= limit:
            store.time[at : at + count] = buffers.time[k, :count]
            store.slope[at : at + count] = buffers.slope[k, :count]
            store.release[at : at + count] = buffers.release[k, :count]
        at += count
        store.start[e, entry + k + 1] = at
    return at


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
        buffers.rows[: plan.groups[p], : -(-lanes // LANES)] = 0.0
        arrive(
            plan, p, weight, offset, start, time, neuron_scale, store, e, low, low + lanes,
            buffers.rows,
        )  # fmt: skip
        if linear.own[p]:
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
            at = keep_spikes(buffers, lanes, plan.spike_offset[p] + low, limit, at, store, e)
    return at


@kernel
def run_chunk(
    plan, linear, layout, weight, offset, recurrent, starts, time, spike_scale, current, store,
    low, high, steps, buffers,
):  # fmt: skip
    """Run examples low..high-1 of a batch; ``current`` is `Traces.current`, or empty.

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
