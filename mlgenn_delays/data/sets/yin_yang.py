"""The Yin-Yang data set: points of a disc, each of which lies in yin, in yang or in a dot.

The disc has radius r = 0.5 around (r, r). Circles of radius r / 2 around (r / 2, r) and
(3 r / 2, r) part it into two congruent halves, and around their centres lie the dots, of radius
0.1. With L and R the discs within the left and the right circle:

    yang = L, and the upper half without R        dot = closer than 0.1 to a centre
    yin  = R, and the lower half without L        (dots are neither yin nor yang)

Numbers of classes are those of the published data set: yin 0, yang 1, dot 2.

Reference: Kriener, Göltz and Petrovici 2022, The Yin-Yang dataset. The time code is theirs too:
five channels, x, y, 1 - x, 1 - y and a bias, spike once each.
"""

from typing import Annotated

import numpy as np

from mlgenn_delays.data.fields import check_at_most, count_steps
from mlgenn_delays.data.sets.generated import (
    Examples,
    GeneratedOptions,
    generate_splits,
    generated,
    one_spike_each,
)
from mlgenn_delays.data.types import SpikeData
from mlgenn_delays.settings import PositiveTime, Time, refuse, says, settings

LABEL_NAMES = ("yin", "yang", "dot")
YIN, YANG, DOT = range(3)
RADIUS = 0.5
DOT_RADIUS = 0.1

_BLOCK = 4096


@settings
class YinYangOptions(GeneratedOptions):
    """Options of Yin-Yang: the value 0 spikes at ``early``, 1 at ``late``."""

    train: Annotated[Examples, says("Number of training examples.")] = 5000
    validation: Annotated[Examples, says("Number of validation examples.")] = 1000
    test: Annotated[Examples, says("Number of test examples.")] = 1000
    early: Annotated[Time, says("When the value 0 spikes.")] = 10.0
    late: Annotated[PositiveTime, says("When the value 1 spikes.")] = 40.0
    bias: Annotated[Time, says("When the bias spikes.")] = 20.0

    def __post_init__(self) -> None:
        check_at_most(self, "late", self.duration, "duration")
        check_at_most(self, "bias", self.duration, "duration")
        if self.early >= self.late:
            wanted = f"a time before late = {self.late:g} ms"
            refuse(self, "early", wanted, "else all values are alike")


def load(options: YinYangOptions | None = None, *, dt: float = 1.0) -> dict[str, SpikeData]:
    """Generate the data set as spikes; points closer than dt / (late - early) become the same."""
    options = options or YinYangOptions()
    n_steps = count_steps(options.duration, dt)

    def make(rng: np.random.Generator, n: int) -> SpikeData:
        points, labels = draw_points(rng, n)
        return one_spike_each(spike_times(points, options), labels, n_steps, dt, LABEL_NAMES)

    return generate_splits("yin-yang", options, make)


def classify(points: np.ndarray) -> np.ndarray:
    """Return the class of points (N, 2) of the disc, (N,) int64: 0 yin, 1 yang, 2 dot."""
    left = _distance(points, RADIUS / 2, RADIUS)
    right = _distance(points, 3 * RADIUS / 2, RADIUS)
    upper = points[:, 1] > RADIUS
    yang = (left <= RADIUS / 2) | (upper & (right > RADIUS / 2))
    dot = np.minimum(left, right) < DOT_RADIUS
    return np.where(dot, DOT, np.where(yang, YANG, YIN)).astype(np.int64)


def draw_points(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw points (n, 2) whose classes (n,) are equally likely, uniform within each class."""
    labels = rng.integers(len(LABEL_NAMES), size=n)
    points = np.empty((n, 2))
    for label in range(len(LABEL_NAMES)):
        wanted = labels == label
        points[wanted] = _draw_class(rng, label, int(wanted.sum()))
    return points, labels


def spike_times(points: np.ndarray, options: YinYangOptions) -> np.ndarray:
    """Return when x, y, 1 - x, 1 - y and the bias spike, (N, 5) [ms], for points (N, 2)."""
    values = np.concatenate([points, 1 - points], axis=1)
    times = options.early + values * (options.late - options.early)
    return np.concatenate([times, np.full((len(points), 1), options.bias)], axis=1)


def _draw_class(rng: np.random.Generator, label: int, n: int) -> np.ndarray:
    """Return n points of a class, (n, 2), by rejection of all others."""
    found = np.empty((0, 2))
    while len(found) < n:
        points = rng.random((_BLOCK, 2)) * 2 * RADIUS
        inside = _distance(points, RADIUS, RADIUS) <= RADIUS
        found = np.concatenate([found, points[inside & (classify(points) == label)]])
    return found[:n]


def _distance(points: np.ndarray, x: float, y: float) -> np.ndarray:
    return np.hypot(points[:, 0] - x, points[:, 1] - y)


DATASET = generated(
    "yin-yang",
    "Points of the Yin-Yang figure as spike times, generated",
    YinYangOptions,
    load,
    lambda options: (5, len(LABEL_NAMES)),
)
