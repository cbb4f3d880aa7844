"""Vectors as values of kernels, against NumPy and against their stand-ins without Numba."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from mlgenn_delays.engines.shared import lanes
from mlgenn_delays.engines.shared.lanes import (
    LANES,
    PAIR,
    STRIP,
    above,
    add_wide,
    at_least,
    cos,
    exp,
    fetch,
    lane,
    load,
    log,
    magnitude,
    power,
    put,
    put_pairs,
    sin,
    splat,
    sqrt,
    tanh,
    where,
    with_lane,
)
from tests.needs import needs

ONE = np.float32(1.0)


def step(values: Any, limits: Any, out: Any, pairs: Any) -> tuple[int, float]:
    """All that kernels do with vectors, once."""
    one, two = load(LANES, values, np.uint64(3)), load(LANES, limits, np.uint64(1))
    bits = at_least(one, two)
    moved = where(bits, splat(LANES, ONE), one * two - one) + two
    put(out, np.uint64(2), moved)
    put_pairs(pairs, np.uint64(1), np.uint64(20), moved, one)
    return bits, lane(load(PAIR, values, np.uint64(5)), np.uint64(1))


@needs("compiled kernels")
@pytest.mark.parametrize("seed", range(3))
def test_vectors_do_what_numpy_does(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    values, limits = rng.normal(size=(2, 16)).astype(np.float32)
    values[4] = limits[2]  # at its limit
    values[5] = np.nan
    found = np.zeros(12, np.float32), np.zeros(30, np.float32)
    bits, second = njit(step)(values, limits, *found)
    one, two = values[3 : 3 + LANES], limits[1 : 1 + LANES]
    over = one >= two
    assert [bool(bits >> k & 1) for k in range(LANES)] == over.tolist()
    assert second == values[6]
    wanted = np.where(over, ONE, one * two - one) + two
    np.testing.assert_array_equal(found[0], np.concatenate([[0, 0], wanted, [0, 0]]))
    np.testing.assert_array_equal(found[1][1:9].reshape(4, 2).T, [wanted[:4], one[:4]])
    np.testing.assert_array_equal(found[1][20:28].reshape(4, 2).T, [wanted[4:], one[4:]])
    assert not found[1][[0, *range(9, 20), 28, 29]].any()

    plain = lanes._plain()
    for name, function in plain.items():
        monkeypatch.setitem(globals(), name, function)
    again = np.zeros(12, np.float32), np.zeros(30, np.float32)
    assert step(values, limits, *again) == (bits, second)
    for got, expected in zip(again, found, strict=True):
        np.testing.assert_array_equal(got, expected)


def strip(values: Any, sums: Any, out: Any) -> Any:
    """What kernels of whole strips do with vectors besides, once."""
    one, two = load(STRIP, values, np.uint64(0)), load(STRIP, values, np.uint64(STRIP))
    bits = above(one, two)
    size = magnitude(one) + magnitude(two)
    made = where(bits, -one / two, sqrt(size)) * with_lane(two, np.uint64(3), ONE)
    put(out, np.uint64(0), made)
    put(out, np.uint64(STRIP), exp(one) + tanh(two) + sin(one) * cos(two) + log(size))
    put(out, np.uint64(2 * STRIP), power(size, one))
    fetch(values, np.uint64(1000))
    add_wide(sums, np.uint64(1), one)
    return bits


@needs("compiled kernels")
@pytest.mark.parametrize("seed", range(3))
def test_strips_do_what_numpy_does(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=2 * STRIP).astype(np.float32)
    values[STRIP], values[2 * STRIP - 1] = values[0], np.nan  # no lane of these is above
    values[1] = -0.0
    out, sums, wide = np.zeros(3 * STRIP, np.float32), rng.random(STRIP + 2), np.zeros(STRIP + 2)
    wide[1:-1] = values[:STRIP]
    before = sums.copy()
    bits = njit(strip)(values, sums, out)
    np.testing.assert_array_equal(sums, before + wide)
    one, two = values.reshape(2, STRIP)
    over = one > two
    assert [bool(bits >> k & 1) for k in range(STRIP)] == over.tolist()
    size, other = np.abs(one) + np.abs(two), two.copy()
    other[3] = 1.0
    np.testing.assert_array_equal(out[:STRIP], np.where(over, -one / two, np.sqrt(size)) * other)
    curves = np.exp(one) + np.tanh(two) + np.sin(one) * np.cos(two) + np.log(size)
    np.testing.assert_allclose(out[STRIP : 2 * STRIP], curves, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(out[2 * STRIP :], size**one, rtol=1e-6)

    for name, function in lanes._plain().items():
        monkeypatch.setitem(globals(), name, function)
    again, more = np.zeros(3 * STRIP, np.float32), before.copy()
    assert strip(values, more, again) == bits
    np.testing.assert_array_equal(more, sums)
    np.testing.assert_allclose(again, out, rtol=2e-6, atol=2e-6)
