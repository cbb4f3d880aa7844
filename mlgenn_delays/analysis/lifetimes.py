"""How long synapses live under rewiring, by the networks that a run kept of its course.

A synapse is a pair of neurons. It is seen at the epochs that were kept; one that goes and comes
back between two of them was there all the time as far as can be seen, and one that lives from one
to the next and no longer has a lifetime of that distance. Those still there at the end are
censored: the share of synapses that reach an age is Kaplan and Meier's estimate (1958, J. Am. Stat.
Assoc. 53:457-481). Synapses of the start and grown ones are counted apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mlgenn_delays.analysis.afferents import pair_keys
from mlgenn_delays.network import Projection


@dataclass(frozen=True)
class Survival:
    """The share of synapses that reach an age.

    Attributes:
        n: How many synapses were followed.
        age: (K,) age [epochs], ascending, at which some went.
        share: (K,) share that lives longer.
    """

    n: int
    age: np.ndarray
    share: np.ndarray

    @property
    def median(self) -> float | None:
        """Age that half of the synapses reach [epochs], None if more than half live longer."""
        gone = np.flatnonzero(self.share <= 0.5 + 1e-9)  # a product of ratios, so rounded
        return float(self.age[gone[0]]) if len(gone) else None


@dataclass(frozen=True)
class Lifetimes:
    """How the synapses of a projection come and go.

    Attributes:
        epochs: (E,) that were kept, ascending.
        from_start: (E,) share of the start's synapses that is there.
        overlap: (E, E) share of an epoch's synapses (row) that is there in another (column); 1 of
            an epoch without synapses, for none of them is missing.
        grown: Synapses that were seen to be grown, one that comes twice twice.
        start: Survival of the start's synapses.
        later: Survival of those grown later, None if there are none.
    """

    epochs: np.ndarray
    from_start: np.ndarray
    overlap: np.ndarray
    grown: int
    start: Survival
    later: Survival | None

    @property
    def rewired(self) -> bool:
        """Whether any synapse came or went."""
        return bool((self.overlap < 1).any())


def lifetimes(course: Mapping[int, Projection]) -> Lifetimes:
    """Follow how the synapses of a projection come and go.

    Arguments:
        course: The projection by epoch, ascending, at least one.
    """
    epochs = np.array(list(course))
    keys = [pair_keys(projection) for projection in course.values()]
    names = np.unique(np.concatenate(keys))
    there = np.stack([np.isin(names, each, assume_unique=True) for each in keys])
    shared = there.astype(np.float64) @ there.T
    many = there.sum(axis=1)[:, None]
    overlap = np.where(many > 0, shared / np.maximum(1, many), 1.0)
    born, age, censored = _spells(there, epochs)
    first = born == epochs[0]
    later = _survival(age[~first], censored[~first]) if (~first).any() else None
    return Lifetimes(
        epochs, overlap[0], overlap, int((~first).sum()), _survival(age[first], censored[first]),
        later,
    )  # fmt: skip


def _spells(there: np.ndarray, epochs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Birth, age at the end, and whether the end was not seen, of every spell of presence.

    there is (E, N) bool, by epoch and pair of neurons.
    """
    gap = np.zeros((1, there.shape[1]), bool)
    padded = np.concatenate([gap, there, gap]).astype(np.int8)
    change = np.diff(padded, axis=0).T  # (N, E+1), so that births and ends come pair by pair
    begin, end = np.nonzero(change == 1)[1], np.nonzero(change == -1)[1]
    alive = end == len(epochs)
    stop = epochs[np.minimum(end, len(epochs) - 1)]
    return epochs[begin], stop - epochs[begin], alive


def _survival(age: np.ndarray, censored: np.ndarray) -> Survival:
    """Estimate as Kaplan and Meier do."""
    from scipy.stats import CensoredData, ecdf

    if censored.all():
        return Survival(len(age), np.zeros(0), np.zeros(0))
    data = CensoredData.right_censored(age.astype(np.float64), censored)
    found = ecdf(data).sf
    falls = np.diff(found.probabilities, prepend=1.0) < 0
    return Survival(len(age), found.quantiles[falls], found.probabilities[falls])
