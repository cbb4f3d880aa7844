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
AT_ONCE = 32  # neurons whose arrivals are spectra at once
SUMS = 2**18  # places of sums over a batch at once, which the second-level cache holds
AS_IT_IS, CONJUGATE = np.float32(1.0), np.float32(-1.0)


class Spectra(NamedTuple):
    """Spectra of a batch and of the taps, for the projections that are worked on here."""

    chosen: np.ndarray  # (Q,) which projections are
    transform: Transform
    dense: np.ndarray  # (Q,) which have all synapses that there can be
    taps: np.ndarray  # (blocks, S, BLOCK) flat: of each synapse's taps times its weight
    sources: np.ndarray  # (B, blocks, sources, BLOCK) flat: of what each source sends
    adjoint: np.ndarray  # (G, B blocks neurons BLOCK) of adjoints at the arrivals, conjugate
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


# Transforms. Spectra that are read together lie together: block by block of all sources, neurons
# or synapses, in each example.


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
            s * BLOCK, len(first) * BLOCK, buffer,
        )  # fmt: skip
        row[begin : begin + size] = 0.0


@kernel
def transform_sources(spectra, plan, layout, p, traces, low, high):
    """Write the spectra of what population p sends in examples low..high-1."""
    places, radices, waves = spectra.transform
    buffer, first, n = np.empty(places, np.float32), layout.source_row[p], layout.sources
    for e in range(low, high):
        for i in range(first, first + plan.n[p]):
            to_spectrum(
                places, radices, waves, traces.sources, (1 + e * n + i) * layout.length,
                layout.span // LANES, AS_IT_IS, spectra.sources, e * n * places + i * BLOCK,
                n * BLOCK, buffer,
            )  # fmt: skip


@kernel
def transform_adjoints(spectra, plan, layout, p, g, traces, low, high):
    """Write the conjugate spectra of the adjoints of group g of population p."""
    places, radices, waves = spectra.transform
    buffer, first, n = np.empty(places, np.float32), layout.neuron_row[p], layout.neurons
    for e in range(low, high):
        for j in range(first, first + plan.n[p]):
            to_spectrum(
                places, radices, waves, traces.adjoint[g], (e * n + j) * layout.length,
                layout.span // LANES, CONJUGATE, spectra.adjoint[g], e * n * places + j * BLOCK,
                n * BLOCK, buffer,
            )  # fmt: skip


