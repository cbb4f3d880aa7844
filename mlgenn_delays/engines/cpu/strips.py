"""Rows along time to strips of neurons and back, sums of strips, values padded to whole strips."""

import numpy as np

from mlgenn_delays.engines.shared.lanes import (
    STRIP,
    at_least,
    fetch,
    load,
    magnitude,
    put,
    splat,
    where,
)
from mlgenn_delays.engines.shared.numerics import SUBNORMAL, kernel
from mlgenn_delays.engines.shared.strip_vector import moments, transpose
from mlgenn_delays.engines.shared.traces import strip_place

AHEAD = 32  # steps that are fetched before they are needed


@kernel
def padded(values, first, n):
    """Return values (M, N) of n neurons from the first on, the last repeated up to whole strips."""
    wide = -(-n // STRIP) * STRIP
    out = np.empty((len(values), wide), np.float32)
    for m in range(len(values)):
        for k in range(wide):
            out[m, k] = values[m, first + min(k, n - 1)]
    return out


@kernel
def padded_row(values, first, n):
    """Return the same of values (N,)."""
    return padded(values.reshape(1, -1), first, n).reshape(-1)


@kernel
def to_strip(rows, at, length, span, strip, to):
    """Write `STRIP` rows as a strip."""
    for t in range(0, span, STRIP):
        transpose(strip, to + t * STRIP, STRIP, rows, at + t, length)


@kernel
def to_rows(strip, at, lanes, span, rows, to, length, block):
    """Write the first lanes of a strip as rows; `block` (STRIP STRIP,) is a buffer."""
    for t in range(0, span, STRIP):
        if lanes == STRIP:
            transpose(rows, to + t, length, strip, at + t * STRIP, STRIP)
            continue
        transpose(block, 0, STRIP, strip, at + t * STRIP, STRIP)
        for k in range(lanes):
            for m in range(STRIP):
                rows[to + k * length + t + m] = block[k * STRIP + m]


@kernel
def add_up(layout, p, n, low, one, other, e, found, sums):
    """Write the sums of a strip of `one`, and of its product with `other`, for example e.

    Those of neurons low..low + STRIP - 1 of population p's n go to sums (2, B, n) float64; `found`
    (2 STRIP,) float64 is a buffer.
    """
    at = strip_place(layout, p, e, low)
    moments(one, at, other, at, layout.steps, found)
    for k in range(min(STRIP, n - low)):
        sums[0, e, low + k], sums[1, e, low + k] = found[k], found[STRIP + k]


@kernel
def back_filter(instant, decay, scale, normalised, linear, first, steps, strips, at, out):
    """Write the adjoints at the arrivals of a strip, which begins at `at`, to `out` from D.

    D is dL/dI or, where the currents are `normalised`, the derivative by the normalised ones; then
    dL/dI is a D + b I + c, with a, b and c the rows of ``linear`` (3, n).
    """
    decays, scales = load(STRIP, decay, first), load(STRIP, scale, first)
    x = zero = a = b = c = splat(STRIP, np.float32(0.0))
    if normalised:
        n = linear.shape[1]
        a, b = load(STRIP, linear, first), load(STRIP, linear, n + first)
        c = load(STRIP, linear, 2 * n + first)
    for back in range(steps):
        t = (steps - 1 - back) * STRIP
        fetch(strips.distance, at + t - AHEAD * STRIP)
        fetch(strips.current, at + t - AHEAD * STRIP)
        by_current = load(STRIP, strips.distance, at + t)
        if normalised:
            by_current = a * by_current + b * load(STRIP, strips.current, at + t) + c
        if instant:
            put(out, t, scales * by_current)
            continue
        x = scales * by_current + decays * x
        x = where(at_least(splat(STRIP, SUBNORMAL), magnitude(x)), zero, x)
        put(out, t, x)
