"""Spikes of a population in `SurrogateBPTT`: noted, shown to targets, fed back."""

import numpy as np

from mlgenn_delays.engines.cpu.strips import strip_place
from mlgenn_delays.engines.shared.lanes import STRIP
from mlgenn_delays.engines.shared.numerics import kernel

# Distance from the threshold in a refractory step: no surrogate derivative is left there.
RESTING = np.float32(-1e30)


@kernel
def list_spikes(fires, steps, lanes, time):
    """Write the steps in which neurons of a strip spike to rows of `time` (lanes, T)."""
    count = np.zeros(STRIP, np.int64)
    for t in range(steps):
        if fires[t]:
            for k in range(lanes):
                if fires[t] >> np.uint16(k) & np.uint16(1):
                    time[k, count[k]] = t
                    count[k] += 1


@kernel
def note_spikes(plan, layout, p, strict, distance, traces, low, high):
    """List the spikes of population p in examples low..high-1, from distances; see `Traces`."""
    for e in range(low, high):
        for j in range(plan.n[p]):
            time, at, count = traces.time[e, layout.neuron_row[p] + j], j % STRIP, 0
            at += strip_place(layout, p, e, j)
            for t in range(layout.steps):
                u = distance[at + t * STRIP]
                if u > 0.0 or (u == 0.0 and not strict):
                    time[count] = t
                    count += 1


@kernel
def show_spikes(plan, layout, p, neuron_scale, traces, e):
    """Write the listed spikes of population p as rows of values, if its targets read those."""
    if layout.event_driven[p]:
        return
    for j in range(plan.n[p]):
        row = layout.neuron_row[p] + j
        at = (1 + e * layout.sources + layout.source_row[p] + j) * layout.length
        traces.sources[at : at + layout.steps] = 0.0
        weight = neuron_scale[plan.first[p] + j]
        for k in range(traces.counts[e, row]):
            traces.sources[at + np.int64(traces.time[e, row, k])] = weight


@kernel
def feed_back(plan, p, i, t, size, first_step, coef, neuron_scale, rows):
    """Add what a spike of neuron i in step t brings to its own population, rows (G, n, length)."""
    for q in range(len(plan.target)):
        if plan.target[q] != p or not plan.recurrent_projection[q]:
            continue
        first = plan.out_first[q] + i
        out = rows[plan.group[q]]
        for k in range(plan.out[first], plan.out[first + 1]):
            s, j = plan.out_synapse[k], plan.out_post[k]
            at = t + first_step[s] + 1
            for m in range(min(size, out.shape[1] - at)):
                out[j, at + m] += coef[s * np.uint64(size) + np.uint64(m)] * neuron_scale
