"""Synaptic work of EventProp: spikes into arrivals, adjoints at the arrivals into gradients.

For synapse s from i to j of weight w, delay d and spikes at t of neuron i, scaled by g_i:

    scatter                    A_j[t + d + 1] += w g_i
    collect                    dL/dw += g_i r_j[t + d + 1];   dL/dd / w += g_i D_j[t + d + 1]
    add_spike_time_gradients   G of the spike += w g_i D_j[t + d + 1]

The arrivals at `LANES` target neurons over the whole trial lie side by side, step by step, so that
all of this happens in the first-level cache: the cost is spikes x fan-out, whatever the delay range
or the trial's length. r and D of QUAD neurons lie likewise, r and D of one neuron together. What
recurrent spikes bring, and D where they arrive, lie in a line of the steps ahead, all neurons of a
step side by side. Places are unsigned: for signed ones the compiler has to allow for counting from
the end.
"""

from typing import NamedTuple

import numpy as np

from mlgenn_delays.engines.shared.lanes import BLOCK, LANES, PAIR, lane, load, lowest, put, splat
from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.plan import INPUT, Plan

# Neurons whose adjoints lie side by side, as many as the first-level cache holds of 1000 steps.
QUAD = 4
STRIDE = np.uint64(LANES)  # from one step to the next, of arrivals and of adjoints
ZERO, ONE = np.float32(0.0), np.float32(1.0)
ZERO_PLACE = np.uint64(0)
P0, P1, P2, P3, P4, P5, P6, P7 = (np.uint64(k) for k in range(LANES))


class Source(NamedTuple):
    """Spikes of the presynaptic neurons in one example."""

    start: np.ndarray  # (n_pre+1,) uint64; neuron i spikes at ``time[start[i]:start[i+1]]``
    time: np.ndarray  # uint32 [steps]
    scale: np.ndarray  # (n_pre,) scale of each neuron's spikes


class Recurrent(NamedTuple):
    """Recurrent synapses in the order of `Plan.out_synapse`, renewed whenever they change."""

    # (Q', 3) of the recurrent projections: population, synapse group, and where their entries of
    # `Plan.out` begin
    projection: np.ndarray
    out: np.ndarray  # `Plan.out`
    weight: np.ndarray  # float32
    place: (
        np.ndarray
    )  # uint32 place of the arrival in `EventBuffers.line` of a group, from its step


class ProjectionRows(NamedTuple):
    """One projection in postsynaptic order.

    Several rows of a dense one are worked on at once: one loop exit is mispredicted for all.
    """

    row: np.ndarray  # (n_post+1,) uint64; the synapses onto neuron j are ``row[j]:row[j+1]``
    pre: np.ndarray  # (S,) uint32
    weight: np.ndarray  # (S,) float32
    offset: np.ndarray  # (S,) uint32, delay + 1 [steps]
    dense: bool  # whether every pair has a synapse


@kernel
def source_of(plan, q, start, time, scale, store, e):
    """Return the spikes that projection q carries in example e."""
    p = plan.source[q]
    own = scale[plan.first[p] : plan.first[p + 1]]
    if plan.kind[p] == INPUT:
        return Source(start[0 : plan.n[p] + 1], time, own)
    kept = store.start[e]
    return Source(
        kept[plan.spike_offset[p] : plan.spike_offset[p] + plan.n[p] + 1], store.time, own
    )


@kernel
def synapses_of(plan, q, weight, offset):
    """Return the synapses of projection q."""
    return ProjectionRows(plan.row[plan.row_first[q] :], plan.pre, weight, offset, plan.dense[q])


@kernel
def round_delays(delay, delay_of, highest, steps, low, high, offset):
    """Write 1 + the whole steps of each synapse's delay, at most the trial, to offset (S,)."""
    for s in range(low, high):
        d = delay_of[s]
        bound = min(highest[d], np.float32(steps))
        whole = np.floor(min(max(delay[d], np.float32(0.0)), bound) + np.float32(0.5))
        offset[s] = np.uint32(1 + np.int64(whole))


def make_recurrent(plan: Plan, weight: np.ndarray, offset: np.ndarray, width: int) -> Recurrent:
    """Return recurrent synapses of weights and offsets (S,), with lines of so many neurons."""
    order, own = plan.out_synapse, plan.recurrent_projection
    return Recurrent(
        np.stack([plan.target[own], plan.group[own], plan.out_first[own]], 1), plan.out,
        weight[order], offset[order] * np.uint32(width) + plan.out_post,
    )  # fmt: skip


