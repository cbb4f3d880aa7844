"""Examples as the engines take them: spikes sorted by channel, or currents sampled every step.

Shapes: N examples, B examples of a batch, C channels, T time steps, E spikes in all.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from mlgenn_delays.data.arrays import (
    as_names,
    check_ascending_spikes,
    check_channel_starts,
    check_class_names,
    check_labels,
    check_names,
    check_rows,
    real_currents,
    real_targets,
    whole_numbers,
)
from mlgenn_delays.data.batches import Batch, CurrentBatch, SpikeBatch, examples
from mlgenn_delays.data.forms import SpikeForms
from mlgenn_delays.data.losses import Losses
from mlgenn_delays.errors import InputError
from mlgenn_delays.settings import PositiveTime, Whole, check

__all__ = [
    "Batch",
    "CurrentBatch",
    "CurrentData",
    "Data",
    "SpikeBatch",
    "SpikeData",
    "SpikeSource",
    "StreamedSpikes",
    "checked",
    "examples",
]


@dataclass(frozen=True)
class SpikeData(SpikeForms):
    """A split of a data set, as spikes.

    Attributes:
        start: (N, C+1) int64, see `SpikeBatch`.
        time: (E,) int32 [steps].
        labels: (N,) int64 in ``0 .. len(label_names) - 1``.
        n_steps: T, length of a trial in steps.
        dt: Length of a step [ms].
        label_names: Name of each class, or of each of the K target series.
        names: Name of each example (a file name, say), or empty.
        losses: What was lost of each example on the way here, None if that is not known.
        targets: (N, K, T) float32 series that the output's voltage shall reproduce, None for data
            with classes; with them, labels are 0.

    Raises:
        InputError: An array does not describe spikes; whole numbers of other types are converted.

    Example:
        >>> from mlgenn_delays import SpikeData
        >>> events = [([0, 1], [2, 5]), ([1], [3])]
        >>> settings = {"n_channels": 2, "n_steps": 10, "dt": 1.0, "label_names": ("a", "b")}
        >>> SpikeData.from_events(events, [0, 1], **settings)
        SpikeData(2 examples, 2 channels, 10 steps of 1 ms, 2 classes)
    """

    start: np.ndarray
    time: np.ndarray
    labels: np.ndarray
    n_steps: int
    dt: float
    label_names: tuple[str, ...]
    names: tuple[str, ...] = field(default=())
    losses: Losses | None = field(default=None, repr=False, compare=False)
    targets: np.ndarray | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, dtype in (("start", np.int64), ("time", np.int32), ("labels", np.int64)):
            unit = "example" if name == "labels" else "place"
            array = whole_numbers(name, getattr(self, name), dtype, unit)
            object.__setattr__(self, name, array)
        check("dt", self.dt, PositiveTime)
        check("n_steps", self.n_steps, Whole)
        n = self.labels.size
        for name, array in (("time", self.time), ("labels", self.labels)):
            if array.ndim != 1:
                raise InputError(f"{name} must have one dimension, got shape {array.shape}")
        if self.start.ndim != 2 or self.start.shape[0] != n or not self.start.shape[1]:
            raise InputError(
                f"start must have shape (N, C+1) with N = {n} labels, got {self.start.shape}"
            )
        _take_names(self)
        check_class_names(self.label_names)
        check_labels(self.labels, len(self.label_names))
        if len(self.time) and (self.time.min() < 0 or self.time.max() >= self.n_steps):
            raise InputError(
                f"spike times must be in 0..{self.n_steps - 1} steps, "
                f"got {self.time.min()}..{self.time.max()}"
            )
        check_channel_starts(self.start, len(self.time))
        check_ascending_spikes(self.start, self.time)
        check_names(self.names, n)
        _take_targets(self)

    def __repr__(self) -> str:
        return _in_a_line(self)

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
        """Return the examples of the given indices, or of a mask, as a batch, in that order."""
        index = check_rows(index, len(self))
        targets = None if self.targets is None else self.targets[index]
        return SpikeBatch(
            self.start[index], self.time, self.labels[index], index, self.n_steps, targets
        )

    def take(self, index: np.ndarray) -> "SpikeData":
        """Return the examples of the given indices as a split that keeps the ``time`` of all."""
        index = check_rows(index, len(self))
        return replace(self, start=self.start[index], **_taken(self, index))


def _taken(data: Any, index: np.ndarray) -> dict[str, Any]:
    return {
        "labels": data.labels[index],
        "names": tuple(data.names[each] for each in index) if data.names else (),
        "losses": None if data.losses is None else data.losses.take(index),
        "targets": None if data.targets is None else data.targets[index],
    }


def _take_names(data: Any) -> None:
    """Convert the names of classes and examples."""
    for name in ("label_names", "names"):
        object.__setattr__(data, name, as_names(name, getattr(data, name)))


def _in_a_line(data: Any) -> str:
    kinds = "classes" if data.targets is None else "series"
    return (
        f"{type(data).__name__}({len(data):,} examples, {data.n_channels:,} channels, "
        f"{data.n_steps:,} steps of {data.dt:g} ms, {data.n_classes:,} {kinds})"
    )


def _take_targets(data: Any) -> None:
    """Check and convert the targets of a split, if it has any."""
    if data.targets is not None:
        shape = len(data), data.n_classes, data.n_steps
        object.__setattr__(data, "targets", real_targets(data.targets, shape))
        if data.labels.any():
            raise InputError("labels must be 0 for data with targets; give numpy.zeros(N, int)")


class SpikeSource(Protocol):
    """Examples as spikes that are read when a batch needs them, whatever they are read from."""

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Read the examples of the numbers (B,) as ``start`` and ``time`` of `SpikeBatch`."""
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
        losses: See `SpikeData`.
        targets: See `SpikeData`; they are in memory.

    Raises:
        InputError: A label is no class, or there are more or fewer labels than examples.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays import StreamedSpikes
        >>> class Silence:
        ...     def read(self, rows):
        ...         return np.zeros((len(rows), 3), np.int64), np.zeros(0, np.int32)
        >>> rows, labels = np.arange(4), np.array([0, 1, 1, 0])
        >>> data = StreamedSpikes(Silence(), rows, labels, 2, 10, 1.0, ("a", "b"))
        >>> data.batch(np.array([2, 3])).labels.tolist()
        [1, 0]
    """

    source: SpikeSource
    rows: np.ndarray
    labels: np.ndarray
    n_channels: int
    n_steps: int
    dt: float
    label_names: tuple[str, ...]
    names: tuple[str, ...] = field(default=())
    losses: Losses | None = field(default=None, repr=False, compare=False)
    targets: np.ndarray | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("rows", "labels"):
            array = whole_numbers(name, getattr(self, name), np.int64, "example")
            object.__setattr__(self, name, array)
        if self.labels.shape != self.rows.shape:
            raise InputError(f"labels must have shape {self.rows.shape}, got {self.labels.shape}")
        _take_names(self)
        check_class_names(self.label_names)
        check_labels(self.labels, len(self.label_names))
        check_names(self.names, len(self.labels))
        _take_targets(self)

    def __repr__(self) -> str:
        return _in_a_line(self)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.label_names)

    def batch(self, index: np.ndarray) -> SpikeBatch:
        """Return the examples of the given indices, or of a mask, as a batch, in that order."""
        index = check_rows(index, len(self))
        start, time = self.source.read(self.rows[index])
        targets = None if self.targets is None else self.targets[index]
        return SpikeBatch(start, time, self.labels[index], index, self.n_steps, targets)

    def load(self) -> SpikeData:
        """Return the same split in memory."""
        start, time = self.source.read(self.rows)
        return SpikeData(
            start,
            time,
            self.labels,
            self.n_steps,
            self.dt,
            self.label_names,
            self.names,
            self.losses,
            self.targets,
        )

    def take(self, index: np.ndarray) -> "StreamedSpikes":
        """Return the examples of the given indices as a split of their own."""
        index = check_rows(index, len(self))
        return replace(self, rows=self.rows[index], **_taken(self, index))


@dataclass(frozen=True)
class CurrentData:
    """A split of a data set, as sampled currents.

    Attributes:
        values: (N, T, C) float32, C-contiguous, at least one step and one channel.
        labels: (N,) int64 in ``0 .. len(label_names) - 1``.
        dt: Length of a step [ms].
        label_names: Name of each class.
        names: Name of each example, or empty.
        losses: See `SpikeData`.
        targets: See `SpikeData`.

    Raises:
        InputError: An array does not describe currents; other types of real numbers are converted.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays import CurrentData
        >>> data = CurrentData(np.zeros((2, 10, 3)), np.array([0, 1]), 1.0, ("a", "b"))
        >>> data.n_steps, data.n_channels
        (10, 3)
    """

    values: np.ndarray
    labels: np.ndarray
    dt: float
    label_names: tuple[str, ...]
    names: tuple[str, ...] = field(default=())
    losses: Losses | None = field(default=None, repr=False, compare=False)
    targets: np.ndarray | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        labels = whole_numbers("labels", self.labels, np.int64, "example")
        object.__setattr__(self, "labels", labels)
        if self.labels.ndim != 1:
            raise InputError(f"labels must have one dimension, got shape {self.labels.shape}")
        object.__setattr__(self, "values", real_currents(self.values, len(self.labels)))
        _take_names(self)
        check_class_names(self.label_names)
        check_labels(self.labels, len(self.label_names))
        check_names(self.names, len(self.labels))
        check("dt", self.dt, PositiveTime)
        _take_targets(self)

    def __repr__(self) -> str:
        return _in_a_line(self)

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
        index = check_rows(index, len(self))
        targets = None if self.targets is None else self.targets[index]
        return CurrentBatch(self.values[index], self.labels[index], index, targets)

    def take(self, index: np.ndarray) -> "CurrentData":
        """Return the examples of the given indices as a split of their own; values are copied."""
        index = check_rows(index, len(self))
        return replace(self, values=self.values[index], **_taken(self, index))


Data = SpikeData | StreamedSpikes | CurrentData


def checked(batch: Batch) -> Batch:
    """A batch from anybody, with its arrays, but for labels, checked and converted."""
    labels = np.zeros(len(batch.start if isinstance(batch, SpikeBatch) else batch.values), np.int64)
    if isinstance(batch, SpikeBatch):
        data = SpikeData(batch.start, batch.time, labels, batch.n_steps, 1.0, ("",))
        return replace(batch, start=data.start, time=data.time)
    return replace(batch, values=CurrentData(batch.values, labels, 1.0, ("",)).values)
