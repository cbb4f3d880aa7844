"""How many synapses projections have."""

from math import floor

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlgenn_delays.errors import InputError
from mlgenn_delays.rewiring import synapse_counts

PAPER = [(40, 256), (256, 10)]
shapes = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("sparsity", "expected"),
    [
        (0.0, [10240, 2560]),
        (0.5, [5120, 1280]),
        (0.75, [2560, 640]),
        # Without the 1e-9 rounding of 1 - 0.9 would cost a synapse.
        (0.9, [1024, 256]),
        (0.9375, [640, 160]),
        (0.984375, [160, 40]),
        (0.9921875, [80, 20]),
        (0.998046875, [20, 5]),
    ],
)
def test_uniform(sparsity: float, expected: list[int]) -> None:
    assert synapse_counts(sparsity, PAPER) == expected


def test_uniform_rounds_down() -> None:
    assert synapse_counts(0.5, [(3, 3), (1, 3)]) == [4, 1]


def test_explicit() -> None:
    assert synapse_counts([0.9, 0.5], PAPER) == [1024, 1280]
    assert synapse_counts((0, 0.75), PAPER) == [10240, 640]


def test_erdos_renyi() -> None:
    # 200 synapses in proportion to 296 and 266: 105.34 and 94.66.
    assert synapse_counts(0.984375, PAPER, "erdos-renyi") == [105, 95]
    assert synapse_counts(0.0, PAPER, "erdos-renyi") == [10240, 2560]
    # 8 of 104: a share of 4 x 1 would be 1.6, of 10 x 10 6.4; the larger remainder goes up.
    assert synapse_counts(1 - 8 / 104, [(4, 1), (10, 10)], "erdos-renyi") == [2, 6]


def test_erdos_renyi_passes_on_what_does_not_fit() -> None:
    # 52 of 104 in proportion to 5 and 20 would give 4 x 1 more than its 4.
    assert synapse_counts(0.5, [(4, 1), (10, 10)], "erdos-renyi") == [4, 48]
    # 18 of 101 in proportion to 2 and 20: 1.64 must not round up to 2 of 1.
    assert synapse_counts(1 - 18 / 101, [(1, 1), (10, 10)], "erdos-renyi") == [1, 17]


def test_erdos_renyi_leaves_none_without() -> None:
    # 3 of 2,502 in proportion to 3, 100 and 2: the small ones get one each all the same.
    assert synapse_counts(0.9988, [(1, 2), (50, 50), (1, 1)], "erdos-renyi") == [1, 1, 1]


@given(sizes=shapes, sparsity=st.floats(0, 1, exclude_max=True))
def test_erdos_renyi_has_the_exact_total(sizes: list, sparsity: float) -> None:
    dense = [pre * post for pre, post in sizes]
    total = floor((1 - sparsity) * sum(dense) + 1e-9)
    assume(total >= len(sizes))
    counts = synapse_counts(sparsity, sizes, "erdos-renyi")
    assert sum(counts) == total
    assert all(1 <= count <= most for count, most in zip(counts, dense, strict=True))
    # Those neither full nor at the least have one share a neuron, to within rounding.
    open_ = [k for k in range(len(counts)) if 1 < counts[k] < dense[k]]
    shares = [(counts[k], sum(sizes[k])) for k in open_]
    slack = 1 + counts.count(1)
    for count, neurons in shares:
        for other, others in shares:
            assert (count - slack) / neurons <= (other + slack) / others


@given(sizes=shapes, sparsity=st.floats(0, 1, exclude_max=True))
def test_uniform_is_the_formula(sizes: list, sparsity: float) -> None:
    expected = [floor((1 - sparsity) * pre * post + 1e-9) for pre, post in sizes]
    assume(min(expected) >= 1)
    assert synapse_counts(sparsity, sizes) == expected
    assert synapse_counts([sparsity] * len(sizes), sizes) == expected


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: synapse_counts(1.0, PAPER), r"sparsity must be in \[0, 1\), got 1.0"),
        (lambda: synapse_counts(-0.1, PAPER), r"sparsity must be in \[0, 1\), got -0.1"),
        (lambda: synapse_counts(float("nan"), PAPER), "got nan"),
        (lambda: synapse_counts(True, PAPER), "got True"),
        (lambda: synapse_counts(1.0, PAPER, "erdos-renyi"), r"in \[0, 1\), got 1.0"),
        (
            lambda: synapse_counts([0.5, 1.5], PAPER, names=["a", "b"]),
            r"sparsity of projection 'b' must be in \[0, 1\), got 1.5",
        ),
        (
            lambda: synapse_counts(0.9, [(40, 256), (3, 3)], names=["in", "out"]),
            "projection 'out' must have at least one synapse, got sparsity 0.9 of 3 x 3 pairs",
        ),
        (lambda: synapse_counts(0.9, [(3, 3)]), "projection '3 x 3' must have at least one"),
        (
            lambda: synapse_counts(0.9, [(3, 3), (1, 2)], "erdos-renyi", ["a", "b"]),
            r"every projection \(a, b\) .* got sparsity 0.9, which leaves 1 for 2; lower it",
        ),
        (lambda: synapse_counts([0.5], PAPER), "one number for each of 2 projections"),
        (lambda: synapse_counts([0.5] * 2, PAPER, "erdos-renyi"), "must be one number with"),
        (
            lambda: synapse_counts(0.5, PAPER, "erdos-reny"),
            "allocation must be one of uniform, erdos-renyi, got 'erdos-reny'; did you mean",
        ),
        (lambda: synapse_counts(0.5, PAPER, names=["a"]), "names must have 2 entries, got 1"),
    ],
)
def test_bad_sparsities_are_refused(call: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()
