"""Strips of neurons: from rows and back, sums, padding, filters, against plain loops."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numba import njit

from mlgenn_delays.engines.cpu import strips
from mlgenn_delays.engines.shared import strip_vector
from mlgenn_delays.engines.shared.lanes import STRIP
from mlgenn_delays.engines.shared.traces import LINE, Strips, aligned, rows_of
from tests.needs import needs

pytestmark = needs("compiled kernels")


@njit
def moments(one: Any, at: int, other: Any, other_at: int, steps: int, sums: Any) -> None:
    strip_vector.moments(one, at, other, other_at, steps, sums)


@pytest.mark.parametrize("lanes", [1, 10, 15, 16])
def test_rows_become_a_strip_and_rows_again(lanes: int) -> None:
    rng, span, length = np.random.default_rng(lanes), 48, 70
    rows = rng.normal(size=(STRIP, length)).astype(np.float32)
    strip = np.zeros(5 + span * STRIP, np.float32)
    strips.to_strip(rows.reshape(-1), 3, length, span, strip, 5)
    shifted = rows.reshape(-1)[3 : 3 + 15 * length + span]
    wanted = np.array([shifted[k * length : k * length + span] for k in range(STRIP)])
    np.testing.assert_array_equal(strip[5:].reshape(span, STRIP), wanted.T)
    back = np.full((STRIP, length), 7.0, np.float32)
    strips.to_rows(
        strip, 5, lanes, span, back.reshape(-1), 2, length, np.zeros(STRIP**2, np.float32)
    )
    np.testing.assert_array_equal(back[:lanes, 2 : 2 + span], wanted[:lanes])
    back[:lanes, 2 : 2 + span] = 7.0
    assert (back == 7.0).all()  # nothing else was written


def test_sums_are_in_float64_in_the_order_of_the_steps() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 33 * STRIP)).astype(np.float32)
    sums = np.empty((2, STRIP))
    moments(one, STRIP, other, 2 * STRIP, 31, sums.reshape(-1))
    wanted = np.zeros((2, STRIP))
    for t in range(31):
        x = one.reshape(-1, STRIP)[1 + t].astype(np.float64)
        wanted += [x, x * other.reshape(-1, STRIP)[2 + t]]
    np.testing.assert_array_equal(sums, wanted)


def test_values_are_padded_with_the_last_neuron() -> None:
    values = np.arange(60, dtype=np.float32).reshape(2, 30)
    np.testing.assert_array_equal(
        strips.padded(values, 3, 18), [[*range(a + 3, a + 21), *[a + 20] * 14] for a in (0, 30)]
    )


@pytest.mark.parametrize("instant", [True, False])
@pytest.mark.parametrize("normalised", [True, False])
def test_a_filter_goes_back(instant: bool, normalised: bool) -> None:
    rng, steps = np.random.default_rng(1), 20
    current, distance = rng.normal(size=(2, steps * STRIP)).astype(np.float32)
    distance[: 5 * STRIP] *= np.float32(1e-31)  # so little counts as nothing
    decay, scale = rng.random((2, 2 * STRIP), np.float32)
    linear = rng.normal(size=(3, 2 * STRIP)).astype(np.float32)
    linear[2] = 0.0
    kept, out = np.zeros((0, 0), np.float32), np.zeros(steps * STRIP, np.float32)
    own = Strips(current, distance, kept)
    strips.back_filter(
        instant, decay, scale, normalised, linear, STRIP, steps, own, 0, out
    )  # fmt: skip
    x = np.zeros(STRIP)
    a, b, c = linear[:, STRIP:].astype(np.float64)
    for t in reversed(range(steps)):
        by = distance.reshape(steps, STRIP)[t].astype(np.float64)
        if normalised:
            by = a * by + b * current.reshape(steps, STRIP)[t] + c
        x = scale[STRIP:] * by + (0.0 if instant else decay[STRIP:] * x)
        np.testing.assert_allclose(out.reshape(steps, STRIP)[t], x, rtol=1e-5, atol=1e-6)


def test_what_is_aligned_begins_at_a_cache_line() -> None:
    arrays = [aligned(n, 3) for n in range(1, 40)]
    assert all(array.ctypes.data % LINE == 0 and not array.any() for array in arrays)
    assert arrays[4].shape == (5, 3)


def test_rows_of_strips() -> None:
    layout: Any = SimpleNamespace(strip=np.array([0, 1]), strips=3, span=4, steps=3)
    plan: Any = SimpleNamespace(n=np.array([2, 18]))
    values = np.arange(2 * 3 * 4 * STRIP).reshape(2, 3, 4, STRIP)
    found = rows_of(plan, layout, 1, values.reshape(-1))
    assert found.shape == (2, 18, 3)
    for e, j, t in np.ndindex(found.shape):
        assert found[e, j, t] == values[e, 1 + j // STRIP, t, j % STRIP]