@kernel
def put_rows(spectra, layout, n, tile, k, sign, adds, out, at):
    """Write, or add, the rows of example k of a tile (E, blocks, n, BLOCK) to out from `at` on."""
    places, radices, waves = spectra.transform
    buffer = np.empty(places, np.float32)
    for j in range(n):
        to_row(
            places, radices, waves, tile, k * n * places + j * BLOCK, n * BLOCK,
            layout.span // LANES, sign, out, at + j * layout.length, buffer, adds,
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
def sum_products(
    pair, begin, end, out, at, row, to, one, base, one_row, one_at, other, other_at, offset, first,
    last
):  # fmt: skip
    """Add products to spectra to[begin:end], for one row or a pair of them; see `add_products`."""
    m = begin
    while m < end:
        left = end - m
        if pair and left >= 4:
            add_products(
                2, 4, out, at, row, to, one, base, one_row, one_at, other, other_at, offset, m,
                first, last,
            )  # fmt: skip
            m += 4
        elif pair:
            add_products(
                2, 1, out, at, row, to, one, base, one_row, one_at, other, other_at, offset, m,
                first, last,
            )  # fmt: skip
            m += 1
        elif left >= 8:
            add_products(
                1, 8, out, at, row, to, one, base, one_row, one_at, other, other_at, offset, m,
                first, last,
            )  # fmt: skip
            m += 8
        elif left >= 4:
            add_products(
                1, 4, out, at, row, to, one, base, one_row, one_at, other, other_at, offset, m,
                first, last,
            )  # fmt: skip
            m += 4
        elif left >= 2:
            add_products(
                1, 2, out, at, row, to, one, base, one_row, one_at, other, other_at, offset, m,
                first, last,
            )  # fmt: skip
            m += 2
        else:
            add_products(
                1, 1, out, at, row, to, one, base, one_row, one_at, other, other_at, offset, m,
                first, last,
            )  # fmt: skip
            m += 1


@kernel
def sum_rows(
    dense, rows, begin, end, count, out, at, to, one, base, one_row, one_at, other, other_at, offset
):
    """Add the products of synapses rows[j]..rows[j + 1] to row j of each of `count` examples.

    For j in begin..end-1; rows of synapses of a `dense` projection differ in `one` by `one_row`.
    """
    # What a pair of rows reads of four examples stays in the first-level cache.
    step = TILE // 2 if dense else TILE
    for k in range(0, count, step):
        j = begin
        while j < end:
            pair, first, last = dense and j + 1 < end, np.int64(rows[j]), np.int64(rows[j + 1])
            if first < last:
                sum_products(
                    pair, k, min(k + step, count), out, at + j * BLOCK, BLOCK, to, one, base,
                    one_row, one_at, other, other_at, offset, first, last,
                )  # fmt: skip
            j += 2 if pair else 1


@kernel
def add_arrivals(plan, layout, spectra, p, g, low, high, begin, end, tile):
    """Write the spectra of what arrives at neurons begin..end-1 of group g of population p.

    That in examples low..high-1, at most `TILE`, to tile (E, blocks, n, BLOCK).
    """
    n, blocks, count = end - begin, spectra.transform.places // BLOCK, high - low
    tile[: count * blocks * n * BLOCK] = 0.0
    to, offset = np.empty(TILE, np.int64), np.empty(TILE, np.int64)
    for q in range(len(plan.target)):
        if not (spectra.chosen[q] and plan.target[q] == p and plan.group[q] == g):
            continue
        rows = plan.row[plan.row_first[q] : plan.row_first[q] + plan.n[p] + 1]
        for block in range(blocks):
            for k in range(count):
                to[k] = (k * blocks + block) * n * BLOCK
                offset[k] = ((low + k) * blocks + block) * layout.sources * BLOCK
            sum_rows(
                spectra.dense[q], rows, begin, end, count, tile, -begin * BLOCK, to, spectra.taps,
                block * len(spectra.own) * BLOCK, plan.n[plan.source[q]] * BLOCK, spectra.own,
                spectra.sources, spectra.pre, offset,
            )  # fmt: skip


@kernel
def put_arrivals(plan, layout, spectra, p, g, low, high, tile, adds, out):
    """Write what arrives at group g of population p to rows of neurons, or add it.

    That in examples low..high-1, at most `TILE`.
    """
    for begin in range(0, plan.n[p], AT_ONCE):
        end = min(begin + AT_ONCE, plan.n[p])
        add_arrivals(plan, layout, spectra, p, g, low, high, begin, end, tile)
        for k in range(high - low):
            row = (low + k) * layout.neurons + layout.neuron_row[p] + begin
            put_rows(
                spectra, layout, end - begin, tile, k, AS_IT_IS, adds, out, row * layout.length
            )


@kernel
def back_tile(plan, spectra, p):
    """Return room for the spectra that `add_back` adds, none where there are none."""
    for q in range(len(plan.source)):
        if spectra.chosen[q] and plan.source[q] == p:
            return np.empty(TILE * plan.n[p] * spectra.transform.places, np.float32)
    return np.empty(0, np.float32)


@kernel
def add_back(plan, layout, spectra, p, low, high, tile):
    """Write the spectra of dL/d(spike) of population p to tile (E, blocks, n, BLOCK).

    In examples low..high-1, at most `TILE`.
    """
    n, blocks, count = plan.n[p], spectra.transform.places // BLOCK, high - low
    tile[: count * blocks * n * BLOCK] = 0.0
    to, offset = np.empty(TILE, np.int64), np.empty(TILE, np.int64)
    for q in range(len(plan.source)):
        if not (spectra.chosen[q] and plan.source[q] == p):
            continue
        rows = plan.out[plan.out_first[q] : plan.out_first[q] + n + 1]
        for block in range(blocks):
            for k in range(count):
                to[k] = (k * blocks + block) * n * BLOCK
                offset[k] = ((low + k) * blocks + block) * layout.neurons * BLOCK
            sum_rows(
                spectra.dense[q], rows, 0, n, count, tile, 0, to, spectra.taps,
                block * len(spectra.own) * BLOCK, BLOCK, spectra.out_own,
                spectra.adjoint[plan.group[q]], spectra.out_post, offset,
            )  # fmt: skip


@kernel
def add_correlations(
    plan, layout, spectra, q, rows, pre, dense, edges, low, high, base, sums, row, stride
):
    """Add the spectra of the correlations of synapses low..high-1 to sums, from that of `base` on.

    Those with postsynaptic neuron j belong to the places ``pre[rows[j]:rows[j + 1]]`` in
    `spectra.sources`. ``edges`` cut the batch: its parts are summed one by one. Spectra of `sums`
    lie `row` places behind one another, their blocks `stride`.
    """
    blocks = spectra.transform.places // BLOCK
    first, adjoint = layout.neuron_row[plan.target[q]], spectra.adjoint[plan.group[q]]
    to, offset = np.empty(TILE, np.int64), np.empty(TILE, np.int64)
    one_at, other_at = np.empty(edges[-1], np.int64), np.empty(edges[-1], np.int64)
    for e in range(edges[0], edges[-1]):
        one_at[e] = e * blocks * layout.neurons * BLOCK
        other_at[e] = e * blocks * layout.sources * BLOCK
    for block in range(blocks):
        for c in range(len(edges) - 1):
            j = 0
            while j < len(rows) - 1:
                begin: Any = max(low, np.int64(rows[j]))
                end: Any = min(high, np.int64(rows[j + 1]))
                pair = (
                    dense and j + 2 < len(rows) and low <= np.int64(rows[j])
                    and np.int64(rows[j + 2]) <= high
                )  # fmt: skip
                own = (block * layout.neurons + first + j) * BLOCK
                for s in range(begin, end, TILE):
                    count = min(TILE, end - s)
                    for k in range(count):
                        to[k] = k * row
                        offset[k] = pre[s + k] + block * layout.sources * BLOCK
                    sum_products(
                        pair, 0, count, sums, (s - base) * row + block * stride,
                        (end - begin) * row, to, adjoint, own, BLOCK, one_at, spectra.sources,
                        other_at, offset, edges[c], edges[c + 1],
                    )  # fmt: skip
                j += 2 if pair else 1


@kernel
def write_lags(spectra, steps, first, size, low, high, base, sums, row, stride, out):
    """Write correlations of synapses low..high-1 to out (S size,): see `correlate_lags`."""
    places, radices, waves = spectra.transform
    lags, buffer = np.empty(places, np.float32), np.empty(places, np.float32)
    for s in range(low, high):
        begin = first[s] + 1
        to_row(
            places, radices, waves, sums, (s - base) * row, stride, -(-(begin + size) // LANES),
            CONJUGATE, lags, 0, buffer, False,
        )  # fmt: skip
        for m in range(size):
            # What is sent arrives before the trial ends.
            out[s * size + m] = lags[begin + m] if begin + m < steps else np.float32(0.0)


@kernel
def correlate_lags(plan, layout, spectra, q, rows, pre, dense, edges, first, size, low, high, out):
    """Write correlations of the synapses of postsynaptic neurons low..high-1 to out (S size,).

    Those of synapse s at lags first[s]..first[s] + size - 1; see `add_correlations`.
    """
    places: Any = spectra.transform.places
    most: Any = max(1, SUMS // places)
    sums = np.empty(0, np.float32)
    begin = low
    while begin < high:
        end = begin + 1
        while end < high and np.int64(rows[end + 1]) - np.int64(rows[begin]) <= most:
            end += 1
        begin_s, end_s = np.int64(rows[begin]), np.int64(rows[end])
        count = end_s - begin_s
        if len(sums) < count * places:
            sums = np.empty(count * places, np.float32)
        sums[: count * places] = 0.0
        add_correlations(
            plan, layout, spectra, q, rows, pre, dense, edges, begin_s, end_s, begin_s, sums, BLOCK,
            count * BLOCK,
        )  # fmt: skip
        write_lags(
            spectra, layout.steps, first, size, begin_s, end_s, begin_s, sums, BLOCK, count * BLOCK,
            out,
        )  # fmt: skip
        begin = end
