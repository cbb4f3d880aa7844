"""Augmentation: shifts over channels and time, masks, noise as suits the data, and blending.

Every example's draws come from (seed, "augment", epoch, index of the example), so they depend on
nothing else in the batch. What is drawn for spikes and for currents alike is drawn first.

Blending: an example takes half of its spikes from another of its class. Both are shifted over
channels and time by whole numbers, so that their centres of mass (mean channel and mean step of the
spikes) meet halfway. Then each spike of either stays with probability 1/2. What leaves its group of
channels or the trial vanishes, and spikes of a channel that fall into one step become one.

Its draws come from (seed, "blend", epoch, index of the example). The papers' code keeps the N
examples of an epoch and adds N blends; here an epoch has N examples, each a blend with a given
probability, so that 1/2 is their mixture and two epochs are one of theirs.

References:
    Nowotny, Turner, Knight, Loss shaping enhances exact gradient learning with EventProp in spiking
    neural networks, 2025, https://arxiv.org/abs/2212.01232. Mészáros, Knight, Nowotny, Efficient
    event-based delay learning in spiking neural networks, 2025, https://arxiv.org/abs/2501.07331.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from statistics import NormalDist
from typing import Annotated

import numpy as np
from pydantic import Field

from mlgenn_delays.data.types import Batch, CurrentBatch, CurrentData, Data, SpikeBatch
from mlgenn_delays.errors import InputError
from mlgenn_delays.rng import generator
from mlgenn_delays.settings import Integer, Number, Probability, Unit, Whole, says, settings

# What only one kind of data takes: why the other does not, and what it takes instead.
_SPIKES_ONLY = {
    "jitter": ("which have no spikes to move", "augmentation.noise or augmentation.time_shift"),
    "drop": ("which have no spikes to leave out", "augmentation.mask_time"),
    "blend": ("which have no spikes to take from two", "augmentation.noise or augmentation.shift"),
}
_CURRENTS_ONLY = {
    "noise": ("which have no values to add to", "augmentation.jitter or augmentation.drop"),
    "scale": ("which have no values to multiply", "augmentation.drop"),
}

# A 64-bit word holds four normal numbers of 16 bits, see `_quantiles`.
_NORMALS, _PER_WORD = 2**16, 4


Displacement = Annotated[Number, Field(ge=0, le=1e6), Unit("ms")]
Channels = Annotated[Integer, Field(ge=0, le=2**20)]


@settings(table=True)
class Augment:
    """Settings of augmentation; the defaults change nothing.

    Example:
        >>> from mlgenn_delays import Augment
        >>> Augment(shift=2, drop=0.05).is_identity
        False
    """

    shift: Annotated[
        Channels, says("All channels of an example move by a whole number in -shift..shift.")
    ] = 0
    jitter: Annotated[
        Displacement,
        says("Standard deviation of the normal noise on each spike's time; spikes only."),
    ] = 0.0
    drop: Annotated[
        Probability, says("Probability with which a spike is left out; spikes only.")
    ] = 0.0
    time_shift: Annotated[
        Displacement, says("An example moves by a time in -time_shift..time_shift.")
    ] = 0.0
    group: Annotated[
        Whole,
        says("Channels per group; a shift moves within groups only. 0 means all are in one group."),
    ] = 0
    noise: Annotated[
        Number,
        Field(ge=0, le=1e6),
        says("Standard deviation of the normal noise on each value; currents only."),
    ] = 0.0
    scale: Annotated[
        Probability,
        says("An example is multiplied by a factor in 1-scale..1+scale; currents only."),
    ] = 0.0
    mask_time: Annotated[
        Displacement, says("One run of steps of an example, of up to this time, is silent.")
    ] = 0.0
    mask_channels: Annotated[
        Channels,
        says(
            "One run of up to so many channels of an example is silent; with groups, the same run "
            "in each."
        ),
    ] = 0
    blend: Annotated[
        Probability,
        says(
            "Probability with which an example is blended with another of its class, before all "
            "else; spikes only. `epoch_batches` does it, for it takes the whole split."
        ),
    ] = 0.0

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return not self.blend and self.leaves_each

    @property
    def leaves_each(self) -> bool:
        """Whether only blending, or nothing, is enabled."""
        shifts = self.shift or self.time_shift
        masks = self.mask_time or self.mask_channels
        return not (shifts or masks or self.jitter or self.drop or self.noise or self.scale)


def check_kind(settings: Augment, data: Data | Batch) -> None:
    """Reject settings that make no sense for this kind of data.

    Arguments:
        settings: The settings.
        data: A split or a batch.

    Raises:
        InputError: Jitter, dropped spikes or blends are asked of currents, or noise or scale of
            spikes.
    """
    check_encoding(settings, currents=isinstance(data, CurrentData | CurrentBatch))
    for name in ("time_shift", "blend") if data.targets is not None else ():
        if getattr(settings, name):
            raise InputError(
                f"augmentation.{name} must be 0 for data with target series, which would not move "
                f"along, got {getattr(settings, name):g}; leave it out"
            )


def check_encoding(settings: Augment, *, currents: bool) -> None:
    """Reject settings that make no sense for data of an encoding, see `check_kind`."""
    kind, other = ("currents", "spikes") if currents else ("spikes", "currents")
    for name, (reason, instead) in (_SPIKES_ONLY if currents else _CURRENTS_ONLY).items():
        value = getattr(settings, name)
        if value:
            raise InputError(
                f"augmentation.{name} must be 0 for {kind}, {reason}, got {value:g}; "
                f"use {instead}, or data as {other}"
            )


def group_size(settings: Augment, n_channels: int) -> int:
    """Return the number of channels per group, which must be a divisor of all."""
    group = settings.group or n_channels
    if n_channels % group:
        raise InputError(f"group must be a divisor of the {n_channels} channels, got {group}")
    return group


def augment(batch: Batch, settings: Augment, dt: float, seed: int, epoch: int) -> Batch:
    """Return a batch with its examples changed at random; itself if the settings change nothing.

    Spikes that leave their group of channels or the trial vanish; spikes of a channel that fall
    into one step become one. Currents move by whole steps, what leaves is lost and zeros come in;
    then they are scaled, noise is added to all, and masks are zero. Masks lie where an example is
    after it has moved. Blends come before, see `Augment.blend`: none are made here.
    """
    if settings.leaves_each:
        return batch
    check_kind(settings, batch)
    group = group_size(settings, batch.n_channels)
    if isinstance(batch, CurrentBatch):
        return _augment_currents(batch, settings, dt, seed, epoch, group)
    return _augment_spikes(batch, settings, dt, seed, epoch, group)


def _augment_spikes(
    batch: SpikeBatch, settings: Augment, dt: float, seed: int, epoch: int, group: int
) -> SpikeBatch:
    from mlgenn_delays.data.augment.augment_kernel import rearrange

    start = np.empty((len(batch), batch.n_channels + 1), np.int64)
    sizes = batch.start[:, -1] - batch.start[:, 0]
    time = np.empty(int(sizes.sum()), np.int32)
    used = 0
    for row in range(len(batch)):
        random = generator(seed, "augment", epoch, int(batch.index[row]))
        channels, steps = _draw(random, settings, dt)
        mask = _draw_mask(random, settings, dt, batch.n_steps, group)
        noise, kept = _draw_spikes(random, settings, dt, int(sizes[row]))
        used = rearrange(
            (batch.start[row], batch.time, noise, kept),
            (channels, steps, group, batch.n_steps),
            mask,
            start[row],
            time,
            used,
        )
    return replace(batch, start=start, time=time[:used])


def _augment_currents(
    batch: CurrentBatch, settings: Augment, dt: float, seed: int, epoch: int, group: int
) -> CurrentBatch:
    from mlgenn_delays.data.augment.augment_kernel import change_currents

    n, n_steps, n_channels = batch.values.shape
    moves = np.empty((n, 2), np.int64)
    masks = np.empty((n, 4), np.int64)
    factors = np.ones(n, np.float32)
    n_words = math.ceil(n_steps * n_channels / _PER_WORD) if settings.noise else 0
    words = np.empty((n, n_words), np.uint64)
    for row in range(n):
        random = generator(seed, "augment", epoch, int(batch.index[row]))
        channels, steps = _draw(random, settings, dt)
        moves[row] = channels, math.floor(steps + 0.5)
        masks[row] = _draw_mask(random, settings, dt, n_steps, group)
        if settings.scale:
            factors[row] = 1.0 + settings.scale * random.uniform(-1.0, 1.0)
        if n_words:
            words[row] = random.integers(0, 2**64, n_words, np.uint64)
    noise = _quantiles() * np.float32(settings.noise) if n_words else np.empty(0, np.float32)
    values = np.empty_like(batch.values)
    change_currents(batch.values, (moves, masks, factors, words), noise, group, values)
    return replace(batch, values=values)


def _draw(random: np.random.Generator, settings: Augment, dt: float) -> tuple[int, float]:
    """Return an example's shift over channels and over time [steps]."""
    channels = int(random.integers(-settings.shift, settings.shift, endpoint=True))
    steps = random.uniform(-1.0, 1.0) * settings.time_shift / dt
    return channels, steps


