"""Synaptic currents of whole trials: arrivals over feed-forward projections, through the synapse.

For postsynaptic neuron j and step t, with taps K of each synapse s from i, x_i what i sends:

    A_j[t] = sum_s w_s sum_k K_s[k] x_i[t - k - 1]           arrivals
    Delta         I_j[t] = A_j[t]
    Exponential   y[t] = decay y[t-1] + A_j[t];   I_j[t] = scale y[t]

and, backwards, sum_t x_i[t] R_j[t + k + 1] per tap, R the adjoint at the arrivals (`collect`).

A neuron's arrivals are one contiguous row along time, filled synapse by synapse, so that the row
stays in the first-level cache. Rows of values (input currents; spikes where they are many) are
added with `shifted_axpy`, whole vectors at a time; where spikes are few, the taps of each one are,
16 at once. Where `spectra` says that it costs less, rows of values are added, and correlated, in
the frequency domain.
"""

import numpy as np

from mlgenn_delays.engines.cpu.strips import (
    add_up,
    back_filter,
    padded,
    to_rows,
    to_strip,
)
from mlgenn_delays.engines.shared.lanes import STRIP, load, put, splat, where
from mlgenn_delays.engines.shared.numerics import SUBNORMAL, kernel
from mlgenn_delays.engines.shared.spectra import AS_IT_IS, put_rows, transform_adjoints, walks
from mlgenn_delays.engines.shared.spectral_sums import (
    AT_ONCE,
    TILE,
    add_arrivals,
    has_back,
    has_chosen,
)
from mlgenn_delays.engines.shared.traces import WAYS, rows_sent, spikes_of, strip_place
from mlgenn_delays.engines.shared.vector import LANES, shifted_axpy, shifted_dot


@kernel
def lanes_of(count):
    """Return the first `count` lanes, or all, as bits."""
    return np.uint16(0xFFFF) >> np.uint16(max(0, LANES - count))


@kernel
def add_events(first, last, pre, size, coef, steps, when, events, own, ways, out, at, length):
    """Add to a row of `out`, from place `at` on, what spikes bring over synapses first..last-1.

    Spikes of presynaptic neuron i are ``when[events[i, 0]:events[i, 1]]``, and weigh ``own[i]``.
    16 taps go at once to the row of ``ways`` whose turn it is: one that was just written to would
    have to wait.
    """
    row, zero = length + LANES, splat(LANES, np.float32(0.0))
    ways[: WAYS * row] = 0.0
    for s in range(first, last):
        i = np.int64(pre[s])
        weight, begin, end = own[i], np.int64(events[i, 0]), np.int64(events[i, 1])
        if weight == 0.0 or begin == end:
            continue
        for u in range(0, size, LANES):
            taps = where(lanes_of(size - u), load(LANES, coef, s * size + u), zero)
            taps = taps * splat(LANES, weight)
            here = steps[s] + 1 + u
            for k in range(begin, end):
                place = (k & (WAYS - 1)) * row + here + np.int64(when[k])
                put(ways, place, load(LANES, ways, place) + taps)
    for t in range(0, length, LANES):
        one = load(LANES, ways, t) + load(LANES, ways, t + row)
        other = load(LANES, ways, t + 2 * row) + load(LANES, ways, t + 3 * row)
        put(out, at + t, load(LANES, out, at + t) + (one + other))


