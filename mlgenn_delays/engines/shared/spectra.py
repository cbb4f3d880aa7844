"""Delays in the frequency domain: wide kernels cost no more there than narrow ones.

With X, K, R the spectra (see `fourier`) of what neuron i sends, of the taps of synapse s from i to
j times its weight, each a step later, and of the adjoint at the arrivals of j, currents, gradients
of taps (`collect`) and of spikes, all of them shifted sums, are products per frequency:

    arrivals of j            inverse of  sum_s X_i K_s
    gradients of s's taps    inverse of  sum over examples of conj(X_i) R_j
    dL/d(spike) of i         inverse of  sum_s conj(K_s) R_j

`adjoint` and sums of it hold conjugates, so that all three are plain products. Nothing that is read
has been wrapped around: there are N > T + D points for T steps and delays of at most D.
"""

from typing import Any, NamedTuple

import numpy as np

from mlgenn_delays.engines.shared.fourier import BLOCK, Transform, to_row, to_spectrum
from mlgenn_delays.engines.shared.fourier import count_places as places_for
from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.plan import SPIKING, Plan
from mlgenn_delays.engines.shared.spectral_vector import add_products
from mlgenn_delays.engines.shared.traces import RowLayout
from mlgenn_delays.engines.shared.vector import LANES

TILE = 8  # spectra at once
SUMS = 2**17  # places of sums over a batch at once, which the second-level cache holds
AS_IT_IS, CONJUGATE = np.float32(1.0), np.float32(-1.0)


class Spectra(NamedTuple):
    """Spectra of a batch and of the taps, for the projections that are worked on here."""

    chosen: np.ndarray  # (Q,) which projections are
    transform: Transform
    taps: np.ndarray  # (S places,) of each synapse's taps times its weight
    sources: np.ndarray  # (B sources places,) of what each source sends
    adjoint: np.ndarray  # (G, B neurons places) of the adjoints at the arrivals, conjugate
    own: np.ndarray  # (S,) int64 place of each synapse in `taps`
    pre: np.ndarray  # (S,) int64 place of its source in `sources`, in the first example
    out_own: np.ndarray  # the same in the order of `plan.out_synapse`
    out_post: np.ndarray  # place of the target in `adjoint`


def count_places(steps: int, longest: int) -> int:
    """Return the places of a spectrum of trials of so many steps and delays."""
    return places_for(steps + longest + 1)


# When it pays

# Seconds of 16 multiply-adds, relative to each other: shifted, of complex products, of transforms.
# Measured on 40 to 256 neurons of 100 steps; how fast a machine is does not matter.
SHIFTED, PRODUCT, TRANSFORM = 1.0, 1.2, 1.05
# What is done once for a batch counts for so many examples. Not those of the batch at hand: which
# way is taken must not depend on how examples are cut into batches.
EXAMPLES = 32