@kernel
def scatter(source, synapses, low, high, rows):
    """Add the arrivals at targets low..high-1 to their rows (L / LANES, (T + max_shift) LANES)."""
    begin = low
    if synapses.dense:
        while begin + LANES <= high:
            scatter_abreast(source, synapses, begin, rows[(begin - low) // LANES])
            begin += LANES
    for j in range(begin, high):
        out, own = rows[(j - low) // LANES], np.uint64((j - low) % LANES)
        for s in range(synapses.row[j], synapses.row[j + 1]):
            i = synapses.pre[s]
            w, first = synapses.weight[s] * source.scale[i], synapses.offset[s] * STRIDE + own
            for k in range(source.start[i], source.start[i + 1]):
                out[source.time[k] * STRIDE + first] += w


@kernel
def scatter_abreast(source, synapses, j, out):
    """Add the arrivals at targets j..j+7 of a dense projection to their rows, all at once."""
    weight, offset, n = synapses.weight, synapses.offset, np.uint64(len(source.start) - 1)
    s0 = synapses.row[j]
    for i in range(n):
        first, last = source.start[i], source.start[i + np.uint64(1)]
        if first == last:
            continue
        s, scale = s0 + i, source.scale[i]
        w0, a0 = weight[s + n * P0] * scale, offset[s + n * P0] * STRIDE + P0
        w1, a1 = weight[s + n * P1] * scale, offset[s + n * P1] * STRIDE + P1
        w2, a2 = weight[s + n * P2] * scale, offset[s + n * P2] * STRIDE + P2
        w3, a3 = weight[s + n * P3] * scale, offset[s + n * P3] * STRIDE + P3
        w4, a4 = weight[s + n * P4] * scale, offset[s + n * P4] * STRIDE + P4
        w5, a5 = weight[s + n * P5] * scale, offset[s + n * P5] * STRIDE + P5
        w6, a6 = weight[s + n * P6] * scale, offset[s + n * P6] * STRIDE + P6
        w7, a7 = weight[s + n * P7] * scale, offset[s + n * P7] * STRIDE + P7
        for k in range(first, last):
            t = source.time[k] * STRIDE
            out[t + a0] += w0
            out[t + a1] += w1
            out[t + a2] += w2
            out[t + a3] += w3
            out[t + a4] += w4
            out[t + a5] += w5
            out[t + a6] += w6
            out[t + a7] += w7


@kernel
def collect(source, synapses, low, high, adjoint, fresh, grad_w, grad_d):
    """Sum r and D of targets low..high-1 at the arrivals, from `EventBuffers.adjoint` of a group.

    The sums replace what grad_w and grad_d (S,) hold if `fresh`, else are added.
    """
    if fresh and low < high:
        first, last = synapses.row[low], synapses.row[high]
        grad_w[first:last] = 0.0
        grad_d[first:last] = 0.0
    begin = low
    if synapses.dense:
        while begin + QUAD <= high:
            collect_abreast(source, synapses, begin, adjoint[(begin - low) // QUAD], grad_w, grad_d)
            begin += QUAD
    for j in range(begin, high):
        both, own = adjoint[(j - low) // QUAD], np.uint64((j - low) % QUAD * PAIR)
        for s in range(synapses.row[j], synapses.row[j + 1]):
            i = synapses.pre[s]
            first = synapses.offset[s] * STRIDE + own
            total = splat(PAIR, ZERO)
            for k in range(source.start[i], source.start[i + 1]):
                total = total + load(PAIR, both, source.time[k] * STRIDE + first)
            add_pair(total, source.scale[i], s, grad_w, grad_d)


@kernel
def add_pair(total, scale, s, grad_w, grad_d):
    """Add the sums of r and D of a synapse's arrivals."""
    grad_w[s] += lane(total, 0) * scale
    grad_d[s] += lane(total, 1) * scale


@kernel
def collect_abreast(source, synapses, j, both, grad_w, grad_d):
    """Add r and D of targets j..j+3 of a dense projection to the sums, all four at once."""
    s0, s1 = synapses.row[j], synapses.row[j + 1]
    s2, s3 = synapses.row[j + 2], synapses.row[j + 3]
    offset = synapses.offset
    for i in range(np.uint64(len(source.start) - 1)):
        first, last = source.start[i], source.start[i + np.uint64(1)]
        if first == last:
            continue
        first0 = offset[s0 + i] * STRIDE
        first1 = offset[s1 + i] * STRIDE + np.uint64(PAIR)
        first2 = offset[s2 + i] * STRIDE + np.uint64(2 * PAIR)
        first3 = offset[s3 + i] * STRIDE + np.uint64(3 * PAIR)
        total0 = total1 = total2 = total3 = splat(PAIR, ZERO)
        for k in range(first, last):
            t = source.time[k] * STRIDE
            total0 = total0 + load(PAIR, both, t + first0)
            total1 = total1 + load(PAIR, both, t + first1)
            total2 = total2 + load(PAIR, both, t + first2)
            total3 = total3 + load(PAIR, both, t + first3)
        scale = source.scale[i]
        add_pair(total0, scale, s0 + i, grad_w, grad_d)
        add_pair(total1, scale, s1 + i, grad_w, grad_d)
        add_pair(total2, scale, s2 + i, grad_w, grad_d)
        add_pair(total3, scale, s3 + i, grad_w, grad_d)


@kernel
def add_spike_time_gradients(source, synapses, low, high, adjoint, base, outgoing):
    """Add w D at each arrival at targets low..high-1 to its spike's G, ``outgoing[k - base]``."""
    for j in range(low, high):
        both, own = adjoint[(j - low) // QUAD], np.uint64((j - low) % QUAD * PAIR + 1)
        for s in range(synapses.row[j], synapses.row[j + 1]):
            i = synapses.pre[s]
            w, first = synapses.weight[s] * source.scale[i], synapses.offset[s] * STRIDE + own
            for k in range(source.start[i], source.start[i + 1]):
                outgoing[k - base] += w * both[source.time[k] * STRIDE + first]


@kernel
def line_place(line, g, t):
    """Return where the line of synapse group g begins for step t."""
    length = line.shape[1]
    return np.uint64((g * length + np.int64(t) % (length // 2)) * line.shape[2])


@kernel
def feed_back(p, recurrent, own_scale, fired, t, line):
    """Add the arrivals that the spikes of population p in step t cause within it."""
    out, weight, place = line.reshape(-1), recurrent.weight, recurrent.place
    for q in range(len(recurrent.projection)):
        if recurrent.projection[q, 0] == p:
            first = recurrent.projection[q, 2]
            now = line_place(line, recurrent.projection[q, 1], t)
            for block in range(-(-len(own_scale) // BLOCK)):
                bits = np.uint64(fired[block, t])
                while bits != 0:
                    i = np.int64(block * BLOCK) + np.int64(lowest(bits))
                    scale, bits = own_scale[i], bits & (bits - np.uint64(1))
                    for k in range(recurrent.out[first + i], recurrent.out[first + i + 1]):
                        out[place[k] + now] += weight[k] * scale


@kernel
def take_from_line(line, groups, t, rows):
    """Move what recurrent spikes bring in step t from the line to the rows."""
    length, again = np.uint64(rows.shape[2]), np.uint64(line.shape[1] // 2 * line.shape[2])
    zero = splat(LANES, ZERO)
    for g in range(groups):
        now, row = line_place(line, g, t), np.uint64(g * rows.shape[1]) * length
        for at in range(ZERO_PLACE, np.uint64(line.shape[2]), STRIDE):
            here, place = now + at, row + np.uint64(t) * STRIDE + at // STRIDE * length
            arrived = load(LANES, line, here) + load(LANES, line, here + again)
            put(rows, place, load(LANES, rows, place) + arrived)
            put(line, here, zero)
            put(line, here + again, zero)


@kernel
def add_recurrent_time_gradients(p, recurrent, own_scale, left, fired, t, line, base, outgoing):
    """Add G of the spikes of population p in step t over its own synapses, from D in the line.

    Neuron i's is spike ``left[i] - 1`` of the store. G is summed in four sums, for each one's
    additions wait for one another.
    """
    both, one, four = line.reshape(-1), np.uint64(1), np.uint64(4)
    weight, place = recurrent.weight, recurrent.place
    for q in range(len(recurrent.projection)):
        if recurrent.projection[q, 0] == p:
            first = recurrent.projection[q, 2]
            now = line_place(line, recurrent.projection[q, 1], t)
            for block in range(-(-len(own_scale) // BLOCK)):
                bits = np.uint64(fired[block, t])
                while bits != 0:
                    i = np.int64(block * BLOCK) + np.int64(lowest(bits))
                    k, last = recurrent.out[first + i], recurrent.out[first + i + 1]
                    sum0 = sum1 = sum2 = sum3 = ZERO
                    for _ in range((last - k) // four):
                        sum0 += weight[k] * both[place[k] + now]
                        sum1 += weight[k + one] * both[place[k + one] + now]
                        sum2 += weight[k + one + one] * both[place[k + one + one] + now]
                        sum3 += weight[k + four - one] * both[place[k + four - one] + now]
                        k += four
                    for s in range(k, last):
                        sum0 += weight[s] * both[place[s] + now]
                    total = (sum0 + sum1) + (sum2 + sum3)
                    outgoing[left[i] - one - base] += total * own_scale[i]
                    bits &= bits - one
