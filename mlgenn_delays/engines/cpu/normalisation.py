"""Normalisation of the currents of a population, per neuron over batch and time.

I' = f (I - mean) + offset with f = gain / sqrt(variance + EPSILON). Backwards, with D = dL/dI' and
X = (I - mean) / sqrt(variance + EPSILON):

    dL/dI = f (D - mean(D) - X mean(D X));   dL/dgain = sum D X;   dL/doffset = sum D

The kernels that write I and D add up each example's I, I^2, D and D I on the way; what is made of
these sums is here. They are in float64: the variance is a difference of two of them, which may be
close to equal.
"""

import numpy as np

from mlgenn_delays.engines.ranks import Share
from mlgenn_delays.engines.shared.lanes import STRIP
from mlgenn_delays.engines.shared.parameters import Norm
from mlgenn_delays.engines.shared.simulation import SimulationContext
from mlgenn_delays.network.models import EPSILON

MOMENTUM = 0.1  # share of a batch in the running statistics


class Normalisation:
    """The normalisation of a network's populations, those that have one."""

    def __init__(self, context: SimulationContext) -> None:
        self._context = context
        self._of_batch: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # mean, variance

    def _norm(self, p: int) -> Norm | None:
        return self._context.parameters.norms.get(self._context.layout.names[p])

    def room(self, p: int, size: int) -> np.ndarray:
        """Return room for two sums per example and neuron of population p, (2, size, n) float64.

        There is none for a population without normalisation.
        """
        n = int(self._context.plan.n[p])
        return np.zeros((2, 0 if self._norm(p) is None else size, n))

    def affine(
        self, p: int, share: Share, steps: int, sums: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return factor and shift of each neuron's current, (N,) float32 each.

        `sums` are those of the currents and their squares in this rank's examples, in training.
        """
        plan, norm, name = self._context.plan, self._norm(p), self._context.layout.names[p]
        factor, shift = np.ones(len(plan.bias), np.float32), plan.bias.copy()
        if norm is None:
            return factor, shift
        own = self._context.layout.neurons[name]
        mean, variance = norm.mean.astype(np.float64), norm.variance.astype(np.float64)
        if sums is not None:
            mean, square = _total(share, sums) / (sums.shape[1] * steps)
            variance = np.maximum(square - mean * mean, 0.0)
            self._of_batch[name] = mean, variance
        root = np.sqrt(variance + EPSILON)
        factor[own] = norm.gain / root
        shift[own] += (norm.offset - mean * (norm.gain / root)).astype(np.float32)
        return factor, shift

    def back(self, p: int, share: Share, steps: int, sums: np.ndarray) -> np.ndarray:
        """Take the gradients of gain and offset; return what `strips.back_filter` needs.

        `sums` are those of D and of its products with the currents in this rank's examples.
        """
        norm = self._norm(p)
        if norm is None:
            return np.empty((3, 0), np.float32)
        mean, variance = self._of_batch[self._context.layout.names[p]]
        by_offset, by_product = _total(share, sums)
        root = np.sqrt(variance + EPSILON)
        by_gain = (by_product - mean * by_offset) / root
        norm.by_gain, norm.by_offset = by_gain.astype(np.float32), by_offset.astype(np.float32)
        count, factor = sums.shape[1] * steps, norm.gain / root
        by_current = -factor / root * (by_gain / count)
        rest = -factor * (by_offset / count) - by_current * mean
        linear = np.zeros((3, -(-len(root) // STRIP) * STRIP), np.float32)
        linear[:, : len(root)] = factor, by_current, rest
        return linear

    def keep(self, count: int) -> None:
        """Update the running statistics with those of the last batch, of so many currents each."""
        for name, (mean, variance) in self._of_batch.items():
            norm = self._context.parameters.norms[name]
            unbiased = variance * (count / max(1, count - 1))
            norm.mean += np.float32(MOMENTUM) * (mean.astype(np.float32) - norm.mean)
            norm.variance += np.float32(MOMENTUM) * (unbiased.astype(np.float32) - norm.variance)


def _total(share: Share, sums: np.ndarray) -> np.ndarray:
    """Return sums over the examples of all ranks, (2, n)."""
    for each in sums:
        share.gather(each)
    return sums.sum(1)
