"""Synaptic work of EventProp: spikes into arrivals, adjoints at the arrivals into gradients.

For synapse s from i to j of weight w, delay d and spikes at t of neuron i, scaled by g_i:

    scatter                    A_j[t + d + 1] += w g_i
    collect                    dL/dw += g_i r_j[t + d + 1];   dL/dd / w += g_i D_j[t + d + 1]
    add_spike_time_gradients   G of the spike += w g_i D_j[t + d + 1]

The arrivals at `LANES` target neurons over the whole trial lie side by side, step by step, so that
all of this happens in the first-level cache: the cost is spikes x fan-out, whatever the delay range
or the trial's length. r and D of QUAD neurons lie likewise, r and D of one neuron together. Places
are unsigned: for signed ones the compiler has to allow for counting from the end.
"""

from typing import NamedTuple

import numpy as np

from mlgenn_delays.engines.shared.lanes import LANES, PAIR, lane, load, splat
from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.plan import INPUT

# Neurons whose adjoints lie side by side. As many rows of a dense projection are worked on at once:
# one loop exit is mispredicted for all.
QUAD = 4
STRIDE = np.uint64(LANES)  # from one step to the next, of arrivals and of adjoints
ZERO, ONE = np.float32(0.0), np.float32(1.0)
ZERO_PLACE = np.uint64(0)


class Source(NamedTuple):
    """Spikes of the presynaptic neurons in one example."""

    start: np.ndarray  # (n_pre+1,) uint64; neuron i spikes at ``time[start[i]:start[i+1]]``
    time: np.ndarray  # uint32 [steps]
    scale: np.ndarray  # (n_pre,) scale of each neuron's spikes


class ProjectionRows(NamedTuple):
    """One projection in postsynaptic order."""

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


def places(post, offset, length):
    """Return where spikes of step 0 arrive in the rows of a whole population, and their D."""
    arrival = (post // LANES * np.uint32(length) + offset) * np.uint32(LANES) + post % LANES
    both = (post // QUAD * np.uint32(length) + offset) * np.uint32(LANES) + post % QUAD * PAIR + 1
    return arrival.astype(np.uint32), both.astype(np.uint32)


@kernel
def scatter(source, synapses, low, high, rows):
    """Add the arrivals at targets low..high-1 to their rows (L / LANES, (T + max_shift) LANES)."""
    begin = low
    if synapses.dense:
        while begin + QUAD <= high:
            scatter_abreast(source, synapses, begin, begin - low, rows)
            begin += QUAD
    for j in range(begin, high):
        out, own = rows[(j - low) // LANES], np.uint64((j - low) % LANES)
        for s in range(synapses.row[j], synapses.row[j + 1]):
            i = synapses.pre[s]
            w, first = synapses.weight[s] * source.scale[i], synapses.offset[s] * STRIDE + own
            for k in range(source.start[i], source.start[i + 1]):
                out[source.time[k] * STRIDE + first] += w


@kernel
def scatter_abreast(source, synapses, j, at, rows):
    """Add the arrivals at targets j..j+3 of a dense projection, rows at.., all four at once."""
    out, own = rows[at // LANES], np.uint64(at % LANES)
    s0, s1 = synapses.row[j], synapses.row[j + 1]
    s2, s3 = synapses.row[j + 2], synapses.row[j + 3]
    weight, offset = synapses.weight, synapses.offset
    for i in range(np.uint64(len(source.start) - 1)):
        first, last = source.start[i], source.start[i + np.uint64(1)]
        if first == last:
            continue
        scale = source.scale[i]
        w0, w1 = weight[s0 + i] * scale, weight[s1 + i] * scale
        w2, w3 = weight[s2 + i] * scale, weight[s3 + i] * scale
        first0 = offset[s0 + i] * STRIDE + own
        first1 = offset[s1 + i] * STRIDE + own + np.uint64(1)
        first2 = offset[s2 + i] * STRIDE + own + np.uint64(2)
        first3 = offset[s3 + i] * STRIDE + own + np.uint64(3)
        for k in range(first, last):
            t = source.time[k] * STRIDE
            out[t + first0] += w0
            out[t + first1] += w1
            out[t + first2] += w2
            out[t + first3] += w3


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
def feed_back(plan, p, recurrent, neuron_scale, i, t, rows):
    """Add the arrivals that a spike of neuron i in step t causes within its own population."""
    for q in range(len(plan.target)):
        if plan.target[q] == p and plan.recurrent_projection[q]:
            first, now = plan.out_first[q] + i, np.uint64(t) * STRIDE
            out = rows[plan.group[q]].reshape(-1)
            for k in range(plan.out[first], plan.out[first + 1]):
                out[recurrent.arrival[k] + now] += recurrent.weight[k] * neuron_scale


@kernel
def recurrent_time_gradient(plan, p, recurrent, neuron_scale, i, t, adjoint):
    """Return G of a spike of neuron i in step t over the synapses of its own population.

    In four sums, for each one's additions wait for one another.
    """
    sum0 = sum1 = sum2 = sum3 = ZERO
    for q in range(len(plan.target)):
        if plan.target[q] == p and plan.recurrent_projection[q]:
            first, now = plan.out_first[q] + i, np.uint64(t) * STRIDE
            both, weight, place = (
                adjoint[plan.group[q]].reshape(-1),
                recurrent.weight,
                recurrent.adjoint,
            )
            k, last = plan.out[first], plan.out[first + 1]
            while k + np.uint64(4) <= last:
                sum0 += weight[k] * both[place[k] + now]
                sum1 += weight[k + np.uint64(1)] * both[place[k + np.uint64(1)] + now]
                sum2 += weight[k + np.uint64(2)] * both[place[k + np.uint64(2)] + now]
                sum3 += weight[k + np.uint64(3)] * both[place[k + np.uint64(3)] + now]
                k += np.uint64(4)
            while k < last:
                sum0 += weight[k] * both[place[k] + now]
                k += np.uint64(1)
    return ((sum0 + sum1) + (sum2 + sum3)) * neuron_scale
