"""Synaptic work of EventProp: spikes into arrivals, adjoints at the arrivals into gradients.

For synapse s from i to j of weight w, delay d and spikes at t of neuron i, scaled by g_i:

    scatter                    A_j[t + d + 1] += w g_i
    collect                    dL/dw += g_i r_j[t + d + 1];   dL/dd / w += g_i D_j[t + d + 1]
    add_spike_time_gradients   G of the spike += w g_i D_j[t + d + 1]

One target neuron's arrivals over the whole trial are one row, so that all of this happens in the
first-level cache: the cost is spikes x fan-out, whatever the delay range or the trial's length.
Indices are unsigned: for signed ones the compiler has to allow for counting from the end.
"""

from typing import NamedTuple

import numpy as np

from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.plan import INPUT

ABREAST = 4  # rows of a dense projection worked on at once: one loop exit is mispredicted for all


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


@kernel
def scatter(source, synapses, low, high, rows):
    """Add the arrivals at targets low..high-1 to their rows (L, T + max_shift)."""
    begin = low
    if synapses.dense:
        while begin + ABREAST <= high:
            scatter_abreast(source, synapses, begin, rows[begin - low :])
            begin += ABREAST
    for j in range(begin, high):
        out = rows[j - low]
        for s in range(synapses.row[j], synapses.row[j + 1]):
            i = synapses.pre[s]
            first, last = source.start[i], source.start[i + 1]
            w, shift = synapses.weight[s] * source.scale[i], synapses.offset[s]
            for k in range(first, last):
                out[np.uint64(source.time[k] + shift)] += w


@kernel
def scatter_abreast(source, synapses, j, rows):
    """Add the arrivals at targets j..j+3 of a dense projection to their rows, all four at once."""
    row0, row1, row2, row3 = rows[0], rows[1], rows[2], rows[3]
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
        shift0, shift1 = offset[s0 + i], offset[s1 + i]
        shift2, shift3 = offset[s2 + i], offset[s3 + i]
        for k in range(first, last):
            t = source.time[k]
            row0[np.uint64(t + shift0)] += w0
            row1[np.uint64(t + shift1)] += w1
            row2[np.uint64(t + shift2)] += w2
            row3[np.uint64(t + shift3)] += w3


@kernel
def collect(source, synapses, low, high, adjoint, fresh, grad_w, grad_d):
    """Sum r and D of targets low..high-1 at the arrivals, from `adjoint` (L, T + max_shift, 2).

    The sums replace what grad_w and grad_d (S,) hold if `fresh`, else are added.
    """
    if fresh and low < high:
        first, last = synapses.row[low], synapses.row[high]
        grad_w[first:last] = 0.0
        grad_d[first:last] = 0.0
    begin = low
    if synapses.dense:
        while begin + ABREAST <= high:
            collect_abreast(source, synapses, begin, adjoint[begin - low :], grad_w, grad_d)
            begin += ABREAST
    for j in range(begin, high):
        both = adjoint[j - low]
        for s in range(synapses.row[j], synapses.row[j + 1]):
            i = synapses.pre[s]
            shift = synapses.offset[s]
            r, d = np.float32(0.0), np.float32(0.0)
            for k in range(source.start[i], source.start[i + 1]):
                at = np.uint64(source.time[k] + shift)
                r += both[at, 0]
                d += both[at, 1]
            grad_w[s] += r * source.scale[i]
            grad_d[s] += d * source.scale[i]


@kernel
def collect_abreast(source, synapses, j, adjoint, grad_w, grad_d):
    """Add r and D of targets j..j+3 of a dense projection to the sums, all four at once."""
    row0, row1, row2, row3 = adjoint[0], adjoint[1], adjoint[2], adjoint[3]
    s0, s1 = synapses.row[j], synapses.row[j + 1]
    s2, s3 = synapses.row[j + 2], synapses.row[j + 3]
    offset = synapses.offset
    for i in range(np.uint64(len(source.start) - 1)):
        first, last = source.start[i], source.start[i + np.uint64(1)]
        if first == last:
            continue
        shift0, shift1 = offset[s0 + i], offset[s1 + i]
        shift2, shift3 = offset[s2 + i], offset[s3 + i]
        r0 = r1 = r2 = r3 = d0 = d1 = d2 = d3 = np.float32(0.0)
        for k in range(first, last):
            t = source.time[k]
            at0, at1 = np.uint64(t + shift0), np.uint64(t + shift1)
            at2, at3 = np.uint64(t + shift2), np.uint64(t + shift3)
            r0 += row0[at0, 0]
            d0 += row0[at0, 1]
            r1 += row1[at1, 0]
            d1 += row1[at1, 1]
            r2 += row2[at2, 0]
            d2 += row2[at2, 1]
            r3 += row3[at3, 0]
            d3 += row3[at3, 1]
        scale = source.scale[i]
        grad_w[s0 + i] += r0 * scale
        grad_d[s0 + i] += d0 * scale
        grad_w[s1 + i] += r1 * scale
        grad_d[s1 + i] += d1 * scale
        grad_w[s2 + i] += r2 * scale
        grad_d[s2 + i] += d2 * scale
        grad_w[s3 + i] += r3 * scale
        grad_d[s3 + i] += d3 * scale


@kernel
def add_spike_time_gradients(source, synapses, low, high, adjoint, base, outgoing):
    """Add w D at each arrival at targets low..high-1 to its spike's G, ``outgoing[k - base]``."""
    for j in range(low, high):
        both = adjoint[j - low]
        for s in range(synapses.row[j], synapses.row[j + 1]):
            i = synapses.pre[s]
            w, shift = synapses.weight[s] * source.scale[i], synapses.offset[s]
            for k in range(source.start[i], source.start[i + 1]):
                outgoing[k - base] += w * both[np.uint64(source.time[k] + shift), 1]


@kernel
def feed_back(plan, p, recurrent, neuron_scale, i, t, rows):
    """Add the arrivals that a spike of neuron i in step t causes within its own population."""
    for q in range(len(plan.target)):
        if plan.target[q] == p and plan.recurrent_projection[q]:
            first = plan.out_first[q] + i
            out = rows[plan.group[q]]
            for k in range(plan.out[first], plan.out[first + 1]):
                at = np.uint64(np.uint32(t) + recurrent.offset[k])
                out[plan.out_post[k], at] += recurrent.weight[k] * neuron_scale


@kernel
def recurrent_time_gradient(plan, p, recurrent, neuron_scale, i, t, adjoint):
    """Return G of a spike of neuron i in step t over the synapses of its own population."""
    total = np.float32(0.0)
    for q in range(len(plan.target)):
        if plan.target[q] == p and plan.recurrent_projection[q]:
            first = plan.out_first[q] + i
            both = adjoint[plan.group[q]]
            for k in range(plan.out[first], plan.out[first + 1]):
                at = np.uint64(np.uint32(t) + recurrent.offset[k])
                total += recurrent.weight[k] * both[plan.out_post[k], at, 1]
    return total * neuron_scale
