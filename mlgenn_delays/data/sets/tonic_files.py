"""The files of a data set of tonic: in which order its examples are taken, and what they are.

tonic lists folders in the order of the file system, which a copy on another one does not share.
Here examples are sorted by their paths, with all that belongs to them.
"""

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.listing import list_files


@dataclass(frozen=True)
class Rows:
    """The examples of a split in our order.

    Attributes:
        order: (N,) the number of each in tonic's split.
        names: What each is called: its path within the data set's folder, or its number in a set
            that has no file for each.
        facts: A hash of names, sizes and times of change, in this order.
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
    """Return a hash of names, sizes and times of change, in the given order."""
    total = blake2b(digest_size=20)
    for name, path in files:
        try:
            state = os.stat(path)
            about = [name, state.st_size, state.st_mtime_ns]
        except OSError:  # a link that leads nowhere: reading says so
            about = [name]
        total.update(ascii(about).encode())
    return total.hexdigest()
