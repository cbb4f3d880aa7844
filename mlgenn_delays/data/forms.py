"""Spikes in the forms that people have them in, and back: events, rasters, recordings of tonic."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlgenn_delays.data.arrays import as_array, whole_numbers
from mlgenn_delays.data.events import (
    Spikes,
    event_columns,
    event_spikes,
    raster_spikes,
    stack_spikes,
)
from mlgenn_delays.errors import InputError
from mlgenn_delays.machine import check_memory
from mlgenn_delays.settings import Count, PositiveTime, check, is_number

if TYPE_CHECKING:
    from mlgenn_delays.data.types import SpikeData


class SpikeForms:
    """What makes `SpikeData` of other forms of spikes, and a raster of it."""

    @classmethod
    def from_events(
        cls,
        events: Sequence[tuple[Any, Any]],
        labels: Any,
        *,
        n_channels: int,
        n_steps: int,
        dt: float,
        label_names: Iterable[str] | None = None,
        names: Iterable[str] = (),
        targets: np.ndarray | None = None,
    ) -> Self:
        """Build a split from a pair of channels and steps per example.

        Events may come in any order; a channel spikes at most once in a step, so repeats are
        merged. Events at or after ``n_steps`` are cut. `losses` says how many were.

        Arguments:
            events: N pairs of channels (E,) and steps (E,), both whole numbers of any type.
            labels: (N,) whole numbers in ``0 .. len(label_names) - 1``.
            n_channels: C.
            n_steps: T, length of a trial in steps.
            dt: Length of a step [ms].
            label_names: Name of each class; "0", "1", ... up to the largest label if None.
            names: Name of each example, or empty.
            targets: See `SpikeData`.

        Raises:
            InputError: An example or a label is something else: nothing is rounded.

        Example:
            >>> from mlgenn_delays import SpikeData
            >>> events = [([0, 1], [2, 5]), ([1], [3])]
            >>> data = SpikeData.from_events(events, [0, 1], n_channels=2, n_steps=10, dt=1.0)
            >>> data.time.tolist()
            [2, 5, 3]
        """
        if not isinstance(events, Sequence | np.ndarray):
            raise InputError(
                "events must be a list of pairs of channels and steps, got "
                f"{type(events).__name__}; list(events) makes one of an iterator"
            )
        check("n_channels", n_channels, Count)
        check("n_steps", n_steps, Count)
        check("dt", dt, PositiveTime)
        classes = _labels(labels, len(events), "of events")
        spikes = [_example(row, each, n_channels, n_steps, dt) for row, each in enumerate(events)]
        start, time, losses = stack_spikes(spikes, n_channels)
        texts = _class_names(label_names, classes)
        return _made(cls, start, time, classes, n_steps, dt, texts, names, losses, targets)

    @classmethod
    def from_raster(
        cls,
        raster: Any,
        labels: Any,
        *,
        dt: float,
        label_names: Iterable[str] | None = None,
        names: Iterable[str] = (),
        targets: np.ndarray | None = None,
    ) -> Self:
        """Build a split from a dense array of spikes; `to_raster` gives it back.

        A channel spikes at most once in a step: of counts, take ``counts > 0``.

        Arguments:
            raster: (N, T, C) of 0 and 1, of any type, an array or a tensor.
            labels: (N,) whole numbers in ``0 .. len(label_names) - 1``.
            dt: Length of a step [ms].
            label_names: Name of each class; "0", "1", ... up to the largest label if None.
            names: Name of each example, or empty.
            targets: See `SpikeData`.

        Raises:
            InputError: The raster has another shape or other values, or a label is off.

        Example:
            >>> import numpy as np
            >>> from mlgenn_delays import SpikeData
            >>> raster = np.zeros((2, 10, 3), bool)
            >>> raster[1, 4, 2] = True  # example 1 spikes in step 4, in channel 2
            >>> data = SpikeData.from_raster(raster, [0, 1], dt=1.0)
            >>> data.n_steps, data.n_channels, data.time.tolist()
            (10, 3, [4])
        """
        check("dt", dt, PositiveTime)
        array = as_array("raster", raster, "numbers")
        if array.ndim != 3 or not array.size or array.dtype.kind not in "biuf":
            raise InputError(
                f"raster must be numbers of shape (examples, steps, channels), got {array.dtype} "
                f"of shape {array.shape}" + "; one example is raster[None]" * (array.ndim == 2)
            )
        classes = _labels(labels, len(array), "of the raster")
        start, time = raster_spikes("the raster", array)
        n_steps = array.shape[1]
        texts = _class_names(label_names, classes)
        return _made(cls, start, time, classes, n_steps, dt, texts, names, None, targets)

    @classmethod
    def from_tonic(
        cls,
        recordings: Any,
        labels: Any = None,
        *,
        n_steps: int,
        dt: float,
        sensor_size: Sequence[int] | None = None,
        time_unit: float = 0.001,
        label_names: Iterable[str] | None = None,
        names: Iterable[str] = (),
    ) -> Self:
        """Build a split from a data set of tonic, or from its arrays of events.

        A sensor of w columns, h rows and P polarities has C = P h w channels: polarity p, row y
        and column x are channel ``(p h + y) w + x``. Polarities of a sensor of two may be 0 and 1,
        false and true, or -1 and 1. Events after the trial are cut, those of a channel in one step
        merged; `losses` says how many.

        `load_dataset("tonic:NAME", ...)` also makes splits, and keeps what it made.

        Arguments:
            recordings: A data set of tonic, whose items are (events, label), or N structured
                arrays (E,) of events with the fields ``t`` and ``x``, and ``y`` and ``p`` if the
                sensor has them.
            labels: (N,) whole numbers; None takes those of the data set.
            n_steps: T, length of a trial in steps.
            dt: Length of a step [ms].
            sensor_size: Columns, rows and polarities; None takes that of the data set.
            time_unit: What a time of 1 is [ms]; tonic has microseconds.
            label_names: Name of each class; None takes the ``classes`` of the data set, or "0",
                "1", ... up to the largest label.
            names: Name of each example, or empty.

        Raises:
            InputError: There are no such events, one is outside of the sensor, or labels or the
                sensor's size are not known.

        Example:
            >>> import numpy as np
            >>> from mlgenn_delays import SpikeData
            >>> kind = [("x", int), ("y", int), ("t", int), ("p", int)]
            >>> events = np.array([(1, 0, 2500, 1)], kind)  # after 2.5 ms
            >>> data = SpikeData.from_tonic([events], [0], n_steps=5, dt=1.0, sensor_size=(4, 3, 2))
            >>> data.n_channels, data.to_raster()[0, 2].nonzero()[0].tolist()
            (24, [13])
        """
        from mlgenn_delays.data.sets.tonic_spikes import Sensor, example_spikes

        check("n_steps", n_steps, Count)
        check("dt", dt, PositiveTime)
        check("time_unit", time_unit, PositiveTime)
        sensor = Sensor.of(_sensor_size(recordings, sensor_size), 1, "both")
        events, found = _recordings(recordings, labels)
        classes = _labels(found, len(events), "of recordings")
        spikes = [
            example_spikes(f"recording {row}", each, sensor, n_steps=n_steps, dt=dt,
                           unit=time_unit, align=False)
            for row, each in enumerate(events)
        ]  # fmt: skip
        known = getattr(recordings, "classes", None) if label_names is None else label_names
        texts = _class_names(None if known is None else map(str, known), classes)
        start, time, losses = stack_spikes(spikes, sensor.n_channels)
        return _made(cls, start, time, classes, n_steps, dt, texts, names, losses, None)

    def to_raster(self: "SpikeData") -> np.ndarray:  # type: ignore[misc]
        """Return the spikes as a dense array, (N, T, C) bool.

        Raises:
            InputError: It does not fit into memory.

        Example:
            >>> import numpy as np
            >>> from mlgenn_delays import SpikeData
            >>> raster = np.eye(4, dtype=bool)[None]
            >>> data = SpikeData.from_raster(raster, [0], dt=1.0)
            >>> bool((data.to_raster() == raster).all())
            True
        """
        n, steps, channels = len(self), self.n_steps, self.n_channels
        check_memory(
            "the raster",
            f"{n} examples of {steps} steps and {channels} channels, which need",
            n * steps * channels,
            "take fewer examples, data.take(range(100)) say",
        )
        raster = np.zeros((n, steps, channels), np.bool_)
        for each, start in zip(raster, self.start, strict=True):
            channel = np.repeat(np.arange(channels), np.diff(start))
            each[self.time[start[0] : start[-1]], channel] = True
        return raster


def _made(cls: Any, *arrays: Any) -> Any:
    """A split of a class of which only its subclass knows the fields."""
    return cls(*arrays)


def _class_names(names: Iterable[str] | None, labels: np.ndarray) -> Any:
    return map(str, range(int(labels.max(initial=0)) + 1)) if names is None else names


def _labels(labels: Any, n: int, what: str) -> np.ndarray:
    classes = whole_numbers("labels", labels, np.int64, "example")
    if classes.shape != (n,):
        raise InputError(
            f"labels must be one for each of {n} examples {what}, got shape {classes.shape}"
        )
    return classes


def _example(row: int, pair: object, n_channels: int, n_steps: int, dt: float) -> Spikes:
    where = f"events of example {row}"
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise InputError(f"{where} must be a pair of channels and steps, got {type(pair).__name__}")
    channels, steps = event_columns(where, *pair, n_channels=n_channels, noun="steps")
    return event_spikes(
        where, channels, steps, n_channels=n_channels, n_steps=n_steps, dt=dt, unit=dt
    )


def _sensor_size(recordings: Any, given: Sequence[int] | None) -> Sequence[int]:
    size: Any = getattr(recordings, "sensor_size", None) if given is None else given
    wrong = not isinstance(size, (tuple, list, np.ndarray)) or len(size) != 3
    if wrong or not all(is_number(each) and each == int(each) > 0 for each in size):
        raise InputError(
            "sensor_size must be columns, rows and polarities, such as (34, 34, 2), got "
            f"{size!r}; give a size that all recordings fit"
        )
    return [int(each) for each in size]


def _recordings(recordings: Any, labels: Any) -> tuple[list[Any], Any]:
    """Return the events of each recording, and the labels."""
    several = hasattr(recordings, "__len__") and hasattr(recordings, "__getitem__")
    if not several or getattr(getattr(recordings, "dtype", None), "names", None):
        raise InputError(
            "recordings must be a data set of tonic or a list of its arrays of events, got "
            f"{type(recordings).__name__}"
        )
    items = [recordings[row] for row in range(len(recordings))]
    pairs = [isinstance(each, tuple) and len(each) == 2 for each in items]
    if labels is None:
        if not all(pairs):
            raise InputError(
                f"labels must be given with events alone, got none for {len(items)} recordings; "
                "the items of a data set of tonic are pairs of events and label"
            )
        labels = [label for _, label in items]
    return [each[0] if pair else each for each, pair in zip(items, pairs, strict=True)], labels
