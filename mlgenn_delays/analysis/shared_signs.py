"""Shuffles where all synapses of a presynaptic neuron have one sign (Dale's law).

Neurons then listen to the same signs: were the signs of each neuron shuffled on its own, M neurons
would count as M findings where there is one. So it is the places of the presynaptic neurons that
are shuffled, each with all its synapses, their weights and delays: Mantel's test. Sums over near
pairs of synapses go by the pair of presynaptic neurons, which is all that such a shuffle moves.

Reference: Mantel (1967), Cancer Research 27:209-220.

Shapes: n presynaptic neurons, D axes of space, P pairs, K sums.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlgenn_delays.analysis.afferents import Afferents, Places


def are_shared(afferents: Afferents) -> bool:
    """Whether no presynaptic neuron has both signs, and one has several synapses."""
    pre, sign = afferents.pre, afferents.sign
    if not len(pre):
        return False
    total, sums = np.bincount(pre), np.bincount(pre, sign)
    return bool((np.abs(sums) == total).all() and total.max() > 1)


def delays_are_shared(afferents: Afferents) -> bool:
    """Whether all synapses of a presynaptic neuron have one delay, and one has several."""
    pre, delay = afferents.pre, afferents.delay
    if not len(pre):
        return False
    order = np.argsort(pre, kind="stable")
    same = np.diff(pre[order]) == 0
    return bool(same.any() and (np.diff(delay[order])[same] == 0).all())


def no_test_of_time(afferents: Afferents) -> bool:
    """Whether neurons share signs and delays, so that no shuffle within one tests them."""
    return are_shared(afferents) and delays_are_shared(afferents)


@dataclass(frozen=True)
class PairSums:
    """Sums over pairs of synapses, by pair of presynaptic neurons."""

    c: np.ndarray  # (P,) int64 presynaptic neuron
    d: np.ndarray  # (P,) int64 presynaptic neuron
    sums: np.ndarray  # (P, K) float64

    @staticmethod
    def of(c: np.ndarray, d: np.ndarray, columns: list[np.ndarray], n: int) -> "PairSums":
        """Add up K columns (P,) of pairs of synapses, by their presynaptic neurons c and d of n."""
        key, where = np.unique(np.minimum(c, d) * n + np.maximum(c, d), return_inverse=True)
        where = where.ravel()
        sums = [np.bincount(where, column, len(key)) for column in columns]
        return PairSums(key // n, key % n, np.stack(sums, axis=1))

    def shuffled(
        self, places: Places, reach: tuple[int, ...], permutations: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Sums over pairs near in space, as they are and then with shuffled places, (B+1, K)."""
        from mlgenn_delays.analysis.shuffle_kernel import place_sums

        out = np.zeros((permutations + 1, self.sums.shape[1]))
        most = np.array(reach, np.int64)
        used = np.unique(np.concatenate([self.c, self.d]))
        for row, order in enumerate(orders(used, len(places.position), permutations, rng)):
            place_sums(self.c, self.d, self.sums, places.position, most, order, out[row])
        return out


def orders(
    used: np.ndarray, n: int, permutations: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield whose place each presynaptic neuron has, (n,): its own, then shuffled ones.

    The places of those that are not used (those without synapses) stay out of it.
    """
    order = np.arange(n)
    yield order.copy()
    for _ in range(permutations):
        order[used] = rng.permutation(used)
        yield order.copy()
