"""Shifted sums against plain loops, on whole numbers: sums are exact."""

import numba
import numpy as np
import pytest

from mlgenn_delays.engines.shared import vector

SPANS = (16, 32, 48, 64, 80, 112, 128, 144, 160)


@numba.njit
def shifted_axpy(out, at, n, x, base, address, coef, first, last):
    vector.shifted_axpy(out, at, n, x, base, address, coef, first, last)


@numba.njit
def shifted_dot(out, row, at, n, x, base, address, first, last):
    vector.shifted_dot(out, row, at, n, x, base, address, first, last)


@numba.njit
def shifted_axpys(
    out, at, row, x, base, length, first, own, stride, address, coef, begin, end
):  # fmt: skip
    vector.shifted_axpys(
        3, out, at, row, x, base, length, first, own, stride, address, coef, begin, end
    )


def whole(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.integers(-9, 10, n).astype(np.float32)


@pytest.mark.parametrize("taps", range(10))
def test_both_equal_loops(taps: int) -> None:
    for span in SPANS:
        rng = np.random.default_rng((taps, span))
        x, coef, address = whole(rng, 900), whole(rng, taps + 5), rng.integers(-100, 300, taps + 5)
        first, base, at = (int(rng.integers(*ends)) for ends in ((0, 6), (100, 400), (0, 40)))
        row, dots = whole(rng, at + span + 20), whole(rng, taps + 5)
        sums, right = row.copy(), dots.copy()
        wanted = sums.copy()
        for u in range(span):
            for k in range(first, first + taps):
                wanted[at + u] += coef[k] * x[base + address[k] + u]
                right[k] += row[at + u] * x[base + address[k] + u]
        shifted_axpy(sums, at, span, x, base, address, coef, first, first + taps)
        np.testing.assert_array_equal(sums, wanted, f"{span} steps")
        shifted_dot(dots, row, at, span, x, base, address, first, first + taps)
        np.testing.assert_array_equal(dots, right, f"{span} steps")


@pytest.mark.parametrize("taps", range(10))
def test_several_rows_equal_one_by_one(taps: int) -> None:
    rng = np.random.default_rng(taps)
    x, coef = (rng.normal(size=n).astype(np.float32) for n in (900, taps + 5))
    address, first = rng.integers(0, 300, taps + 5), rng.integers(0, 50, 40)
    begin, base, at, row, length, own, stride = 2, 30, 5, 24, 160, 3, 11
    sums = rng.normal(size=100).astype(np.float32)
    wanted = sums.copy()
    for r in range(3):
        shift = base + r * length + first[own + r * stride]
        shifted_axpy(wanted, at + r * row, 16, x, shift, address, coef, begin, begin + taps)
    shifted_axpys(
        sums, at, row, x, base, length, first, own, stride, address, coef, begin, begin + taps
    )
    np.testing.assert_array_equal(sums, wanted)


def test_nothing_is_done_without_steps_or_taps() -> None:
    rng = np.random.default_rng(0)
    out, x, address, coef = whole(rng, 32), whole(rng, 64), np.zeros(4, np.int64), whole(rng, 4)
    before = out.copy()
    shifted_axpy(out, 0, 0, x, 0, address, coef, 0, 4)
    shifted_axpy(out, 0, 16, x, 0, address, coef, 3, 2)
    shifted_dot(out, x, 0, 16, x, 0, address, 3, 1)
    shifted_dot(out, x, 0, 0, x, 0, address, 0, 4)
    np.testing.assert_array_equal(out, before)


def test_sums_are_fused_and_in_a_fixed_order() -> None:
    rng = np.random.default_rng(1)
    x, coef = rng.normal(size=400).astype(np.float32), rng.normal(size=7).astype(np.float32)
    address, out = rng.integers(0, 300, 7), np.zeros(64, np.float32)
    shifted_axpy(out, 0, 64, x, 0, address, coef, 0, 7)
    wanted = np.zeros(64, np.float32)
    for k in range(7):
        # A product of float32 is exact in float64, so this rounds once, as a fused one does.
        exact = coef[k].astype(np.float64) * x[address[k] : address[k] + 64]
        wanted = (exact + wanted).astype(np.float32)
    np.testing.assert_array_equal(out, wanted)
    total = np.zeros(7, np.float32)
    shifted_dot(total, x, 0, 64, x, 0, address, 0, 7)
    for k in range(7):
        lanes = np.zeros(16, np.float32)
        for u in range(0, 64, 16):
            exact = x[u : u + 16].astype(np.float64) * x[address[k] + u : address[k] + u + 16]
            lanes = (exact + lanes).astype(np.float32)
        while len(lanes) > 1:
            lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
        assert total[k] == lanes[0]
