"""Passes against the twin, which chance is fair, and what a pass refuses."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.network import Uniform
from mlgenn_delays.rewiring import (
    SET,
    DeepR,
    Pairs,
    Rewired,
    Rewiring,
    RigL,
    Synapses,
    redraw,
    rewire,
)
from mlgenn_delays.rewiring.base import largest
from tests.rewiring import twin
from tests.rewiring.helpers import RULES, candidates, name, projection

SCORED = [rule for rule in RULES if isinstance(rule, RigL)]


def run(
    rule: Rewiring, synapses: Synapses, pairs: Pairs, seed: int = 0, step: int = 1, **more
) -> Rewired:
    rng = np.random.default_rng(seed)
    return rewire(rule, synapses, pairs, step=step, total_steps=100, rng=rng, **more)


@pytest.mark.parametrize("rule", SCORED, ids=name)
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), zeros=st.integers(0, 8), step=st.integers(1, 80))
def test_growth_by_gradient_equals_the_twin(
    rule: Rewiring, seed: int, zeros: int, step: int
) -> None:
    rng = np.random.default_rng(seed)
    synapses, pairs = projection(rule, 6, 9, 22, rng)
    if twin.vanishes(rule):
        synapses.weight[rng.choice(22, zeros, replace=False)] = 0.0
    gradient, best = candidates(synapses, rng)
    result = run(rule, synapses, pairs, seed, step, gradient=gradient, best_delay=best)
    gone = twin.weakest(rule, synapses, step, 100)
    grown = twin.grows(rule, synapses, pairs, gradient, len(gone))
    expected, delays = twin.build(rule, synapses, pairs, best, set(gone), grown)
    assert twin.rows(result.synapses) == expected
    np.testing.assert_array_equal(result.pairs.delay, delays)
    assert result.moved == len(gone)


def counts(rule: Rewiring, synapses: Synapses, pairs: Pairs, trials: int, **more) -> dict:
    """Return how often each pair grew and each synapse went."""
    grew, went = np.zeros(pairs.delay.shape, int), np.zeros(len(synapses), int)
    for seed in range(trials):
        result = run(rule, synapses, pairs, seed, **more)
        new = result.origin < 0
        grew[result.synapses.pre[new], result.synapses.post[new]] += 1
        went[np.setdiff1d(np.arange(len(synapses)), result.origin)] += 1
    return {"grew": grew, "went": went}


def fair(found: np.ndarray, trials: int, share: float) -> None:
    """Assert counts as of a fair draw: each within five standard deviations."""
    sd = np.sqrt(trials * share * (1 - share))
    assert np.abs(found - trials * share).max() < 5 * sd


def few_zeros(rule: Rewiring) -> tuple[Synapses, Pairs, np.ndarray]:
    """Return 12 synapses of 5 x 8 pairs, three of them zero, and where pairs are absent."""
    synapses, pairs = projection(rule, 5, 8, 12, np.random.default_rng(1))
    synapses.weight[[2, 5, 11]] = 0.0
    mask = np.ones((5, 8), bool)
    mask[synapses.pre, synapses.post] = False
    return synapses, pairs, mask


def test_deep_r_grows_uniformly_among_absent_pairs() -> None:
    synapses, pairs, absent = few_zeros(DeepR())
    grew = counts(DeepR(), synapses, pairs, 2000)["grew"]
    fair(grew[absent], 2000, 3 / 28)
    assert not grew[~absent].any()


@pytest.mark.parametrize("rule", [RigL(), RigL(form="magnitude", signs="free")], ids=name)
def test_equal_scores_have_equal_chances(rule: RigL) -> None:
    synapses, pairs, absent = few_zeros(rule)
    gradient = np.zeros((5, 8), np.float32)
    best = tuple(np.argwhere(absent)[13])
    gradient[best] = -1.0 if pairs.sign is None else -pairs.sign[best]
    grew = counts(rule, synapses, pairs, 2000, gradient=gradient)["grew"]
    assert grew[best] == 2000
    absent[best] = False
    fair(grew[absent], 2000, 2 / 27)


def test_equal_weights_have_equal_chances_to_go() -> None:
    rule = SET(signs="free", decay="constant", drop_fraction=0.25)
    synapses, pairs = projection(rule, 5, 8, 12, np.random.default_rng(1))
    weight = np.where(np.arange(12) % 2, 0.5, -0.5).astype(np.float32)
    weight[4] = 0.1
    went = counts(rule, replace(synapses, weight=weight), pairs, 2000)["went"]
    assert went[4] == 2000
    fair(np.delete(went, 4), 2000, 2 / 11)


def test_where_too_few_pairs_are_absent_synapses_grow_again() -> None:
    synapses, pairs = projection(DeepR(), 4, 5, 18, np.random.default_rng(2))
    synapses.weight[3:12] = 0.0
    result = run(DeepR(), synapses, pairs)
    twin.check_pass(DeepR(), synapses, pairs, result, None, None, 1, 100)
    assert result.moved == 9
    stayed = set(twin.places(synapses)[3:12]) & set(twin.places(result.synapses))
    assert len(stayed) == 7


def test_a_dense_projection_needs_no_gradient() -> None:
    synapses, pairs = projection(RigL(), 4, 5, 20, np.random.default_rng(6))
    assert run(RigL(), replace(synapses, weight=np.zeros(20, np.float32)), pairs).moved == 0


def test_which_synapses_grow_again_is_chance() -> None:
    synapses, pairs = projection(DeepR(), 3, 4, 9, np.random.default_rng(2))
    synapses.weight[:6] = 0.0
    result = counts(DeepR(), synapses, pairs, 2000)
    where = [result["grew"][place] for place in twin.places(synapses)]
    fair(np.array(where[:6]), 2000, 0.5)
    assert not any(where[6:])


@given(
    n=st.integers(1, 3000), share=st.floats(0, 1), kinds=st.integers(1, 5000), seed=st.integers(0)
)
def test_the_largest_are_those_of_a_full_sort(n: int, share: float, kinds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, kinds, n).astype(np.float32)
    m = round(share * n)
    chosen = largest(score, m, rng)
    assert len(set(chosen.tolist())) == len(chosen) == m
    assert sorted(score[chosen]) == sorted(score)[n - m :]


def test_a_pass_works_without_synapses_or_moments() -> None:
    synapses, pairs = projection(DeepR(), 2, 3, 0, np.random.default_rng(3))
    assert run(DeepR(), replace(synapses, moments={}), pairs).moved == 0


def broken(**changes: object) -> Synapses:
    """Return four synapses of 3 x 4 pairs with some arrays replaced."""
    synapses, _ = projection(DeepR(), 3, 4, 4, np.random.default_rng(0))
    return replace(synapses, **changes)


PAIRS = projection(DeepR(), 3, 4, 4, np.random.default_rng(0))[1]
ROWS = np.full((3, 4), [[1], [-1], [1]], np.int8)
MIXED = ROWS.copy()
MIXED[1, 3] = 1
BY_GRADIENT, DALE = RigL(grow_delay="gradient"), DeepR(signs="dale")
GRADIENT = np.ones((3, 4), np.float32)


ZEROS = np.zeros(4, np.float32)
LONE = ROWS.ravel()[broken().flat]


@pytest.mark.parametrize(
    ("rule", "changes", "pairs", "more", "says"),
    [
        (RigL(), {}, PAIRS, {}, r"gradient .* shape \(3, 4\), got None"),
        (RigL(), {}, PAIRS, {"gradient": GRADIENT.T}, r"shape \(3, 4\), got \(4, 3\)"),
        (BY_GRADIENT, {}, PAIRS, {"gradient": GRADIENT}, r"best_delay .* \(3, 4\), got None"),
        (
            BY_GRADIENT,
            {"weight": ZEROS},
            PAIRS,
            {"gradient": GRADIENT, "best_delay": -GRADIENT},
            "best_delay must .* >= 0",
        ),
        (DeepR(), {"post": np.zeros(4, np.int32)}, PAIRS, {}, r"\(pre, post\) without repeats"),
        (DeepR(), {"pre": np.int32([0, 1, 2, 3])}, PAIRS, {}, r"pre in 0..2, got 0..3"),
        (DeepR(), {"moments": {"m": ZEROS[:3]}}, PAIRS, {}, r"m must .* \(4,\), got \(3,\)"),
        (DeepR(), {}, Pairs(PAIRS.sign, PAIRS.delay[:2]), {}, r"pairs.delay .* got \(2, 4\)"),
        (SET(signs="free"), {}, PAIRS, {}, "signs"),
        (DeepR(), {"sign": None}, PAIRS, {}, r"sign with signs=.synapse. .* \(4,\), got None"),
        (DeepR(), {}, Pairs(None, PAIRS.delay), {}, r"pairs.sign .* got None"),
        (DeepR(), {"sign": np.zeros(4, np.int8)}, PAIRS, {}, "sign.* -1 or 1"),
        (DALE, {"sign": -LONE}, Pairs(ROWS, PAIRS.delay), {}, "one sign per presynaptic neuron"),
        (DALE, {"sign": LONE}, Pairs(MIXED, PAIRS.delay), {}, "one sign per presynaptic neuron"),
        (DeepR(), {}, PAIRS, {"step": 0}, ">= 1, got 0 and 100"),
    ],
)
def test_what_does_not_fit_is_refused(
    rule: Rewiring, changes: dict, pairs: Pairs, more: dict, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        run(rule, broken(**changes), pairs, **more)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_gradients_that_are_not_finite_are_refused(bad: float) -> None:
    synapses, gradient = broken(), GRADIENT.copy()
    place = next(pair for pair in twin.absent(synapses))
    gradient[place] = bad
    with pytest.raises(DivergedError, match="finite values, got NaN or infinity for 1 of 8"):
        run(RigL(), synapses, PAIRS, gradient=gradient)


def test_weights_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DivergedError, match="finite weights"):
        run(DeepR(), broken(weight=np.float32([1, np.nan, 1, 1])), PAIRS)


def test_redraw_keeps_signs_and_changes_delays() -> None:
    pairs = Pairs(np.ones((9, 9), np.int8), np.ones((9, 9), np.float32))
    before = pairs.delay.copy()
    after = redraw(pairs, np.random.default_rng(2), Uniform(2.0, 9.0).draw)
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
def test_bad_delays_are_refused(draw: object, says: str) -> None:
    pairs = Pairs(None, np.ones((2, 3), np.float32))
    with pytest.raises(InputError, match=says):
        redraw(pairs, np.random.default_rng(0), draw)
