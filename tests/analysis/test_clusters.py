"""Clusters: by flood fill, laws, planted ones found, random ones not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.analysis import Afferents, Places, Reach, clusters
from mlgenn_delays.analysis.neighbours import near

from ..reference import shapes as twin
from . import planted_signs as planted

WIDE = Reach((4,), 40.0)


def sizes(own, places=planted.PLACES, reach=WIDE):
    return sorted(clusters(own, places, reach=reach, permutations=19).size.tolist())


@pytest.mark.parametrize("places", [planted.PLACES, None])
def test_clusters_are_those_of_flood_fill(places):
    own = planted.afferents(planted.clusters, neurons=4, synapses=20)
    reach = WIDE if places else Reach((), 6.0)
    pairs = near(own, places, reach, "both" if places else "time")
    links = [
        (int(a), int(b))
        for a, b in zip(pairs.a, pairs.b, strict=True)
        if (own.weight[a] > 0) == (own.weight[b] > 0)
    ]
    found = clusters(own, places, reach=reach, permutations=19)
    wanted = twin.clusters(links, len(own.pre))
    assert sorted(found.size.tolist()) == wanted and max(wanted) > 2
    assert found.mean.observed == pytest.approx(sum(s**2 for s in wanted) / sum(wanted))
    assert found.largest.observed == max(wanted)
    for k, excitatory in enumerate(found.excitatory):
        members = np.flatnonzero(found.label == k)
        assert len(members) == found.size[k] and len(set(own.post[members])) == 1
        assert ((own.weight[members] > 0) == excitatory).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(-50, 50), st.randoms(use_true_random=False))
def test_laws_of_sizes(seed, shift, random):
    """Neither the order of neurons, nor a common delay, nor a mirror, nor signs turned matter."""
    own = planted.afferents(planted.clusters, neurons=3, synapses=12, seed=seed)
    # In 64ths, to which a whole number is added exactly: no pair moves over the edge.
    delay = (own.delay * 64).round() / 64
    base = Afferents(own.start, own.pre, own.weight, delay, own.max_delay)
    wanted = sizes(base)
    order = list(range(3))
    random.shuffle(order)
    assert sizes(base.take(np.array(order))) == wanted
    later = Afferents(base.start, base.pre, base.weight, delay + round(shift), base.max_delay)
    assert sizes(later) == wanted
    turned = Afferents(base.start, base.pre, -base.weight, delay, base.max_delay)
    assert sizes(turned) == wanted
    position = planted.BANDS - 1 - planted.PLACES.position
    assert sizes(base, Places(("mirrored",), (planted.BANDS,), position)) == wanted


def test_planted_clusters_are_found_and_random_ones_are_not():
    found = clusters(planted.afferents(planted.clusters), planted.PLACES, reach=WIDE)
    assert found.mean.p == 0.01 and found.mean.z > 4
    p = [
        clusters(
            planted.afferents(planted.at_random, neurons=6, seed=seed),
            planted.PLACES, reach=WIDE, permutations=39, seed=seed,
        ).mean.p
        for seed in range(40)
    ]  # fmt: skip
    assert sum(each <= 0.05 for each in p) <= 6 and min(p) < 0.5


def test_without_synapses_there_are_no_clusters():
    own = Afferents(np.zeros(3, np.int64), np.zeros(0, np.int64), *np.zeros((2, 0)), 240.0)
    found = clusters(own, planted.PLACES, permutations=19)
    assert len(found.size) == len(found.label) == 0
    assert found.mean.p == found.largest.p == 1
