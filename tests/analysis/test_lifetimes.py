"""Lifetimes: courses made by hand, and all of them against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.analysis import lifetimes
from mlgenn_delays.analysis.lifetimes import Survival
from mlgenn_delays.network import Exponential
from mlgenn_delays.network.projection import Projection

from ..reference import shapes as twin


def projection(pairs):
    """Return a projection of 4 neurons to 4 with synapses at pairs (pre, post)."""
    rows = sorted(pairs)
    indptr = np.searchsorted([pre for pre, _ in rows], np.arange(5))
    return Projection(
        "p", "a", "b", Exponential(5.0), indptr, np.array([post for _, post in rows], np.int32),
        np.ones(len(rows), np.float32), np.zeros(len(rows)), 10.0,
    )  # fmt: skip


A, B, C, D, E = (0, 0), (0, 3), (1, 2), (3, 0), (3, 3)
# A stays, B goes, C goes and comes back, D is grown and goes, E is grown and stays.
BY_HAND = {0: {A, B, C}, 2: {A, B, D}, 5: {A, C, D}, 9: {A, C, E}}


def test_a_course_by_hand():
    found = lifetimes({epoch: projection(pairs) for epoch, pairs in BY_HAND.items()})
    assert found.epochs.tolist() == [0, 2, 5, 9] and found.rewired
    assert found.from_start == pytest.approx([1, 2 / 3, 2 / 3, 2 / 3])
    assert found.overlap[:, -1] == pytest.approx([2 / 3, 1 / 3, 2 / 3, 1])
    # Of the start's: C lives 2 epochs, B 5, A to the end (9, censored).
    assert (found.start.n, found.start.age.tolist()) == (3, [2, 5])
    assert found.start.share == pytest.approx([2 / 3, 1 / 3])
    assert found.start.median == 5
    # Grown: D at 2, which lives 7; C again at 5 (4, censored); E at 9 (0, censored).
    assert found.grown == 3 and found.later is not None
    assert (found.later.n, found.later.age.tolist()) == (3, [7])
    assert found.later.share == pytest.approx([0])


def test_without_rewiring_nothing_ends():
    found = lifetimes({0: projection({A, B}), 3: projection({A, B})})
    assert not found.rewired and found.grown == 0 and found.later is None
    assert (found.overlap == 1).all() and found.start.n == 2
    assert len(found.start.age) == 0 and found.start.median is None
    found = lifetimes({0: projection(set()), 3: projection(set())})
    assert not found.rewired and found.start.n == 0 and found.start.median is None
    found = lifetimes({4: projection({A})})  # a single epoch
    assert found.epochs.tolist() == [4] and found.overlap.tolist() == [[1.0]]


def test_half_is_half_in_spite_of_rounding():
    """One of ten goes an epoch: after five, half live longer, though the product is 0.5 + 1e-16."""
    pairs = [(pre, post) for pre in range(4) for post in range(4)][:10]
    course = {epoch: projection(pairs[epoch:]) for epoch in range(10)}
    assert lifetimes(course).start.median == 5
    share = np.array([0.75, 0.5 + 1e-16 * 2, 0.25])
    assert Survival(4, np.array([1.0, 2.0, 3.0]), share).median == 2


PAIRS = st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8)
COURSES = st.dictionaries(st.integers(0, 30), PAIRS, min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(COURSES)
def test_every_course_is_that_of_plain_loops(course):
    course = dict(sorted(course.items()))
    epochs = list(course)
    found = lifetimes({epoch: projection(pairs) for epoch, pairs in course.items()})
    every = sorted(set().union(*course.values()))
    spells = [
        spell
        for pair in every
        for spell in twin.spells([pair in course[e] for e in epochs], epochs)
    ]
    for of_start, part in ((True, found.start), (False, found.later)):
        own = [spell for spell in spells if (spell[0] == epochs[0]) == of_start]
        wanted = twin.survival([age for _, age, _ in own], [alive for _, _, alive in own])
        if part is None:
            assert not own
            continue
        assert part.n == len(own)
        assert dict(zip(part.age, part.share, strict=True)) == pytest.approx(wanted)
    for i, one in enumerate(course.values()):
        for k, other in enumerate(course.values()):
            wanted = len(one & other) / len(one) if one else 1.0
            assert found.overlap[i, k] == pytest.approx(wanted)
