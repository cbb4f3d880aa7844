"""Candidate gradients: dL/dw of synapses that are not there, at many delays at once.

A synapse of weight 0 from i to j with delay d would have

    dL/dw = sum over examples and steps of x_i[t] R_j[t + d + 1]

where R is the adjoint at the arrivals. For each value x_i[t] the delays of a pair are one
contiguous stretch of R, so the cost is events x pairs x delays / 16. At one delay a pair, values
of 1 are gathered one by one instead, in the same order.
"""

import numpy as np

from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.traces import places, spikes
from mlgenn_delays.engines.shared.vector import weave


@kernel
def impulses(by_events, weight, events, when, sources, at, steps, place, value):
    """Write the steps in which a neuron sends something, and what; return their number."""
    if weight == 0.0:
        return 0
    n = 0
    if by_events:
        for k in range(events[0], events[1]):
            place[n] = np.int64(when[k]) + 1
            value[n] = weight
            n += 1
        return n
    for t in range(steps):
        x = sources[at + t]
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
        events, when = (
            places(plan, frame, source, start, series, e),
            spikes(plan, source, time, series),
        )
        first_row = (1 + e * frame.sources + frame.source_row[source]) * frame.length
        for i in range(table.shape[1]):
            n = impulses(
                frame.by_events[source], gain[plan.first[source] + i], events[i], when,
                series.sources, first_row + i * frame.length, frame.steps, place, value,
            )  # fmt: skip
            if n == 0:
                continue
            for j in range(low, high):
                base = (e * frame.neurons + frame.neuron_row[target] + j) * frame.length
                weave(
                    flat, (j * table.shape[1] + i) * lanes, lanes, adjoint, base + first[j, i],
                    place, value, 0, n,
                )  # fmt: skip


@kernel
def gather(plan, frame, q, first, starts, time, size, series, low, high, table):
    """Add to table (n_post, n_pre) the sums at one delay a pair, ``first`` (n_post, n_pre).

    The source sends spikes of value 1. The sums are those of `correlate`, bit for bit.
    """
    source, target = plan.source[q], plan.target[q]
    adjoint = series.adjoint[plan.group[q]]
    for e in range(size):
        start = starts[e if len(starts) > 1 else 0]
        events, when = (
            places(plan, frame, source, start, series, e),
            spikes(plan, source, time, series),
        )
        for j in range(low, high):
            base = (e * frame.neurons + frame.neuron_row[target] + j) * frame.length + 1
            for i in range(table.shape[1]):
                at = base + first[j, i]
                k, end = np.int64(events[i, 0]), np.int64(events[i, 1])
                one, two, three, four = table[j, i], np.float32(0), np.float32(0), np.float32(0)
                while k + 4 <= end:
                    one += adjoint[at + np.int64(when[k])]
                    two += adjoint[at + np.int64(when[k + 1])]
                    three += adjoint[at + np.int64(when[k + 2])]
                    four += adjoint[at + np.int64(when[k + 3])]
                    k += 4
                while k < end:
                    one += adjoint[at + np.int64(when[k])]
                    k += 1
                table[j, i] = one + two + three + four
