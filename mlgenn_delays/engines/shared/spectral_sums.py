"""Sums of products of spectra: what they hold for neurons and synapses; see `spectra`."""

from typing import Any

import numpy as np

from mlgenn_delays.engines.shared.fourier_code import BLOCK
from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.spectra import write_lags
from mlgenn_delays.engines.shared.spectral_vector import add_products

TILE = 32  # examples at once: the taps' spectra come out of memory once for them
COLUMNS = 8  # spectra that products are added to at once
ROWS = 3  # of a dense projection at once: with four columns, sums fill the registers
AT_ONCE = 48  # neurons whose arrivals are spectra at once: whole strips, and whole `ROWS`
SUMS = 2**23  # places of sums over a batch at once
CACHED = 2**11  # synapses at once, of whose sums the second-level cache holds a block


@kernel
def has_chosen(plan, spectra, p, g):
    """Return whether any arrivals at group g of population p are found here."""
    for q in range(len(plan.target)):
        if spectra.chosen[q] and plan.target[q] == p and plan.group[q] == g:
            return True
    return False


@kernel
def has_back(plan, spectra, p, g):
    """Return whether the adjoints of group g of population p are needed here."""
    for q in range(len(plan.target)):
        if plan.target[q] == p and plan.group[q] == g and (spectra.chosen[q] or spectra.back[q]):
            return True
    return False


@kernel
def sum_products(
    several, begin, end, out, at, row, to, one, base, one_row, one_at, other, other_at, offset,
    first, last
):  # fmt: skip
    """Add products to spectra to[begin:end], of one row or of `ROWS`; see `add_products`."""
    m = begin
    while m < end:
        left = end - m
        if several and left >= 4:
            add_products(
                ROWS, 4, out, at, row, to, one, base, one_row, one_at, other, other_at, offset, m,
                first, last,
            )  # fmt: skip
            m += 4
        elif several:
            add_products(
                ROWS, 1, out, at, row, to, one, base, one_row, one_at, other, other_at, offset, m,
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
    # What rows read of four examples stays in the first-level cache.
    step = COLUMNS // 2 if dense else COLUMNS
    for k in range(0, count, step):
        j = begin
        while j < end:
            several, first, last = (
                dense and j + ROWS <= end,
                np.int64(rows[j]),
                np.int64(rows[j + 1]),
            )
            if first < last:
                sum_products(
                    several, k, min(k + step, count), out, at + j * BLOCK, BLOCK, to, one, base,
                    one_row, one_at, other, other_at, offset, first, last,
                )  # fmt: skip
            j += ROWS if several else 1


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
def back_tile(plan, spectra, p, examples):
    """Return room for the spectra that `add_back` writes, none where there are none."""
    for q in range(len(plan.source)):
        if spectra.back[q] and plan.source[q] == p:
            return np.empty(min(TILE, examples) * plan.n[p] * spectra.transform.places, np.float32)
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
        if not (spectra.back[q] and plan.source[q] == p):
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
    to, offset = np.empty(COLUMNS, np.int64), np.empty(COLUMNS, np.int64)
    one_at, other_at = np.empty(edges[-1], np.int64), np.empty(edges[-1], np.int64)
    for e in range(edges[0], edges[-1]):
        one_at[e] = e * blocks * layout.neurons * BLOCK
        other_at[e] = e * blocks * layout.sources * BLOCK
    for block in range(blocks):
        begin, end = 0, 0
        while begin < len(rows) - 1:
            # Rows whose sums stay in the cache while all examples go by.
            end = begin + 1
            while end < len(rows) - 1 and np.int64(rows[end + 1]) - np.int64(rows[begin]) <= CACHED:
                end += 1
            if np.int64(rows[end]) > low and np.int64(rows[begin]) < high:
                for c in range(len(edges) - 1):
                    correlate_rows(
                        rows, begin, end, pre, block * layout.sources * BLOCK, dense, low, high,
                        adjoint, (block * layout.neurons + first) * BLOCK, one_at, spectra.sources,
                        other_at, to, offset, edges[c], edges[c + 1], base, sums, row,
                        block * stride,
                    )  # fmt: skip
            begin = end


@kernel
def correlate_rows(
    rows, begin, end, pre, pre_at, dense, low, high, adjoint, adjoint_at, one_at, sources, other_at,
    to, offset, first, last, base, sums, row, at
):  # fmt: skip
    """Add one block of the correlations of rows begin..end-1 in examples first..last-1."""
    j = begin
    while j < end:
        a: Any = max(low, np.int64(rows[j]))
        b: Any = min(high, np.int64(rows[j + 1]))
        several = (
            dense and j + ROWS <= end and low <= np.int64(rows[j])
            and np.int64(rows[j + ROWS]) <= high
        )  # fmt: skip
        for s in range(a, b, COLUMNS):
            count = min(COLUMNS, b - s)
            for k in range(count):
                to[k] = k * row
                offset[k] = pre[s + k] + pre_at
            sum_products(
                several, 0, count, sums, (s - base) * row + at, (b - a) * row, to, adjoint,
                adjoint_at + j * BLOCK, BLOCK, one_at, sources, other_at, offset, first, last,
            )  # fmt: skip
        j += ROWS if several else 1


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
