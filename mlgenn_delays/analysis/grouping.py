"""How excitation and inhibition group in space and time: statistics against shuffled synapses.

For the near pairs (a, b) of a neuron's synapses (see `mlgenn_delays.analysis.neighbours`), with
signs s and weights w, standardised over the neuron's synapses to mean 0 and variance 1:

    EE, II, EI   pairs of two excitatory, two inhibitory, and of unlike synapses (join counts)
    same         (EE + II) / (EE + II + EI)
    moran        mean of w_a w_b over the pairs: Moran's I with binary weights

Under the null hypothesis a neuron's weights, signs included, are exchangeable among its synapses,
whose places and delays stay; so they are shuffled within each neuron, with all pairs of one kind
judged by the same shuffles. In the test ``time given space`` it is the delays that are shuffled,
places and weights stay: do synapses of near places have like signs more where their delays are near
as well? Without it, grouping in both could be grouping in space alone. That is Knox's test of
space-time interaction, with signs instead of cases.

Shuffling each neuron on its own takes neurons as independent of one another. By Dale's law they are
not: they share the signs of their presynaptic neurons. Where no presynaptic neuron has both signs,
the tests in space shuffle the places of the presynaptic neurons instead, see
`mlgenn_delays.analysis.shared_signs`; ``nearest`` has no test then. With axonal delays neurons
share delays as well, so ``time`` and ``time given space`` have none either. Learning may make
neurons alike as well, which no shuffle knows of: the tests of single neurons (``neuron_p``) do not
need it.

    p = min(1, 2 min(p_high, p_low)),  p_high = (1 + #{shuffled >= observed}) / (1 + shuffles)

References: Moran (1950), Biometrika 37:17-23. Cliff and Ord (1981), Spatial Processes, chapters 1-2
(join counts, permutation). Knox (1964), Applied Statistics 13:25-29. Phipson and Smyth (2010),
Stat. Appl. Genet. Mol. Biol. 9:39 (the 1 + in p). Benjamini and Hochberg (1995), JRSS B 57:289-300.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mlgenn_delays.analysis.afferents import Afferents, Places
from mlgenn_delays.analysis.neighbours import Pairs, Reach, near, sample
from mlgenn_delays.analysis.shared_signs import PairSums, are_shared, no_test_of_time
from mlgenn_delays.errors import InputError
from mlgenn_delays.rng import generator

TIMED = "time given space"
FEWEST = 8  # synapses of a neuron, for a test of its own
BUDGET = 4_000_000  # pairs of synapses of one neuron that are looked at, near or not


@dataclass(frozen=True)
class Test:
    """An observed statistic and what shuffling gives.

    Attributes:
        observed: Of the network as it is; NaN where nothing can be measured.
        expected: Mean over shuffles.
        spread: Standard deviation over shuffles.
        p: Two-sided.
        interval: Within which 95 % of the shuffles lie.
    """

    observed: float
    expected: float
    spread: float
    p: float
    interval: tuple[float, float]

    @property
    def z(self) -> float:
        """Observed less expected, in spreads; 0 where shuffling changes nothing."""
        above = self.observed - self.expected
        return above / self.spread if self.spread > 0 else 0.0

    def untested(self) -> "Test":
        """The same observation without what shuffling gives."""
        return Test(self.observed, np.nan, np.nan, 1.0, (np.nan, np.nan))

    @staticmethod
    def of(observed: float, shuffled: np.ndarray) -> "Test":
        """Test a statistic against its values (B,) when shuffled."""
        if not np.isfinite(observed):
            return Test(observed, np.nan, np.nan, 1.0, (np.nan, np.nan))
        low, high = np.quantile(shuffled, [0.025, 0.975])
        p = float(two_sided(np.array([observed]), shuffled[:, None])[0])
        spread = float(shuffled.std()) if np.ptp(shuffled) > 0 else 0.0
        return Test(float(observed), float(shuffled.mean()), spread, p, (float(low), float(high)))


@dataclass(frozen=True)
class Grouping:
    """How near synapses of one kind of neighbourhood group.

    Attributes:
        kind: ``"space"``, ``"time"``, ``"both"``, ``"nearest"`` or ``"time given space"``.
        pairs: Number of near pairs.
        same: Share of pairs of equal sign.
        moran: Moran's I of the weights.
        joins: Tests of the numbers of pairs ``"EE"``, ``"II"`` and ``"EI"``; empty for ``"time
            given space"``, where shuffling changes the number of pairs.
        neuron_p: (M,) p of Moran's I of each neuron, NaN where it has fewer than `FEWEST`
            synapses or no pair; empty for ``"time given space"``.
    """

    kind: str
    pairs: int
    same: Test
    moran: Test
    joins: dict[str, Test]
    neuron_p: np.ndarray

    def untested(self) -> "Grouping":
        """The same observations without what shuffling gives, but for single neurons."""
        joins = {name: each.untested() for name, each in self.joins.items()}
        return replace(self, same=self.same.untested(), moran=self.moran.untested(), joins=joins)

    @property
    def n_tested(self) -> int:
        """Neurons with a test of their own."""
        return int(np.isfinite(self.neuron_p).sum())

    @property
    def n_grouped(self) -> int:
        """Neurons whose weights are not placed at random, at a false discovery rate of 5 %."""
        from scipy.stats import false_discovery_control

        p = self.neuron_p[np.isfinite(self.neuron_p)]
        return int((false_discovery_control(p) <= 0.05).sum()) if len(p) else 0


@dataclass(frozen=True)
class Shuffled:
    """What shuffling gives, and how it was done.

    Attributes:
        groupings: By kind.
        neurons: Indices of the neurons that were looked at.
        n_neurons: How many there are.
        synapses: Number of synapses that were looked at.
        reach: How far neighbours are apart at most.
        permutations: Number of shuffles.
        signs_shared: Whether no presynaptic neuron has both signs, so that places were shuffled.
    """

    groupings: dict[str, Grouping]
    neurons: np.ndarray
    n_neurons: int
    synapses: int
    reach: Reach
    permutations: int
    signs_shared: bool = False


def grouping(
    afferents: Afferents,
    places: Places | None,
    *,
    reach: Reach | None = None,
    permutations: int = 999,
    seed: int = 0,
    budget: int = BUDGET,
) -> Shuffled:
    """Test whether excitation and inhibition group.

    Arguments:
        afferents: The synapses.
        places: Where presynaptic neurons lie; None where they have no order, then only time is
            tested.
        reach: How far neighbours are apart at most; `Reach.of` if None.
        permutations: Number of shuffles, at least 19.
        seed: Seed of shuffling.
        budget: Pairs that are looked at; of a larger network a random choice of neurons.

    Raises:
        InputError: There are fewer than 19 permutations.
    """
    check_permutations(permutations)
    reach = reach or Reach.of(places, afferents.delay)
    neurons = sample(afferents, budget, seed)
    own = afferents.take(neurons)
    kinds = ("time",) if places is None else ("space", "time", "both", "nearest")
    found = {kind: near(own, places, reach, kind) for kind in kinds}
    labels = _Labels(own)
    tests = _shuffle_labels(own, labels, found, permutations, seed)
    shared = places is not None and are_shared(afferents)
    if places is not None:
        tests[TIMED] = _shuffle_delays(own, labels, found["space"], reach, permutations, seed)
        if shared:
            tests |= _shuffle_places(own, places, labels, tests, reach, permutations, seed)
    if no_test_of_time(afferents):
        tests |= {kind: tests[kind].untested() for kind in ("time", TIMED) if kind in tests}
    return Shuffled(
        tests, neurons, afferents.n_neurons, len(own.pre), reach, int(permutations), shared
    )


def check_permutations(permutations: int) -> None:
    """Reject too few shuffles for a p below 0.1."""
    if not permutations >= 19:
        raise InputError(f"permutations must be >= 19, got {permutations!r}")


class _Labels:
    """What is shuffled: the sign of each synapse, and its weight, standardised by neuron."""

    def __init__(self, afferents: Afferents) -> None:
        n, post = np.diff(afferents.start), afferents.post
        many = np.maximum(n, 1)
        mean = np.bincount(post, afferents.weight, len(n)) / many
        above = afferents.weight - mean[post]
        sd = np.sqrt(np.bincount(post, above**2, len(n)) / many)
        self.positive = (afferents.weight > 0).astype(np.float64)
        self.value = np.divide(above, sd[post], out=np.zeros_like(above), where=sd[post] > 0)


def orders_within(
    start: np.ndarray, permutations: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield the order of the synapses as it is, then shuffled within each neuron.

    It is (S,) int64, the same array every time; start (M+1,) is the first synapse of each neuron.
    """
    from mlgenn_delays.analysis.shuffle_kernel import shuffle_within

    order = np.arange(start[-1])
    yield order
    for _ in range(permutations):
        shuffle_within(start, rng.random(start[-1]), order)
        yield order


