"""Arrays of your own: events, rasters or currents in .npz files, as `delaysnn infer` takes them.

A folder with ``train.npz`` and, if you like, ``validation.npz`` and ``test.npz``; or one file, or
a folder with ``data.npz``, of which validation and test are split off by ``names`` or ``groups``,
or else by the examples' numbers (see `split.rows_by_split`). A file has
``labels`` (N,), whole numbers 0..K-1, or ``targets`` (N, K, steps), the series that K output
neurons shall reproduce, and one of

- events: ``times`` (E,) [ms, or ``time_unit``], ``channels`` (E,) and ``start`` (N+1,), where
  example i has the events ``start[i]:start[i+1]`` in any order;
- ``raster`` (N, steps, C) of 0 and 1, a step each dt;
- ``values`` (N, steps, C), what flows into each channel each step;

and optionally ``label_names`` (K,), of classes or series, ``names`` (N,) and ``groups`` (N,), whose
each example is.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from mlgenn_delays.data.arrays import check_size
from mlgenn_delays.data.blocks import Blocks
from mlgenn_delays.data.dataset import SPLITS, Dataset, Space, Splits
from mlgenn_delays.data.events import Spikes, event_spikes, event_steps, sorted_spikes, stack_spikes
from mlgenn_delays.data.fields import HeldOut, TimeUnit, check_shares, count_steps
from mlgenn_delays.data.losses import Losses
from mlgenn_delays.data.sets.npz_files import Arrays, find_files, read_arrays
from mlgenn_delays.data.split import rows_of_part
from mlgenn_delays.data.types import CurrentData, SpikeData, StreamedSpikes
from mlgenn_delays.errors import InputError
from mlgenn_delays.settings import Integer, Time, one_of, refuse, says, settings

# Steps of a trial whose length is taken from events; more are likely another unit of time.
_MOST_STEPS = 20_000
_MOST_CHANNELS = 10_000_000


@settings
class NpzOptions:
    """Options of arrays in .npz files."""

    group: ClassVar[int] = 0
    space: ClassVar[Space] = (("channel", 0),)

    encoding: Annotated[
        str,
        one_of("spikes", "currents"),
        says("Spikes, from events or a raster, or currents, from values."),
    ] = "spikes"
    duration: Annotated[Time, says("Length of a trial; 0 for that of the longest example.")] = 0.0
    channels: Annotated[
        Integer, Field(ge=0, le=_MOST_CHANNELS), says("C; 0 for what the files have.")
    ] = 0
    time_unit: Annotated[
        TimeUnit, says("What a time of 1 is: 1000 for seconds, 0.001 for microseconds.")
    ] = 1.0
    validation: Annotated[
        HeldOut, says("Share of the examples kept for validation where no file holds them.")
    ] = 0.1
    test: Annotated[
        HeldOut, says("Share of the examples kept for testing where there is one file.")
    ] = 0.1

    def __post_init__(self) -> None:
        if self.encoding == "currents" and self.time_unit != 1.0:
            refuse(
                self,
                "time_unit",
                "1 with encoding 'currents'",
                "values have no times, a row is a step of network.dt",
            )
        check_shares(self)


@dataclass(frozen=True)
class _Task:
    """What all files have in common.

    C, T, dt [ms], what a time of 1 is [ms] and the names of the classes.
    """

    n_channels: int
    n_steps: int
    dt: float
    unit: float
    label_names: tuple[str, ...]


def _load(path: Path | None, options: NpzOptions, dt: float, cache: bool) -> Splits:
    """Load arrays from a folder or file; there is nothing to compute that a cache could keep."""
    assert path is not None
    found, divided = find_files(path)
    files = {split: read_arrays(each, options.encoding) for split, each in found.items()}
    task = _Task(
        _n_channels(files, options.channels),
        _n_steps(files, options.duration, dt, options.time_unit),
        dt,
        options.time_unit,
        _label_names(files),
    )
    _check_units(files, task)
    load = _currents if options.encoding == "currents" else _spikes
    data: dict[str, SpikeData | StreamedSpikes | CurrentData] = {}
    for split, arrays in files.items():
        whole = _with_targets(load(arrays, task), arrays)
        parts = rows_of_part(
            split,
            arrays.labels,
            where=str(arrays.path),
            names=arrays.names,
            parts=files,
            divided=divided,
            options=options,
            groups=arrays.groups,
            label_names=task.label_names,
        )
        for part, rows in parts.items():
            # All of them need no copy.
            data[part] = whole if len(rows) == len(whole) else whole.take(rows)
    return {split: data[split] for split in SPLITS if split in data}


def _n_channels(files: dict[str, Arrays], wanted: int) -> int:
    first = next(iter(files.values()))
    events = {split: each for split, each in files.items() if each.channels is not None}
    if not wanted and len(events) < len(files):
        wanted = next(each.n_channels for each in files.values() if each.channels is None)
    n = wanted or max(each.n_channels for each in events.values())
    for each in files.values():
        if each.channels is None and each.n_channels != n:
            raise InputError(
                f"{each.path} must have {n} channels in the last dimension, as "
                f"{'data.channels says' if wanted else f'{first.path.name} has'}, "
                f"got {each.n_channels}"
            )
        if each.channels is not None and each.n_channels > n:
            raise InputError(
                f"{each.path} must have channels in 0..{n - 1}, got {each.n_channels - 1}; "
                "set data.channels to how many there are, or 0 for what the files have"
            )
    if n > _MOST_CHANNELS:
        path = max(files.values(), key=lambda each: each.n_channels).path
        raise InputError(
            f"{path} must have channels below {_MOST_CHANNELS}, got {n - 1}; number those in use "
            "from 0 on"
        )
    if not n:
        raise InputError(f"{first.path} must have events, got none; set data.channels otherwise")
    return n


def _n_steps(files: dict[str, Arrays], duration: float, dt: float, unit: float) -> int:
    if duration:
        return count_steps(duration, dt)
    count_steps(dt, dt)  # rejects a step that is none
    known = [each.targets.shape[2] for each in files.values() if each.targets is not None]
    if known:
        return known[0]
    found = 1
    for each in files.values():
        steps = each.n_steps
        if each.times is not None and each.longest is not None:
            where, longest = each.where("times"), float(each.longest[0]) * unit
            last = event_steps(where, each.longest, dt=dt, n_steps=2**31, unit=unit)
            steps = int(last[0]) + 1
            if steps > _MOST_STEPS:
                raise InputError(
                    f"{where} must be at most {_MOST_STEPS} steps of {dt:g} ms where data.duration "
                    f"is 0, got {longest:g} ms; if these are microseconds, set data.time_unit = "
                    f"0.001, else set data.duration = {np.ceil(longest):g}"
                )
        found = max(found, steps)
    return found


def _check_units(files: dict[str, Arrays], task: _Task) -> None:
    """Reject events that are all in the first step, or all after the trial: another unit."""
    first = [each for each in files.values() if each.longest is not None]
    if not first or len(first) < len(files):
        return
    unit = task.unit
    longest = unit * max(float(each.longest[0]) for each in first if each.longest is not None)
    shortest = unit * min(float(each.times.min()) for each in first if each.times is not None)
    span = f"{shortest:g}..{longest:g} ms"
    if longest < task.dt and longest > 0:
        raise InputError(
            f"{first[0].path} must have times [ms], got all events within the first step of "
            f"{task.dt:g} ms ({span}); for seconds set data.time_unit = 1000, or shorten network.dt"
        )
    if shortest >= task.n_steps * task.dt:
        raise InputError(
            f"{first[0].path} must have times [ms] within the trial of "
            f"{task.n_steps * task.dt:g} ms, got {span}; for microseconds set data.time_unit = "
            "0.001, count from the beginning of each example, or set data.duration"
        )


def _with_targets(
    data: SpikeData | StreamedSpikes | CurrentData, arrays: Arrays
) -> SpikeData | StreamedSpikes | CurrentData:
    """Return a split with the targets of its file, if it has any, cut to the trial."""
    if arrays.targets is None:
        return data
    n, k, steps = arrays.targets.shape
    if k != data.n_classes or steps < data.n_steps:
        raise InputError(
            f"{arrays.path} must have targets of shape ({n}, {data.n_classes}, {data.n_steps}) or "
            f"of more steps, got {arrays.targets.shape}; save the same series in all files, or "
            "set data.duration to what they cover"
        )
    targets = arrays.targets[:, :, : data.n_steps]
    try:
        return replace(data, targets=targets)
    except InputError as error:
        raise InputError(f"{arrays.path}: {error}") from error


def _series_names(files: dict[str, Arrays], names: tuple[str, ...] | None) -> tuple[str, ...]:
    first = next(iter(files.values()))
    without = next((each for each in files.values() if each.targets is None), None)
    if without is not None:
        raise InputError(f"{without.path} must have targets as the other files do, got labels")
    assert first.targets is not None
    n = first.targets.shape[1]
    if names is not None and len(names) != n:
        raise InputError(
            f"{first.path} must have label_names of the {n} series of targets, got {len(names)}"
        )
    return names or tuple(map(str, range(n)))


def _label_names(files: dict[str, Arrays]) -> tuple[str, ...]:
    named = [each for each in files.values() if each.label_names is not None]
    names = named[0].label_names if named else None
    for each in named:
        if each.label_names != names:
            raise InputError(
                f"{each.path} must have the label_names of {named[0].path.name}, got others; "
                "save the same in both"
            )
    if any(each.targets is not None for each in files.values()):
        return _series_names(files, names)
    largest = {split: int(each.labels.max()) for split, each in files.items()}
    if names is None:
        names = tuple(str(label) for label in range(max(largest.values()) + 1))
        present = np.zeros(len(names), bool)
        for each in files.values():
            present[each.labels] = True
        if not present.all():
            missing = int(np.argmin(present))
            path = next(iter(files.values())).path
            raise InputError(
                f"{path} must have labels 0..K-1 with examples of each, got none of {missing} and "
                f"some of {len(names) - 1}; count from 0, or save label_names for all of them"
            )
    for split, each in files.items():
        if largest[split] >= len(names):
            row = int(np.argmax(each.labels))
            raise InputError(
                f"{each.path} must have labels in 0..{len(names) - 1}, one of {len(names)} "
                f"label_names, got {largest[split]} in example {row}"
            )
    if len(names) < 2:
        path = next(iter(files.values())).path
        raise InputError(
            f"{path} must have labels of at least two classes, got only 0; "
            "save label_names if there are more"
        )
    return names


def _spikes(arrays: Arrays, task: _Task) -> SpikeData | StreamedSpikes:

    def example(row: int) -> Spikes:
        shape: dict[str, Any] = {"n_channels": task.n_channels, "n_steps": task.n_steps}
        if arrays.raster is None:
            where = arrays.where(f"times of example {row}")
            return event_spikes(where, *arrays.events(row), dt=task.dt, unit=task.unit, **shape)
        steps, channels = np.nonzero(arrays.raster[row])
        start, time = sorted_spikes(channels, steps, **shape)
        losses = Losses.of_events(len(steps), len(steps) - len(time), 0, arrays.n_steps * task.dt)
        return Spikes(start, time, losses)

    def encode(first: int, end: int) -> Spikes:
        return stack_spikes(map(example, range(first, end)), task.n_channels)

    blocks = Blocks(len(arrays.labels), task.n_channels, task.n_steps, encode, "npz")
    return blocks.split(
        arrays.labels,
        dt=task.dt,
        label_names=task.label_names,
        names=arrays.names,
        stream=False,
    )


def _currents(arrays: Arrays, task: _Task) -> CurrentData:
    """Return the examples of a file as currents, cut or padded with zeros to T steps."""
    values = arrays.values
    assert values is not None
    # All of them, not only those within the trial: a fill value says what the others are worth.
    check_size(
        f"values of {arrays.path}", values, remedy="it may be a fill value: replace it, by 0 say"
    )
    if values.shape[1] > task.n_steps:
        values = values[:, : task.n_steps]
    elif values.shape[1] < task.n_steps:
        padded = np.zeros((len(values), task.n_steps, task.n_channels), np.float32)
        padded[:, : values.shape[1]] = values
        values = padded
    lengths = np.full(len(values), arrays.n_steps * task.dt)
    losses = Losses.of_lengths(lengths, values.any(axis=(1, 2)))
    return CurrentData(values, arrays.labels, task.dt, task.label_names, arrays.names, losses)


DATASET = Dataset(
    "arrays of your own, events, rasters or currents in .npz files",
    NpzOptions,
    True,
    _load,
    lambda options: None,
)
