"""Candidate gradients: dL/dw of synapses that are not there, at many delays at once.

A synapse of weight 0 from i to j with delay d would have

    dL/dw = sum over examples and steps of x_i[t] R_j[t + d + 1]

where R is the adjoint at the arrivals. For each value x_i[t] the delays of a pair are one
contiguous stretch of R, so the cost is events x pairs x delays / 16. At one delay per pair, values
of 1 are gathered one by one instead, in the same order.
"""

import numpy as np

from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.traces import spike_ranges, spike_times
from mlgenn_delays.engines.shared.vector import shifted_axpy


@kernel
def impulses(event_driven, weight, events, when, sources, at, steps, place, value):
    """Write the steps in which a neuron sends something, and what; return their number."""
    if weight == 0.0:
        return 0
    n = 0
    if event_driven:
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
def correlate(plan, layout, q, first, starts, time, spike_scale, size, traces, low, high, table):
    """Add to table (n_post, n_pre, lanes) the sums of postsynaptic neurons low..high-1.

    ``first`` (n_post, n_pre) is each pair's first delay; lanes is a multiple of 16. Delays at
    which an arrival would be past the row's end give sums of no meaning.
    """
    source, target = plan.source[q], plan.target[q]
    adjoint, lanes = traces.adjoint[plan.group[q]], table.shape[2]
    flat = table.reshape(-1)
    place, value = np.empty(layout.steps, np.int64), np.empty(layout.steps, np.float32)
    for e in range(size):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        start = starts[e if len(starts) > 1 else 0]
        events, when = (
            spike_ranges(plan, layout, source, start, traces, e),
            spike_times(plan, source, time, traces),
        )
        first_row = (1 + e * layout.sources + layout.source_row[source]) * layout.length
        for i in range(table.shape[1]):
            n = impulses(
                layout.event_driven[source], neuron_scale[plan.first[source] + i], events[i], when,
                traces.sources, first_row + i * layout.length, layout.steps, place, value,
            )  # fmt: skip
            if n == 0:
                continue
            for j in range(low, high):
                base = (e * layout.neurons + layout.neuron_row[target] + j) * layout.length
                shifted_axpy(
                    flat, (j * table.shape[1] + i) * lanes, lanes, adjoint, base + first[j, i],
                    place, value, 0, n,
                )  # fmt: skip


@kernel
def gather(plan, layout, q, first, starts, time, size, traces, low, high, table):
    """Add to table (n_post, n_pre) the sums at one delay per pair, ``first`` (n_post, n_pre).

    The source sends spikes of value 1. The sums are those of `correlate`, bit for bit.
    """
    source, target = plan.source[q], plan.target[q]
    adjoint = traces.adjoint[plan.group[q]]
    for e in range(size):
        start = starts[e if len(starts) > 1 else 0]
        events, when = (
            spike_ranges(plan, layout, source, start, traces, e),
            spike_times(plan, source, time, traces),
        )
        for j in range(low, high):
            base = (e * layout.neurons + layout.neuron_row[target] + j) * layout.length + 1
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
