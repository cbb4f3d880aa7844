"""Vectors as values of kernels, against NumPy and against their stand-ins without Numba."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from mlgenn_delays.engines.shared import lanes
from mlgenn_delays.engines.shared.lanes import (
    LANES,
    PAIR,
    at_least,
    lane,
    load,
    put,
    put_pairs,
    splat,
    where,
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
