"""Passes against the twin, which chance is fair, and what a pass refuses."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.rewiring import SET, DeepR, Pairs, Rewired, Rewiring, RigL, Synapses, rewire
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


def test_a_crossed_weight_counts_as_zero() -> None:
    rule = SET(drop_fraction=0.25, decay="constant")
    synapses, pairs = projection(rule, 5, 8, 4, np.random.default_rng(1))
    weight = (synapses.sign * np.float32([0.1, 0.2, -9.0, 0.3])).astype(np.float32)
    result = run(rule, replace(synapses, weight=weight), pairs)
    assert sorted(result.origin) == [-1, 0, 1, 3]


def test_where_too_few_pairs_are_absent_synapses_grow_again() -> None:
    synapses, pairs = projection(DeepR(), 4, 5, 18, np.random.default_rng(2))
    synapses.weight[3:12] = 0.0
    result = run(DeepR(), synapses, pairs)
    twin.check_pass(DeepR(), synapses, pairs, result, None, None, 1, 100)
    assert result.moved == 9
    stayed = set(twin.places(synapses)[3:12]) & set(twin.places(result.synapses))
    assert len(stayed) == 7


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


def test_a_delay_waits_with_its_pair() -> None:
    rule = DeepR()
    synapses, pairs = projection(rule, 1, 3, 2, np.random.default_rng(3))
    place, delay = twin.places(synapses)[0], np.float32(7.25)
    synapses.delay[0], synapses.weight[0] = delay, 0.0
    first = run(rule, synapses, pairs)
    assert first.pairs.delay[place] == delay
    assert place not in twin.places(first.synapses)
    first.synapses.weight[:] = 0.0
    second = run(rule, first.synapses, first.pairs)
    assert second.synapses.delay[twin.places(second.synapses).index(place)] == delay


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
FREE = Pairs(None, PAIRS.delay)
GRADIENT = np.ones((3, 4), np.float32)


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (
            lambda: run(RigL(), broken(), PAIRS),
            r"gradient for RigL must have shape \(3, 4\), got None",
        ),
        (
            lambda: run(RigL(), broken(), PAIRS, gradient=GRADIENT.T),
            r"gradient for RigL must have shape \(3, 4\), got \(4, 3\)",
        ),
        (
            lambda: run(RigL(grow_delay="gradient"), broken(), PAIRS, gradient=GRADIENT),
            r"best_delay .* must have shape \(3, 4\), got None",
        ),
        (
            lambda: run(
                RigL(grow_delay="gradient"),
                broken(weight=np.zeros(4, np.float32)),
                PAIRS,
                gradient=GRADIENT,
                best_delay=-GRADIENT,
            ),
            "best_delay must have finite values >= 0",
        ),
        (
            lambda: run(DeepR(), broken(post=np.zeros(4, np.int32)), PAIRS),
            r"ascending \(pre, post\) without repeats",
        ),
        (
            lambda: run(DeepR(), broken(pre=np.int32([0, 1, 2, 3])), PAIRS),
            r"pre in 0..2, got 0..3",
        ),
        (
            lambda: run(DeepR(), broken(moments={"m": np.zeros(3, np.float32)}), PAIRS),
            r"synapses' m must have shape \(4,\), got \(3,\)",
        ),
        (
            lambda: run(DeepR(), broken(), Pairs(PAIRS.sign, PAIRS.delay[:2])),
            r"pairs.delay must have shape \(3, 4\), got \(2, 4\)",
        ),
        (lambda: run(SET(signs="free"), broken(), PAIRS), "must have no signs"),
        (
            lambda: run(DeepR(), broken(sign=None), PAIRS),
            r"synapses' sign with signs=.synapse. must have shape \(4,\), got None",
        ),
        (lambda: run(DeepR(), broken(), FREE), r"pairs.sign .* got None"),
        (lambda: run(DeepR(), broken(sign=np.zeros(4, np.int8)), PAIRS), "must be -1 or 1"),
        (
            lambda: run(
                DeepR(signs="dale"),
                broken(sign=-ROWS.ravel()[broken().flat]),
                Pairs(ROWS, PAIRS.delay),
            ),
            "one sign per presynaptic neuron",
        ),
        (
            lambda: run(
                DeepR(signs="dale"),
                broken(sign=ROWS.ravel()[broken().flat]),
                Pairs(MIXED, PAIRS.delay),
            ),
            "one sign per presynaptic neuron",
        ),
        (lambda: run(DeepR(), broken(), PAIRS, step=0), "must be >= 1, got 0 and 100"),
    ],
)
def test_what_does_not_fit_is_refused(act: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        act()


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
