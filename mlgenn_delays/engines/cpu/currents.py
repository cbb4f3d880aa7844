"""Synaptic currents of whole trials: arrivals over feed-forward projections, through the synapse.

For postsynaptic neuron j and step t, with taps K of each synapse s from i, x_i what i sends:

    A_j[t] = sum_s w_s sum_k K_s[k] x_i[t - k - 1]           arrivals
    Delta         I_j[t] = A_j[t]
    Exponential   y[t] = decay y[t-1] + A_j[t];   I_j[t] = scale y[t]

and, backwards, sum_t x_i[t] R_j[t + k + 1] per tap, R the adjoint at the arrivals (`collect`).

A neuron's arrivals are one contiguous row along time, filled synapse by synapse, so that the row
stays in the first-level cache. Rows of values (input currents; spikes under a surrogate that needs
every step) are added with `shifted_axpy`, whole vectors at a time; event-driven sources add the
taps of each spike, which is less work where spikes are few. Where `spectra` says that it costs
less, rows of values are added, and correlated, in the frequency domain.

Normalisation of them, per neuron over batch and time, I' = f (I - mean) + offset with
f = gain / sqrt(variance + EPSILON). Backwards, with D = dL/dI' and
X = (I - mean) / sqrt(variance + EPSILON):

    dL/dI = f (D - mean(D) - X mean(D X));   dL/dgain = sum D X;   dL/doffset = sum D

Sums are in float64: the variance is a difference of two of them, which may be close to equal.
"""

import numpy as np

from mlgenn_delays.engines.shared.numerics import SUBNORMAL, kernel
from mlgenn_delays.engines.shared.spectra import transform_adjoints
from mlgenn_delays.engines.shared.spectral_sums import AT_ONCE, TILE, has_chosen, put_arrivals
from mlgenn_delays.engines.shared.traces import spikes_of
from mlgenn_delays.engines.shared.vector import shifted_axpy, shifted_dot

ABREAST = 4  # sums at once: one alone would wait for itself


@kernel
def add_up(layout, row, n, one, other, low, high, sums):
    """Write the sums of a row of `one` and of its product with `other` to sums (2, B, n) float64.

    By example and neuron; both are rows of neurons as in `Traces`, with 0 behind the trial.
    """
    plain, product = np.zeros(ABREAST), np.zeros(ABREAST)
    for e in range(low, high):
        for j in range(n):
            at = (e * layout.neurons + row + j) * layout.length
            plain[:] = 0.0
            product[:] = 0.0
            for t in range(at, at + layout.span, ABREAST):
                for k in range(ABREAST):
                    x = np.float64(one[t + k])
                    plain[k] += x
                    product[k] += x * np.float64(other[t + k])
            sums[0, e, j] = plain.sum()
            sums[1, e, j] = product.sum()


@kernel
def combine(layout, row, n, by_current, by_adjoint, rest, traces, low, high):
    """Turn D, where distances were, into by_adjoint D + by_current I + rest, (n,) float32 each."""
    for e in range(low, high):
        for j in range(n):
            at = (e * layout.neurons + row + j) * layout.length
            a, b, c = by_adjoint[j], by_current[j], rest[j]
            for t in range(at, at + layout.steps):
                traces.distance[t] = a * traces.distance[t] + b * traces.current[t] + c


