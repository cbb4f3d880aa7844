"""Whether groups of excitation and inhibition outlive the synapses that they are made of.

Synapses of one epoch are compared with near ones of a later one, onto the same neuron: what share
of such pairs has equal signs? A pair of neurons is never compared with itself, so a synapse that
stays is not its own neighbour.

    all        every near pair: is a place that was excitatory excitatory later?
    joined     the one stays, the other came later: does what grows fit in with what is there?
    replaced   the one went, the other came later: does what grows follow what was there?

Chance is the later epoch's signs shuffled within each neuron, as in
`mlgenn_delays.analysis.grouping`. And which synapses stay: those that agree with the majority of
their neighbours, or those that do not (`staying`)?
"""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.analysis.afferents import Afferents, Places
from mlgenn_delays.analysis.grouping import Test, _orders
from mlgenn_delays.analysis.neighbours import Reach, near
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


@dataclass(frozen=True)
class Staying:
    """Which synapses of an epoch are there later, by whether they agree with their neighbours.

    Attributes:
        agree: (2,) how many stay and go of those that agree with most of their near synapses.
        disagree: (2,) the same of those that do not.
        odds: Odds of staying of those that agree, over those of the others; NaN without any.
        p: Two-sided, by Fisher's exact test.
    """

    agree: tuple[int, int]
    disagree: tuple[int, int]
    odds: float
    p: float


def across(
    earlier: Afferents,
    later: Afferents,
    places: Places | None,
    *,
    reach: Reach | None = None,
    permutations: int = 199,
    seed: int = 0,
) -> dict[str, Across]:
    """Compare the synapses of two epochs.

    Arguments:
        earlier: Those of the one epoch.
        later: Those of the other, onto the same neurons.
        places: Where presynaptic neurons lie; None where they have no order: near is then near in
            time.
        reach: How far neighbours are apart at most; `Reach.of` if None.
        permutations: Number of shuffles.
        seed: Seed of shuffling.

    Returns:
        By kind of pair, see the module.

    Raises:
        InputError: The numbers of neurons differ.
    """
    _check(earlier, later)
    reach = reach or Reach.of(places, later.max_delay)
    a, b = _near(earlier, later, places, reach)
    stays, came = kept(earlier, later)[a], ~kept(later, earlier)[b]
    chosen = {"all": np.ones(len(a), bool), "joined": stays & came, "replaced": ~stays & came}
    alike: dict[str, list[float]] = {kind: [] for kind in chosen}
    first, second = earlier.weight[a] > 0, later.weight > 0
    for order in _orders(later.start, permutations, generator(seed, "analysis", "across")):
        same = first == second[order[b]]
        for kind, which in chosen.items():
            alike[kind].append(float(same[which].mean()) if which.any() else np.nan)
    return {
        kind: Across(int(which.sum()), Test.of(alike[kind][0], np.array(alike[kind][1:])))
        for kind, which in chosen.items()
    }


def staying(
    earlier: Afferents, later: Afferents, places: Places | None, *, reach: Reach | None = None
) -> Staying:
    """Say which synapses of an epoch are there later.

    Arguments:
        earlier: The synapses of the epoch.
        later: Those of the later epoch.
        places: As of `across`.
        reach: As of `across`.

    Raises:
        InputError: The numbers of neurons differ.
    """
    from scipy.stats import fisher_exact

    _check(earlier, later)
    reach = reach or Reach.of(places, later.max_delay)
    pairs = near(earlier, places, reach, "time" if places is None else "both")
    ends = np.concatenate([pairs.a, pairs.b])
    product = (earlier.sign[pairs.a] * earlier.sign[pairs.b]).astype(np.float64)
    vote = np.bincount(ends, np.tile(product, 2), len(earlier.pre))
    stays = kept(earlier, later)
    table = [[int((stays & s).sum()), int((~stays & s).sum())] for s in (vote > 0, vote < 0)]
    found = fisher_exact(table)
    return Staying(
        (table[0][0], table[0][1]),
        (table[1][0], table[1][1]),
        float(found.statistic),
        float(found.pvalue),
    )


def kept(one: Afferents, other: Afferents) -> np.ndarray:
    """Return which synapses of the one are in the other as well, (S,) bool."""
    keys = [each.pre << 32 | each.post for each in (one, other)]
    return np.isin(keys[0], keys[1])


def _check(earlier: Afferents, later: Afferents) -> None:
    """Refuse epochs of different networks."""
    if earlier.n_neurons != later.n_neurons:
        raise InputError(
            f"both epochs must have the same neurons, got {earlier.n_neurons} and {later.n_neurons}"
        )


def _near(
    earlier: Afferents, later: Afferents, places: Places | None, reach: Reach
) -> tuple[np.ndarray, np.ndarray]:
    """Return the near pairs of synapses onto a neuron: (P,) of the earlier, (P,) of the later."""
    found = [np.zeros((2, 0), np.int64)]
    for neuron in range(earlier.n_neurons):
        one = np.arange(earlier.start[neuron], earlier.start[neuron + 1])
        two = np.arange(later.start[neuron], later.start[neuron + 1])
        pre = earlier.pre[one][:, None], later.pre[two][None, :]
        close = np.abs(earlier.delay[one][:, None] - later.delay[two][None, :]) <= reach.time
        close &= pre[0] != pre[1]
        if places is not None:
            for axis, most in enumerate(reach.space):
                where = places.position[:, axis]
                close &= np.abs(where[pre[0]] - where[pre[1]]) <= most
        a, b = np.nonzero(close)
        found.append(np.stack([one[a], two[b]]))
    a, b = np.concatenate(found, axis=1)
    return a, b
