"""Examples as the engines take them: spikes sorted by channel, or currents sampled every step.

Shapes: N examples, B examples of a batch, C channels, T time steps, E spikes in all.
"""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from mlgenn_delays.data.type_checks import (
    check_ascending_spikes,
    check_labels,
    check_start,
    real_currents,
    whole_numbers,
)
from mlgenn_delays.errors import InputError


@dataclass(frozen=True)
class SpikeBatch:
    """B examples as spikes.

    Attributes:
        start: (B, C+1) int64; channel c of example b spikes at ``time[start[b, c]:start[b, c+1]]``.
        time: (E,) int32 [steps], ascending and without repeats within a channel.
        labels: (B,) int64 class of each example.
        index: (B,) int64 index of each example in its data set (keys the random draws).
        n_steps: T, length of a trial in steps.
    """

    start: np.ndarray
    time: np.ndarray
    labels: np.ndarray
    index: np.ndarray
    n_steps: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_channels(self) -> int:
        """C, the number of input channels."""
        return self.start.shape[1] - 1


@dataclass(frozen=True)
class SpikeData:
    """A split of a data set, as spikes.

    Attributes:
        start: (N, C+1) int64, see `SpikeBatch`.
        time: (E,) int32 [steps].
        labels: (N,) int64 in ``0 .. len(label_names) - 1``.
        n_steps: T, length of a trial in steps.
        dt: Length of a step [ms].
        label_names: Name of each class.
        names: Name of each example (a file name, say), or empty.

    Raises:
        InputError: An array does not describe spikes; whole numbers of other types are converted.
    """

    start: np.ndarray
    time: np.ndarray
    labels: np.ndarray
    n_steps: int
    dt: float
    label_names: tuple[str, ...]
    names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for name, dtype in (("start", np.int64), ("time", np.int32), ("labels", np.int64)):
            array = whole_numbers(name, getattr(self, name), dtype)
            object.__setattr__(self, name, array)
        n = self.labels.size
        for name, array in (("time", self.time), ("labels", self.labels)):
            if array.ndim != 1:
                raise InputError(f"{name} must have one dimension, got shape {array.shape}")
        if self.start.ndim != 2 or self.start.shape[0] != n or not self.start.shape[1]:
            raise InputError(
                f"start must have shape (N, C+1) with N = {n} labels, got {self.start.shape}"
            )
        check_labels(self.labels, len(self.label_names))
        if len(self.time) and (self.time.min() < 0 or self.time.max() >= self.n_steps):
            raise InputError(
                f"spike times must be in 0..{self.n_steps - 1} steps, "
                f"got {self.time.min()}..{self.time.max()}"
            )
        check_start(self.start, len(self.time))
        check_ascending_spikes(self.start, self.time)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_channels(self) -> int:
        """C, the number of input channels."""
        return self.start.shape[1] - 1

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.label_names)

    def batch(self, index: np.ndarray) -> SpikeBatch:
        """Return the examples of the given indices as a batch, in that order."""
        index = np.asarray(index, dtype=np.int64)
        return SpikeBatch(self.start[index], self.time, self.labels[index], index, self.n_steps)

    def take(self, index: np.ndarray) -> "SpikeData":
        """Return the examples of the given indices as a split that keeps the ``time`` of all."""
        names = tuple(self.names[each] for each in index) if self.names else ()
        return replace(self, start=self.start[index], labels=self.labels[index], names=names)

    @staticmethod
    def from_events(
        events: list[tuple[np.ndarray, np.ndarray]],
        labels: np.ndarray,
        *,
        n_channels: int,
        n_steps: int,
        dt: float,
        label_names: tuple[str, ...],
        names: tuple[str, ...] = (),
    ) -> "SpikeData":
        """Build a split from one (channels, steps) pair of integer arrays an example.

        Events may come in any order; a channel spikes at most once in a step, so repeats are
        merged. Events at or after ``n_steps`` are cut.

        Raises:
            InputError: A channel is outside ``0..n_channels-1`` or a step is negative.
        """
        starts = np.zeros((len(events), n_channels + 1), dtype=np.int64)
        times = []
        offset = 0
        for row, (channel, step) in enumerate(events):
            channel, step = np.asarray(channel, np.int64), np.asarray(step, np.int64)
            if len(channel) and (channel.min() < 0 or channel.max() >= n_channels):
                raise InputError(
                    f"event channels must be in 0..{n_channels - 1}, "
                    f"got {channel.min()}..{channel.max()} in example {row}"
                )
            if len(step) and step.min() < 0:
                raise InputError(f"event steps must be >= 0, got {step.min()} in example {row}")
            kept = step < n_steps
            key = np.unique(channel[kept] * n_steps + step[kept])
            counts = np.bincount(key // n_steps, minlength=n_channels)
            starts[row, 0] = offset
            starts[row, 1:] = offset + np.cumsum(counts)
            times.append((key % n_steps).astype(np.int32))
            offset += len(key)
        time = np.concatenate(times) if times else np.zeros(0, np.int32)
        return SpikeData(
            starts, time, np.asarray(labels, np.int64), n_steps, dt, label_names, names
        )


class SpikeSource(Protocol):
    """Examples as spikes that are read when a batch needs them, whatever they are read from."""

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the examples of the numbers (B,) as ``start`` and ``time`` of `SpikeBatch`."""
        ...


@dataclass(frozen=True, eq=False)
class StreamedSpikes:
    """A split of a data set as spikes that stay where they are until a batch needs them.

    Attributes:
        source: Where they are read from.
        rows: (N,) int64, number of each example in the source.
        labels: (N,) int64 in ``0 .. len(label_names) - 1``.
        n_channels: C, the number of input channels.
        n_steps: T, length of a trial in steps.
        dt: Length of a step [ms].
        label_names: Name of each class.
        names: Name of each example, or empty.

    Raises:
        InputError: A label is no class, or there are more or fewer labels than examples.
    """

    source: SpikeSource
    rows: np.ndarray
    labels: np.ndarray
    n_channels: int
    n_steps: int
    dt: float
    label_names: tuple[str, ...]
    names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("rows", "labels"):
            object.__setattr__(self, name, whole_numbers(name, getattr(self, name), np.int64))
        if self.labels.shape != self.rows.shape:
            raise InputError(
                f"labels must have shape {self.rows.shape}, one an example, got {self.labels.shape}"
            )
        check_labels(self.labels, len(self.label_names))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.label_names)

    def batch(self, index: np.ndarray) -> SpikeBatch:
        """Return the examples of the given indices as a batch, in that order."""
        index = np.asarray(index, dtype=np.int64)
        start, time = self.source.read(self.rows[index])
        return SpikeBatch(start, time, self.labels[index], index, self.n_steps)

    def load(self) -> SpikeData:
        """Return the same split in memory."""
        start, time = self.source.read(self.rows)
        return SpikeData(
            start, time, self.labels, self.n_steps, self.dt, self.label_names, self.names
        )

    def take(self, index: np.ndarray) -> "StreamedSpikes":
        """Return the examples of the given indices as a split of their own."""
        names = tuple(self.names[each] for each in index) if self.names else ()
        return replace(self, rows=self.rows[index], labels=self.labels[index], names=names)


@dataclass(frozen=True)
class CurrentBatch:
    """B examples as sampled currents.

    Attributes:
        values: (B, T, C) float32, C-contiguous; what flows into each channel in each step.
        labels: (B,) int64 class of each example.
        index: (B,) int64 index of each example in its data set (keys the random draws).
    """

    values: np.ndarray
    labels: np.ndarray
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_steps(self) -> int:
        """T, length of a trial in steps."""
        return self.values.shape[1]

    @property
    def n_channels(self) -> int:
        """C, the number of input channels."""
        return self.values.shape[2]


@dataclass(frozen=True)
class CurrentData:
    """A split of a data set, as sampled currents.

    Attributes:
        values: (N, T, C) float32, C-contiguous, at least one step and one channel.
        labels: (N,) int64 in ``0 .. len(label_names) - 1``.
        dt: Length of a step [ms].
        label_names: Name of each class.
        names: Name of each example, or empty.

    Raises:
        InputError: An array does not describe currents; other types of real numbers are converted.
    """

    values: np.ndarray
    labels: np.ndarray
    dt: float
    label_names: tuple[str, ...]
    names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", whole_numbers("labels", self.labels, np.int64))
        if self.labels.ndim != 1:
            raise InputError(f"labels must have one dimension, got shape {self.labels.shape}")
        object.__setattr__(self, "values", real_currents(self.values, len(self.labels)))
        check_labels(self.labels, len(self.label_names))
        if self.names and len(self.names) != len(self.labels):
            raise InputError(
                f"names must have one for each of {len(self.labels)} examples, or none at all, "
                f"got {len(self.names)}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_steps(self) -> int:
        """T, length of a trial in steps."""
        return self.values.shape[1]

    @property
    def n_channels(self) -> int:
        """C, the number of input channels."""
        return self.values.shape[2]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.label_names)

    def batch(self, index: np.ndarray) -> CurrentBatch:
        """Return the examples of the given indices as a batch, in that order; values are copied."""
        index = np.asarray(index, dtype=np.int64)
        return CurrentBatch(self.values[index], self.labels[index], index)

    def take(self, index: np.ndarray) -> "CurrentData":
        """Return the examples of the given indices as a split of their own; values are copied."""
        names = tuple(self.names[each] for each in index) if self.names else ()
        return replace(self, values=self.values[index], labels=self.labels[index], names=names)


Batch = SpikeBatch | CurrentBatch
Data = SpikeData | StreamedSpikes | CurrentData
