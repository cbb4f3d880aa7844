"""Steps of events that have a time each.

A step t lasts from ``t dt`` to ``(t + 1) dt``, so an event goes to the step in which it happens,
``floor(time / dt)``, as crossings do in `LevelEncoder`. A time that lies within a millionth of a
step before the next step belongs to that: ``0.3 / 0.1`` is a little less than 3 for a computer.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from mlgenn_delays.data.arrays import as_array, check_raster, whole_floats
from mlgenn_delays.data.losses import Losses
from mlgenn_delays.errors import InputError

_NEAR = 1e-6  # of a step


class Spikes(NamedTuple):
    """The spikes of one example, or of several.

    Attributes:
        start: (C+1,) int64 where the spikes of each channel begin, or (N, C+1).
        time: (S,) int32 their steps.
        losses: What of the events is no spike.
    """

    start: np.ndarray
    time: np.ndarray
    losses: Losses


def marked(raster: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many spikes each channel has, (N C,), and the steps of all, of (N, C, T) bool."""
    n, channels, steps = raster.shape
    spikes = np.flatnonzero(raster)
    return np.bincount(spikes // steps, minlength=n * channels), (spikes % steps).astype(np.int32)


def channel_starts(counts: np.ndarray, n: int, channels: int) -> np.ndarray:
    """Return where the spikes of each channel begin, (N, C+1) int64, of their numbers (N C,)."""
    edges = np.cumsum(np.concatenate([np.zeros(1, np.int64), counts]))
    return edges[np.arange(n)[:, None] * channels + np.arange(channels + 1)]


def raster_spikes(where: str, raster: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `start` (N, C+1) and `time` of `SpikeBatch` of `where`, a raster (N, T, C) of 0 and 1.

    Raises:
        InputError: It has other values.
    """
    check_raster(
        where,
        raster,
        "several spikes of a channel in a step are one: take raster > 0; the input of a network "
        "for real values is a CurrentInput",
    )
    counts, time = marked(raster.transpose(0, 2, 1) != 0)
    return channel_starts(counts, len(raster), raster.shape[2]), time


def event_columns(
    where: str,
    channels: object,
    times: object,
    *,
    n_channels: int | None,
    noun: str = "times",
    place: Callable[[int], str] = "event {}".format,
) -> tuple[np.ndarray, np.ndarray]:
    """Check channels and times of events, which may come from anybody; nothing is rounded.

    Channels (E,) become int64, times (E,) keep their type: whole numbers if the `noun` is "steps".
    Floating-point numbers that are whole are whole numbers. C is None if it is not known yet;
    `place` gives the name of an event by its number.
    """
    channel = _column(where, "channels", channels, "iu", place)
    time = _column(where, noun, times, "iu" if noun == "steps" else "iuf", place)
    if len(channel) != len(time):
        raise InputError(
            f"{where} must have as many {noun} as channels, got {len(time)} {noun} and "
            f"{len(channel)} channels; give one of each per event"
        )
    wrong = channel < 0 if n_channels is None else (channel < 0) | (channel >= n_channels)
    if wrong.any():
        first = int(np.argmax(wrong))
        bounds = ">= 0" if n_channels is None else f"in 0..{n_channels - 1}"
        raise InputError(
            f"{where} must have channels {bounds}, got {channel[first]} at {place(first)}; "
            "number them from 0 on, as in the data that the network is trained on"
        )
    _check_times(where, noun, time, place)
    return channel.astype(np.int64), time


def _column(
    where: str, name: str, values: object, kinds: str, place: Callable[[int], str]
) -> np.ndarray:
    array = as_array(f"{name} of {where}", values, "numbers")
    if array.ndim != 1:
        raise InputError(
            f"{where} must have {name} of one dimension, got shape {array.shape}; "
            "give one number per event"
        )
    if not array.size:
        return np.zeros(0, np.int64)
    if "f" not in kinds:
        array = whole_floats(array)
    if array.dtype.kind in kinds:
        return array
    noun = "real" if "f" in kinds else "whole"
    wrong = np.flatnonzero(array != np.floor(array) if array.dtype.kind == "f" else [])
    if len(wrong):
        remedy = (
            "give the step in which it is, floor(time / dt)"
            if name == "steps"
            else ("number the channels from 0 on")
        )
        raise InputError(
            f"{where} must have {noun} numbers as {name}, got {array[wrong[0]]} at "
            f"{place(int(wrong[0]))}; {remedy}"
        )
    kind = "float64" if "f" in kinds else "int64"
    raise InputError(
        f"{where} must have {noun} numbers as {name}, got type {array.dtype}; "
        f"save them with .astype('{kind}')"
    )


def _check_times(
    where: str, noun: str, times: np.ndarray, place: Callable[[int], str] = "event {}".format
) -> None:
    wrong = ~((times >= 0) & np.isfinite(times)) if len(times) else np.zeros(0, bool)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise InputError(
            f"{where} must have finite {noun} >= 0, got {times[first]} at {place(first)}; "
            "count from the beginning of the example"
        )


def event_steps(
    where: str, times: np.ndarray, *, dt: float, n_steps: int, unit: float = 1.0
) -> np.ndarray:
    """Return the step of each event, (E,) float64 in ``0..T``; T stands for all after the trial.

    A time of 1 is `unit` ms. Times must be finite and >= 0.
    """
    # float64 first: times of SHD are float16, whose greatest number is 65504.
    with np.errstate(over="ignore"):
        place = times.astype(np.float64) * unit / dt
    _check_times(where, "times", times)
    return np.minimum(np.floor(place + _NEAR), n_steps)


def sorted_spikes(
    channels: np.ndarray, steps: np.ndarray, *, n_channels: int, n_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return events as one example's ``start`` (C+1,) int64 and ``time`` (S,) int32.

    Several events of a channel in one step are one; those from step ``n_steps`` on are cut.
    """
    ends = np.arange(n_channels + 1) * n_steps
    kept = steps < n_steps
    # Half the width sorts in half the time.
    kind = np.dtype(np.int32 if ends[-1] < 2**31 else np.int64)
    keys = channels[kept].astype(kind) * n_steps + steps[kept].astype(kind)
    keys.sort()
    fresh = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=fresh[1:])
    keys = keys[fresh]
    return np.searchsorted(keys, ends.astype(kind)), (keys % n_steps).astype(np.int32)


def event_spikes(
    where: str,
    channels: np.ndarray,
    times: np.ndarray,
    *,
    n_channels: int,
    n_steps: int,
    dt: float,
    unit: float = 1.0,
) -> Spikes:
    """Return events as the spikes of one example, and what was lost on the way.

    Arguments:
        where: What the events are called in messages.
        channels: (E,) whole numbers in ``0 .. n_channels - 1``.
        times: (E,) real numbers >= 0.
        n_channels: C.
        n_steps: T; later events are cut.
        dt: Length of a step [ms].
        unit: What a time of 1 is [ms].
    """
    steps = event_steps(where, times, dt=dt, n_steps=n_steps, unit=unit)
    start, time = sorted_spikes(channels, steps, n_channels=n_channels, n_steps=n_steps)
    return Spikes(start, time, event_losses(times, steps, n_steps, unit, len(time)))


def event_losses(
    times: np.ndarray, steps: np.ndarray, n_steps: int, unit: float, n_spikes: int | None = None
) -> Losses:
    """Count the events of one example that were cut, and merged if `n_spikes` of them are left."""
    cut = int(np.count_nonzero(steps >= n_steps))
    merged = 0 if n_spikes is None else len(steps) - cut - n_spikes
    last = float(times.max()) * unit if len(times) else 0.0
    return Losses.of_events(len(steps), cut, merged, last)


def end_to_end(
    examples: Iterable[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Join examples, ``start`` (C+1,) and ``time`` (S,) each, to (N, C+1) int64 and (E,) int32."""
    starts, times, n = [], [], 0
    for start, time in examples:
        # Of blocks on disk the numbers are unsigned, so n - start[0] would overflow.
        starts.append(start.astype(np.int64) - int(start[0]) + n)
        times.append(time)
        n += len(time)
    return np.array(starts, np.int64), np.concatenate(times).astype(np.int32, copy=False)


def stack_spikes(examples: Iterable[Spikes], n_channels: int) -> Spikes:
    """Join the spikes of several examples of C channels, or of none, and their losses."""
    each = list(examples)
    losses = Losses.together(spikes.losses for spikes in each)
    if not each:
        return Spikes(np.zeros((0, n_channels + 1), np.int64), np.zeros(0, np.int32), losses)
    return Spikes(*end_to_end(spikes[:2] for spikes in each), losses)


def single_spikes(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``start`` and ``time`` of examples in which a channel spikes once or never.

    `steps` (N, C) int64 has the step of each channel's spike, -1 for a silent one.
    """
    spiking = steps >= 0
    n, channels = steps.shape
    ends = np.concatenate([[0], np.cumsum(spiking.ravel())]).astype(np.int64)
    start = ends[np.arange(n)[:, None] * channels + np.arange(channels + 1)]
    return start, steps[spiking].astype(np.int32)