def _shuffle_labels(
    own: Afferents, labels: _Labels, found: dict[str, Pairs], permutations: int, seed: int
) -> dict[str, Grouping]:
    from mlgenn_delays.analysis.shuffle_kernel import pair_sums

    sums = {kind: np.zeros((permutations + 1, own.n_neurons, 3)) for kind in found}
    rng = generator(seed, "analysis", "labels")
    for row, order in enumerate(orders_within(own.start, permutations, rng)):
        positive, value = labels.positive[order], labels.value[order]
        for kind, pairs in found.items():
            pair_sums(pairs.start, pairs.a, pairs.b, positive, value, sums[kind][row])
    return {kind: _judge(kind, own, found[kind], sums[kind]) for kind in found}


def _judge(kind: str, own: Afferents, pairs: Pairs, sums: np.ndarray) -> Grouping:
    """Test sums (B+1, M, 3), of which the first are the observed ones."""
    n = pairs.n
    ee, ii, product = np.moveaxis(sums.sum(axis=1), 1, 0)
    if not n:
        nothing = Test.of(np.nan, np.zeros(0))
        return Grouping(kind, 0, nothing, nothing, {}, np.full(own.n_neurons, np.nan))
    joins = {"EE": ee, "II": ii, "EI": n - ee - ii}
    p = two_sided(sums[0, :, 2], sums[1:, :, 2])
    silent = (np.diff(own.start) < FEWEST) | (np.diff(pairs.start) == 0)
    return Grouping(
        kind,
        n,
        tested((ee + ii) / n),
        tested(product / n),
        {name: tested(count) for name, count in joins.items()},
        np.where(silent, np.nan, p),
    )


