"""Whether groups of excitation and inhibition outlive the synapses that they are made of.

Synapses of one epoch are compared with near ones of a later one, onto the same neuron: what share
of such pairs has equal signs? A pair of neurons is never compared with itself, so a synapse that
stays is not its own neighbour.

    all        every near pair: is a place that was excitatory excitatory later?
    joined     the one stays, the other came later: does what grows fit in with what is there?
    replaced   the one went, the other came later: does what grows follow what was there?

Chance is the later epoch's signs shuffled within each neuron, those of synapses that came among
themselves and those of the others among themselves: that most of what came has one sign is no
agreement. Where no presynaptic neuron has both signs, their places are shuffled instead, see
`mlgenn_delays.analysis.shared_signs`.

And which synapses stay: those that agree with the majority of their neighbours, or those that do
not (`staying`)? Synapses are compared within a neuron and a sign, for neurons may differ in both,
and where most synapses are excitatory, it is those that agree and may be those that stay. With
a..d the numbers of a neuron's synapses of one sign that agree and stay, agree and go, disagree and
stay, disagree and go, and n their sum,

    odds = sum a d / n  /  sum b c / n
    z    = (|sum (a - A)| - 1/2) / sqrt(sum V),  A and V mean and variance of a, margins given

Reference: Mantel and Haenszel (1959), J. Natl. Cancer Inst. 22:719-748.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mlgenn_delays.analysis.afferents import Afferents, Places
from mlgenn_delays.analysis.grouping import Test, check_permutations, orders_within, tested
from mlgenn_delays.analysis.neighbours import Reach, near, sample
from mlgenn_delays.analysis.shared_signs import PairSums, are_shared, no_test_of_time
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
        odds: Odds of staying of those that agree, over those of the others, of one neuron and sign;
            infinite or NaN where there is nothing to divide by.
        p: Two-sided, by Mantel and Haenszel's test, for which synapses go independently.
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
    budget: int = 1_000_000,
) -> dict[str, Across]:
    """Compare the synapses of two epochs.

    Arguments:
        earlier: Those of the one epoch.
        later: Those of the other, onto the same neurons.
        places: Where presynaptic neurons lie; None where they have no order: near is then near in
            time.
        reach: How far neighbours are apart at most; `Reach.of` if None.
        permutations: Number of shuffles, at least 19.
        seed: Seed of shuffling.
        budget: As of `mlgenn_delays.analysis.grouping.grouping`.

    Returns:
        By kind of pair, see the module.

    Raises:
        InputError: The numbers of neurons differ, or there are fewer than 19 permutations.
    """
    check_permutations(permutations)
    _check(earlier, later)
    reach = reach or Reach.of(places, later.delay)
    neurons = sample(later, budget, seed)
    rng = generator(seed, "analysis", "across")
    if places is not None and are_shared(earlier) and are_shared(later):
        a, b = _near(earlier, later, None, reach, neurons)
        chosen = _kinds(earlier, later, a, b)
        alike = earlier.sign[a] == later.sign[b]
        columns = [column for which in chosen.values() for column in (which, which & alike)]
        sums = PairSums.of(earlier.pre[a], later.pre[b], columns, len(places.position))
        many = sums.shuffled(places, reach.space, permutations, rng).T
        return {kind: _judge(many[2 * k], many[2 * k + 1]) for k, kind in enumerate(chosen)}
    a, b = _near(earlier, later, places, reach, neurons)
    chosen = _kinds(earlier, later, a, b)
    first = earlier.weight[a] > 0
    same = {kind: np.zeros(permutations + 1) for kind in chosen}
    for row, positive in enumerate(_shuffled_signs(earlier, later, permutations, rng)):
        alike = first == positive[b]
        for kind, which in chosen.items():
            same[kind][row] = (alike & which).sum()
    found = {
        kind: _judge(np.full(permutations + 1, which.sum()), same[kind])
        for kind, which in chosen.items()
    }
    if places is None and (no_test_of_time(earlier) or no_test_of_time(later)):
        found = {kind: replace(each, same=each.same.untested()) for kind, each in found.items()}
    return found


def _kinds(
    earlier: Afferents, later: Afferents, a: np.ndarray, b: np.ndarray
) -> dict[str, np.ndarray]:
    stays, came = kept(earlier, later)[a], ~kept(later, earlier)[b]
    return {"all": np.ones(len(a), bool), "joined": stays & came, "replaced": ~stays & came}


def _judge(pairs: np.ndarray, same: np.ndarray) -> Across:
    """Test pairs (B+1,), of which the first are the observed ones."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return Across(int(pairs[0]), tested(same / pairs))


def _shuffled_signs(
    earlier: Afferents, later: Afferents, permutations: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield which of the later synapses are excitatory, (S,) bool, then shuffled."""
    came = ~kept(later, earlier)
    group = 2 * later.post + came
    ranked = np.argsort(group, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=2 * later.n_neurons))])
    positive = (later.weight > 0)[ranked]
    for order in orders_within(start, permutations, rng):
        out = np.empty(len(group), bool)
        out[ranked] = positive[order]
        yield out


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
    _check(earlier, later)
    reach = reach or Reach.of(places, later.delay)
    pairs = near(earlier, places, reach, "time" if places is None else "both")
    ends = np.concatenate([pairs.a, pairs.b])
    product = (earlier.sign[pairs.a] * earlier.sign[pairs.b]).astype(np.float64)
    vote = np.bincount(ends, np.tile(product, 2), len(earlier.pre))
    stays = kept(earlier, later)
    agrees, counts = vote > 0, vote != 0
    stratum = 2 * earlier.post + (earlier.weight > 0)
    cells = [
        np.bincount(stratum[counts & one & two], minlength=2 * earlier.n_neurons)
        for one in (agrees, ~agrees)
        for two in (stays, ~stays)
    ]
    a, b, c, d = (int(each.sum()) for each in cells)
    return Staying((a, b), (c, d), *_mantel_haenszel(*cells))


def _mantel_haenszel(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray
) -> tuple[float, float]:
    """Odds ratio and two-sided p of 2 x 2 tables, one per stratum; see the module."""
    n = np.maximum(1, a + b + c + d)
    up, down = float((a * d / n).sum()), float((b * c / n).sum())
    odds = up / down if down else (math.inf if up else math.nan)
    margins = (a + b) * (a + c), (c + d) * (b + d)
    above = abs(float((a - margins[0] / n).sum()))
    variance = float((margins[0] * margins[1] / (n**2 * np.maximum(1, n - 1))).sum())
    if not variance:
        return odds, 1.0
    return odds, math.erfc(max(0.0, above - 0.5) / math.sqrt(2 * variance))


def kept(one: Afferents, other: Afferents) -> np.ndarray:
    """Which synapses of the one are in the other as well, (S,) bool."""
    there = other.there if other.there is not None else other.pre << 32 | other.post
    return np.isin(one.pre << 32 | one.post, there)


def _check(earlier: Afferents, later: Afferents) -> None:
    if earlier.n_neurons != later.n_neurons:
        raise InputError(
            f"both epochs must have the same neurons, got {earlier.n_neurons} and {later.n_neurons}"
        )


def _near(
    earlier: Afferents,
    later: Afferents,
    places: Places | None,
    reach: Reach,
    neurons: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The near pairs of synapses onto a neuron: (P,) of the earlier, (P,) of the later."""
    found = [np.zeros((2, 0), np.int64)]
    for neuron in neurons:
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
