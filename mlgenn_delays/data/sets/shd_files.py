"""The HDF5 files of SHD and SSC: where they lie, and what is in them.

``/spikes/times`` (N,) with the times of each example [s] (float16 or float32), ``/spikes/units``
(N,) with their channels 0..699, ``/labels`` (N,) and in ``/extra`` the names of the classes
(``keys``) and, in SHD, who speaks (``speaker``, (N,)).
"""

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.data.encode.cochlea import N_CHANNELS
from mlgenn_delays.errors import InputError, unreadable
from mlgenn_delays.hdf5 import Limits, UnreadableError, look_into_hdf5, read_hdf5_parts

N_DIGITS, N_WORDS = 20, 35
PAGE = "https://zenkelab.org/datasets/"

_EVENTS = {"spikes/times": "f", "spikes/units": "iu"}  # and the kinds of their numbers
_KEYS, _SPEAKER = "extra/keys", "extra/speaker"
# Of what is read at once: a hundred examples take 6 MB.
_LIMITS = Limits(bytes=2**27, seconds=2)
_MOST_ENDS = 3  # of the process that reads a file, after which the file is not read any more
_DEPTH = 2  # of folders within the given one
_BLOCKS, _BLOCK = 64, 4096  # how many places of a file are looked at, bytes each


def find_files(folder: Path, files: tuple[str, ...]) -> list[Path]:
    """Return where files lie: in a folder, or at most two folders further down.

    Of several folders the one with the most of them comes first.
    """
    if not folder.exists():
        raise InputError(f"folder {folder} does not exist; give the folder of {_and(files)}")
    if not folder.is_dir():
        raise InputError(f"{folder} must be the folder of {_and(files)}, got a file")
    found = locate(folder, files)
    missing = [name for name, path in zip(files, found, strict=True) if path is None]
    if missing:
        raise _missing(folder, _folders(folder, _DEPTH), files, missing)
    return [path for path in found if path is not None]


def locate(folder: Path, files: tuple[str, ...]) -> list[Path | None]:
    """Return where files lie as `find_files` does, None for one that is not there."""
    folders = _folders(folder, _DEPTH)
    folders.sort(key=lambda each: -sum((each / name).is_file() for name in files))
    return [_first(folders, name) for name in files]


def _folders(folder: Path, depth: int) -> list[Path]:
    """Return a folder and those in it, itself first; hidden ones are left out."""
    try:
        inner = sorted(each for each in folder.iterdir() if each.is_dir() and each.name[0] != ".")
    except OSError:
        return [folder]
    deeper = [found for each in inner for found in _folders(each, depth - 1)] if depth else []
    return [folder, *deeper]


def _first(folders: list[Path], name: str) -> Path | None:
    return next((each / name for each in folders if (each / name).is_file()), None)


def _missing(
    folder: Path, folders: list[Path], files: tuple[str, ...], missing: list[str]
) -> InputError:
    remedies = [_unpack(folders, name) for name in missing]
    packed = [remedy for remedy in remedies if remedy]
    prefix = files[0].split("_")[0].upper()
    fetch = f"delaysnn data prepare {prefix.lower()} {shlex.quote(str(folder))}"
    remedy = f"{PAGE} has them, and {fetch} fetches them"
    if packed:
        remedy = f"unpack what is there: {'; '.join(packed)}"
    return InputError(
        f"{folder} must have {_and(files)}, in it or in folders up to {_DEPTH} further down such "
        f"as {folder / prefix}, got none named {_and(tuple(missing))}; {remedy}"
    )


def _unpack(folders: list[Path], name: str) -> str:
    """Return the command that unpacks a file, or an empty text if it is not there packed."""
    packed, zipped = _first(folders, f"{name}.gz"), _first(folders, f"{name}.zip")
    if packed is not None:
        return f"gunzip -k {shlex.quote(str(packed))}"
    if zipped is not None:
        return f"unzip {shlex.quote(str(zipped))} -d {shlex.quote(str(zipped.parent))}"
    return ""


