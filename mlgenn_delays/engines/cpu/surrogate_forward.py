"""Neurons through whole trials, from their synaptic currents, for `SurrogateBPTT`.

The current of a step is factor I + shift (shift holds the bias; both hold the normalisation, if
any). The distance u from the threshold stays in `Strips.distance`, for the surrogate derivative;
refractory steps are marked `RESTING`. Neurons go strip by strip.

`neuron_code` makes a module of this one per neuron model, the blanks filled in.
"""

import numpy as np

from mlgenn_delays.engines.cpu.spikes import (
    RESTING,  # noqa: F401  filled-in code needs it
    feed_back,
    list_spikes,
)
from mlgenn_delays.engines.cpu.strips import AHEAD, padded, padded_row  # noqa: F401
from mlgenn_delays.engines.shared.lanes import (  # noqa: F401  filled-in code needs them
    STRIP,
    above,
    at_least,
    cos,
    exp,
    fetch,
    load,
    log,
    magnitude,
    power,
    put,
    sin,
    splat,
    sqrt,
    tanh,
    where,
)
from mlgenn_delays.engines.shared.numerics import SUBNORMAL, kernel
from mlgenn_delays.engines.shared.traces import fires_of, strip_place

# Of the neuron

STATES, KEEPS = 1, False  # number of its states, whether they are kept
SPIKING, RECURRENT = True, False  # whether it spikes, whether its population projects to itself


@kernel
def run_strip(
    constants, first, hold, steps, factor, shift, current, at, out, to, kept, fires, counts
):  # fmt: skip
    """Run the neurons of a strip, which begin at `first`, through the trial.

    Their currents and kept states begin at `at`. u, or V of a readout, goes to `out` from `to` on,
    which neurons spike to `fires`, how often to `counts`.
    """


@kernel
def run_step(constants, first, hold, current, states):
    """Move a strip on; return its distances from the threshold, and which neurons spike.

    `states` (STATES + 1, n) ends with the steps that each neuron still rests.
    """
    return current, np.uint16(0)


# For any neuron


@kernel
def run_spiking(
    plan, layout, p, constants, factor, shift, traces, strips, e, counts
):  # fmt: skip
    """Run population p, without recurrent synapses, in example e."""
    n, steps, row = plan.n[p], layout.steps, layout.neuron_row[p]
    for low in range(0, n, STRIP):
        lanes, at = min(STRIP, n - low), strip_place(layout, p, e, low)
        fires = fires_of(layout, p, e, low, traces)
        run_strip(
            constants, low, plan.refractory[p], steps, factor, shift, strips.current, at,
            strips.distance, at, strips.kept, fires, counts,
        )  # fmt: skip
        for k in range(lanes):
            traces.counts[e, row + low + k] = np.int64(counts[low + k])
        if layout.event_driven[p]:
            list_spikes(fires, steps, lanes, traces.time[e, row + low :])


@kernel
def run_recurrent(
    plan, layout, p, constants, factor, shift, size, first_step, coef, neuron_scale, traces,
    strips, e, rows
):  # fmt: skip
    """Run a population that projects to itself through example e, step by step."""
    n, first, row = plan.n[p], plan.first[p], layout.neuron_row[p]
    rows[: plan.groups[p], :n] = 0.0
    states, total = np.zeros((STATES + 1, len(shift)), np.float32), np.zeros(STRIP, np.float32)
    inner = np.zeros((plan.groups[p], n), np.float32)
    traces.counts[e, row : row + n] = 0
    for t in range(layout.steps):
        for low in range(0, n, STRIP):
            at, lanes = strip_place(layout, p, e, low) + t * STRIP, min(STRIP, n - low)
            for k in range(low, low + lanes):
                x = factor[k] * strips.current[at + k - low] + shift[k]
                for g in range(plan.groups[p]):
                    y = plan.decay[g, first + k] * inner[g, k] + rows[g, k, t]
                    inner[g, k] = np.float32(0.0) if abs(y) <= SUBNORMAL else y
                    x += plan.scale[g, first + k] * inner[g, k]
                total[k - low] = x
            u, fired = run_step(constants, low, plan.refractory[p], load(STRIP, total, 0), states)
            put(strips.distance, at, u)
            if KEEPS:
                put(strips.current, at, load(STRIP, total, 0) - load(STRIP, shift, low))
                for m in range(STATES):
                    own = load(STRIP, states, m * states.shape[1] + low)
                    put(strips.kept, m * strips.kept.shape[1] + at, own)
            fires_of(layout, p, e, low, traces)[t] = fired
            if fired:
                for k in range(lanes):
                    if fired >> np.uint16(k) & np.uint16(1):
                        j = low + k
                        traces.time[e, row + j, traces.counts[e, row + j]] = t
                        traces.counts[e, row + j] += 1
                        own_scale = neuron_scale[first + j]
                        feed_back(plan, p, j, t, size, first_step, coef, own_scale, rows)


@kernel
def run_readout(plan, layout, p, constants, factor, shift, traces, strips, e, buffers, counts):
    """Run the output population in example e: its V."""
    n = plan.n[p]
    for low in range(0, n, STRIP):
        run_strip(
            constants, low, plan.refractory[p], layout.steps, factor, shift, strips.current,
            strip_place(layout, p, e, low), buffers.strip, 0, strips.kept,
            fires_of(layout, p, e, low, traces), counts,
        )  # fmt: skip
        for k in range(min(STRIP, n - low)):
            for t in range(layout.steps):
                traces.voltage_out[e, low + k, t] = buffers.strip[t * STRIP + k]


@kernel
def run_neurons(
    plan, layout, p, factor, shift, size, first_step, coef, spike_scale, traces, strips, low, high,
    buffers
):  # fmt: skip
    """Run population p in examples low..high-1 from its synaptic currents."""
    n, first = plan.n[p], plan.first[p]
    constants = padded(plan.constant, first, n)
    own_factor, own_shift = padded_row(factor, first, n), padded_row(shift, first, n)
    counts = np.empty(len(own_shift), np.float32)
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        if not SPIKING:
            run_readout(
                plan, layout, p, constants, own_factor, own_shift, traces, strips, e, buffers,
                counts,
            )  # fmt: skip
        elif RECURRENT:
            run_recurrent(
                plan, layout, p, constants, own_factor, own_shift, size, first_step, coef,
                neuron_scale, traces, strips, e, buffers.rows,
            )  # fmt: skip
        else:
            run_spiking(
                plan, layout, p, constants, own_factor, own_shift, traces, strips, e, counts
            )
