"""Augmentation of spikes: shifts over channels and time, jitter, and dropped spikes.

Every example's draws come from (seed, "augment", epoch, index of the example), so they depend on
nothing else in the batch.
"""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.data.checks import check_number
from mlgenn_delays.data.types import SpikeBatch
from mlgenn_delays.errors import InputError
from mlgenn_delays.rng import generator


@dataclass(frozen=True)
class Augment:
    """Settings of augmentation; the defaults change nothing.

    Attributes:
        shift: All channels of an example move by a whole number in ``-shift..shift``.
        jitter: Standard deviation of the normal noise on each spike's time [ms].
        drop: Probability with which a spike is left out.
        time_shift: All spikes of an example move by a time in ``-time_shift..time_shift`` [ms].
        group: Channels per group; a shift moves within groups only. 0 means all in one group.
    """

    shift: int = 0
    jitter: float = 0.0
    drop: float = 0.0
    time_shift: float = 0.0
    group: int = 0

    def __post_init__(self) -> None:
        check_number("shift", self.shift, 0, 2**20, integer=True)
        check_number("jitter", self.jitter, 0.0, 1e6, unit="ms")
        check_number("drop", self.drop, 0.0, 1.0)
        check_number("time_shift", self.time_shift, 0.0, 1e6, unit="ms")
        check_number("group", self.group, 0, integer=True)

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return not (self.shift or self.jitter or self.drop or self.time_shift)


def augment(batch: SpikeBatch, settings: Augment, dt: float, seed: int, epoch: int) -> SpikeBatch:
    """Return a batch with its spikes changed at random.

    Spikes that leave their group of channels or the trial vanish; spikes of a channel that fall
    into one step become one.

    Arguments:
        batch: The batch, which stays as it is.
        settings: See `Augment`.
        dt: Length of a step [ms].
        seed: Seed of the run.
        epoch: Number of the epoch.

    Returns:
        A batch of the same examples; the given one itself if the settings change nothing.

    Raises:
        InputError: The channels do not divide into groups of the given size.
    """
    if settings.is_identity:
        return batch
    group = settings.group or batch.n_channels
    if batch.n_channels % group:
        raise InputError(
            f"group must have a divisor of the {batch.n_channels} channels, got {group}"
        )
    from mlgenn_delays.data.augment_kernel import rearrange

    start = np.empty((len(batch), batch.n_channels + 1), np.int64)
    sizes = batch.start[:, -1] - batch.start[:, 0]
    time = np.empty(int(sizes.sum()), np.int32)
    used = 0
    for row in range(len(batch)):
        random = generator(seed, "augment", epoch, int(batch.index[row]))
        channels, steps = _draw(random, settings, dt)
        noise, kept = _draw_spikes(random, settings, dt, int(sizes[row]))
        used = rearrange(
            (batch.start[row], batch.time, noise, kept),
            (channels, steps, group, batch.n_steps),
            start[row],
            time,
            used,
        )
    return SpikeBatch(start, time[:used], batch.labels, batch.index, batch.n_steps)


def _draw(random: np.random.Generator, settings: Augment, dt: float) -> tuple[int, float]:
    """Return an example's shift over channels and over time [steps]."""
    channels = int(random.integers(-settings.shift, settings.shift, endpoint=True))
    steps = random.uniform(-1.0, 1.0) * settings.time_shift / dt
    return channels, steps


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
