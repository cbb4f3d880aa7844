"""Synaptic currents of whole trials: arrivals over feed-forward projections, through the synapse.

Sources that are rows of values (input currents; spikes where every step matters) are woven
together along time; sources that are walked by events add each spike's taps.
"""

import numpy as np

from mlgenn_delays.engines.cpu.flags import NOTHING, kernel
from mlgenn_delays.engines.cpu.plan import INPUT
from mlgenn_delays.engines.cpu.vector import dots, weave


@kernel
def events_of(plan, frame, p, start, time, series, e, i):
    """Return the spikes of neuron i of population p in example e: first and last place, array."""
    if plan.kind[p] == INPUT:
        return np.int64(start[i]), np.int64(start[i + 1]), time
    row = frame.neuron_row[p] + i
    return 0, series.counts[e, row], series.time[e, row]


@kernel
def add_events(plan, frame, q, first, last, size, coef, steps, start, time, gain, series, e, out):
    """Add to a row (length,) what the spikes of a projection's source bring over synapses."""
    p = plan.source[q]
    own = gain[plan.first[p] : plan.first[p + 1]]
    for s in range(first, last):
        i = np.int64(plan.pre[s])
        low, high, when = events_of(plan, frame, p, start, time, series, e, i)
        if own[i] == 0.0:
            continue
        for k in range(low, high):
            at = np.int64(when[k]) + steps[s] + 1
            if at + size <= len(out):
                for m in range(size):
                    out[at + m] += coef[s * size + m] * own[i]
            else:
                for m in range(len(out) - at):
                    out[at + m] += coef[s * size + m] * own[i]


@kernel
def arrive(plan, frame, p, g, j, size, steps, coef, address, start, time, gain, series, e, out, at):
    """Add to `out`, from place `at` on, all that arrives at neuron j of p in synapse group g.

    Of feed-forward projections only. `out` from `at` on has `frame.length` places.
    """
    base = (1 + e * frame.sources) * frame.length
    for q in range(len(plan.target)):
        if plan.target[q] != p or plan.group[q] != g or plan.feeds_back[q]:
            continue
        first = np.int64(plan.row[plan.row_first[q] + j])
        last = np.int64(plan.row[plan.row_first[q] + j + 1])
        if frame.by_events[plan.source[q]]:
            row = out[at : at + frame.length]
            add_events(
                plan, frame, q, first, last, size, coef, steps, start, time, gain, series, e, row
            )
        else:
            weave(
                out, at, frame.span, series.sources, base, address, coef, first * size, last * size
            )


@kernel
def pass_filter(decay, scale, row, steps, current):
    """Add the current of an `Exponential` synapse, from its arrivals (T,), to a current (T,)."""
    x = np.float32(0.0)
    for t in range(steps):
        x = decay * x + row[t]
        if abs(x) <= NOTHING:
            x = np.float32(0.0)
        current[t] += scale * x


@kernel
def run_currents(
    plan, frame, p, size, first_step, coef, address, starts, time, gains, series, low, high, scratch
):  # fmt: skip
    """Write the synaptic currents of population p in examples low..high-1."""
    for e in range(low, high):
        gain = gains[e if len(gains) > 1 else 0]
        start = starts[e if len(starts) > 1 else 0]
        for j in range(plan.n[p]):
            at = (e * frame.neurons + frame.neuron_row[p] + j) * frame.length
            series.current[at : at + frame.length] = 0.0
            for g in range(plan.groups[p]):
                if plan.decay[p, g] == 0.0 and plan.scale[p, g] == 1.0:
                    arrive(
                        plan, frame, p, g, j, size, first_step, coef, address, start, time, gain,
                        series, e, series.current, at,
                    )  # fmt: skip
                    continue
                scratch.row[:] = 0.0
                arrive(
                    plan, frame, p, g, j, size, first_step, coef, address, start, time, gain,
                    series, e, scratch.row, 0,
                )  # fmt: skip
                current = series.current[at : at + frame.steps]
                pass_filter(plan.decay[p, g], plan.scale[p, g], scratch.row, frame.steps, current)


@kernel
def collect(plan, frame, p, size, first_step, address, start, time, gain, series, e, sums):
    """Add the correlations of population p's adjoint with what arrived to sums (S W,).

    Recurrent projections as well.
    """
    base = (1 + e * frame.sources) * frame.length
    for q in range(len(plan.target)):
        if plan.target[q] != p:
            continue
        adjoint = series.adjoint[plan.group[q]]
        events = frame.by_events[plan.source[q]]
        for j in range(plan.n[p]):
            at = (e * frame.neurons + frame.neuron_row[p] + j) * frame.length
            first = np.int64(plan.row[plan.row_first[q] + j])
            last = np.int64(plan.row[plan.row_first[q] + j + 1])
            if events:
                row = adjoint[at : at + frame.length]
                collect_events(
                    plan, frame, q, first, last, size, first_step, start, time, gain, series, e,
                    row, sums,
                )  # fmt: skip
            else:
                dots(
                    sums, adjoint, at, frame.span, series.sources, base, address,
                    first * size, last * size,
                )  # fmt: skip


@kernel
def collect_events(
    plan, frame, q, first, last, size, first_step, start, time, gain, series, e, row, sums
):  # fmt: skip
    """Add the adjoint (length,) at the arrivals over synapses first..last-1 to sums (S W,)."""
    p = plan.source[q]
    own = gain[plan.first[p] : plan.first[p + 1]]
    for s in range(first, last):
        i = np.int64(plan.pre[s])
        low, high, when = events_of(plan, frame, p, start, time, series, e, i)
        if own[i] == 0.0:
            continue
        for k in range(low, high):
            at = np.int64(when[k]) + first_step[s] + 1
            for m in range(min(size, len(row) - at)):
                sums[s * size + m] += row[at + m] * own[i]
