"""The laws of a pass, on random projections and over thousands of passes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.rewiring import Rewiring, Synapses, redraw, rewire
from tests.rewiring import twin
from tests.rewiring.helpers import RULES, candidates, delays, name, projection

# (rows, columns, synapses): sparse, half, nearly dense, dense, a row, a column, one pair.
SHAPES = [
    (5, 7, 6),
    (6, 6, 18),
    (4, 8, 30),
    (4, 6, 23),
    (3, 4, 12),
    (1, 9, 4),
    (9, 1, 3),
    (7, 8, 25),
    (1, 1, 1),
]
TOTAL = 100
every_rule = pytest.mark.parametrize("rule", RULES, ids=name)


def coarse(synapses: Synapses, rng: np.random.Generator) -> Synapses:
    """Return the synapses with few different magnitudes, so with zeros and ties, some crossed."""
    weight = rng.integers(-1, 4, len(synapses)).astype(np.float32) / 4
    weight *= 1 if synapses.sign is None else synapses.sign
    return replace(synapses, weight=weight)


@every_rule
@settings(max_examples=60)
@given(
    n_pre=st.integers(1, 7),
    n_post=st.integers(1, 7),
    share=st.floats(0, 1),
    ties=st.booleans(),
    step=st.integers(1, TOTAL),
    seed=st.integers(0, 2**32),
)
def test_a_pass_keeps_every_law(
    rule: Rewiring, n_pre: int, n_post: int, share: float, ties: bool, step: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    count = max(1, round(share * n_pre * n_post))
    synapses, pairs = projection(rule, n_pre, n_post, count, rng)
    synapses = coarse(synapses, rng) if ties else synapses
    gradient, best = candidates(synapses, rng, 1 if ties else 0)
    result = rewire(
        rule,
        synapses,
        pairs,
        gradient=gradient,
        best_delay=best,
        step=step,
        total_steps=TOTAL,
        rng=rng,
    )
    twin.check_pass(rule, synapses, pairs, result, gradient, best, step, TOTAL)


def walk(rule: Rewiring, shape: tuple[int, int, int], passes: int, seed: int) -> tuple[int, int]:
    """Rewire over and over with optimiser-like steps between, checking each pass.

    Returns how many passes moved a synapse, and how many synapses moved.
    """
    rng = np.random.default_rng(seed)
    synapses, pairs = projection(rule, *shape, rng)
    passed = moved = 0
    for step in range(1, passes + 1):
        if rule.grow_delay == "random":
            pairs = redraw(pairs, rng, delays)
        gradient, best = candidates(synapses, rng, step % 3)
        result = rewire(
            rule,
            synapses,
            pairs,
            gradient=gradient,
            best_delay=best,
            step=step,
            total_steps=2 * passes,
            rng=rng,
        )
        twin.check_pass(rule, synapses, pairs, result, gradient, best, step, 2 * passes)
        passed, moved = passed + (result.moved > 0), moved + result.moved
        synapses, pairs = update(result.synapses, rng), result.pairs
        assert 0 <= pairs.delay.min() <= pairs.delay.max() <= 24.0
    return passed, moved


def update(synapses: Synapses, rng: np.random.Generator) -> Synapses:
    """Return the synapses after a step: weights and delays move, signs are kept."""
    n = len(synapses)
    weight = synapses.weight + rng.normal(0, 0.5, n).astype(np.float32)
    delay = (synapses.delay + rng.normal(0, 2.0, n)).clip(0, 24).astype(np.float32)
    moments = {key: each + np.float32(1) for key, each in synapses.moments.items()}
    if synapses.sign is not None:
        weight[synapses.sign * weight < 0] = 0.0
    return replace(synapses, weight=weight, delay=delay, moments=moments)


def test_thousands_of_passes_keep_every_law() -> None:
    done = [walk(rule, shape, 34, 7) for rule in RULES for shape in SHAPES]
    assert sum(passed for passed, _ in done) >= 2000
    assert sum(moved for _, moved in done) >= 5000


@every_rule
def test_a_pass_changes_nothing_that_it_is_given(rule: Rewiring) -> None:
    rng = np.random.default_rng(3)
    synapses, pairs = projection(rule, 6, 7, 20, rng)
    synapses = coarse(synapses, rng)
    gradient, best = candidates(synapses, rng)
    given_ = [synapses.pre, synapses.post, synapses.weight, synapses.delay, synapses.sign]
    given_ += [*synapses.moments.values(), pairs.delay, pairs.sign, gradient, best]
    arrays = [each for each in given_ if each is not None]
    copies = [each.copy() for each in arrays]
    for each in arrays:
        each.setflags(write=False)
    args = dict(gradient=gradient, best_delay=best, step=1, total_steps=9)
    result = rewire(rule, synapses, pairs, **args, rng=rng)
    assert result.moved > 0
    for one, two in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(one, two)


@every_rule
def test_a_pass_is_determined_by_its_generator(rule: Rewiring) -> None:
    rng = np.random.default_rng(4)
    synapses, pairs = projection(rule, 9, 9, 30, rng)
    synapses = coarse(synapses, rng)
    gradient, best = candidates(synapses, rng, 1)
    args = dict(gradient=gradient, best_delay=best, step=1, total_steps=9)
    seeds = [5, 5, 6, 7, 8]
    found = [
        twin.rows(rewire(rule, synapses, pairs, **args, rng=np.random.default_rng(seed)).synapses)
        for seed in seeds
    ]
    assert found[0] == found[1]
    assert any(found[0] != each for each in found[2:])


@every_rule
@settings(max_examples=30)
@given(dead=st.integers(0, 12), seed=st.integers(0, 2**32))
def test_dead_synapses_go_first(rule: Rewiring, dead: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    synapses, pairs = projection(rule, 6, 5, 12, rng)
    marked = rng.permutation(12) < dead
    synapses = replace(synapses, dead=marked)
    gradient, best = candidates(synapses, rng)
    done = rewire(
        rule,
        synapses,
        pairs,
        gradient=gradient,
        best_delay=best,
        step=1,
        total_steps=TOTAL,
        rng=rng,
    )
    gone = np.setdiff1d(np.arange(12), done.origin)
    left = np.count_nonzero(marked) - np.count_nonzero(marked[gone])
    if rule.drop(replace(synapses, dead=None), 1, TOTAL, rng).size or not hasattr(rule, "fraction"):
        assert left == 0 or marked[gone].all()
    if not hasattr(rule, "fraction") or getattr(rule, "signed", False):
        assert left == 0
    assert len(done.synapses) == 12
