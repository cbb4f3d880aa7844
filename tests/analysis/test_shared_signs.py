"""By Dale's law neurons share signs: one finding is one, not as many as there are neurons."""

import dataclasses
from itertools import product

import numpy as np
import pytest

from mlgenn_delays.analysis import Afferents, Reach, across, clusters, grouping
from mlgenn_delays.analysis.grouping import TIMED
from mlgenn_delays.analysis.shared_signs import (
    PairSums,
    are_shared,
    delays_are_shared,
    orders,
)
from mlgenn_delays.analysis.shuffle_kernel import place_sums

from ..reference import shapes as twin
from . import planted_signs as planted

REACH = Reach((2,), 30.0)


def dale(sign, *, neurons=30, seed=0, share=0.6):
    """Return synapses of neurons from a share of the bands, whose signs are those of the bands."""
    rng = np.random.default_rng(seed)
    n = int(share * planted.BANDS)
    pre = np.concatenate(
        [np.sort(rng.choice(planted.BANDS, n, replace=False)) for _ in range(neurons)]
    )
    weight = sign[pre] * rng.uniform(0.1, 1.0, len(pre))
    delay = rng.uniform(0, planted.LONGEST, len(pre))
    return Afferents(np.arange(neurons + 1) * n, pre, weight, delay, planted.LONGEST)


def random_signs(seed):
    return np.random.default_rng([seed, 1]).choice([-1.0, 1.0], planted.BANDS)


def test_shared_signs_are_seen():
    own = dale(random_signs(0))
    assert are_shared(own)
    own.weight[5] *= -1
    assert not are_shared(own)
    assert not are_shared(planted.afferents(planted.at_random))
    assert not are_shared(own.take(np.zeros(0, np.int64)))


@pytest.mark.parametrize("axes", [1, 2])
def test_place_sums_are_those_of_plain_loops(axes):
    rng = np.random.default_rng(0)
    position, reach = rng.integers(0, 9, (12, axes)), np.array([2, 3][:axes])
    c, d = rng.integers(0, 12, (2, 50))
    sums, out = rng.normal(size=(50, 3)), np.full(3, np.nan)
    for _ in range(5):
        order = rng.permutation(12)
        place_sums(c, d, sums, position, reach, order, out)
        assert out == pytest.approx(twin.place_sums(c, d, sums, position, reach, order))


def test_sums_go_by_pairs_of_presynaptic_neurons():
    c, d = np.array([3, 1, 1, 0]), np.array([1, 3, 2, 0])
    found = PairSums.of(c, d, [np.array([1.0, 2.0, 4.0, 8.0]), np.ones(4)], 5)
    rows = zip(found.c, found.d, found.sums.tolist(), strict=True)
    assert list(rows) == [(0, 0, [8, 1]), (1, 2, [4, 1]), (1, 3, [3, 2])]


def test_places_without_synapses_stay_out_of_it():
    rng, used = np.random.default_rng(0), np.array([1, 3, 4])
    first, *others = orders(used, 6, 20, rng)
    assert first.tolist() == list(range(6)) and len(others) == 20
    for order in others:
        assert order[[0, 2, 5]].tolist() == [0, 2, 5] and set(order[used]) == set(used)
    assert len({tuple(order) for order in others}) > 3


def test_shuffling_changes_nothing_of_what_is_observed():
    own = dale(random_signs(1))
    shared = grouping(own, planted.PLACES, reach=REACH, permutations=19)
    assert shared.signs_shared
    own.weight[0] *= -1
    assert not grouping(own, planted.PLACES, reach=REACH, permutations=19).signs_shared
    own.weight[0] *= -1
    from mlgenn_delays.analysis.neighbours import near

    for kind in ("space", "both"):
        pairs = near(own, planted.PLACES, REACH, kind)
        found = shared.groupings[kind]
        same = own.sign[pairs.a] == own.sign[pairs.b]
        positive = own.sign[pairs.a] > 0
        assert found.pairs == pairs.n
        assert found.same.observed == pytest.approx(same.mean())
        assert found.joins["EE"].observed == (same & positive).sum()
        assert found.joins["EI"].observed == (~same).sum()
    nearest = shared.groupings["nearest"].same
    assert nearest.p == 1 and np.isnan(nearest.expected) and 0 < nearest.observed < 1


@pytest.fixture
def without_structure():
    """Return groupings, clusters and comparisons of 60 networks with random signs of bands."""
    out = []
    for seed in range(60):
        sign = random_signs(seed)
        own, later = (dale(sign, neurons=12, seed=[seed, k]) for k in (0, 1))
        how = {"reach": REACH, "permutations": 39, "seed": seed}
        out.append(
            (
                grouping(own, planted.PLACES, **how).groupings,
                clusters(own, planted.PLACES, **how),
                across(own, later, planted.PLACES, **how),
            )
        )
    return out


def test_random_signs_are_nothing(without_structure):
    """Of 60 p 3 should be up to 0.05; more than 8 are with a probability under 0.3 %."""
    p = {"clusters": [found.mean.p for _, found, _ in without_structure]}
    for kind, statistic in product(("space", "time", "both", TIMED), ("moran", "same")):
        name = f"{kind} {statistic}"
        p[name] = [getattr(found[kind], statistic).p for found, _, _ in without_structure]
    for kind in ("all", "joined", "replaced"):
        p[kind] = [found[kind].same.p for _, _, found in without_structure]
    for name, each in p.items():
        assert sum(value <= 0.05 for value in each) <= 8, name
        assert np.mean(each) < 0.8, name


def test_planted_stripes_of_bands_are_found():
    sign = np.where(np.arange(planted.BANDS) // 8 % 2, 1.0, -1.0)
    own, later = (dale(sign, seed=seed) for seed in (0, 1))
    found = grouping(own, planted.PLACES, reach=REACH).groupings
    for kind in ("space", "both"):
        assert found[kind].moran.p <= 0.01 and found[kind].same.z > 3
        assert found[kind].joins["EI"].z < -2
    assert found["time"].moran.p > 0.05
    assert clusters(own, planted.PLACES, reach=REACH).mean.p <= 0.02
    assert across(own, later, planted.PLACES, reach=REACH)["replaced"].same.p <= 0.02


@pytest.mark.parametrize("places", [planted.PLACES, None])
def test_with_axonal_delays_time_has_no_test(places):
    """Neurons share delays then, too: shuffling each on its own would call chance a finding."""
    own = dale(random_signs(2))
    assert not delays_are_shared(own) and not delays_are_shared(own.take(np.zeros(0, np.int64)))
    axonal = np.random.default_rng(3).uniform(0, planted.LONGEST, planted.BANDS)
    own = dataclasses.replace(own, delay=axonal[own.pre])
    assert delays_are_shared(own)
    found = grouping(own, places, reach=REACH, permutations=19).groupings
    for kind in ("time", TIMED) if places else ("time",):
        same = found[kind].same
        assert 0 < same.observed < 1 and np.isnan(same.expected) and same.p == 1
    sizes = clusters(own, places, reach=REACH, permutations=19).mean
    later = across(own, own, places, reach=REACH, permutations=19)["all"].same
    for each in (sizes, later):  # with places, those are shuffled
        assert np.isfinite(each.observed) and np.isfinite(each.expected) == bool(places)
    if places:
        assert np.isfinite(found["both"].same.expected)
    own.weight[0] *= -1  # free signs: neurons are independent again
    free = grouping(own, places, reach=REACH, permutations=19).groupings["time"].same
    assert np.isfinite(free.expected)
