"""Events of a sensor, with columns, rows and polarities or some of them, as spikes of channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlgenn_delays.data.events import Spikes, event_spikes
from mlgenn_delays.errors import InputError


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
        """Return the sensor of columns, rows and polarities."""
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
        """Return which events are kept, (E,) bool, and their channels.

        Raises:
            InputError: An event is not on the sensor.
        """
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
    """Return the spikes of one recording.

    Arguments:
        where: What the recording is called.
        events: Structured array with the fields t and x, y, p, whichever there are.
        sensor: What becomes which channel.
        n_steps: T; later events are cut.
        dt: Length of a step [ms].
        unit: What a time of 1 is [ms].
        align: Whether the first event is time 0.

    Raises:
        InputError: They are no such events, or one cannot be.
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
    """Reject what the sensor does not have."""
    if len(found) and (found.min() < 0 or found.max() >= size):
        raise InputError(
            f"{where} must have {name} in 0..{size - 1}, got {found.min()}..{found.max()}; set "
            "data.sensor_size to columns, rows and polarities that all recordings fit"
        )
