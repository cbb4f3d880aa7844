"""Clusters: near synapses of one neuron and one sign, and how large they are.

Two synapses of a neuron belong to one cluster if they have the same sign and are near in space and
time, or are linked by others that are. A synapse on its own is a cluster of one. The mean size is
that which a synapse sees, sum of size^2 / S, so that many singles do not hide a few large ones.
"""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.analysis.afferents import Afferents, Places
from mlgenn_delays.analysis.grouping import BUDGET, Test, _orders
from mlgenn_delays.analysis.neighbours import Reach, near, sample
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
    """Find the clusters, and test their sizes against signs shuffled within each neuron.

    Arguments:
        afferents: The synapses.
        places: Where presynaptic neurons lie; None where they have no order: near is then near in
            time.
        reach: How far neighbours are apart at most; `Reach.of` if None.
        permutations: Number of shuffles.
        seed: Seed of shuffling.
        budget: As of `mlgenn_delays.analysis.grouping.grouping`.
    """
    reach = reach or Reach.of(places, afferents.max_delay)
    own = afferents.take(sample(afferents, budget, seed))
    pairs = near(own, places, reach, "time" if places is None else "both")
    positive = own.weight > 0
    mean, largest = np.zeros(permutations + 1), np.zeros(permutations + 1)
    label, size = np.zeros(0, np.int64), np.zeros(0, np.int64)
    rng = generator(seed, "analysis", "clusters")
    for row, order in enumerate(_orders(own.start, permutations, rng)):
        found = _components(pairs.a, pairs.b, positive[order])
        counts = np.bincount(found)
        mean[row] = (counts**2).sum() / max(1, counts.sum())
        largest[row] = counts.max(initial=0)
        if row == 0:
            label, size = found, counts
    excitatory = np.zeros(len(size), bool)
    excitatory[label] = positive
    return Clusters(
        label, size, excitatory, Test.of(mean[0], mean[1:]), Test.of(largest[0], largest[1:])
    )


def _components(a: np.ndarray, b: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the cluster (S,) int64 of each synapse."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    alike = positive[a] == positive[b]
    n = len(positive)
    links = (np.ones(int(alike.sum()), np.int8), (a[alike], b[alike]))
    label = connected_components(coo_array(links, shape=(n, n)), directed=False)[1]
    return np.asarray(label, np.int64)