def _and(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def file_facts(path: Path) -> dict[str, object]:
    """Identify a file without reading all of its hundreds of megabytes.

    Its name, size, time of change, and the hash of 64 places spread over it do that.
    """
    try:
        state = path.stat()
        total = hashlib.blake2b(digest_size=20)
        with open(path, "rb") as file:
            for place in np.linspace(0, max(0, state.st_size - _BLOCK), _BLOCKS):
                file.seek(int(place))
                total.update(file.read(_BLOCK))
    except OSError as error:
        raise unreadable(path, error) from error
    return {
        "name": path.name,
        "size": state.st_size,
        "changed": state.st_mtime_ns,
        "places": total.hexdigest(),
    }


class EventFile:
    """A file of SHD or SSC, which is read in a process of its own: see `mlgenn_delays.hdf5`.

    `labels` (N,) are int64 in ``0 .. n_classes - 1``, or whatever they are if that is None.
    """

    def __init__(self, path: Path, n_classes: int | None) -> None:
        self.path = path
        self._ends = 0
        with self._guarded():
            self._top, self._found = look_into_hdf5(path, (*_EVENTS, "labels", _KEYS, _SPEAKER))
        self.labels = self._numbers("labels")
        self._check_labels(n_classes)
        for name, kinds in _EVENTS.items():
            self._check_rows(name, kinds)

    def __len__(self) -> int:
        return len(self.labels)

    def names(self, n: int) -> tuple[str, ...] | None:
        """Return the names of the n classes, None if the file has none."""
        if _KEYS not in self._found:
            return None
        found = self._read({_KEYS: None})[_KEYS]
        texts = found if isinstance(found, list) else np.ravel(found).tolist()
        if len(texts) != n or not all(isinstance(each, str) for each in texts):
            raise InputError(
                f"{self.path} must have the names of {n} classes at /{_KEYS}, got "
                f"{len(texts)} of {type(texts[0]).__name__ if texts else 'nothing'}; "
                "take another copy of it"
            )
        return tuple(texts)

    def speakers(self) -> np.ndarray | None:
        """Return who speaks each example, (N,) int64, None if the file does not say."""
        if _SPEAKER not in self._found:
            return None
        found = self._numbers(_SPEAKER)
        self._check_length(_SPEAKER, len(found))
        return found

    def examples(self, first: int, end: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the units (E,) and times (E,) [s] of some examples."""
        try:
            found = self._parts(dict.fromkeys(_EVENTS, (first, end)))
        except UnreadableError:
            # One by one, to tell which of them is damaged.
            found = {name: [self._row(name, row) for row in range(first, end)] for name in _EVENTS}
        pairs = list(zip(found["spikes/units"], found["spikes/times"], strict=True))
        for row, (unit, time) in enumerate(pairs, first):
            if len(unit) != len(time):
                raise InputError(
                    f"{self.where(row)} must have as many times as units, got {len(time)} times "
                    f"and {len(unit)} units; take another copy of the file"
                )
            if len(unit) and (unit.min() < 0 or unit.max() >= N_CHANNELS):
                raise InputError(
                    f"{self.where(row)} must have units in 0..{N_CHANNELS - 1}, got "
                    f"{unit.min()}..{unit.max()}; take another copy of the file"
                )
        return pairs

    def where(self, row: int) -> str:
        """Name an example for messages."""
        return f"example {row} of {self.path}"

    def _read(self, parts: Mapping[str, tuple[int, int] | None]) -> dict[str, Any]:
        with self._guarded():
            return self._parts(parts)

    def _parts(self, parts: Mapping[str, tuple[int, int] | None]) -> dict[str, Any]:
        """Return parts of the file, or reject it where too many processes ended over it."""
        if self._ends >= _MOST_ENDS:
            why = f"{self._ends} processes ended while they read it"
            raise UnreadableError(f"{self.path} is damaged: {why}", why)
        try:
            return read_hdf5_parts(self.path, parts, limits=_LIMITS)
        except UnreadableError as error:
            self._ends += error.ended
            raise

    def _row(self, name: str, row: int) -> np.ndarray:
        with self._guarded(f"/{name}[{row}] cannot be read"):
            found: np.ndarray = self._parts({name: (row, row + 1)})[name][0]
        return found

    @contextmanager
    def _guarded(self, what: str = "") -> Iterator[None]:
        try:
            yield
        except UnreadableError as error:
            why = " ".join(error.why.split()).rstrip(".")
            reason = f"{what} ({why})" if what else why
            raise InputError(
                f"{self.path} is damaged, or no HDF5 file: {reason}; take another copy of it"
            ) from error

    def _array(self, name: str) -> dict[str, Any]:
        if name not in self._found:
            have = ", ".join(f"/{each}" for each in self._top) or "nothing"
            raise InputError(
                f"{self.path} must have the arrays /spikes/times, /spikes/units and /labels of SHD "
                f"and SSC, got no array /{name} (at the top: {have}); take the file from {PAGE}"
            )
        found: dict[str, Any] = self._found[name]
        return found

    def _check_rows(self, name: str, kinds: str) -> None:
        found = self._array(name)
        rows, shape = found["rows"], tuple(found["shape"])
        if rows is None or np.dtype(rows).kind not in kinds or len(shape) != 1:
            noun = "real" if kinds == "f" else "whole"
            got = f"type {found['type']}" if rows is None else f"arrays of {rows}"
            raise InputError(
                f"{self.path} must have an array of {noun} numbers for each example at /{name}, "
                f"got {got} of shape {shape}; take the file from {PAGE}"
            )
        self._check_length(name, shape[0])

    def _numbers(self, name: str) -> np.ndarray:
        kind, shape = self._array(name)["type"], tuple(self._array(name)["shape"])
        if not kind.lstrip("<>|").startswith(("int", "uint", "i", "u")) or len(shape) != 1:
            raise InputError(
                f"{self.path} must have one whole number for each example at /{name}, got type "
                f"{kind} of shape {shape}; take the file from {PAGE}"
            )
        return np.asarray(self._read({name: None})[name], np.int64)

    def _check_length(self, name: str, n: int) -> None:
        if n != len(self.labels):
            raise InputError(
                f"{self.path} must have as many examples at /{name} as labels, got {n} and "
                f"{len(self.labels)}; take another copy of it"
            )

    def check_label(self, row: int, n_classes: int) -> None:
        """Reject an example whose label is no class."""
        if not 0 <= self.labels[row] < n_classes:
            raise InputError(
                f"{self.where(row)} must have a label in 0..{n_classes - 1}, got "
                f"{self.labels[row]}; take another copy of the file"
            )

    def _check_labels(self, n_classes: int | None) -> None:
        """Reject labels that are no class, and a file without examples."""
        if n_classes is not None:
            wrong = np.flatnonzero((self.labels < 0) | (self.labels >= n_classes))
            if len(wrong):
                self.check_label(int(wrong[0]), n_classes)
        if not len(self.labels):
            raise InputError(f"{self.path} must have examples, got none; take another copy of it")
