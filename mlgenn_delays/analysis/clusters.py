"""Clusters: near synapses of one neuron and one sign, and how large they are.

Two synapses of a neuron belong to one cluster if they have the same sign and are near in space and
time, or are linked by others that are. A synapse on its own is a cluster of one. The mean size is
that which a synapse sees, sum of size^2 / S, so that many singles do not hide a few large ones.

Sizes are tested as in `mlgenn_delays.analysis.grouping`: against shuffled signs, or shuffled places
of the presynaptic neurons where none has both signs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlgenn_delays.analysis.afferents import Afferents, Places
from mlgenn_delays.analysis.grouping import BUDGET, Test, check_permutations, orders_within
from mlgenn_delays.analysis.neighbours import Reach, near, sample
from mlgenn_delays.analysis.shared_signs import are_shared, no_test_of_time, orders
from mlgenn_delays.rng import generator


@dataclass(frozen=True)
class Clusters:
    """The clusters of a projection.

    Attributes:
        label: (S,) int64 cluster of each synapse that was looked at.
        size: (clusters,) int64 synapses of each.
        excitatory: (clusters,) bool.
        mean: Test of the mean size that a synapse sees.
        largest: Test of the size of the largest.
    """

    label: np.ndarray
    size: np.ndarray
    excitatory: np.ndarray
    mean: Test
    largest: Test


def clusters(
    afferents: Afferents,
    places: Places | None,
    *,
    reach: Reach | None = None,
    permutations: int = 199,
    seed: int = 0,
    budget: int = BUDGET,
) -> Clusters:
    """Find the clusters, and test their sizes.

    Arguments:
        afferents: The synapses.
        places: Where presynaptic neurons lie; None where they have no order: near is then near in
            time.
        reach: How far neighbours are apart at most; `Reach.of` if None.
        permutations: Number of shuffles, at least 19.
        seed: Seed of shuffling.
        budget: As of `mlgenn_delays.analysis.grouping.grouping`.

    Raises:
        InputError: There are fewer than 19 permutations.
    """
    check_permutations(permutations)
    reach = reach or Reach.of(places, afferents.delay)
    own = afferents.take(sample(afferents, budget, seed))
    positive = own.weight > 0
    mean, largest = np.zeros(permutations + 1), np.zeros(permutations + 1)
    label, size = np.zeros(0, np.int64), np.zeros(0, np.int64)
    rng = generator(seed, "analysis", "clusters")
    shared = places is not None and are_shared(afferents)
    linked = _by_places if shared else _by_signs
    for row, (a, b) in enumerate(linked(own, places, reach, permutations, rng)):
        found = _components(a, b, len(positive))
        counts = np.bincount(found)
        mean[row] = (counts**2).sum() / max(1, counts.sum())
        largest[row] = counts.max(initial=0)
        if row == 0:
            label, size = found, counts
    excitatory = np.zeros(len(size), bool)
    excitatory[label] = positive
    tests = Test.of(mean[0], mean[1:]), Test.of(largest[0], largest[1:])
    if places is None and no_test_of_time(afferents):
        tests = tests[0].untested(), tests[1].untested()
    return Clusters(label, size, excitatory, *tests)


def _by_signs(
    own: Afferents,
    places: Places | None,
    reach: Reach,
    permutations: int,
    rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield near pairs of one sign, then those when signs are shuffled within each neuron."""
    pairs = near(own, places, reach, "time" if places is None else "both")
    for order in orders_within(own.start, permutations, rng):
        positive = (own.weight > 0)[order]
        alike = positive[pairs.a] == positive[pairs.b]
        yield pairs.a[alike], pairs.b[alike]


def _by_places(
    own: Afferents,
    places: Places | None,
    reach: Reach,
    permutations: int,
    rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield near pairs of one sign, then those when presynaptic neurons swap places."""
    assert places is not None
    pairs = near(own, places, reach, "time")
    alike = own.sign[pairs.a] == own.sign[pairs.b]
    a, b = pairs.a[alike], pairs.b[alike]
    most = np.array(reach.space)
    for order in orders(np.unique(own.pre), len(places.position), permutations, rng):
        place = places.position[order[own.pre]]
        close = (np.abs(place[a] - place[b]) <= most).all(axis=1)
        yield a[close], b[close]


def _components(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    """The cluster (n,) int64 of each synapse, where the pairs (a, b) are linked."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not n:
        return np.zeros(0, np.int64)
    links = (np.ones(len(a), np.int8), (a, b))
    label = connected_components(coo_array(links, shape=(n, n)), directed=False)[1]
    return np.asarray(label, np.int64)
