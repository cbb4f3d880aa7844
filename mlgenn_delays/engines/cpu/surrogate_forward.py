"""Neurons through whole trials, from their synaptic currents, for `SurrogateBPTT`.

The current of a step is factor I + shift (shift holds the bias; both hold the normalisation, if
any). The distance u from the threshold stays in `Traces.distance`, for the surrogate derivative;
refractory steps are marked `RESTING`. Rows run along time.

`neuron_code` makes a module of this one per neuron model, the blanks filled in.
"""

import numpy as np

from mlgenn_delays.engines.cpu.spikes import (
    LANES,
    RESTING,  # noqa: F401  filled-in code needs it
    feed_back,
    note_spikes,
    show_spikes,
)
from mlgenn_delays.engines.shared.numerics import SUBNORMAL, kernel
from mlgenn_delays.engines.shared.plan import READOUT

# Of the neuron

# Number of its states, whether it spikes above its threshold only, whether its states are kept.
STATES, STRICT, KEEPS = 1, False, False


@kernel
def run_rows(
    constants, first, hold, steps, length, out_length, factor, shift, current, distance, kept
):
    """Run `LANES` neighbouring neurons, whose constants begin at `first`, through the trial.

    Rows of `current` and `kept` have `length` values, those of `distance` `out_length`.
    """


@kernel
def run_few(
    lanes, constants, first, hold, steps, length, out_length, factor, shift, current, distance, kept
):
    """The same for fewer of them."""


@kernel
def run_step(constants, first, hold, current, states, resting, k):
    """Move neuron k on; return its distance from the threshold, and whether it spikes."""
    return current, False


# For any neuron


@kernel
def run_through(plan, layout, p, factor, shift, e, current, out, out_at, out_length, kept):
    """Run all neurons of population p, without recurrent synapses, in example e."""
    n, length, steps, hold = plan.n[p], layout.length, layout.steps, plan.refractory[p]
    first, f, h = plan.first[p], factor[plan.first[p] :], shift[plan.first[p] :]
    at = (e * layout.neurons + layout.neuron_row[p]) * length
    for low in range(0, n, LANES):
        many = min(LANES, n - low)
        here, there = at + low * length, out_at + low * out_length
        own = current[here : here + many * length]
        result = out[there : there + many * out_length]
        rows = kept[:, here : here + many * length]
        if many == LANES:
            run_rows(
                plan.constant, first + low, hold, steps, length, out_length, f[low:], h[low:], own,
                result, rows,
            )  # fmt: skip
        else:
            run_few(
                many, plan.constant, first + low, hold, steps, length, out_length, f[low:], h[low:],
                own, result, rows,
            )  # fmt: skip


@kernel
def run_spiking(plan, layout, p, factor, shift, traces, e):
    """Run population p, without recurrent synapses, in example e."""
    n, length, row = plan.n[p], layout.length, layout.neuron_row[p]
    at = (e * layout.neurons + row) * length
    run_through(
        plan, layout, p, factor, shift, e, traces.current, traces.distance, at, length, traces.kept
    )
    for j in range(n):
        time = traces.time[e, row + j]
        traces.counts[e, row + j] = note_spikes(
            STRICT, at + j * length, layout.steps, traces.distance, time
        )


@kernel
def run_recurrent(
    plan, layout, p, factor, shift, size, first_step, coef, neuron_scale, traces, e, rows
):
    """Run a population that projects to itself through example e, step by step."""
    n, first = plan.n[p], plan.first[p]
    rows[: plan.groups[p], :n] = 0.0
    states, resting = np.zeros((STATES, n), np.float32), np.zeros(n, np.int64)
    inner = np.zeros((plan.groups[p], n), np.float32)
    base = e * layout.neurons + layout.neuron_row[p]
    traces.counts[e, layout.neuron_row[p] : layout.neuron_row[p] + n] = 0
    for t in range(layout.steps):
        for k in range(n):
            at = (base + k) * layout.length + t
            total = factor[first + k] * traces.current[at] + shift[first + k]
            for g in range(plan.groups[p]):
                x = plan.decay[g, first + k] * inner[g, k] + rows[g, k, t]
                inner[g, k] = np.float32(0.0) if abs(x) <= SUBNORMAL else x
                total += plan.scale[g, first + k] * inner[g, k]
            u, fired = run_step(plan.constant, first, plan.refractory[p], total, states, resting, k)
            traces.distance[at] = u
            if KEEPS:
                traces.current[at] = total - shift[first + k]
                for m in range(STATES):
                    traces.kept[m, at] = states[m, k]
            if fired:
                row = layout.neuron_row[p] + k
                traces.time[e, row, traces.counts[e, row]] = t
                traces.counts[e, row] += 1
                feed_back(plan, p, k, t, size, first_step, coef, neuron_scale[first + k], rows)


@kernel
def run_readout(plan, layout, p, factor, shift, traces, e):
    """Run the output population in example e: its V."""
    flat, size = traces.voltage_out.reshape(-1), plan.n[p] * layout.steps
    run_through(
        plan, layout, p, factor, shift, e, traces.current, flat, e * size, layout.steps, traces.kept
    )


@kernel
def run_neurons(
    plan, layout, p, factor, shift, size, first_step, coef, spike_scale, traces, low, high, buffers
):  # fmt: skip
    """Run population p in examples low..high-1 from its synaptic currents."""
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        if plan.kind[p] == READOUT:
            run_readout(plan, layout, p, factor, shift, traces, e)
            continue
        if plan.recurrent_population[p]:
            run_recurrent(
                plan, layout, p, factor, shift, size, first_step, coef, neuron_scale, traces, e,
                buffers.rows,
            )  # fmt: skip
        else:
            run_spiking(plan, layout, p, factor, shift, traces, e)
        show_spikes(plan, layout, p, neuron_scale, traces, e)
