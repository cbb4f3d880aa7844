"""Candidate gradients: dL/dw of synapses that are not there, at many delays at once.

A synapse of weight 0 from i to j with delay d would have

    dL/dw = sum over examples and steps of x_i[t] R_j[t + d + 1]

where R is the adjoint at the arrivals. For each value x_i[t] the delays of a pair are one
contiguous stretch of R, so the cost is events x pairs x delays / 16.
"""

import numpy as np

from mlgenn_delays.engines.cpu.currents import events_of
from mlgenn_delays.engines.cpu.flags import kernel
from mlgenn_delays.engines.cpu.vector import weave


@kernel
def impulses(plan, frame, p, start, time, gain, series, e, i, place, value):
    """Write the steps at which neuron i of p sends something, and what; return their number."""
    weight = gain[plan.first[p] + i]
    if weight == 0.0:
        return 0
    n = 0
    if frame.by_events[p]:
        low, high, when = events_of(plan, frame, p, start, time, series, e, i)
        for k in range(low, high):
            place[n] = np.int64(when[k]) + 1
            value[n] = weight
            n += 1
        return n
    at = (1 + e * frame.sources + frame.source_row[p] + i) * frame.length
    for t in range(frame.steps):
        x = series.sources[at + t]
        if x != 0.0:
            place[n] = t + 1
            value[n] = x
            n += 1
    return n


@kernel
def correlate(plan, frame, q, first, starts, time, gains, size, series, low, high, table):
    """Add to table (n_post, n_pre, lanes) the sums of postsynaptic neurons low..high-1.

    ``first`` (n_post, n_pre) is each pair's first delay; lanes is a multiple of 16. Delays at
    which an arrival would be past the row's end give sums of no meaning.
    """
    source, target = plan.source[q], plan.target[q]
    adjoint, lanes = series.adjoint[plan.group[q]], table.shape[2]
    flat = table.reshape(-1)
    place, value = np.empty(frame.steps, np.int64), np.empty(frame.steps, np.float32)
    for e in range(size):
        gain = gains[e if len(gains) > 1 else 0]
        start = starts[e if len(starts) > 1 else 0]
        for i in range(table.shape[1]):
            n = impulses(plan, frame, source, start, time, gain, series, e, i, place, value)
            if n == 0:
                continue
            for j in range(low, high):
                base = (e * frame.neurons + frame.neuron_row[target] + j) * frame.length
                weave(
                    flat, (j * table.shape[1] + i) * lanes, lanes, adjoint, base + first[j, i],
                    place, value, 0, n,
                )  # fmt: skip
