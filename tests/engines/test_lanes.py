"""Vectors as values of kernels, against NumPy and against their stand-ins without Numba."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from mlgenn_delays.engines.shared import lanes
from mlgenn_delays.engines.shared.lanes import (
    BLOCK,
    LANES,
    PAIR,
    STRIP,
    above,
    add_wide,
    at_least,
    cos,
    exp,
    fetch,
    having,
    lane,
    load,
    load_rows,
    log,
    lowest,
    magnitude,
    power,
    put,
    put_pairs,
    put_rows,
    sin,
    splat,
    sqrt,
    tanh,
    where,
    with_lane,
)
from tests.needs import needs

ONE = np.float32(1.0)


def step(values: Any, limits: Any, out: Any, rows: Any, pairs: Any) -> tuple[int, float, int]:
    """All that kernels do with vectors, once."""
    one = load_rows(BLOCK, values, np.uint64(3), np.uint64(9))
    two = load(BLOCK, limits, np.uint64(1))
    bits = at_least(one, two)
    moved = where(bits, splat(BLOCK, ONE), one * two - one) + two
    put(out, np.uint64(2), moved)
    put_rows(rows, np.uint64(1), np.uint64(LANES + 1), moved)
    put_pairs(pairs, np.uint64(1), np.uint64(LANES + 2), moved, one)
    return bits, lane(load(PAIR, values, np.uint64(5)), np.uint64(1)), lowest(np.uint64(bits))


@needs("compiled kernels")
@pytest.mark.parametrize("seed", range(3))
def test_vectors_do_what_numpy_does(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    values, limits = rng.normal(size=(2, 64)).astype(np.float32)
    values[4] = limits[2]  # at its limit
    values[5] = np.nan
    sizes = BLOCK + 4, BLOCK // LANES * (LANES + 1) + 2, 2 * BLOCK // LANES * (LANES + 2) + 2
    found = [np.zeros(size, np.float32) for size in sizes]
    bits, second, first = njit(step)(values, limits, *found)
    one = np.concatenate([values[3 + 9 * k : 3 + 9 * k + LANES] for k in range(BLOCK // LANES)])
    two = limits[1 : 1 + BLOCK]
    over = one >= two
    assert [bool(bits >> k & 1) for k in range(BLOCK)] == over.tolist()
    assert first == np.flatnonzero(over)[0]
    assert second == values[6]
    wanted = np.where(over, ONE, one * two - one) + two
    np.testing.assert_array_equal(found[0], np.concatenate([[0, 0], wanted, [0, 0]]))
    for got, size, count in zip(
        found[1:], (LANES + 1, LANES + 2), (BLOCK // LANES, 2 * BLOCK // LANES), strict=True
    ):
        parts = got[1:-1].reshape(count, size)
        assert got[0] == got[-1] == 0 and not parts[:, LANES:].any()
        expected = wanted if size == LANES + 1 else np.stack([wanted, one], 1)
        np.testing.assert_array_equal(parts[:, :LANES].ravel(), expected.ravel())

    plain = lanes._plain()
    for name, function in plain.items():
        monkeypatch.setitem(globals(), name, function)
    again = [np.zeros(size, np.float32) for size in sizes]
    assert step(values, limits, *again) == (bits, second, first)
    for got, expected in zip(again, found, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_nothing_is_lowest_of_nothing() -> None:
    assert njit(lambda bits: lowest(bits))(np.uint64(0)) == 64
    assert lanes._plain()["lowest"](np.uint64(0)) == 64


def strip(values: Any, words: Any, sums: Any, out: Any) -> Any:
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
    return bits, having(words, np.uint64(2), np.uint64(9))


@needs("compiled kernels")
@pytest.mark.parametrize("seed", range(3))
def test_strips_do_what_numpy_does(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=2 * STRIP).astype(np.float32)
    values[STRIP], values[2 * STRIP - 1] = values[0], np.nan  # no lane of these is above
    values[1] = -0.0
    out, sums, wide = np.zeros(3 * STRIP, np.float32), rng.random(STRIP + 2), np.zeros(STRIP + 2)
    wide[1:-1] = values[:STRIP]
    before, words = sums.copy(), rng.integers(0, 2**16, 2 + STRIP, np.uint16)
    bits, ninth = njit(strip)(values, words, sums, out)
    assert [ninth >> k & 1 for k in range(STRIP)] == [word >> 9 & 1 for word in words[2:]]
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
    assert strip(values, words, more, again) == (bits, ninth)
    np.testing.assert_array_equal(more, sums)
    np.testing.assert_allclose(again, out, rtol=2e-6, atol=2e-6)
