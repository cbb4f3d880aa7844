"""Backpropagation through time with a surrogate derivative psi of the spike and a reset that
carries no gradient (Neftci, Mostafa and Zenke 2019; Mészáros, Knight and Nowotny 2024).

Backwards in steps t, with u the distance from the threshold:

    kick[t] = psi(u[t]) (scale sum_out w sum_k K[k] R[t + k + 1] + regularisation)
    neuron      the adjoint of its step (`neurons.adjoint`) turns kick[t], and the adjoints of its
                states after the step, into dL/dI[t] and those before it (refractory: dI = 0)
    readout     the same with dL/dV[t] in place of kick[t]
    synapse     r = scale dI[t] + decay r;   R[t] = r                    at the arrivals

Then dL/dw and dL/dd are sums of R at the arrivals, weighted by the taps (see `taps`). With a
surrogate of compact support, dL/d(spike) is needed only at the steps where psi is not 0.

`neuron_code` makes a module of this one per neuron model, the blanks filled in.
"""

import numpy as np

from mlgenn_delays.engines.cpu.spike_gradient import (
    add_spike_gradients,
    derivative,
    spike_gradient_at,
    weigh,
)
from mlgenn_delays.engines.cpu.spikes import LANES, RESTING
from mlgenn_delays.engines.shared.numerics import SUBNORMAL, kernel
from mlgenn_delays.engines.shared.plan import READOUT
from mlgenn_delays.engines.shared.spectra import CONJUGATE, put_rows
from mlgenn_delays.engines.shared.spectral_sums import TILE, add_back, back_tile

# Of the neuron

STATES, READS = 1, False  # number of its states, whether the adjoint reads any


@kernel
def back_rows(
    constants, first, steps, length, shape, kick, kick_length, distance, factor, shift, current,
    kept, by_constant
):  # fmt: skip
    """Run the adjoints of `LANES` neighbouring neurons back; their distances become dL/dI.

    Rows of `kick` have `kick_length` values, others `length`. What the trial adds to the gradients
    of constants goes to `by_constant` (L, N).
    """


@kernel
def back_few(
    lanes, constants, first, steps, length, shape, kick, kick_length, distance, factor, shift,
    current, kept, by_constant
):  # fmt: skip
    """The same for fewer of them."""


@kernel
def back_step(constants, first, t, at, shape, kick, u, current, kept, carried, k, by_constant):
    """Take the adjoints of neuron k back through step t, whose place is `at`; return dL/dI."""
    return kick


# For any neuron


@kernel
def back_through(plan, layout, p, shape, factor, shift, kicks, kick_length, traces, e, by_constant):
    """Run the adjoints of all neurons of population p, without recurrent synapses, back."""
    n, length, steps, first = plan.n[p], layout.length, layout.steps, plan.first[p]
    at, f, h = (e * layout.neurons + layout.neuron_row[p]) * length, factor[first:], shift[first:]
    for low in range(0, n, LANES):
        here, many = at + low * length, min(LANES, n - low)
        kick = kicks[low * kick_length : (low + many) * kick_length]
        distance = traces.distance[here : here + many * length]
        current = traces.current[here : here + many * length]
        kept = traces.kept[:, here : here + many * length]
        if many == LANES:
            back_rows(
                plan.constant, first + low, steps, length, shape, kick, kick_length, distance,
                f[low:], h[low:], current, kept, by_constant,
            )  # fmt: skip
        else:
            back_few(
                many, plan.constant, first + low, steps, length, shape, kick, kick_length, distance,
                f[low:], h[low:], current, kept, by_constant,
            )  # fmt: skip


