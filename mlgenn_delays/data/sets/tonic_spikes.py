"""Events of a sensor, with columns, rows and polarities or some of them, as spikes of channels.

tonic lists folders in the order of the file system, which a copy on another one does not share.
Here examples are sorted by their paths, with all that belongs to them.
"""

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.data.events import Spikes, event_spikes
from mlgenn_delays.errors import InputError
from mlgenn_delays.files import list_files


@dataclass(frozen=True)
class Rows:
    """The examples of a split in our order.

    Their numbers in tonic's split, (N,); their paths within the data set's folder, or their numbers
    in a set that has no file for each; and a hash of names, sizes and times of change.
    """

    order: np.ndarray
    names: tuple[str, ...]
    facts: str


def rows_of(examples: Any) -> Rows:
    """Return the examples of tonic's object, sorted by path where each has a file of its own."""
    n = len(examples)
    place = _folder(examples)
    paths = _paths(examples)
    if paths is None:
        files = list_files(place) if place.is_dir() else []
        names = [each.relative_to(place).as_posix() for each in files]
        facts = _facts(zip(names, files, strict=True))
        return Rows(np.arange(n), tuple(map(str, range(n))), facts)
    names = [Path(os.path.relpath(each, place)).as_posix() for each in paths]
    order = sorted(range(n), key=names.__getitem__)
    ordered = tuple(names[row] for row in order)
    facts = _facts((names[row], paths[row]) for row in order)
    return Rows(np.array(order, np.int64), ordered, facts)


def tell_left_out(splits: Iterable[Any]) -> None:
    """Warn of examples in folders that are links, which tonic does not follow."""
    known = [path for each in splits for path in _paths(each) or ()]
    if not known:
        return
    place = next(_folder(each) for each in splits)
    suffixes = {Path(path).suffix for path in known}
    real = os.path.realpath(place)
    there = {os.path.realpath(path) for path in known}
    missing = [
        path
        for path in list_files(place, lambda name: Path(name).suffix in suffixes)
        if os.path.realpath(path.parent) != os.path.join(real, path.parent.relative_to(place))
        and os.path.realpath(path) not in there
    ]
    if missing:
        warnings.warn(
            f"tonic does not follow links to folders: {len(missing)} files such as {missing[0]} "
            "are left out; put the folders themselves where the links are",
            stacklevel=2,
        )


def _folder(examples: Any) -> Path:
    return Path(getattr(examples, "location_on_system", "."))


def _paths(examples: Any) -> list[str] | None:
    """Return the file of each example, None for sets that have none for each."""
    found = getattr(examples, "data", None)
    if not isinstance(found, list) or len(found) != len(examples):
        return None
    return found if all(isinstance(each, (str, os.PathLike)) for each in found) else None


def _facts(files: Iterable[tuple[str, str | Path]]) -> str:
    total = blake2b(digest_size=20)
    for name, path in files:
        try:
            state = os.stat(path)
            about = [name, state.st_size, state.st_mtime_ns]
        except OSError:  # a link that leads nowhere: reading says so
            about = [name]
        total.update(ascii(about).encode())
    return total.hexdigest()


@dataclass(frozen=True)
class Sensor:
    """What pixels of a sensor become which channels: (p, y, x), x running fastest.

    Attributes:
        width: Columns.
        height: Rows.
        polarities: Polarities of an event; 1 if they say nothing.
        downsample: Pixels along each axis that become one.
        polarity: "both", "merged" or "on".
    """

    width: int
    height: int
    polarities: int
    downsample: int
    polarity: str

    @staticmethod
    def of(size: Sequence[Any], downsample: int, polarity: str) -> "Sensor":
        """Make the sensor of columns, rows and polarities."""
        width, height, polarities = (int(number) for number in size)
        return Sensor(width, height, polarities, downsample, polarity)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Polarities, rows and columns of channels."""
        kept = self.polarities if self.polarity == "both" else 1
        return kept, -(-self.height // self.downsample), -(-self.width // self.downsample)

    @property
    def n_channels(self) -> int:
        """C."""
        polarities, rows, columns = self.shape
        return polarities * rows * columns

    def channels(self, where: str, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which events are kept, (E,) bool, and the channels of those."""
        _, rows, columns = self.shape
        x = _coordinate(where, events, "x", self.width)
        y = _coordinate(where, events, "y", self.height)
        place = y // self.downsample * columns + x // self.downsample
        kept = np.ones(len(place), bool)
        if self.polarities == 1 or "p" not in (events.dtype.names or ()):
            return kept, place
        # Two polarities may be 0 and 1, false and true, or -1 and 1.
        p = events["p"] > 0 if self.polarities == 2 else events["p"]
        if self.polarity == "both":
            polarity = _whole(where, "p", p)
            _check_range(where, "p", polarity, self.polarities)
            return kept, polarity * rows * columns + place
        if self.polarity == "on":
            kept = p > 0
        return kept, place[kept]


def example_spikes(
    where: str,
    events: Any,
    sensor: Sensor,
    *,
    n_steps: int,
    dt: float,
    unit: float,
    align: bool,
) -> Spikes:
    """Return the spikes of a recording: a structured array with t and x, y, p, whichever there are.

    A time of 1 is `unit` ms. With `align` the first event is time 0.
    """
    fields = getattr(getattr(events, "dtype", None), "names", None) or ()
    if "t" not in fields or "x" not in fields:
        raise InputError(
            f"{where} must have events with the fields t and x (and y, p), got "
            f"{', '.join(fields) or type(events).__name__}; this data set is for another task"
        )
    events = np.asarray(events).ravel()
    times = events["t"]
    if align and len(times):
        times = times - times.min()
    kept, channels = sensor.channels(where, events)
    times = times[kept]
    shape = {"n_channels": sensor.n_channels, "n_steps": n_steps}
    return event_spikes(where, channels, times, dt=dt, unit=unit, **shape)


def _coordinate(where: str, events: np.ndarray, name: str, size: int) -> np.ndarray:
    """Return columns or rows, 0 if events have none."""
    if name not in (events.dtype.names or ()):
        return np.zeros(len(events), np.int64)
    found = _whole(where, name, events[name])
    _check_range(where, name, found, size)
    return found


def _whole(where: str, name: str, values: np.ndarray) -> np.ndarray:
    """Return numbers of a sensor as int64; parts of a pixel are nothing to be cut off."""
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        wrong = int(np.argmax(values != np.floor(values)))
        raise InputError(
            f"{where} must have whole numbers as {name}, got {values[wrong]} at event {wrong}; "
            "round them in the data set's own transform"
        )
    return values.astype(np.int64)


def _check_range(where: str, name: str, found: np.ndarray, size: int) -> None:
    if len(found) and (found.min() < 0 or found.max() >= size):
        raise InputError(
            f"{where} must have {name} in 0..{size - 1}, got {found.min()}..{found.max()}; set "
            "data.sensor_size (or sensor_size) to columns, rows and polarities that all fit"
        )