@kernel
def add_events(first, last, pre, size, coef, steps, when, events, own, out):
    """Add to a row (length,) what spikes bring over synapses first..last-1.

    Spikes of presynaptic neuron i are ``when[events[i, 0]:events[i, 1]]``, and weigh ``own[i]``.
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
def arrive(
    plan, layout, q, size, steps, coef, address, start, time, neuron_scale, traces, e, out, at
):
    """Add all that arrives over projection q to rows of `out`, which begin at place `at`."""
    n, p = plan.n[plan.target[q]], plan.source[q]
    rows, length = plan.row[plan.row_first[q] : plan.row_first[q] + n + 1], layout.length
    if layout.event_driven[p]:
        events, when = spikes_of(plan, layout, p, start, time, traces, e)
        own, pre = neuron_scale[plan.first[p] : plan.first[p + 1]], plan.pre
        for j in range(n):
            row = out[at + j * length : at + (j + 1) * length]
            first, last = np.int64(rows[j]), np.int64(rows[j + 1])
            add_events(first, last, pre, size, coef, steps, when, events, own, row)
        return
    base, sources, span = (1 + e * layout.sources) * length, traces.sources, layout.span
    for j in range(n):
        first, last = np.int64(rows[j]) * size, np.int64(rows[j + 1]) * size
        shifted_axpy(out, at + j * length, span, sources, base, address, coef, first, last)


@kernel
def pass_filter(decay, scale, rows, at, n, length, steps, current, to):
    """Add the currents of `Exponential` synapses to those of n neurons, from their arrivals."""
    for j in range(n):
        x, a, b = np.float32(0.0), decay[j], scale[j]
        for t in range(j * length, j * length + steps):
            x = a * x + rows[at + t]
            if abs(x) <= SUBNORMAL:
                x = np.float32(0.0)
            current[to + t] += b * x


@kernel
def run_currents(
    plan, layout, p, size, first_step, coef, address, starts, time, spike_scale, spectra, traces,
    low, high
):  # fmt: skip
    """Write the synaptic currents of population p in examples low..high-1; 0 behind the trial."""
    n, groups = plan.n[p], max(plan.groups[p], 1)
    tile = np.empty(0, np.float32)
    for begin in range(low, high, TILE):
        end = min(begin + TILE, high)
        for g in range(groups):
            spectral, direct = has_chosen(plan, spectra, p, g), plan.instant[p, g]
            # Distances are not known yet: arrivals may lie there.
            out = traces.current if direct else traces.distance
            for e in range(begin, end):
                at = (e * layout.neurons + layout.neuron_row[p]) * layout.length
                if g == 0 and not (direct and spectral):
                    traces.current[at : at + n * layout.length] = 0.0
                if not (direct or spectral):
                    out[at : at + n * layout.length] = 0.0
            if spectral:
                if len(tile) == 0:
                    tile = np.empty(TILE * AT_ONCE * spectra.transform.places, np.float32)
                adds = direct and g > 0
                put_arrivals(plan, layout, spectra, p, g, begin, end, tile, adds, out)
            for e in range(begin, end):
                add_currents(
                    plan, layout, p, g, size, first_step, coef, address, starts[e], time,
                    spike_scale[e if len(spike_scale) > 1 else 0], spectra, traces, e, out,
                )  # fmt: skip
        for e in range(begin, end):
            for j in range(n):
                at = (e * layout.neurons + layout.neuron_row[p] + j) * layout.length
                traces.current[at + layout.steps : at + layout.length] = 0.0
                traces.distance[at + layout.steps : at + layout.length] = 0.0


@kernel
def add_currents(
    plan, layout, p, g, size, first_step, coef, address, start, time, neuron_scale, spectra, traces,
    e, out
):  # fmt: skip
    """Add the currents of synapse group g to those of population p in example e.

    Arrivals over projections that `spectra` has chosen are in `out` already.
    """
    at = (e * layout.neurons + layout.neuron_row[p]) * layout.length
    for q in range(len(plan.target)):
        if plan.target[q] != p or plan.group[q] != g or plan.recurrent_projection[q]:
            continue
        if not spectra.chosen[q]:
            arrive(
                plan, layout, q, size, first_step, coef, address, start, time, neuron_scale,
                traces, e, out, at,
            )  # fmt: skip
    if not plan.instant[p, g]:
        decay, scale = plan.decay[g, plan.first[p] :], plan.scale[g, plan.first[p] :]
        pass_filter(
            decay, scale, out, at, plan.n[p], layout.length, layout.steps, traces.current, at
        )


@kernel
def collect(
    plan, layout, p, size, first_step, address, start, time, neuron_scale, spectra, traces, e, sums
):  # fmt: skip
    """Add the correlations of p's adjoint with all that arrived, recurrent too, to sums (S W,)."""
    n, length, span = plan.n[p], layout.length, layout.span
    base, sources = (1 + e * layout.sources) * length, traces.sources
    at = (e * layout.neurons + layout.neuron_row[p]) * length
    for q in range(len(plan.target)):
        if plan.target[q] != p or spectra.chosen[q]:
            continue
        adjoint, source = traces.adjoint[plan.group[q]], plan.source[q]
        rows = plan.row[plan.row_first[q] : plan.row_first[q] + n + 1]
        if not layout.event_driven[source]:
            for j in range(n):
                first, last = np.int64(rows[j]) * size, np.int64(rows[j + 1]) * size
                shifted_dot(
                    sums, adjoint, at + j * length, span, sources, base, address, first, last
                )
            continue
        events, when = spikes_of(plan, layout, source, start, time, traces, e)
        pre = plan.pre
        own = neuron_scale[plan.first[source] : plan.first[source + 1]]
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


