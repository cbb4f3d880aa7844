"""Whether clusters outlive the synapses that they are made of.

Synapses of one epoch are compared with near ones of another, onto the same neuron: what share of
such pairs has equal signs? A pair of neurons is never compared with itself, so a synapse that stays
does not count as its own neighbour. ``replaced`` pairs are stricter: the one is gone in the later
epoch, the other was not there in the earlier. If they have equal signs more often than chance, what
grew continues the cluster of what went. Chance: the later epoch's signs shuffled within each
neuron, as in `mlgenn_delays.analysis.grouping`.
"""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.analysis.afferents import Afferents, Places
from mlgenn_delays.analysis.grouping import Test, _orders
from mlgenn_delays.analysis.neighbours import Reach
from mlgenn_delays.errors import InputError
from mlgenn_delays.rng import generator


@dataclass(frozen=True)
class Across:
    """How synapses of one epoch agree with near ones of another.

    Attributes:
        pairs: Number of near pairs.
        same: Share of pairs of equal sign.
    """

    pairs: int
    same: Test


def across(
    earlier: Afferents,
    later: Afferents,
    places: Places | None,
    *,
    replaced: bool = False,
    reach: Reach | None = None,
    permutations: int = 199,
    seed: int = 0,
) -> Across:
    """Compare the synapses of two epochs.

    Arguments:
        earlier: Those of the one epoch.
        later: Those of the other, onto the same neurons.
        places: Where presynaptic neurons lie; None where they have no order: near is then near in
            time.
        replaced: Whether to take only pairs of a synapse that went and one that came.
        reach: How far neighbours are apart at most; `Reach.of` if None.
        permutations: Number of shuffles.
        seed: Seed of shuffling.

    Raises:
        InputError: The numbers of neurons differ.
    """
    if earlier.n_neurons != later.n_neurons:
        raise InputError(
            f"both epochs must have the same neurons, got {earlier.n_neurons} and {later.n_neurons}"
        )
    reach = reach or Reach.of(places, later.max_delay)
    parts = [
        _near(earlier, later, neuron, places, reach, replaced)
        for neuron in range(earlier.n_neurons)
    ]
    a, b = np.concatenate([np.zeros((2, 0), np.int64), *parts], axis=1)
    if not len(a):
        return Across(0, Test.of(np.nan, np.zeros(0)))
    first, second = earlier.weight[a] > 0, later.weight > 0
    same = [
        float((first == second[order[b]]).mean())
        for order in _orders(later.start, permutations, generator(seed, "analysis", "across"))
    ]
    return Across(len(a), Test.of(same[0], np.array(same[1:])))


def _near(
    earlier: Afferents,
    later: Afferents,
    neuron: int,
    places: Places | None,
    reach: Reach,
    replaced: bool,
) -> np.ndarray:
    """Return the near pairs (2, P) of synapses onto a neuron: of the earlier, of the later."""
    one = np.arange(earlier.start[neuron], earlier.start[neuron + 1])
    two = np.arange(later.start[neuron], later.start[neuron + 1])
    pre = earlier.pre[one][:, None], later.pre[two][None, :]
    near = np.abs(earlier.delay[one][:, None] - later.delay[two][None, :]) <= reach.time
    near &= pre[0] != pre[1]
    if places is not None:
        for axis, most in enumerate(reach.space):
            where = places.position[:, axis]
            near &= np.abs(where[pre[0]] - where[pre[1]]) <= most
    if replaced:
        near &= ~np.isin(earlier.pre[one], later.pre[two])[:, None]
        near &= ~np.isin(later.pre[two], earlier.pre[one])[None, :]
    a, b = np.nonzero(near)
    return np.stack([one[a], two[b]])
