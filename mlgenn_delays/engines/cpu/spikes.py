"""Spikes of a population in `SurrogateBPTT`: noted, fed back."""

import numpy as np

from mlgenn_delays.engines.shared.lanes import STRIP
from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.traces import fires_of

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
def note_spikes(plan, layout, p, traces, low, high):
    """List the spikes of population p in examples low..high-1; see `Traces`."""
    row = layout.neuron_row[p]
    for e in range(low, high):
        for j in range(0, plan.n[p], STRIP):
            fires, lanes = fires_of(layout, p, e, j, traces), min(STRIP, plan.n[p] - j)
            list_spikes(fires, layout.steps, lanes, traces.time[e, row + j :])


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