@kernel
def back_synapses(plan, layout, p, traces, e):
    """Write the adjoints at the arrivals of population p from dL/dI."""
    for g in range(plan.groups[p]):
        out = traces.adjoint[g]
        for j in range(plan.n[p]):
            decay, scale = plan.decay[g, plan.first[p] + j], plan.scale[g, plan.first[p] + j]
            at = (e * layout.neurons + layout.neuron_row[p] + j) * layout.length
            if plan.instant[p, g]:
                for t in range(at, at + layout.steps):
                    out[t] = scale * traces.distance[t]
                continue
            inner = np.float32(0.0)
            for back in range(layout.steps):
                t = at + layout.steps - 1 - back
                inner = scale * traces.distance[t] + decay * inner
                if abs(inner) <= SUBNORMAL:
                    inner = np.float32(0.0)
                out[t] = inner


@kernel
def add_synapse_products(
    plan, layout, p, g, size, first_step, coef, address, starts, time, spike_scale, traces, low,
    high, buffers, by_synapse
):  # fmt: skip
    """Add dL/d(scale, decay) of group g's synapses in examples low..high-1 to by_synapse (n, 2).

    The synapses of all steps are worked out again from what arrived.
    """
    n, length, out = plan.n[p], layout.length, buffers.arrivals
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        out[: n * length] = 0.0
        for q in range(len(plan.target)):
            if plan.target[q] == p and plan.group[q] == g:
                arrive(
                    plan, layout, q, size, first_step, coef, address, starts[e], time, neuron_scale,
                    traces, e, out, 0,
                )  # fmt: skip
        for j in range(n):
            at = (e * layout.neurons + layout.neuron_row[p] + j) * length
            decay, x = plan.decay[g, plan.first[p] + j], np.float32(0.0)
            for t in range(layout.steps):
                by_synapse[j, 1] += traces.adjoint[g, at + t] * x
                x = decay * x + out[j * length + t]
                by_synapse[j, 0] += traces.distance[at + t] * x


@kernel
def back_arrivals(
    plan, layout, p, size, first_step, address, starts, time, spike_scale, spectra, traces, low,
    high, sums
):  # fmt: skip
    """Add the correlations of examples low..high-1 to sums (S W,), from dL/dI.

    Of projections in the frequency domain, only the spectra of the adjoints are written.
    """
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        if not plan.recurrent_population[p]:
            back_synapses(plan, layout, p, traces, e)
        collect(
            plan, layout, p, size, first_step, address, starts[e], time, neuron_scale, spectra,
            traces, e, sums,
        )  # fmt: skip
        for g in range(plan.groups[p]):
            if has_chosen(plan, spectra, p, g):
                transform_adjoints(spectra, plan, layout, p, g, traces, e, e + 1)
