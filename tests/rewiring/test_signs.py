"""Signs, scores and what pairs start with."""

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Uniform
from mlgenn_delays.rewiring import clamp_signs, growth_score, make_pairs, redraw, with_signs

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


def test_clamp_signs() -> None:
    weight = np.float32([0.5, -0.5, 0.5, -0.5, 0.0])
    sign = np.int8([1, 1, -1, -1, -1])
    clamped = clamp_signs(weight, sign)
    np.testing.assert_array_equal(clamped, [0.5, 0.0, 0.0, -0.5, 0.0])
    assert clamped.dtype == np.float32
    np.testing.assert_array_equal(weight, np.float32([0.5, -0.5, 0.5, -0.5, 0.0]))
    np.testing.assert_array_equal(clamp_signs(weight, None), weight)


def test_with_signs() -> None:
    weight = np.float32([0.5, -0.25, 0.125])
    signed = with_signs(weight, np.int8([-1, 1, -1]))
    np.testing.assert_array_equal(signed, [-0.5, 0.25, -0.125])
    assert signed.dtype == np.float32
    np.testing.assert_array_equal(with_signs(weight, None), weight)


def test_pairs_of_each_kind() -> None:
    made = {
        signs: make_pairs(30, 40, signs, np.random.default_rng(1), DRAW)
        for signs in ("free", "synapse", "dale")
    }
    assert made["free"].sign is None
    for signs in ("synapse", "dale"):
        sign = made[signs].sign
        assert (sign.shape, sign.dtype) == ((30, 40), np.int8)
        assert set(np.unique(sign)) == {-1, 1}
    assert (made["dale"].sign == made["dale"].sign[:, :1]).all()
    assert abs(made["synapse"].sign.mean()) < 0.15
    for pairs in made.values():
        assert (pairs.delay.shape, pairs.delay.dtype) == ((30, 40), np.float32)
        assert 2.0 <= pairs.delay.min() < 2.2 < 8.8 < pairs.delay.max() <= 9.0
        # Runs that differ in signs alone have the same delays.
        np.testing.assert_array_equal(pairs.delay, made["free"].delay)


def test_signs_follow_the_seed() -> None:
    one, two, other = (
        make_pairs(9, 9, "synapse", np.random.default_rng(seed), DRAW).sign for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_redraw_keeps_signs_and_changes_delays() -> None:
    pairs = make_pairs(9, 9, "dale", np.random.default_rng(1), DRAW)
    before = pairs.delay.copy()
    after = redraw(pairs, np.random.default_rng(2), DRAW)
    assert after.sign is pairs.sign
    assert (after.delay != before).all()
    assert after.delay.dtype == np.float32
    np.testing.assert_array_equal(pairs.delay, before)


@pytest.mark.parametrize(
    ("signs", "draw", "says"),
    [
        ("any", DRAW, "signs one of free, synapse, dale, got 'any'"),
        ("free", lambda rng, n: np.zeros(3), r"must have shape \(6,\), got \(3,\)"),
        ("free", lambda rng, n: np.full(n, -1.0), "finite values >= 0"),
        ("dale", lambda rng, n: np.full(n, np.nan), "finite values >= 0"),
    ],
)
def test_bad_pairs_are_refused(signs: str, draw: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make_pairs(2, 3, signs, np.random.default_rng(0), draw)
