"""Blending: an example takes half of its spikes from another of its class.

Both are shifted over channels and time by whole numbers, so that their centres of mass (mean
channel and mean step of the spikes) meet halfway. Then each spike of either stays with probability
1/2. What leaves its group of channels or the trial vanishes, and spikes of a channel that fall
into one step become one.

An example's draws come from (seed, "blend", epoch, index of the example). The papers' code keeps
the N examples of an epoch and adds N blends; here an epoch has N examples, each a blend with a
given probability, so that 1/2 is their mixture and two epochs are one of theirs.

References:
    Nowotny, Turner, Knight, Loss shaping enhances exact gradient learning with EventProp in spiking
    neural networks, 2025, https://arxiv.org/abs/2212.01232. Mészáros, Knight, Nowotny, Efficient
    event-based delay learning in spiking neural networks, 2025, https://arxiv.org/abs/2501.07331.
"""

from collections.abc import Callable

import numpy as np

from mlgenn_delays.data.augment.augment import Augment, check_kind, group_size
from mlgenn_delays.data.types import Batch, Data, SpikeBatch
from mlgenn_delays.rng import generator


def blending(
    data: Data, settings: Augment | None, seed: int, epoch: int
) -> Callable[[Batch], Batch]:
    """Return a function that blends the batches of an epoch; its calls are independent.

    Partners come from all of the split `data`. A batch of which nothing is blended is returned
    itself.
    """
    if settings is None or not settings.blend:
        return lambda batch: batch
    check_kind(settings, data)
    group = group_size(settings, data.n_channels)
    partners = _Partners(data.labels, settings.blend, seed, epoch)

    def blend(batch: Batch) -> Batch:
        drawn = [partners.draw(int(index)) for index in batch.index]
        rows = [row for row, (partner, _) in enumerate(drawn) if partner >= 0]
        if not rows:
            return batch
        others = data.batch(np.array([drawn[row][0] for row in rows], np.int64))
        assert isinstance(batch, SpikeBatch) and isinstance(others, SpikeBatch)
        randoms = [drawn[row][1] for row in rows]
        return _blend(batch, dict(zip(rows, randoms, strict=True)), others, group)

    return blend


class _Partners:
    """Draws the examples of the same class that others are blended with."""

    def __init__(self, labels: np.ndarray, probability: float, seed: int, epoch: int) -> None:
        self._labels, self._probability, self._keys = labels, probability, (seed, epoch)
        # The examples class by class, where each class begins, and where each example lies.
        self._order = np.argsort(labels, kind="stable")
        self._first = np.concatenate([[0], np.cumsum(np.bincount(labels))])
        self._place = np.empty(len(labels), np.int64)
        self._place[self._order] = np.arange(len(labels))

    def draw(self, index: int) -> tuple[int, np.random.Generator]:
        """Return an example's partner, -1 for none, and the generator of its further draws."""
        seed, epoch = self._keys
        random = generator(seed, "blend", epoch, index)
        first, end = self._first[self._labels[index] :][:2]
        n_others = int(end - first) - 1
        if random.random() >= self._probability or not n_others:
            return -1, random
        place = first + random.integers(n_others)
        # The example itself is left out.
        place += place >= self._place[index]
        return int(self._order[place]), random


def _blend(
    batch: SpikeBatch,
    randoms: dict[int, np.random.Generator],
    partners: SpikeBatch,
    group: int,
) -> SpikeBatch:
    """Return a batch in which the rows that have a generator are blended with their partners."""
    from mlgenn_delays.data.augment.blend_kernel import blend_pair

    sizes, more = (each.start[:, -1] - each.start[:, 0] for each in (batch, partners))
    widest = max(int(np.diff(each.start).max()) for each in (batch, partners))
    scratch = np.empty((2, widest), np.int32)
    start = np.empty_like(batch.start)
    time = np.empty(int(sizes.sum() + more.sum()), np.int32)
    number = {row: k for k, row in enumerate(randoms)}
    used = 0
    for row, old in enumerate(batch.start):
        if row in number:
            k, random = number[row], randoms[row]
            one = (old, batch.time, _bits(random, int(sizes[row])))
            other = (partners.start[k], partners.time, _bits(random, int(more[k])))
            used = blend_pair(one, other, group, batch.n_steps, scratch, start[row], time, used)
        else:
            start[row] = old - old[0] + used
            time[used : used + sizes[row]] = batch.time[old[0] : old[-1]]
            used += int(sizes[row])
    return SpikeBatch(start, time[:used], batch.labels, batch.index, batch.n_steps)


def _bits(random: np.random.Generator, size: int) -> np.ndarray:
    """Return random bits, eight per byte."""
    return np.frombuffer(random.bytes((size + 7) // 8), np.uint8)