@kernel
def back_recurrent(
    plan, layout, p, shape, shift, size, out_coef, out_address, neuron_scale, traces, e,
    spike_gradient, by_constant
):  # fmt: skip
    """Run the adjoints of a population that projects to itself back, step by step.

    `spike_gradient` (n, length) holds dL/d(spike) over its feed-forward synapses, scaled, with
    regularisation.
    """
    kind, one, other, compact = shape
    n, first = plan.n[p], plan.first[p]
    base = e * layout.neurons * layout.length
    carried = np.zeros((STATES, n), np.float32)
    inner = np.zeros((plan.groups[p], n), np.float32)
    for back in range(layout.steps):
        t = layout.steps - 1 - back
        for i in range(n):
            at = base + (layout.neuron_row[p] + i) * layout.length + t
            u = traces.distance[at]
            psi = derivative(kind, one, other, u)
            kick = np.float32(0.0)
            if psi != 0.0 and u != RESTING:
                kick = spike_gradient[i, t]
                for q in range(len(plan.source)):
                    if plan.source[q] == p and (plan.recurrent_projection[q] or compact):
                        adjoint = traces.adjoint[plan.group[q]]
                        kick += neuron_scale[first + i] * spike_gradient_at(
                            plan, q, i, t, size, out_coef, out_address, base, adjoint
                        )
                kick *= psi
            current = traces.current[at] + shift[first + i]
            traces.distance[at] = back_step(
                plan.constant, first, t, at, shape, kick, u, current, traces.kept, carried, i,
                by_constant,
            )  # fmt: skip
        for g in range(plan.groups[p]):
            for i in range(n):
                at = base + (layout.neuron_row[p] + i) * layout.length + t
                r = (
                    plan.scale[g, first + i] * traces.distance[at]
                    + plan.decay[g, first + i] * inner[g, i]
                )
                r = np.float32(0.0) if abs(r) <= SUBNORMAL else r
                inner[g, i] = r
                traces.adjoint[g, at] = r


@kernel
def back_spiking(
    plan, layout, p, shape, factor, shift, size, out_coef, out_address, neuron_scale,
    count_gradient, spectra, tile, k, traces, e, spike_gradient, by_constant
):  # fmt: skip
    """Turn the distances of population p in example e into dL/dI.

    If there is a tile, its example k holds spectra of part of dL/d(spike).
    """
    compact, n = shape[3], plan.n[p]
    spike_gradient[:n] = 0.0
    if not compact:
        if len(tile) > 0:
            put_rows(spectra, layout, n, tile, k, CONJUGATE, False, spike_gradient.reshape(-1), 0)
        add_spike_gradients(
            plan, layout, p, size, out_coef, out_address, spectra, traces, e, spike_gradient
        )
    if plan.recurrent_population[p]:
        for i in range(n):
            weight, extra = neuron_scale[plan.first[p] + i], count_gradient[plan.first[p] + i]
            for t in range(layout.steps):
                spike_gradient[i, t] = weight * spike_gradient[i, t] + extra
        back_recurrent(
            plan, layout, p, shape, shift, size, out_coef, out_address, neuron_scale, traces, e,
            spike_gradient, by_constant,
        )  # fmt: skip
        return
    weigh(
        plan, layout, p, shape, size, out_coef, out_address, neuron_scale, count_gradient, traces,
        e, spike_gradient,
    )  # fmt: skip
    back_through(
        plan, layout, p, shape, factor, shift, spike_gradient.reshape(-1), layout.length, traces, e,
        by_constant,
    )  # fmt: skip


@kernel
def back_neurons(
    plan, layout, p, shape, factor, shift, size, out_coef, out_address, spike_scale, drive,
    count_gradient, spectra, traces, low, high, buffers, by_constant
):  # fmt: skip
    """Write dL/dI of population p in examples low..high-1 where its distances were.

    `drive` (B, K, T) is dL/dV of the output.
    """
    tile = back_tile(plan, spectra, p, high - low)
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        if plan.kind[p] != READOUT:
            k = (e - low) % TILE
            if k == 0 and len(tile) > 0:
                add_back(plan, layout, spectra, p, e, min(e + TILE, high), tile)
            back_spiking(
                plan, layout, p, shape, factor, shift, size, out_coef, out_address, neuron_scale,
                count_gradient, spectra, tile, k, traces, e, buffers.spike_gradient, by_constant,
            )  # fmt: skip
            continue
        back_through(
            plan, layout, p, shape, factor, shift, drive[e].reshape(-1), layout.steps, traces, e,
            by_constant,
        )  # fmt: skip
