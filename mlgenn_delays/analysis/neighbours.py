"""Which synapses of a neuron are near each other: in space, in time, in both.

    space    |x_a - x_b| <= reach along every axis of space
    time     |d_a - d_b| <= reach in delay
    both     both; this is what a receptive field shows as a cluster
    nearest  b is nearest to a, with distances in units of the two reaches

Pairs are of synapses onto one neuron; each of the first three is there once, a before b.
"""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.analysis.afferents import Afferents, Places
from mlgenn_delays.errors import InputError
from mlgenn_delays.rng import generator

KINDS = ("space", "time", "both", "nearest")


@dataclass(frozen=True)
class Reach:
    """How far neighbours are apart at most.

    Attributes:
        space: [places] along each axis of space; empty without space.
        time: In delay [ms].
    """

    space: tuple[int, ...]
    time: float

    @staticmethod
    def of(
        places: Places | None,
        delay: np.ndarray,
        space: int | None = None,
        time: float | None = None,
    ) -> "Reach":
        """By default a twentieth of each axis, at least 1, and a tenth of the delays' range.

        The range is that which the delays span, not that which learning may use: delays of
        0..150 ms would nearly all be near each other if they could reach 1000 ms.

        Arguments:
            places: Where presynaptic neurons lie, None if they have no order.
            delay: (S,) delays of the synapses [ms].
            space: Another reach along every axis [places], None for that one.
            time: Another reach in delay [ms], None for that one.

        Raises:
            InputError: A reach is negative.
        """
        for name, value in (("space", space), ("time", time)):
            if value is not None and not value >= 0:
                raise InputError(f"the reach in {name} must be >= 0, got {value!r}")
        size = () if places is None else places.size
        span = float(np.ptp(delay)) if len(delay) else 0.0
        return Reach(
            tuple(max(1, round(n / 20)) if space is None else space for n in size),
            span / 10 if time is None else float(time),
        )


@dataclass(frozen=True)
class Pairs:
    """Pairs of near synapses, by neuron."""

    start: np.ndarray  # (M+1,) int64; neuron j has the pairs ``start[j]:start[j+1]``
    a: np.ndarray  # (P,) int32 synapse
    b: np.ndarray  # (P,) int32 synapse of the same neuron

    @property
    def n(self) -> int:
        """P."""
        return len(self.a)


def near(afferents: Afferents, places: Places | None, reach: Reach, kind: str) -> Pairs:
    """The pairs of neighbours of a kind, one of `KINDS`.

    Without places there are no pairs of ``space`` or ``both``, and ``nearest`` goes by delay alone.
    """
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    position = None if places is None else places.position[afferents.pre]
    found = []
    for first, last in zip(afferents.start[:-1], afferents.start[1:], strict=True):
        delay = afferents.delay[first:last]
        own = None if position is None else position[first:last]
        pairs = _nearest(delay, own, reach) if kind == "nearest" else _box(delay, own, reach, kind)
        found.append(pairs + first)
    counts = [pairs.shape[1] for pairs in found]
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    a, b = np.concatenate([np.zeros((2, 0), np.int64), *found], axis=1).astype(np.int32)
    return Pairs(start, a, b)


def sample(afferents: Afferents, budget: int, seed: int) -> np.ndarray:
    """Which neurons to look at where all would be too many, ascending.

    The budget counts pairs of synapses of one neuron, near or not.
    """
    n = np.diff(afferents.start)
    order = generator(seed, "analysis", "neurons").permutation(len(n))
    within = np.cumsum((n * (n - 1) // 2)[order]) <= budget
    within[:1] = True
    return np.sort(order[within])


def _box(delay: np.ndarray, position: np.ndarray | None, reach: Reach, kind: str) -> np.ndarray:
    """The pairs (2, P) of one neuron whose distance along each axis is within reach."""
    if position is None and kind != "time":
        return np.zeros((2, 0), np.int64)
    a, b = np.triu_indices(len(delay), 1)
    kept = np.ones(len(a), bool)
    if kind != "space":
        kept &= np.abs(delay[a] - delay[b]) <= reach.time
    if kind != "time" and position is not None:
        for axis, most in enumerate(reach.space):
            kept &= np.abs(position[a, axis] - position[b, axis]) <= most
    return np.stack([a[kept], b[kept]])


def _nearest(delay: np.ndarray, position: np.ndarray | None, reach: Reach) -> np.ndarray:
    """Each synapse of one neuron and that nearest to it, (2, n)."""
    from scipy.spatial import cKDTree

    if len(delay) < 2:
        return np.zeros((2, 0), np.int64)
    axes = [delay / (reach.time or 1.0)]
    if position is not None:
        axes += [position[:, k] / (most or 1.0) for k, most in enumerate(reach.space)]
    points = np.stack(axes, axis=1)
    _, index = cKDTree(points).query(points, k=2)
    own = np.arange(len(delay))
    # Of points in one place, the tree may name a point itself second.
    return np.stack([own, np.where(index[:, 0] == own, index[:, 1], index[:, 0])])
