"""Spiking Heidelberg Digits: speech as spikes of an inner ear; what SSC shares with it.

SHD has digits, English and German, SSC the 35 words of Speech Commands; 700 channels both. They
come as HDF5 files, see `shd_files`, which are read as they are. SHD has no validation part: a
fixed part of its training examples is that, stratified by class and speaker.

Reference: Cramer, Stradmann, Schemmel and Zenke (2022), The Heidelberg Spiking Data Sets for the
Systematic Evaluation of Spiking Neural Networks, IEEE TNNLS 33(7).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from mlgenn_delays.data.blocks import Blocks
from mlgenn_delays.data.dataset import (
    Dataset,
    Example,
    Item,
    RawFormat,
    Space,
    as_item,
    spike_example,
)
from mlgenn_delays.data.encode.cochlea import N_CHANNELS, SAMPLE_RATE, cochlea_spikes
from mlgenn_delays.data.events import Spikes, event_losses, event_spikes, event_steps, stack_spikes
from mlgenn_delays.data.fields import (
    Either,
    Stream,
    TrialLength,
    Validation,
    check_streams_spikes,
    count_steps,
)
from mlgenn_delays.data.losses import Losses
from mlgenn_delays.data.sets.shd_files import (
    N_DIGITS,
    EventFile,
    file_facts,
    find_files,
)
from mlgenn_delays.data.split import split_validation
from mlgenn_delays.data.types import (
    Batch,
    CurrentBatch,
    CurrentData,
    SpikeBatch,
    SpikeData,
    StreamedSpikes,
)
from mlgenn_delays.errors import InputError
from mlgenn_delays.machine import in_threads
from mlgenn_delays.settings import Integer, refuse, says, settings

SHD_FILES = {"train": "shd_train.h5", "test": "shd_test.h5"}

Splits = dict[str, SpikeData | StreamedSpikes | CurrentData]
Events = tuple[np.ndarray, np.ndarray]  # units and times [s]

_SECOND = 1000.0  # ms
_READ = 100  # examples that are read at once
_VERSION = 3  # of what is cached


@settings
class CochleaOptions:
    """Options of SHD and of SSC."""

    group: ClassVar[int] = 0
    space: ClassVar[Space] = (("channel", 0),)
    sample_rate: ClassVar[int] = SAMPLE_RATE  # of recordings that their networks hear

    encoding: Either = "spikes"
    duration: TrialLength = 1000.0
    channels: Annotated[
        Integer,
        Field(ge=1, le=N_CHANNELS),
        says("C, a divisor of 700: with 140, each five neighbouring channels become one."),
    ] = N_CHANNELS
    stream: Stream = False

    def __post_init__(self) -> None:
        if N_CHANNELS % self.channels:
            refuse(
                self,
                "channels",
                f"a divisor of {N_CHANNELS}",
                f"give {N_CHANNELS}, 350, 140 or 70, say, so that as many neighbouring channels "
                "each become one",
            )
        check_streams_spikes(self)


@settings
class ShdOptions(CochleaOptions):
    """Options of SHD, see `load_shd`."""

    validation: Validation = 0.1


@dataclass(frozen=True)
class Encoding:
    """How events become spikes or currents: C, T and dt [ms]."""

    n_channels: int
    n_steps: int
    dt: float
    kind: str


def load_shd(
    folder: Path | str,
    *,
    duration: float = 1000.0,
    channels: int = N_CHANNELS,
    validation: float = 0.1,
    encoding: str = "spikes",
    stream: bool = False,
    dt: float = 1.0,
    cache: bool = True,
) -> Splits:
    """Load SHD from ``shd_train.h5`` and ``shd_test.h5``.

    Arguments:
        folder: Folder of the files, or one that has theirs in it, such as tonic's ``SHD``.
        duration: Length of a trial [ms]; what comes later is cut.
        channels: C, a divisor of 700: with 140, each five neighbouring channels become one.
        validation: Share of the training examples kept for validation, always the same ones,
            stratified by class and speaker (by class where a speaker says a word too seldom for
            that, or is not known); 0 for none.
        encoding: "spikes", at most one per channel and step, or "currents": how many
            events fall into each step and channel (Hammouamri, Khalfaoui-Hassani and Masquelier
            2024). Currents are never streamed, nor cached.
        stream: Whether examples stay on disk, in the cache, until a batch needs them
            (`StreamedSpikes`), instead of all in memory (`SpikeData`). Numbers are the same.
        dt: Length of a step [ms].
        cache: Whether to use the user's cache folder. Without it, or where it cannot be written,
            a stream encodes each example whenever it is read.

    Returns:
        "train", "validation" (unless its share is 0) and "test"; ``names`` are the examples'
        numbers in their file. Spikes of a channel in the same step are one.

    Raises:
        InputError: A file is missing or does not hold what it must, or a setting is out of range.

    Example:
        >>> from mlgenn_delays.data import load_shd
        >>> load_shd("shd", dt=10.0)["train"].n_channels
        700
    """
    ShdOptions(validation=validation)
    how = encoding_of(duration, channels, dt, encoding)
    data, speakers = load_files(Path(folder), SHD_FILES, N_DIGITS, how, stream, cache)
    if not validation:
        return data
    train = data["train"]
    rest, part = _split_off(train.labels, speakers, validation)
    return {"train": train.take(rest), "validation": train.take(part), "test": data["test"]}


def encoding_of(duration: float, channels: int, dt: float, kind: str) -> Encoding:
    """Check settings, and return the encoding that they give."""
    CochleaOptions(encoding=kind, duration=duration, channels=channels)
    return Encoding(int(channels), count_steps(duration, dt), dt, kind)


def load_files(
    folder: Path,
    files: dict[str, str],
    n_classes: int,
    encoding: Encoding,
    stream: bool,
    cache: bool,
) -> tuple[Splits, np.ndarray | None]:
    """Load each file, and say who speaks the examples of the first."""
    paths = zip(files, find_files(folder, tuple(files.values())), strict=True)
    # All of them before any takes minutes: a damaged last file is then known at once.
    opened = {split: EventFile(path, n_classes) for split, path in paths}
    train = opened["train"]
    names = train.names(n_classes) or tuple(str(label) for label in range(n_classes))
    speakers = train.speakers()
    data: Splits = {}
    for split, file in opened.items():
        rows = tuple(str(row) for row in range(len(file)))
        if encoding.kind == "currents":
            counts, lost = _counts(file, encoding)
            data[split] = CurrentData(counts, file.labels, encoding.dt, names, rows, lost)
            continue
        depends: dict[str, object] | None = None
        if cache:
            depends = {"file": file_facts(file.path), "dt": encoding.dt, "version": _VERSION}
        blocks = Blocks(
            len(file),
            encoding.n_channels,
            encoding.n_steps,
            partial(_encode, file, encoding),
            "shd",
            depends,
        )
        data[split] = blocks.split(
            file.labels, dt=encoding.dt, label_names=names, names=rows, stream=stream
        )
    return data, speakers


def _encode(file: EventFile, encoding: Encoding, first: int, end: int) -> Spikes:
    examples = (
        _example(file.where(row), units, seconds, encoding)
        for place in range(first, end, _READ)
        for row, (units, seconds) in enumerate(file.examples(place, min(place + _READ, end)), place)
    )
    return stack_spikes(examples, encoding.n_channels)


def _example(where: str, units: np.ndarray, seconds: np.ndarray, encoding: Encoding) -> Spikes:
    channels = units.astype(np.int64) // (N_CHANNELS // encoding.n_channels)
    return event_spikes(
        where,
        channels,
        seconds,
        n_channels=encoding.n_channels,
        n_steps=encoding.n_steps,
        dt=encoding.dt,
        unit=_SECOND,
    )


def _counts(file: EventFile, encoding: Encoding) -> tuple[np.ndarray, Losses]:
    """Return how many events of all examples fall into each step and channel, (N, T, C)."""
    counts = np.zeros((len(file), encoding.n_steps, encoding.n_channels), np.float32)
    losses = []
    for first in range(0, len(file), _READ):
        end = min(first + _READ, len(file))
        for row, (units, seconds) in enumerate(file.examples(first, end), first):
            counts[row], lost = _count(file.where(row), units, seconds, encoding)
            losses.append(lost)
    return counts, Losses.together(losses)


def _count(
    where: str, units: np.ndarray, seconds: np.ndarray, encoding: Encoding
) -> tuple[np.ndarray, Losses]:
    """Return how many events of an example fall into each step and channel, (T, C)."""
    n_steps, n_channels = encoding.n_steps, encoding.n_channels
    steps = event_steps(where, seconds, dt=encoding.dt, n_steps=n_steps, unit=_SECOND)
    kept = steps < n_steps
    channels = units[kept].astype(np.int64) // (N_CHANNELS // n_channels)
    places = steps[kept].astype(np.int64) * n_channels + channels
    counts = np.bincount(places, minlength=n_steps * n_channels).reshape(n_steps, n_channels)
    return counts, event_losses(seconds, steps, n_steps, _SECOND)


def _split_off(
    labels: np.ndarray, speakers: np.ndarray | None, share: float
) -> tuple[np.ndarray, np.ndarray]:
    strata = labels
    if speakers is not None:
        size = max(1, round(share * len(labels)))
        pairs = np.stack([labels, speakers], axis=1)
        both = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
        counts = np.bincount(both)
        if counts.min() > 1 and len(counts) <= min(size, len(labels) - size):
            strata = both
    return split_validation(strata, share, SHD_FILES["train"])


def file_items(
    files: dict[str, str], n: int, folder: Path | None, options: CochleaOptions, dt: float
) -> Iterator[Item]:
    """Return every example of SHD or SSC, damaged ones with their problem."""
    assert folder is not None
    encoding = encoding_of(options.duration, options.channels, dt, options.encoding)
    names = tuple(str(label) for label in range(n))
    for split, path in zip(files, find_files(folder, tuple(files.values())), strict=True):
        try:
            file = EventFile(path, None)
            if split == "train":
                names = file.names(n) or names
            splits = [split] * len(file)
            share = getattr(options, "validation", 0.0) if split == "train" else 0.0
            # Where labels are damaged, nothing can be split off.
            if share and ((file.labels >= 0) & (file.labels < n)).all():
                try:
                    for row in _split_off(file.labels, file.speakers(), share)[1]:
                        splits[row] = "validation"
                except InputError as error:
                    yield Item(split, path.name, problem=str(error))
            yield from _file_items(file, splits, names, encoding)
        except InputError as error:
            yield Item(split, path.name, problem=str(error))


def _file_items(
    file: EventFile, splits: list[str], names: tuple[str, ...], encoding: Encoding
) -> Iterator[Item]:
    """Return every example of a file; those that cannot be read together are read one by one."""
    for first in range(0, len(file), _READ):
        end = min(first + _READ, len(file))
        try:
            some: list[Events | None] = [*file.examples(first, end)]
        except InputError:
            some = [None] * (end - first)
        for row, events in enumerate(some, first):
            label = int(file.labels[row])
            name = names[label] if 0 <= label < len(names) else str(label)
            read = partial(_read, file, row, events, len(names), encoding)
            yield as_item(splits[row], str(row), label, name, read)


def _read(
    file: EventFile, row: int, events: Events | None, n_classes: int, encoding: Encoding
) -> Example:
    file.check_label(row, n_classes)
    units, seconds = events or file.examples(row, row + 1)[0]
    where, label, one = file.where(row), file.labels[row : row + 1], np.zeros(1, np.int64)
    if encoding.kind == "currents":
        counts, losses = _count(where, units, seconds, encoding)
        return CurrentBatch(counts[None].astype(np.float32), label, one), losses, [units, seconds]
    spikes = _example(where, units, seconds, encoding)
    return spike_example(spikes, encoding.n_steps, [units, seconds])


def _hear(
    options: CochleaOptions, recordings: Sequence[np.ndarray], dt: float, n_steps: int
) -> Batch:
    """Make of recordings, (n,) float32 at 48 kHz, what their files would have been loaded as."""
    how = Encoding(options.channels, n_steps, dt, options.encoding)
    heard = in_threads(partial(cochlea_spikes, duration=n_steps * dt), recordings)
    labels, index = np.full(len(recordings), -1, np.int64), np.arange(len(recordings))
    if how.kind == "currents":
        counts = [_count("the cochlea", *events, how)[0] for events in heard]
        return CurrentBatch(np.array(counts, np.float32), labels, index)
    some = (_example("the cochlea", *events, how) for events in heard)
    start, time, _ = stack_spikes(some, how.n_channels)
    return SpikeBatch(start, time, labels, index, n_steps)


# Files hold what a cochlea heard, so their networks hear recordings.
RAW = RawFormat("recording", _hear)


def settings_of(options: CochleaOptions) -> dict[str, Any]:
    """Return the arguments of `load_shd` and `load_ssc` that options give."""
    names = ("duration", "channels", "encoding", "stream")
    return {name: getattr(options, name) for name in names}


def _load(folder: Path | None, options: ShdOptions, dt: float, cache: bool) -> Splits:
    assert folder is not None
    how = settings_of(options)
    return load_shd(folder, validation=options.validation, dt=dt, cache=cache, **how)


DATASET = Dataset(
    "Spiking Heidelberg Digits, shd_train.h5 and shd_test.h5",
    ShdOptions,
    True,
    _load,
    lambda options: (options.channels, N_DIGITS),
    RAW,
    items=partial(file_items, SHD_FILES, N_DIGITS),
)