def _draw_mask(
    random: np.random.Generator, settings: Augment, dt: float, n_steps: int, group: int
) -> tuple[int, int, int, int]:
    """Return an example's masked run: first step and end, first channel of a group and end."""
    mask = []
    for size, most in (
        (n_steps, math.floor(settings.mask_time / dt + 0.5)),
        (group, settings.mask_channels),
    ):
        # Nothing is drawn where nothing is asked for: other draws stay what they are without.
        width = int(random.integers(0, min(most, size), endpoint=True)) if most else 0
        first = int(random.integers(0, size - width, endpoint=True)) if most else 0
        mask += [first, first + width]
    return mask[0], mask[1], mask[2], mask[3]


def _draw_spikes(
    random: np.random.Generator, settings: Augment, dt: float, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return each spike's noise [steps] and whether it stays; empty arrays where not asked for."""
    noise, kept = np.empty(0, np.float32), np.empty(0, np.bool_)
    if settings.jitter:
        noise = random.standard_normal(size, dtype=np.float32)
        noise *= np.float32(settings.jitter / dt)
    if settings.drop:
        # Raw words are several times as fast as uniform numbers.
        kept = np.frombuffer(random.bytes(4 * size), "<u4") >= round(settings.drop * 2**32)
    return noise, kept


@lru_cache(maxsize=1)
def _quantiles() -> np.ndarray:
    """Return equally likely normal numbers (65536,) float32, of variance 1 and up to 4.3.

    Looking one up by 16 random bits takes a tenth of the time of drawing a normal number.
    """
    normal = NormalDist()
    half = [normal.inv_cdf((k + 0.5) / _NORMALS) for k in range(_NORMALS // 2)]
    whole = np.concatenate([half, -np.array(half[::-1])])
    return (whole / whole.std()).astype(np.float32)


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
    return replace(batch, start=start, time=time[:used])


def _bits(random: np.random.Generator, size: int) -> np.ndarray:
    """Return random bits, eight per byte."""
    return np.frombuffer(random.bytes((size + 7) // 8), np.uint8)
