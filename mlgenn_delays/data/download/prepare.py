"""Data sets made ready: downloaded, unpacked, checked."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from mlgenn_delays.data.registry import dataset
from mlgenn_delays.errors import InputError

# What makes a data set ready: a function `prepare_NAME` of (folder) in a module `prepare_*`.
_HOW = {"shd": "shd", "ssc": "shd", "fsdd": "fsdd"}
_BY_HAND = {
    "rawhd": (
        "dataset 'rawhd' cannot be downloaded: the four .npy files of Raw Heidelberg Digits are "
        "not freely at hand; ask the authors of the paper (Mészáros, Knight and Nowotny 2024), or "
        "make them of your own recordings: training_x_data.npy and testing_x_data.npy (examples, "
        "steps, channels), training_y_data.npy and testing_y_data.npy (labels 0..19)"
    )
}


def _by_hand(name: str) -> str:
    if name.startswith("tonic:"):
        return (
            f"dataset {name!r} is downloaded by tonic itself when it is first loaded: make a "
            f"folder DIR, and run delaysnn data check {name} DIR"
        )
    return _BY_HAND.get(name) or (
        f"dataset {name!r} cannot be downloaded, only {', '.join(_HOW)} can; it is read from your "
        f"own files: delaysnn data check {name} DIR looks at them"
    )


@dataclass(frozen=True)
class Prepared:
    """A data set that is ready.

    Attributes:
        folder: Folder to give as ``--data``; None if it needs none.
        lines: What was done, for the user.
    """

    folder: Path | None
    lines: tuple[str, ...]


def prepare_data(name: str, folder: Path | None) -> Prepared:
    """Make a data set ready; what is there already is only checked.

    Arguments:
        name: Name of the data set.
        folder: Where it is, or goes.

    Raises:
        InputError: Unknown data set, one that cannot be downloaded, no folder given, or what is
            there is damaged.
        WorkError: It cannot be downloaded or written.
    """
    entry = dataset(name)
    if not entry.needs_folder:
        line = f"{name} needs no preparation and no folder: {entry.summary}"
        return Prepared(None, (line,))
    if name not in _HOW:
        raise InputError(_by_hand(name))
    if folder is None:
        raise InputError(f"dataset {name!r} needs a folder to go to, got none; give DIR")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"DIR must be a folder, new or not, got the file {folder}")
    module = import_module(f"mlgenn_delays.data.download.{_HOW[name]}")
    how: Callable[[Path], Prepared] = getattr(module, f"prepare_{name}")
    return how(folder)
