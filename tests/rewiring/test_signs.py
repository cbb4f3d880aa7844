"""Growth scores, and new delays of pairs."""

from typing import Any

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Uniform
from mlgenn_delays.rewiring import Pairs, growth_score, redraw

DRAW = Uniform(2.0, 9.0).draw


def test_growth_score_by_sign() -> None:
    gradient = np.float32([1.0, -2.0, 0.5, 0.0])
    sign = np.int8([1, 1, -1, -1])
    np.testing.assert_array_equal(growth_score(gradient, sign), [-1.0, 2.0, 0.5, 0.0])
    np.testing.assert_array_equal(growth_score(gradient, None), [1.0, 2.0, 0.5, 0.0])
    assert growth_score(gradient, sign).dtype == np.float32


def test_growth_score_broadcasts_over_delays() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(5, 3, 4)).astype(np.float32)
    sign = rng.choice(np.int8([-1, 1]), (3, 4))
    scores = growth_score(table, sign)
    assert scores.shape == (5, 3, 4)
    for k in range(5):
        np.testing.assert_array_equal(scores[k], growth_score(table[k], sign))


def test_redraw_keeps_signs_and_changes_delays() -> None:
    pairs = Pairs(np.ones((9, 9), np.int8), np.ones((9, 9), np.float32))
    before = pairs.delay.copy()
    after = redraw(pairs, np.random.default_rng(2), DRAW)
    assert after.sign is pairs.sign
    assert (after.delay != before).all()
    assert after.delay.dtype == np.float32
    np.testing.assert_array_equal(pairs.delay, before)


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda rng, n: np.zeros(3), r"must have shape \(6,\), got \(3,\)"),
        (lambda rng, n: np.full(n, -1.0), "finite and >= 0"),
        (lambda rng, n: np.full(n, np.nan), "finite and >= 0"),
    ],
)
def test_bad_delays_are_refused(draw: Any, says: str) -> None:
    pairs = Pairs(None, np.ones((2, 3), np.float32))
    with pytest.raises(InputError, match=says):
        redraw(pairs, np.random.default_rng(0), draw)
