"""The statistics: against plain loops and esda, uniform p without structure, planted ones found."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import binomtest, kstest

from mlgenn_delays.analysis import across, clusters
from mlgenn_delays.analysis.afferents import Afferents
from mlgenn_delays.analysis.grouping import TIMED, _Labels, grouping, orders_within, two_sided
from mlgenn_delays.analysis.neighbours import Reach, near
from mlgenn_delays.errors import InputError

from ..reference import grouping as twin
from . import planted_signs as planted

FINE = Reach((1,), 5.0)
WIDE = Reach((4,), 60.0)


def ragged(seed=3):
    """Return synapses of neurons with 0 to 12 synapses each."""
    rng = np.random.default_rng(seed)
    counts = [0, 1, 2, 12, 7, 0, 9]
    start = np.concatenate([[0], np.cumsum(counts)])
    n = start[-1]
    pre = np.concatenate([np.sort(rng.choice(40, k, replace=False)) for k in counts])
    return Afferents(start, pre.astype(np.int64), rng.normal(size=n), rng.uniform(0, 240, n), 240.0)


@pytest.mark.parametrize("kind", ["space", "time", "both"])
def test_near_pairs_are_those_of_plain_loops(kind):
    own = ragged()
    found = near(own, planted.PLACES, WIDE, kind)
    place = [tuple(planted.PLACES.position[c]) for c in own.pre]
    wanted = twin.near(own.delay, place, own.start, WIDE.space, WIDE.time, kind)
    assert found.n > 3
    for j, pairs in enumerate(wanted):
        own_pairs = slice(found.start[j], found.start[j + 1])
        assert list(zip(found.a[own_pairs], found.b[own_pairs], strict=True)) == pairs


def test_the_nearest_is_nearest():
    own = ragged()
    found = near(own, planted.PLACES, WIDE, "nearest")
    assert np.diff(found.start).tolist() == [0, 0, 2, 12, 7, 0, 9]
    band = own.pre / WIDE.space[0]
    late = own.delay / WIDE.time
    for a, b in zip(found.a, found.b, strict=True):
        (j,) = {own.post[a], own.post[b]}
        others = [s for s in range(own.start[j], own.start[j + 1]) if s != a]
        far = [(band[s] - band[a]) ** 2 + (late[s] - late[a]) ** 2 for s in others]
        assert b == others[int(np.argmin(far))]


def test_synapses_in_one_place_are_each_others_nearest():
    own = Afferents(np.array([0, 3]), np.array([4, 4, 4]), np.ones(3), np.full(3, 7.0), 240.0)
    found = near(own, planted.PLACES, WIDE, "nearest")
    assert (found.a == [0, 1, 2]).all() and (found.a != found.b).all()


def test_sums_are_those_of_plain_loops():
    from mlgenn_delays.analysis.shuffle_kernel import pair_sums, timed_sums

    own = ragged()
    labels = _Labels(own)
    assert np.allclose(labels.value, twin.standardised(own.weight, own.start), atol=1e-12)
    pairs = near(own, planted.PLACES, WIDE, "space")
    listed = [
        list(zip(pairs.a[i:k], pairs.b[i:k], strict=True))
        for i, k in zip(pairs.start[:-1], pairs.start[1:], strict=True)
    ]
    where = (pairs.start, pairs.a, pairs.b)
    seen = set()
    for order in orders_within(own.start, 5, np.random.default_rng(0)):
        seen.add(tuple(order))
        for first, last in zip(own.start[:-1], own.start[1:], strict=True):
            assert sorted(order[first:last]) == list(range(first, last))
        out = np.full((own.n_neurons, 3), np.nan)
        pair_sums(*where, labels.positive[order], labels.value[order], out)
        assert np.allclose(out, twin.sums(listed, labels.positive, labels.value, order))
        timed_sums(*where, labels.positive, labels.value, own.delay[order], 24.0, out)
        wanted = twin.timed(listed, labels.positive, labels.value, own.delay, 24.0, order)
        assert np.allclose(out, wanted)
    assert len(seen) == 6 and tuple(range(own.start[-1])) in seen


def test_every_order_comes_as_often():
    start, rng = np.array([0, 3]), np.random.default_rng(1)
    orders = [tuple(order) for order in orders_within(start, 6000, rng)][1:]
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 6 and abs(counts - 1000).max() < 120  # four standard deviations


def test_p_is_that_of_plain_loops():
    rng = np.random.default_rng(0)
    shuffled = rng.integers(0, 5, (39, 8)).astype(float)
    observed = rng.integers(0, 5, 8).astype(float)
    wanted = [twin.two_sided(o, column) for o, column in zip(observed, shuffled.T, strict=True)]
    assert np.allclose(two_sided(observed, shuffled), wanted)
    assert two_sided(np.array([1.0 + 1e-14]), np.ones((19, 1)))[0] == 1  # rounding is no finding


def test_moran_and_joins_are_those_of_esda():
    import esda
    from libpysal.weights import W

    own = planted.afferents(planted.clusters, neurons=1, synapses=40, seed=2)
    pairs = near(own, planted.PLACES, WIDE, "both")
    neighbours: dict[int, list[int]] = {s: [] for s in range(40)}
    for a, b in zip(pairs.a, pairs.b, strict=True):
        neighbours[int(a)].append(int(b))
        neighbours[int(b)].append(int(a))
    weights = W(neighbours, silence_warnings=True)
    found = grouping(own, planted.PLACES, reach=WIDE, permutations=999).groupings["both"]
    moran = esda.Moran(own.weight, weights, transformation="B", permutations=0)
    assert found.moran.observed == pytest.approx(moran.I)
    assert found.moran.expected == pytest.approx(moran.EI, abs=0.01)
    assert found.moran.spread == pytest.approx(np.sqrt(moran.VI_rand), rel=0.1)
    joins = esda.Join_Counts((own.weight > 0).astype(int), weights, permutations=0)
    assert found.joins["EE"].observed == joins.bb
    assert found.joins["II"].observed == joins.ww
    assert found.joins["EI"].observed == joins.bw
    assert found.same.observed == pytest.approx((joins.bb + joins.ww) / joins.J)


@pytest.fixture(scope="module")
def without_structure():
    """Return the groupings of 200 random networks."""
    return [
        grouping(
            planted.afferents(planted.at_random, neurons=8, synapses=20, seed=seed),
            planted.PLACES,
            permutations=99,
            seed=seed,
        ).groupings
        for seed in range(200)
    ]


@pytest.mark.parametrize("kind", ["space", "time", "both", "nearest", TIMED])
@pytest.mark.parametrize("statistic", ["moran", "same"])
def test_without_structure_p_is_uniform(kind, statistic, without_structure):
    p = np.array([getattr(found[kind], statistic).p for found in without_structure])
    rejected = int((p <= 0.05).sum())
    if statistic == "moran":
        assert kstest(p, "uniform").pvalue > 0.01
        assert binomtest(rejected, len(p), 0.04).pvalue > 0.01  # 2/100 and 4/100 are <= 0.05
    else:  # counts have ties, which make p larger
        assert binomtest(rejected, len(p), 0.05, "greater").pvalue > 0.01


def test_without_structure_single_neurons_are_rarely_called_grouped(without_structure):
    tested = sum(found["both"].n_tested for found in without_structure)
    grouped = sum(found["both"].n_grouped for found in without_structure)
    assert tested > 1500 and grouped <= 0.05 * tested


def test_planted_clusters_are_found():
    own = planted.afferents(planted.clusters)
    found = grouping(own, planted.PLACES).groupings
    for kind in ("space", "time", "both", "nearest", TIMED):
        assert found[kind].moran.p == 0.002 and found[kind].moran.z > 4, kind
        assert found[kind].same.observed > found[kind].same.interval[1], kind
    both = found["both"]
    assert both.joins["EI"].z < -4 < 4 < both.joins["EE"].z
    assert both.same.observed > 0.8
    assert both.n_tested == 20 and both.n_grouped >= 8


def test_a_planted_checkerboard_is_found():
    own = planted.afferents(planted.checkerboard, neurons=200)
    found = grouping(own, planted.PLACES, reach=FINE).groupings["both"]
    assert found.moran.p == 0.002 and found.moran.z < -4
    assert found.same.observed < found.same.interval[0]
    assert found.joins["EI"].z > 4


@pytest.mark.parametrize(
    ("law", "seen", "unseen"),
    [
        (planted.stripes_in_space, ["space", "both"], [TIMED]),
        (planted.stripes_in_time, ["time", "both", TIMED], ["space"]),
    ],
)
def test_space_and_time_are_told_apart(law, seen, unseen):
    """Grouping in space alone shows in both, but not in time given space."""
    p = {kind: [] for kind in seen + unseen}
    for seed in range(25):
        own = planted.afferents(law, neurons=60, seed=seed)
        found = grouping(own, planted.PLACES, permutations=99, seed=seed).groupings
        for kind in p:
            p[kind].append(found[kind].moran.p)
    for kind in seen:
        assert max(p[kind]) <= 0.04, kind
    for kind in unseen:
        assert kstest(p[kind], "uniform").pvalue > 0.01, kind


def test_neither_the_order_of_neurons_nor_the_names_of_signs_matter():
    own = planted.afferents(planted.clusters, neurons=6)
    other = own.take(np.arange(6)[::-1])
    turned = Afferents(own.start, own.pre, -own.weight, own.delay, own.max_delay)
    first, second, third = (
        grouping(each, planted.PLACES, permutations=99).groupings for each in (own, other, turned)
    )
    for kind in ("space", "time", "both", "nearest"):
        assert first[kind].moran.observed == pytest.approx(second[kind].moran.observed)
        assert first[kind].moran.observed == pytest.approx(third[kind].moran.observed)
        assert first[kind].pairs == second[kind].pairs
    assert first["both"].joins["EE"].observed == third["both"].joins["II"].observed
    assert first["both"].joins["EI"] == third["both"].joins["EI"]


def test_without_places_time_alone_is_tested():
    own = planted.afferents(planted.stripes_in_time)
    found = grouping(own, None, permutations=99)
    assert list(found.groupings) == ["time"]
    assert found.groupings["time"].moran.p == 0.02


def test_of_a_large_network_some_neurons_are_tested():
    own = planted.afferents(planted.at_random, neurons=50, synapses=20)
    found = grouping(own, planted.PLACES, permutations=19, budget=190 * 12)
    assert len(found.neurons) == 12 and found.n_neurons == 50 and found.synapses == 240
    again = grouping(own, planted.PLACES, permutations=19, budget=190 * 12)
    assert (found.neurons == again.neurons).all()
    assert found.groupings["both"].moran == again.groupings["both"].moran


def test_nothing_to_test_is_no_error():
    own = Afferents(np.array([0, 1, 2]), np.array([3, 5]), np.ones(2), np.zeros(2), 240.0)
    found = grouping(own, planted.PLACES, permutations=19).groupings
    assert all(each.pairs == 0 and each.moran.p == 1 for each in found.values())
    one_sign = Afferents(np.array([0, 3]), np.arange(3), np.ones(3), np.arange(3.0), 240.0)
    found = grouping(one_sign, planted.PLACES, reach=WIDE, permutations=19).groupings["both"]
    assert found.same.observed == 1 and found.same.p == 1 and found.same.z == 0


def test_near_in_time_is_a_tenth_of_what_delays_span():
    delay = np.array([20.0, 170.0, 60.0])
    assert Reach.of(planted.PLACES, delay) == Reach((2,), 15.0)
    assert Reach.of(None, delay, time=4) == Reach((), 4.0)
    assert Reach.of(planted.PLACES, np.zeros(0), space=3) == Reach((3,), 0.0)


def test_too_few_shuffles_are_refused():
    own = planted.afferents(planted.at_random)
    for test in (grouping, clusters, partial(across, own)):
        with pytest.raises(InputError, match="permutations must be >= 19, got 5"):
            test(own, planted.PLACES, permutations=5)