def choose(plan: Plan, layout: RowLayout, size: int, places: int) -> np.ndarray:
    """Return which projections cost less in the frequency domain, (Q,), with W = `size` taps."""
    chosen = np.zeros(len(plan.source), bool)
    vectors, span = places // LANES, layout.span // LANES
    for q in range(len(chosen)):
        source, target = plan.source[q], plan.target[q]
        if target < 0 or plan.recurrent_projection[q] or layout.event_driven[source]:
            continue
        n_pre, n_post, ways = plan.n[source], plan.n[target], 2 + (plan.kind[source] == SPIKING)
        rows = plan.row[plan.row_first[q] : plan.row_first[q] + n_post + 1].astype(np.int64)
        synapses = rows[n_post] - rows[0]
        shifted = SHIFTED * ways * synapses * size * span
        products = PRODUCT * ways * synapses * 2 * vectors
        sources = n_pre * (layout.steps * vectors + (ways - 2) * places * span)
        targets = n_post * (layout.steps * vectors + places * span)
        taps = synapses * (size * vectors + places * -(-size // LANES)) / EXAMPLES
        chosen[q] = products + TRANSFORM * (sources + targets + taps) < shifted
    return chosen


def choose_table(
    plan: Plan, layout: RowLayout, q: int, places: int, size: int, events: float, has_adjoint: bool
) -> bool:
    """Return whether all pairs of projection q over `size` delays cost less here.

    Neurons of the source send `events` values per example.
    """
    n_pre, n_post = plan.n[plan.source[q]], plan.n[plan.target[q]]
    if plan.recurrent_projection[q] or layout.event_driven[plan.source[q]]:
        return False
    vectors, lanes = places // LANES, -(-size // LANES)
    shifted = SHIFTED * n_pre * n_post * events * lanes
    products = PRODUCT * n_pre * n_post * 2 * vectors
    rows = n_pre * events * vectors + (0 if has_adjoint else n_post * layout.steps * vectors)
    return bool(
        products + TRANSFORM * (rows + n_pre * n_post * places * lanes / EXAMPLES) < shifted
    )


# Transforms


@kernel
def transform_taps(spectra, size, first, coef, low, high):
    """Write the spectra of the taps of synapses low..high-1."""
    places, radices, waves = spectra.transform
    row, buffer = np.zeros(places, np.float32), np.empty(places, np.float32)
    for s in range(low, high):
        begin = first[s] + 1
        row[begin : begin + size] = coef[s * size : (s + 1) * size]
        to_spectrum(
            places, radices, waves, row, 0, -(-(begin + size) // LANES), AS_IT_IS, spectra.taps,
            s * places, buffer,
        )  # fmt: skip
        row[begin : begin + size] = 0.0


@kernel
def transform_sources(spectra, plan, layout, p, traces, low, high):
    """Write the spectra of what population p sends in examples low..high-1."""
    places, radices, waves = spectra.transform
    buffer = np.empty(places, np.float32)
    for e in range(low, high):
        first = e * layout.sources + layout.source_row[p]
        for row in range(first, first + plan.n[p]):
            to_spectrum(
                places, radices, waves, traces.sources, (1 + row) * layout.length,
                layout.span // LANES, AS_IT_IS, spectra.sources, row * places, buffer,
            )  # fmt: skip


@kernel
def transform_adjoints(spectra, plan, layout, p, g, traces, low, high):
    """Write the conjugate spectra of the adjoints of group g of population p."""
    places, radices, waves = spectra.transform
    buffer = np.empty(places, np.float32)
    for e in range(low, high):
        first = e * layout.neurons + layout.neuron_row[p]
        for row in range(first, first + plan.n[p]):
            to_spectrum(
                places, radices, waves, traces.adjoint[g], row * layout.length,
                layout.span // LANES, CONJUGATE, spectra.adjoint[g], row * places, buffer,
            )  # fmt: skip


@kernel
def put_rows(spectra, layout, n, tile, k, sign, out, at):
    """Add the rows of the spectra of the tile's example k to n rows of out from place `at` on."""
    places, radices, waves = spectra.transform
    buffer = np.empty(places, np.float32)
    for j in range(n):
        to_row(
            places, radices, waves, tile, (k * n + j) * places, layout.span // LANES, sign, out,
            at + j * layout.length, buffer, True,
        )  # fmt: skip


@kernel
def has_chosen(plan, spectra, p, g):
    """Return whether any projection onto group g of population p is worked on here."""
    for q in range(len(plan.target)):
        if spectra.chosen[q] and plan.target[q] == p and plan.group[q] == g:
            return True
    return False


# Products


@kernel
def sum_products(count, out, to, one, one_at, other, other_at, offset, first, last, block):
    """Add products to `count` spectra; see `add_products`."""
    k = 0
    while k < count:
        left, a, b = count - k, to[k:], offset[k:]
        if left >= 8:
            add_products(8, out, a, one, one_at, other, other_at, b, first, last, block)
            k += 8
        elif left >= 4:
            add_products(4, out, a, one, one_at, other, other_at, b, first, last, block)
            k += 4
        elif left >= 2:
            add_products(2, out, a, one, one_at, other, other_at, b, first, last, block)
            k += 2
        else:
            add_products(1, out, a, one, one_at, other, other_at, b, first, last, block)
            k += 1


@kernel
def add_arrivals(plan, layout, spectra, p, g, low, high, tile):
    """Add the spectra of what arrives at group g of population p to tile (E n places,).

    That of examples low..high-1, at most `TILE`.
    """
    n, places = plan.n[p], spectra.transform.places
    to, offset = np.empty(TILE, np.int64), np.empty(TILE, np.int64)
    for k in range(high - low):
        offset[k] = (low + k) * layout.sources * places
    for q in range(len(plan.target)):
        if not (spectra.chosen[q] and plan.target[q] == p and plan.group[q] == g):
            continue
        rows = plan.row[plan.row_first[q] : plan.row_first[q] + n + 1]
        for block in range(0, places, BLOCK):
            for j in range(n):
                for k in range(high - low):
                    to[k] = (k * n + j) * places
                sum_products(
                    high - low, tile, to, spectra.taps, spectra.own, spectra.sources, spectra.pre,
                    offset, np.int64(rows[j]), np.int64(rows[j + 1]), block,
                )  # fmt: skip


@kernel
def back_tile(plan, spectra, p):
    """Return room for the spectra that `add_back` adds, none where there are none."""
    for q in range(len(plan.source)):
        if spectra.chosen[q] and plan.source[q] == p:
            return np.empty(TILE * plan.n[p] * spectra.transform.places, np.float32)
    return np.empty(0, np.float32)


@kernel
def add_back(plan, layout, spectra, p, low, high, tile):
    """Add the spectra of dL/d(spike) of population p to tile (E n places,).

    In examples low..high-1, at most `TILE`.
    """
    n, places = plan.n[p], spectra.transform.places
    to, offset = np.empty(TILE, np.int64), np.empty(TILE, np.int64)
    for k in range(high - low):
        offset[k] = (low + k) * layout.neurons * places
    for q in range(len(plan.source)):
        if not (spectra.chosen[q] and plan.source[q] == p):
            continue
        adjoint, begin = spectra.adjoint[plan.group[q]], plan.out_first[q]
        for block in range(0, places, BLOCK):
            for i in range(n):
                for k in range(high - low):
                    to[k] = (k * n + i) * places
                sum_products(
                    high - low, tile, to, spectra.taps, spectra.out_own, adjoint, spectra.out_post,
                    offset, np.int64(plan.out[begin + i]), np.int64(plan.out[begin + i + 1]), block,
                )  # fmt: skip


@kernel
def add_correlations(plan, layout, spectra, q, rows, pre, edges, low, high, base, sums):
    """Add the spectra of the correlations of synapses low..high-1 to sums, from that of `base` on.

    Those with postsynaptic neuron j belong to the places ``pre[rows[j]:rows[j + 1]]`` in
    `spectra.sources`. ``edges`` cut the batch: its parts are summed one by one.
    """
    places, source = spectra.transform.places, layout.sources * spectra.transform.places
    first, adjoint = layout.neuron_row[plan.target[q]], spectra.adjoint[plan.group[q]]
    to, offset = np.empty(TILE, np.int64), np.empty(TILE, np.int64)
    one_at, other_at = np.empty(edges[-1], np.int64), np.empty(edges[-1], np.int64)
    for e in range(edges[0], edges[-1]):
        other_at[e] = e * source
    for block in range(0, places, BLOCK):
        for c in range(len(edges) - 1):
            for j in range(len(rows) - 1):
                begin: Any = max(low, np.int64(rows[j]))
                end: Any = min(high, np.int64(rows[j + 1]))
                if begin >= end:
                    continue
                for e in range(edges[c], edges[c + 1]):
                    one_at[e] = (e * layout.neurons + first + j) * places
                for s in range(begin, end, TILE):
                    count = min(TILE, end - s)
                    for k in range(count):
                        to[k] = (s + k - base) * places
                        offset[k] = pre[s + k]
                    sum_products(
                        count, sums, to, adjoint, one_at, spectra.sources, other_at, offset,
                        edges[c], edges[c + 1], block,
                    )  # fmt: skip


@kernel
def write_lags(spectra, steps, first, size, low, high, base, sums, out):
    """Write correlations of synapses low..high-1 to out (S size,): see `correlate_lags`."""
    places, radices, waves = spectra.transform
    row, buffer = np.empty(places, np.float32), np.empty(places, np.float32)
    for s in range(low, high):
        begin = first[s] + 1
        to_row(
            places, radices, waves, sums, (s - base) * places, -(-(begin + size) // LANES),
            CONJUGATE, row, 0, buffer, False,
        )  # fmt: skip
        for m in range(size):
            # What is sent arrives before the trial ends.
            out[s * size + m] = row[begin + m] if begin + m < steps else np.float32(0.0)


@kernel
def correlate_lags(plan, layout, spectra, q, rows, pre, edges, first, size, low, high, out):
    """Write correlations of synapses low..high-1 to out (S size,).

    Those of synapse s at lags first[s]..first[s] + size - 1; see `add_correlations`.
    """
    places: Any = spectra.transform.places
    step: Any = max(1, SUMS // places)
    sums = np.empty(min(step, high - low) * places, np.float32)
    for begin in range(low, high, step):
        end: Any = min(begin + step, high)
        sums[: (end - begin) * places] = 0.0
        add_correlations(plan, layout, spectra, q, rows, pre, edges, begin, end, begin, sums)
        write_lags(spectra, layout.steps, first, size, begin, end, begin, sums, out)
