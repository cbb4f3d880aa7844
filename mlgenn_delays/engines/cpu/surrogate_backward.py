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
    gather_compact,
    spike_gradient_at,
)
from mlgenn_delays.engines.cpu.spikes import RESTING
from mlgenn_delays.engines.cpu.strips import AHEAD, add_up, padded, padded_row, to_strip  # noqa: F401
from mlgenn_delays.engines.shared.lanes import (  # noqa: F401  filled-in code needs them
    STRIP,
    above,
    add_wide,
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
from mlgenn_delays.engines.shared.spectra import CONJUGATE, put_rows
from mlgenn_delays.engines.shared.spectral_sums import TILE, add_back, back_tile
from mlgenn_delays.engines.shared.traces import strip_place

# Of the neuron

STATES, READS = 1, False  # number of its states, whether the adjoint reads any
SPIKING, RECURRENT = True, False  # whether it spikes, whether its population projects to itself


@kernel
def back_strip(
    constants, first, steps, shape, gradients, scale, count_gradient, distance, at, factor, shift,
    current, kept, by_constant
):  # fmt: skip
    """Run the adjoints of a strip, whose neurons begin at `first`, back.

    Distances, from `at` on as currents and kept states, become dL/dI. `gradients` is a strip of
    dL/d(spike), or of dL/dV. What the trial adds to gradients of constants goes to `by_constant`
    (L, n) float64.
    """


@kernel
def back_step(constants, first, t, here, shape, kick, u, current, kept, carried, by_constant):
    """Take the adjoints of a strip back through step t, whose place is `here`; return dL/dI."""
    return kick


# For any neuron


@kernel
def back_recurrent(
    plan, layout, p, shape, constants, shift, size, out_coef, out_address, neuron_scale, traces,
    strips, e, spike_gradient, by_constant
):  # fmt: skip
    """Run the adjoints of a population that projects to itself back, step by step.

    `spike_gradient` (n, length) holds dL/d(spike) over its feed-forward synapses, scaled, with
    regularisation.
    """
    kind, one, other, compact = shape
    n, first, row = plan.n[p], plan.first[p], layout.neuron_row[p]
    base = e * layout.neurons * layout.length
    carried, kick = np.zeros((STATES, len(shift)), np.float32), np.zeros(STRIP, np.float32)
    inner = np.zeros((plan.groups[p], n), np.float32)
    for back in range(layout.steps):
        t = layout.steps - 1 - back
        for low in range(0, n, STRIP):
            at = strip_place(layout, p, e, low) + t * STRIP
            u = load(STRIP, strips.distance, at)
            put(kick, 0, derivative(kind, one, other, u))
            for k in range(min(STRIP, n - low)):
                i, psi = low + k, kick[k]
                if psi == 0.0 or strips.distance[at + k] == RESTING:
                    kick[k] = 0.0
                    continue
                by_spike = spike_gradient[i, t]
                for q in range(len(plan.source)):
                    if plan.source[q] == p and (plan.recurrent_projection[q] or compact):
                        adjoint = traces.adjoint[plan.group[q]]
                        by_spike += neuron_scale[first + i] * spike_gradient_at(
                            plan, q, i, t, size, out_coef, out_address, base, adjoint
                        )
                kick[k] = by_spike * psi
            current = load(STRIP, strips.current, at) + load(STRIP, shift, low)
            by_current = back_step(
                constants, low, t, at, shape, load(STRIP, kick, 0), u, current, strips.kept,
                carried, by_constant,
            )  # fmt: skip
            put(strips.distance, at, by_current)
        for g in range(plan.groups[p]):
            for i in range(n):
                at = strip_place(layout, p, e, i) + t * STRIP + i % STRIP
                r = (
                    plan.scale[g, first + i] * strips.distance[at]
                    + plan.decay[g, first + i] * inner[g, i]
                )
                r = np.float32(0.0) if abs(r) <= SUBNORMAL else r
                inner[g, i] = r
                traces.adjoint[g, base + (row + i) * layout.length + t] = r


@kernel
def back_spiking(
    plan, layout, p, shape, constants, factor, shift, size, out_coef, out_address, neuron_scale,
    count_gradient, spectra, tile, k, traces, strips, e, buffers, by_constant, sums
):  # fmt: skip
    """Turn the distances of population p in example e into dL/dI, and add up these.

    If there is a tile, its example k holds spectra of part of dL/d(spike).
    """
    compact, n, first = shape[3], plan.n[p], plan.first[p]
    spike_gradient = buffers.spike_gradient
    spike_gradient[:n] = 0.0
    if not compact:
        if len(tile) > 0:
            put_rows(spectra, layout, n, tile, k, CONJUGATE, False, spike_gradient.reshape(-1), 0)
        add_spike_gradients(
            plan, layout, p, size, out_coef, out_address, neuron_scale, spectra, traces, e,
            spike_gradient,
        )  # fmt: skip
    if RECURRENT:
        for i in range(n):
            weight, extra = neuron_scale[first + i], count_gradient[first + i]
            for t in range(layout.steps):
                spike_gradient[i, t] = weight * spike_gradient[i, t] + extra
        back_recurrent(
            plan, layout, p, shape, constants, shift, size, out_coef, out_address, neuron_scale,
            traces, strips, e, spike_gradient, by_constant,
        )  # fmt: skip
        return
    scale, extra = padded_row(neuron_scale, first, n), padded_row(count_gradient, first, n)
    flat, strip, length = spike_gradient.reshape(-1), buffers.other, layout.length
    for low in range((n - 1) // STRIP * STRIP, -1, -STRIP):  # downwards, as `back_strip` goes
        at = strip_place(layout, p, e, low)
        if compact:
            gather_compact(
                plan, layout, p, shape, size, out_coef, out_address, strips.distance, at, low,
                traces, e, buffers.block, strip,
            )  # fmt: skip
        else:
            to_strip(flat, low * length, length, layout.span, strip, 0)
        back_strip(
            constants, low, layout.steps, shape, strip, scale, extra, strips.distance, at, factor,
            shift, strips.current, strips.kept, by_constant,
        )  # fmt: skip
        if sums.shape[1] > 0:
            add_up(layout, p, n, low, strips.distance, strips.current, e, buffers.found, sums)


@kernel
def back_readout(
    plan, layout, p, shape, constants, factor, shift, by_voltage, strips, e, buffers, by_constant,
    sums
):  # fmt: skip
    """Write dL/dI of the output population in example e from dL/dV (K, T), and add up these."""
    n, strip = plan.n[p], buffers.other
    for low in range(0, n, STRIP):
        for k in range(min(STRIP, n - low)):
            for t in range(layout.steps):
                strip[t * STRIP + k] = by_voltage[low + k, t]
        back_strip(
            constants, low, layout.steps, shape, strip, shift, shift, strips.distance,
            strip_place(layout, p, e, low), factor, shift, strips.current, strips.kept, by_constant,
        )  # fmt: skip
        if sums.shape[1] > 0:
            add_up(layout, p, n, low, strips.distance, strips.current, e, buffers.found, sums)


@kernel
def back_neurons(
    plan, layout, p, shape, factor, shift, size, out_coef, out_address, spike_scale, drive,
    count_gradient, spectra, traces, strips, edges, buffers, by_constant, sums
):  # fmt: skip
    """Write dL/dI of population p where its distances were, in the examples between the edges.

    `drive` (B, K, T) is dL/dV of the output. If the currents are normalised, dL/dI is by the
    normalised ones, and its sums go to `sums`; else that is empty. Gradients of constants between
    edges c and c + 1 are added to by_constant[c].
    """
    n, first = plan.n[p], plan.first[p]
    tile = back_tile(plan, spectra, p, edges[-1] - edges[0])
    constants = padded(plan.constant, first, n)
    own_factor, own_shift = padded_row(factor, first, n), padded_row(shift, first, n)
    learned = np.empty((by_constant.shape[1], len(own_shift)))
    c = 0
    for e in range(edges[0], edges[-1]):
        c += e == edges[c + 1]
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        learned[:] = 0.0
        if not SPIKING:
            back_readout(
                plan, layout, p, shape, constants, own_factor, own_shift, drive[e], strips, e,
                buffers, learned, sums,
            )  # fmt: skip
        else:
            k = (e - edges[0]) % TILE
            if k == 0 and len(tile) > 0:
                add_back(plan, layout, spectra, p, e, min(e + TILE, edges[-1]), tile)
            back_spiking(
                plan, layout, p, shape, constants, own_factor, own_shift, size, out_coef,
                out_address, neuron_scale, count_gradient, spectra, tile, k, traces, strips, e,
                buffers, learned, sums,
            )  # fmt: skip
        for m in range(len(learned)):
            for j in range(n):
                by_constant[c, m, first + j] += learned[m, j]
