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
    at_least,
    lane,
    load,
    load_rows,
    lowest,
    put,
    put_pairs,
    put_rows,
    splat,
    where,
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