def _shuffle_delays(
    own: Afferents, labels: _Labels, pairs: Pairs, reach: Reach, permutations: int, seed: int
) -> Grouping:
    """The grouping in time of synapses near in space, when delays are shuffled."""
    from mlgenn_delays.analysis.shuffle_kernel import timed_sums

    sums = np.zeros((permutations + 1, own.n_neurons, 3))
    rng = generator(seed, "analysis", "delays")
    for row, order in enumerate(orders_within(own.start, permutations, rng)):
        timed_sums(
            pairs.start, pairs.a, pairs.b, labels.positive, labels.value, own.delay[order],
            reach.time, sums[row],
        )  # fmt: skip
    n, same, product = np.moveaxis(sums.sum(axis=1), 1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share, moran = tested(same / n), tested(product / n)
    return Grouping(TIMED, int(n[0]), share, moran, {}, np.zeros(0))


def _shuffle_places(
    own: Afferents,
    places: Places,
    labels: _Labels,
    found: dict[str, Grouping],
    reach: Reach,
    permutations: int,
    seed: int,
) -> dict[str, Grouping]:
    """The groupings in space as found, tested by shuffled places instead."""
    anywhere = Reach(tuple(places.size), reach.time)
    out = {"nearest": found["nearest"].untested()}
    for kind, without_space in (("space", "space"), ("both", "time")):
        if not found[kind].pairs:
            continue
        pairs = near(own, places, anywhere, without_space)
        first, second = own.weight[pairs.a] > 0, own.weight[pairs.b] > 0
        columns = [
            np.ones(pairs.n), first & second, ~first & ~second,
            labels.value[pairs.a] * labels.value[pairs.b],
        ]  # fmt: skip
        each = PairSums.of(own.pre[pairs.a], own.pre[pairs.b], columns, len(places.position))
        rng = generator(seed, "analysis", "places")
        n, ee, ii, product = each.shuffled(places, reach.space, permutations, rng).T
        joins = {"EE": ee, "II": ii, "EI": n - ee - ii}
        with np.errstate(invalid="ignore", divide="ignore"):
            out[kind] = replace(
                found[kind], same=tested((ee + ii) / n), moran=tested(product / n),
                joins={name: tested(count) for name, count in joins.items()},
            )  # fmt: skip
    return out


def tested(values: np.ndarray) -> Test:
    """Test the first of the values against the others that are numbers."""
    shuffled = values[1:][np.isfinite(values[1:])]
    if not len(shuffled):
        return Test.of(np.nan, shuffled)
    return Test.of(float(values[0]), shuffled)


def two_sided(observed: np.ndarray, shuffled: np.ndarray) -> np.ndarray:
    """Two-sided p of values (M,) against those when shuffled (B, M); see the module.

    Sums of the same numbers in another order differ in the last digits: values within 1e-9 of
    the largest count as equal.
    """
    slack = 1e-9 * np.maximum(np.abs(observed), np.abs(shuffled).max(axis=0))
    n = len(shuffled) + 1
    high = (1 + (shuffled >= observed - slack).sum(axis=0)) / n
    low = (1 + (shuffled <= observed + slack).sum(axis=0)) / n
    return np.minimum(1.0, 2 * np.minimum(high, low))
