"""Every example of a data set one by one, so that one that is damaged does not hide the others.

A data set offers this by `Dataset.items`, mostly in these few lines::

    def my_items(folder: Path | None, options: MyOptions, dt: float) -> Iterator[Item]:
        for path, label in list_files(folder):  # raises InputError: there is nothing to look at

            def read() -> Example:  # raises InputError: this one is damaged
                events = read_events(path)
                start, time, losses = event_spikes(path.name, *events, **shape_of(options, dt))
                return as_batch(start, time), losses, events

            yield as_item("train", path.name, label, LABEL_NAMES[label], read)

One that offers nothing is loaded, and the first problem in it is the only one found.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.data.dataset import Dataset, Example, Item, as_item
from mlgenn_delays.data.registry import dataset, parse_options
from mlgenn_delays.data.types import Data
from mlgenn_delays.errors import InputError


def data_items(
    name: str, folder: Path | str | None = None, options: Any = None, *, dt: float = 1.0
) -> Iterator[Item]:
    """Return every example of a data set, damaged ones among them.

    Arguments:
        name: Name of the data set.
        folder: Folder of the data, where the data set needs one.
        options: A table for `parse_options`, or what it returned.
        dt: Length of a step [ms].

    Raises:
        InputError: Unknown data set, missing folder or bad options; while iterating, there is
            nothing to look at.
    """
    entry = dataset(name)
    if entry.needs_folder and folder is None:
        raise InputError(f"dataset {name!r} needs a folder of data, got none; give DIR")
    path = Path(folder) if folder is not None else None
    if not isinstance(options, entry.options):
        options = parse_options(name, options)
    return (entry.items or _loader(name, entry))(path, options, dt)


def _loader(name: str, entry: Dataset) -> Callable[[Path | None, Any, float], Iterator[Item]]:
    """Return what gives the examples that loading gives, or the one problem it stops at."""

    def items(folder: Path | None, options: Any, dt: float) -> Iterator[Item]:
        if folder is not None and entry.needs_folder and not folder.exists():
            raise InputError(f"folder {folder} does not exist; give the folder of the data")
        try:
            splits = entry.load(folder, options, dt, False)
        except InputError as error:
            if folder is None or not entry.needs_folder:
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
                read = partial(_read, data, row)
                yield as_item(split, called, label, data.label_names[label], read)

    return items


def _read(data: Data, row: int) -> Example:
    """Return an example of what was loaded."""
    rows = np.array([row])
    return data.batch(rows), None if data.losses is None else data.losses.take(rows), ()
