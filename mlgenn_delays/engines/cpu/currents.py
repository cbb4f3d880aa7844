"""Synaptic currents of whole trials: arrivals over feed-forward projections, through the synapse.

Sources that are rows of values (input currents; spikes where every step matters) are woven
together along time; sources that are walked by events add each spike's taps.
"""

import numpy as np

from mlgenn_delays.engines.shared.numerics import NOTHING, kernel
from mlgenn_delays.engines.shared.traces import places, spikes
from mlgenn_delays.engines.shared.vector import dots, weave


@kernel
def add_events(first, last, pre, size, coef, steps, when, events, own, out):
    """Add to a row (length,) what spikes bring over synapses first..last-1.

    Spikes of presynaptic neuron i are ``when[events[i, 0]:events[i, 1]]``, or those of row i of
    ``when``, and weigh ``own[i]``.
    """
    for s in range(first, last):
        i = np.int64(pre[s])
        weight = own[i]
        if weight == 0.0:
            continue
        for k in range(events[i, 0], events[i, 1]):
            at = np.int64(when[k]) + steps[s] + 1
            for m in range(min(size, len(out) - at)):
                out[at + m] += coef[s * size + m] * weight


@kernel
def arrive(plan, frame, q, size, steps, coef, address, start, time, gain, series, e, out, at):
    """Add all that arrives over projection q to rows of `out`, which begin at place `at`."""
    n, p = plan.n[plan.target[q]], plan.source[q]
    rows, length = plan.row[plan.row_first[q] : plan.row_first[q] + n + 1], frame.length
    if frame.by_events[p]:
        events, when = places(plan, frame, p, start, series, e), spikes(plan, p, time, series)
        own, pre = gain[plan.first[p] : plan.first[p + 1]], plan.pre
        for j in range(n):
            row = out[at + j * length : at + (j + 1) * length]
            first, last = np.int64(rows[j]), np.int64(rows[j + 1])
            add_events(first, last, pre, size, coef, steps, when, events, own, row)
        return
    base, sources, span = (1 + e * frame.sources) * length, series.sources, frame.span
    for j in range(n):
        first, last = np.int64(rows[j]) * size, np.int64(rows[j + 1]) * size
        weave(out, at + j * length, span, sources, base, address, coef, first, last)


@kernel
def pass_filter(decay, scale, rows, at, n, length, steps, current, to):
    """Add the currents of `Exponential` synapses to those of n neurons, from their arrivals."""
    for j in range(n):
        x = np.float32(0.0)
        for t in range(j * length, j * length + steps):
            x = decay * x + rows[at + t]
            if abs(x) <= NOTHING:
                x = np.float32(0.0)
            current[to + t] += scale * x


@kernel
def run_currents(
    plan, frame, p, size, first_step, coef, address, starts, time, gains, series, low, high, scratch
):  # fmt: skip
    """Write the synaptic currents of population p in examples low..high-1; 0 behind the trial."""
    n, length = plan.n[p], frame.length
    for e in range(low, high):
        gain = gains[e if len(gains) > 1 else 0]
        start = starts[e if len(starts) > 1 else 0]
        at = (e * frame.neurons + frame.neuron_row[p]) * length
        series.current[at : at + n * length] = 0.0
        for g in range(plan.groups[p]):
            direct = plan.decay[p, g] == 0.0
            out = series.current if direct else scratch.arrivals
            to = at if direct else 0
            if not direct:
                out[: n * length] = 0.0
            for q in range(len(plan.target)):
                if plan.target[q] == p and plan.group[q] == g and not plan.feeds_back[q]:
                    arrive(
                        plan, frame, q, size, first_step, coef, address, start, time, gain, series,
                        e, out, to,
                    )  # fmt: skip
            if not direct:
                pass_filter(
                    plan.decay[p, g], plan.scale[p, g], out, 0, n, length, frame.steps,
                    series.current, at,
                )  # fmt: skip
        for j in range(n):
            series.current[at + j * length + frame.steps : at + (j + 1) * length] = 0.0


@kernel
def collect(plan, frame, p, size, first_step, address, start, time, gain, series, e, sums):
    """Add the correlations of population p's adjoint with what arrived to sums (S W,).

    Recurrent projections as well.
    """
    n, length, span = plan.n[p], frame.length, frame.span
    base, sources = (1 + e * frame.sources) * length, series.sources
    at = (e * frame.neurons + frame.neuron_row[p]) * length
    for q in range(len(plan.target)):
        if plan.target[q] != p:
            continue
        adjoint, source = series.adjoint[plan.group[q]], plan.source[q]
        rows = plan.row[plan.row_first[q] : plan.row_first[q] + n + 1]
        if not frame.by_events[source]:
            for j in range(n):
                first, last = np.int64(rows[j]) * size, np.int64(rows[j + 1]) * size
                dots(sums, adjoint, at + j * length, span, sources, base, address, first, last)
            continue
        events = places(plan, frame, source, start, series, e)
        when, pre = spikes(plan, source, time, series), plan.pre
        own = gain[plan.first[source] : plan.first[source + 1]]
        for j in range(n):
            row = adjoint[at + j * length : at + (j + 1) * length]
            first, last = np.int64(rows[j]), np.int64(rows[j + 1])
            collect_events(first, last, pre, size, first_step, when, events, own, row, sums)


@kernel
def collect_events(first, last, pre, size, steps, when, events, own, row, sums):
    """Add the adjoint (length,) at the arrivals over synapses first..last-1 to sums (S W,)."""
    for s in range(first, last):
        i = np.int64(pre[s])
        weight = own[i]
        if weight == 0.0:
            continue
        for k in range(events[i, 0], events[i, 1]):
            at = np.int64(when[k]) + steps[s] + 1
            for m in range(min(size, len(row) - at)):
                sums[s * size + m] += row[at + m] * weight