@kernel
def arrive(
    plan, layout, q, first, last, size, steps, coef, address, start, time, neuron_scale, traces, e,
    buffers, out, at
):  # fmt: skip
    """Add what arrives over projection q at neurons first..last-1 to rows of `out`.

    The rows begin at place `at`. ``LANES`` places of `coef` lie behind the last coefficient.
    """
    n, p, begin = last - first, plan.source[q], plan.row_first[q] + first
    rows, length = plan.row[begin : begin + n + 1], layout.length
    if walks(plan, layout, p, size, traces, e):
        events, when = spikes_of(plan, layout, p, start, time, traces, e, buffers.listed)
        own, pre = neuron_scale[plan.first[p] : plan.first[p + 1]], plan.pre
        for j in range(n):
            a, b = np.int64(rows[j]), np.int64(rows[j + 1])
            if a < b:
                add_events(
                    a, b, pre, size, coef, steps, when, events, own, buffers.ways, out,
                    at + j * length, length,
                )  # fmt: skip
        return
    sources, base = rows_sent(plan, layout, p, neuron_scale, traces, e, buffers.sent)
    for j in range(n):
        a, b = np.int64(rows[j]) * size, np.int64(rows[j + 1]) * size
        shifted_axpy(out, at + j * length, layout.span, sources, base, address, coef, a, b)


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
    strips, low, high, buffers, sums
):  # fmt: skip
    """Write the synaptic currents of population p in examples low..high-1 to strips.

    Their sums and those of their squares go to sums (2, B, n) float64, unless that is empty.
    """
    n, length, tiles = plan.n[p], layout.length, arrival_tiles(plan, spectra, p, high - low)
    at_once = AT_ONCE if len(tiles) > 0 else n
    for begin in range(low, high, TILE):
        end = min(begin + TILE, high)
        for first in range(0, n, at_once):
            last = min(first + at_once, n)
            for g in range(len(tiles)):
                if has_chosen(plan, spectra, p, g):
                    add_arrivals(plan, layout, spectra, p, g, begin, end, first, last, tiles[g])
            for e in range(begin, end):
                add_currents(
                    plan, layout, p, first, last, size, first_step, coef, address, starts[e], time,
                    spike_scale[e if len(spike_scale) > 1 else 0], spectra, tiles, e - begin,
                    traces, e, buffers, buffers.current, 0,
                )  # fmt: skip
                whole = -(-(last - first) // STRIP) * STRIP
                buffers.current[(last - first) * length : whole * length] = 0.0
                for j in range(first, last, STRIP):
                    row, at = (j - first) * length, strip_place(layout, p, e, j)
                    to_strip(buffers.current, row, length, layout.span, strips.current, at)
                    if sums.shape[1] > 0:
                        one = strips.current
                        add_up(layout, p, n, j, one, one, e, buffers.found, sums)


@kernel
def run_rows(
    plan, layout, p, size, first_step, coef, address, starts, time, spike_scale, spectra, traces,
    low, high, buffers, rows
):  # fmt: skip
    """Write the same as rows of neurons, as in `Traces`."""
    tiles = np.empty((0, 0), np.float32)
    for e in range(low, high):
        add_currents(
            plan, layout, p, 0, plan.n[p], size, first_step, coef, address, starts[e], time,
            spike_scale[e if len(spike_scale) > 1 else 0], spectra, tiles, 0, traces, e, buffers,
            rows, (e * layout.neurons + layout.neuron_row[p]) * layout.length,
        )  # fmt: skip


@kernel
def arrival_tiles(plan, spectra, p, examples):
    """Return room for the spectra that `add_arrivals` writes, per synapse group; none if unused."""
    groups, spectral = plan.groups[p], False
    for g in range(groups):
        spectral |= has_chosen(plan, spectra, p, g)
    rows = min(TILE, examples) * AT_ONCE if spectral else 0
    return np.empty((groups if spectral else 0, rows * spectra.transform.places), np.float32)


@kernel
def add_currents(
    plan, layout, p, first, last, size, first_step, coef, address, start, time, neuron_scale,
    spectra, tiles, k, traces, e, buffers, current, at
):  # fmt: skip
    """Write the currents of neurons first..last-1 of population p in example e.

    They are rows of `current` from place `at` on, 0 behind the trial. If there are tiles, spectra
    of some arrivals are those of their example k.
    """
    n, length, steps = last - first, layout.length, layout.steps
    current[at : at + n * length] = 0.0
    for g in range(plan.groups[p]):
        direct = plan.instant[p, g]
        out, to = (current, at) if direct else (buffers.arrivals, 0)
        if not direct:
            out[: n * length] = 0.0
        if len(tiles) > 0 and has_chosen(plan, spectra, p, g):
            put_rows(spectra, layout, n, tiles[g], k, AS_IT_IS, True, out, to)
        for q in range(len(plan.target)):
            if plan.target[q] != p or plan.group[q] != g or plan.recurrent_projection[q]:
                continue
            if not spectra.chosen[q]:
                arrive(
                    plan, layout, q, first, last, size, first_step, coef, address, start, time,
                    neuron_scale, traces, e, buffers, out, to,
                )  # fmt: skip
        if not direct:
            own = plan.first[p] + first
            decay, scale = plan.decay[g, own:], plan.scale[g, own:]
            pass_filter(decay, scale, out, to, n, length, steps, current, at)
    for j in range(n):
        current[at + j * length + steps : at + (j + 1) * length] = 0.0


@kernel
def collect(
    plan, layout, p, size, first_step, address, start, time, neuron_scale, spectra, traces, e,
    adjoints, at, buffers, sums
):  # fmt: skip
    """Add the correlations of p's adjoint with all that arrived, recurrent too, to sums (S W,).

    It is rows of `adjoints` (G, places) from place `at` on. ``LANES`` places of `sums` lie behind
    the last sum.
    """
    n, length, span = plan.n[p], layout.length, layout.span
    for q in range(len(plan.target)):
        if plan.target[q] != p or spectra.chosen[q]:
            continue
        adjoint, source = adjoints[plan.group[q]], plan.source[q]
        rows = plan.row[plan.row_first[q] : plan.row_first[q] + n + 1]
        if not walks(plan, layout, source, size, traces, e):
            sources, base = rows_sent(plan, layout, source, neuron_scale, traces, e, buffers.sent)
            for j in range(n):
                first, last = np.int64(rows[j]) * size, np.int64(rows[j + 1]) * size
                shifted_dot(
                    sums, adjoint, at + j * length, span, sources, base, address, first, last
                )
            continue
        events, when = spikes_of(plan, layout, source, start, time, traces, e, buffers.listed)
        pre = plan.pre
        own = neuron_scale[plan.first[source] : plan.first[source + 1]]
        for j in range(n):
            first, last, row = np.int64(rows[j]), np.int64(rows[j + 1]), at + j * length
            collect_events(
                first, last, pre, size, first_step, when, events, own, adjoint, row, sums
            )


@kernel
def collect_events(first, last, pre, size, steps, when, events, own, adjoint, at, sums):
    """Add the adjoint at the arrivals over synapses first..last-1 to sums (S W,).

    It is the row of `adjoint` from place `at` on; see `add_events`.
    """
    zero = splat(LANES, np.float32(0.0))
    for s in range(first, last):
        i = np.int64(pre[s])
        weight, begin, end = own[i], np.int64(events[i, 0]), np.int64(events[i, 1])
        if weight == 0.0 or begin == end:
            continue
        for u in range(0, size, LANES):
            here, k = at + steps[s] + 1 + u, begin
            one, two, three, four = zero, zero, zero, zero
            while k + 4 <= end:
                one = one + load(LANES, adjoint, here + np.int64(when[k]))
                two = two + load(LANES, adjoint, here + np.int64(when[k + 1]))
                three = three + load(LANES, adjoint, here + np.int64(when[k + 2]))
                four = four + load(LANES, adjoint, here + np.int64(when[k + 3]))
                k += 4
            while k < end:
                one = one + load(LANES, adjoint, here + np.int64(when[k]))
                k += 1
            total = ((one + two) + (three + four)) * splat(LANES, weight)
            place = s * size + u
            total = where(lanes_of(size - u), total, zero)
            put(sums, place, load(LANES, sums, place) + total)


@kernel
def back_synapses(plan, layout, p, linear, strips, e, buffers, adjoints, to):
    """Write the adjoints at the arrivals of population p from dL/dI.

    They are rows of `adjoints` (G, places) from place `to` on. ``linear`` (3, n) are the factors of
    `back_filter`, none if the currents are not normalised.
    """
    n, length, groups = plan.n[p], layout.length, plan.groups[p]
    decay = padded(plan.decay[:groups], plan.first[p], n)
    scale = padded(plan.scale[:groups], plan.first[p], n)
    for low in range((n - 1) // STRIP * STRIP, -1, -STRIP):  # downwards, as `back_filter` goes
        at, lanes = strip_place(layout, p, e, low), min(STRIP, n - low)
        for g in range(groups):
            back_filter(
                plan.instant[p, g], decay[g], scale[g], linear.shape[1] > 0, linear, low,
                layout.steps, strips, at, buffers.strip,
            )  # fmt: skip
            to_rows(
                buffers.strip, 0, lanes, layout.span, adjoints[g], to + low * length, length,
                buffers.block,
            )  # fmt: skip


@kernel
def add_synapse_products(
    plan, layout, p, g, size, first_step, coef, address, starts, time, spike_scale, linear, traces,
    strips, low, high, buffers, by_synapse
):  # fmt: skip
    """Add dL/d(scale, decay) of group g's synapses in examples low..high-1 to by_synapse (n, 2).

    The synapses of all steps are worked out again from what arrived. ``linear`` is that of
    `back_synapses`.
    """
    n, length, out = plan.n[p], layout.length, buffers.arrivals
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        out[: n * length] = 0.0
        for q in range(len(plan.target)):
            if plan.target[q] == p and plan.group[q] == g:
                arrive(
                    plan, layout, q, 0, n, size, first_step, coef, address, starts[e], time,
                    neuron_scale, traces, e, buffers, out, 0,
                )  # fmt: skip
        for j in range(n):
            at = (e * layout.neurons + layout.neuron_row[p] + j) * length
            own = strip_place(layout, p, e, j) + j % STRIP
            decay, x = plan.decay[g, plan.first[p] + j], np.float32(0.0)
            for t in range(layout.steps):
                by_synapse[j, 1] += traces.adjoint[g, at + t] * x
                x = decay * x + out[j * length + t]
                by_current = strips.distance[own + t * STRIP]
                if linear.shape[1] > 0:
                    current = strips.current[own + t * STRIP]
                    by_current = linear[0, j] * by_current + linear[1, j] * current + linear[2, j]
                by_synapse[j, 0] += by_current * x


@kernel
def back_arrivals(
    plan, layout, p, size, first_step, address, starts, time, spike_scale, spectra, linear, traces,
    strips, keeps, edges, buffers, sums
):  # fmt: skip
    """Write the correlations of the examples between edges c and c + 1 to sums[c] (S W,).

    See `back_synapses`; the adjoints stay in the traces if `keeps`. Of projections in the frequency
    domain, only the spectra of the adjoints are written.
    """
    n, at = plan.n[p], 0
    adjoints = traces.adjoint if keeps else buffers.adjoint
    for c in range(len(edges) - 1):
        for q in range(len(plan.target)):
            if plan.target[q] == p and not spectra.chosen[q]:
                rows = plan.row[plan.row_first[q] : plan.row_first[q] + n + 1]
                sums[c, np.int64(rows[0]) * size : np.int64(rows[n]) * size] = 0.0
        for e in range(edges[c], edges[c + 1]):
            neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
            if keeps:
                at = (e * layout.neurons + layout.neuron_row[p]) * layout.length
            if not plan.recurrent_population[p]:
                back_synapses(plan, layout, p, linear, strips, e, buffers, adjoints, at)
            collect(
                plan, layout, p, size, first_step, address, starts[e], time, neuron_scale, spectra,
                traces, e, adjoints, at, buffers, sums[c],
            )  # fmt: skip
            for g in range(plan.groups[p]):
                if has_back(plan, spectra, p, g):
                    transform_adjoints(spectra, plan, layout, p, g, adjoints[g], at, e)


@kernel
def show_adjoints(plan, layout, p, there, linear, spectra, strips, traces, low, high, buffers):
    """Write the adjoints at the arrivals of population p in examples low..high-1 to the traces.

    See `back_synapses`. Where `spectra` has room for theirs, only these are written; then the
    traces may have been `there` before.
    """
    spectral, at = spectra.transform.places > 0, 0
    adjoints = buffers.adjoint if spectral and not there else traces.adjoint
    for e in range(low, high):
        if there or not spectral:
            at = (e * layout.neurons + layout.neuron_row[p]) * layout.length
        if not there:
            back_synapses(plan, layout, p, linear, strips, e, buffers, adjoints, at)
        if spectral:
            for g in range(plan.groups[p]):
                transform_adjoints(spectra, plan, layout, p, g, adjoints[g], at, e)
