"""Metrics: what a network reached on a split, from sums over its examples.

An example has statistics, which are summed: one number for accuracy (1 where it is classified
correctly), and 1 + 3K for the normalised error of K series: the steps that count, and of each
series the sums of its squared error, of its target and of the target's square. Spike trains are
compared as the series that a filter makes of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlgenn_delays.learning.losses import LOSSES


@dataclass(frozen=True)
class Metric:
    """A measure of what a network reached.

    Attributes:
        name: As columns and JSON call it.
        title: As texts call it.
        higher: Whether more is better.
        value: Function of the summed statistics and the number of examples.
        size: Statistics of an example, from the number of output neurons.
    """

    name: str
    title: str
    higher: bool
    value: Callable[[np.ndarray, int], float]
    size: Callable[[int], int]

    @property
    def scale(self) -> float:
        """What its values are multiplied by where people read them: 100 for a share."""
        return 100.0 if self.higher else 1.0

    @property
    def label(self) -> str:
        """Its title with its unit."""
        return f"{self.title} (%)" if self.higher else self.title

    def text(self, value: float | None) -> str:
        """Return a value as people read it."""
        if value is None:
            return "-"
        return f"{100 * value:.2f} %" if self.higher else f"{value:.4f}"

    def rank(self, value: float) -> float:
        """Return a value as a number that is larger where it is better."""
        return value if self.higher else -value


def _accuracy(sums: np.ndarray, n: int) -> float:
    return float(sums[0]) / max(1, n)


def _nrmse(sums: np.ndarray, n: int) -> float:
    count = max(1.0, float(sums[0]))
    error, total, square = sums[1:].reshape(3, -1)
    spread = float((square - total * total / count).sum())
    # A constant series has no spread to compare with: then the error as it is.
    return float(np.sqrt(error.sum() / (spread if spread > 0 else count)))


ACCURACY = Metric("accuracy", "accuracy", True, _accuracy, lambda k: 1)
# Root mean squared error over the standard deviation of the targets: 1 for who predicts their mean.
NRMSE = Metric("nrmse", "NRMSE", False, _nrmse, lambda k: 1 + 3 * k)
METRIC_OF = {metric.name: metric for metric in (ACCURACY, NRMSE)}


def metric_of_kind(kind: str) -> Metric:
    """Return the metric of data that a loss, by its name, takes."""
    return NRMSE if LOSSES[kind].series else ACCURACY


def metric_for(targets: object) -> Metric:
    """Return the metric of data with these targets, None for classes."""
    return ACCURACY if targets is None else NRMSE
