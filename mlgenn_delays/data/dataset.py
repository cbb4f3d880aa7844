"""What the registry knows of a data set, and its examples one by one or put together.

A data set yields each example as an `Item`, mostly in these few lines::

    def my_items(folder: Path | None, options: MyOptions, dt: float) -> Iterator[Item]:
        n_steps = count_steps(options.duration, dt)
        for path, label in list_my_files(folder):  # raises InputError: there is nothing to look at

            def read() -> Example:  # raises InputError: this one is damaged
                events = read_events(path)
                shape = {"n_channels": N_CHANNELS, "n_steps": n_steps, "dt": dt}
                return spike_example(event_spikes(path.name, *events, **shape), n_steps, events)

            yield as_item("train", path.name, label, LABEL_NAMES[label], read)

Where examples are read faster many at a time, or kept in the cache, a data set also says how it is
loaded, with the same functions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mlgenn_delays.data.events import Spikes, end_to_end
from mlgenn_delays.data.losses import Losses
from mlgenn_delays.data.types import (
    Batch,
    CurrentBatch,
    CurrentData,
    Data,
    SpikeBatch,
    SpikeData,
    StreamedSpikes,
)
from mlgenn_delays.errors import InputError

# How channels lie to each other: name and size of each axis, the last running fastest; a size of 0
# is what is there. What more channels there are (levels, polarities) lie at the same places.
Space = tuple[tuple[str, int], ...]
Splits = Mapping[str, SpikeData | StreamedSpikes | CurrentData]
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class RawFormat:
    """The format of an example of a data set before it is encoded.

    Attributes:
        kind: "recording": (n,) float32 samples at the options' ``sample_rate``, full scale at 1.
            "image": (pixels,) brightness, row by row. "frames": (F, C), a value per channel
            and step, to be multiplied by the options' ``scale``.
        encode: Function of (options, examples, dt [ms], T) that gives what `Dataset.load` would
            make of them: cut or padded to T steps, with -1 as their labels.
        size: Rows and columns of an image.
        white: Greatest brightness of an image, the least is 0.
    """

    kind: Literal["recording", "image", "frames"]
    encode: Callable[[Any, Sequence[Any], float, int], Batch]
    size: tuple[int, int] = (0, 0)
    white: float = 0.0


@dataclass(frozen=True)
class Recordings:
    """The N recordings of a data set before any is read.

    Attributes:
        paths: Where they are.
        names: What they are called.
        labels: (N,) int64, their classes.
        label_names: Name of each class.
        rows: Numbers of the recordings of each split, splits without any left out.
        n_steps: T, length of a trial.
        groups: Whose each one is, None where that is not asked for.
        divided: Whether the data say which is in which split, so that none is drawn.
    """

    paths: Sequence[Path]
    names: Sequence[str]
    labels: np.ndarray
    label_names: tuple[str, ...]
    rows: Mapping[str, np.ndarray]
    n_steps: int
    groups: Sequence[str] | None = None
    divided: bool = False


@dataclass(frozen=True)
class Item:
    """One example as `delaysnn data check` looks at it, or why it cannot be used.

    Attributes:
        split: "train", "validation" or "test"; empty where that is not known.
        name: Name of the example, a file name, say; of a file if all of that is damaged.
        label: Its class, -1 if that is not known.
        label_name: Name of the class.
        batch: The example alone, as `Dataset.load` makes it (its labels do not count); None if it
            is damaged.
        losses: How long it was, and what of it was cut or merged; None if that is not known.
        content: What the files hold for it, by which duplicates are told; ``batch`` if empty.
        problem: Why it is damaged, for the user; empty if it is not.
        series: Names of its target series, empty where it has a class.
    """

    split: str
    name: str
    label: int = -1
    label_name: str = ""
    batch: Batch | None = None
    losses: Losses | None = None
    content: Sequence[Any] = ()
    problem: str = ""
    series: tuple[str, ...] = ()


# The batch, the losses and the content of an `Item`.
Example = tuple[Batch, Losses | None, Sequence[Any]]


def as_item(
    split: str, name: str, label: int, label_name: str, read: Callable[[], Example]
) -> Item:
    """Return an example, or its problem if reading it raises `InputError`.

    `read` gives its batch, losses and content; see `Item`.
    """
    try:
        batch, losses, content = read()
    except InputError as error:
        return Item(split, name, label, label_name, problem=str(error))
    return Item(split, name, label, label_name, batch, losses, content)


def spike_example(spikes: Spikes, n_steps: int, content: Sequence[Any] = ()) -> Example:
    """Return the spikes of one example, of T steps, as `as_item` takes them."""
    start, time, losses = spikes
    unknown = np.full(1, -1, np.int64)
    return SpikeBatch(start[None], time, unknown, np.zeros(1, np.int64), n_steps), losses, content


@dataclass(frozen=True)
class Dataset:
    """A data set of the registry, which gives its examples by ``items``, ``load`` or both.

    Attributes:
        summary: One line for listings.
        options: Class of the options, whose defaults are the data set's; its ``encoding`` says
            what kind of data there will be, its ``group`` what `Augment` takes as a group, its
            ``space`` how channels lie to each other, empty where they have no order.
        needs_folder: Whether data must be given (``--data DIR``).
        load: Function of (folder or None, options, dt [ms], cache) that gives the splits; None
            where they are the examples of ``items`` put together.
        shape: Function of the options that gives the numbers of channels and classes, or None
            where only the files know.
        raw: Format of an example before it is encoded; None if only events are known.
        items: Function of (folder or None, options, dt [ms]) that gives every example, damaged
            ones with their problem; it raises InputError only where there is nothing to look at
            (no such folder, no files). None where they are those of ``load``, whose first problem
            then hides all others from `delaysnn data check`.
        recordings: Function of (folder, options, dt [ms]) that lists the recordings, for a
            baseline; None where examples are no recordings.

    Raises:
        InputError: Neither ``load`` nor ``items`` is given.
    """

    summary: str
    options: type
    needs_folder: bool
    load: Callable[[Path | None, Any, float, bool], Splits] | None
    shape: Callable[[Any], tuple[int, int] | None]
    raw: RawFormat | None = None
    items: Callable[[Path | None, Any, float], Iterator[Item]] | None = None
    recordings: Callable[[Path, Any, float], Recordings] | None = None

    def __post_init__(self) -> None:
        if self.load is None and self.items is None:
            raise InputError("a data set must be given load or items, got neither")

    def splits(self, folder: Path | None, options: Any, dt: float, cache: bool) -> Splits:
        """Return the splits, loaded or put together from the examples; see ``load``."""
        if self.load is not None:
            return self.load(folder, options, dt, cache)
        assert self.items is not None
        return assemble(self.items(folder, options, dt), dt)

    def examples(self, name: str, folder: Path | None, options: Any, dt: float) -> Iterator[Item]:
        """Return every example of the data set, which is called so; see ``items``."""
        if self.items is not None:
            return self.items(folder, options, dt)
        return self._loaded_items(name, folder, options, dt)

    def _loaded_items(
        self, name: str, folder: Path | None, options: Any, dt: float
    ) -> Iterator[Item]:
        """Return the examples that loading gives, or the one problem it stops at."""
        if folder is not None and self.needs_folder and not folder.exists():
            raise InputError(f"folder {folder} does not exist; give the folder of the data")
        try:
            splits = self.splits(folder, options, dt, False)
        except InputError as error:
            if folder is None or not self.needs_folder:
                raise
            if folder.is_dir() and not any(folder.iterdir()):
                raise  # there is nothing to look at
            yield Item("", name, problem=str(error))
            return
        for split, data in splits.items():
            for row in range(len(data)):
                label = int(data.labels[row])
                called = data.names[row] if data.names else str(row)
                # A split that stays on disk is read only here, and may have damaged examples.
                read = partial(_loaded_example, data, row)
                item = as_item(split, called, label, data.label_names[label], read)
                yield item if data.targets is None else replace(item, series=data.label_names)


def _loaded_example(data: Data, row: int) -> Example:
    rows = np.array([row])
    return data.batch(rows), None if data.losses is None else data.losses.take(rows), ()


def assemble(items: Iterable[Item], dt: float) -> Splits:
    """Put examples, all of one length and kind, together as splits in memory.

    The first damaged example raises its problem.
    """
    by_split: dict[str, list[Item]] = {}
    classes: dict[int, str] = {}
    for item in items:
        if item.problem:
            raise InputError(item.problem)
        by_split.setdefault(item.split, []).append(item)
        classes[item.label] = item.label_name
    if not classes:
        raise InputError("a data set needs at least one example, got none")
    names = tuple(classes.get(label, str(label)) for label in range(max(classes) + 1))
    return {split: _stacked(by_split[split], names, dt) for split in SPLITS if split in by_split}


def _stacked(items: list[Item], label_names: tuple[str, ...], dt: float) -> SpikeData | CurrentData:
    labels = np.array([item.label for item in items], np.int64)
    names = tuple(item.name for item in items)
    known = [item.losses for item in items if item.losses is not None]
    losses = Losses.together(known) if len(known) == len(items) else None
    spikes = [item.batch for item in items if isinstance(item.batch, SpikeBatch)]
    if spikes:
        start, time = end_to_end((each.start[0], each.time) for each in spikes)
        return SpikeData(start, time, labels, spikes[0].n_steps, dt, label_names, names, losses)
    values = [item.batch.values for item in items if isinstance(item.batch, CurrentBatch)]
    return CurrentData(np.concatenate(values), labels, dt, label_names, names, losses)
