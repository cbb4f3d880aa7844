"""The .npz files of a data set of arrays: where they lie, and what is in them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.data.arrays import LAYOUTS, check_raster, check_start
from mlgenn_delays.data.dataset import SPLITS
from mlgenn_delays.data.events import event_columns
from mlgenn_delays.data.split import NAMES
from mlgenn_delays.errors import InputError
from mlgenn_delays.npy import NUMBERS, TEXTS, read_npz

_WHOLE = "data.npz"
_KNOWN = (*LAYOUTS, "channels", "start", "labels", "targets", "label_names", "names", "groups")


@dataclass(frozen=True)
class Arrays:
    """What a file holds, checked; one of ``times``, ``raster`` and ``values`` is not None.

    Attributes:
        path: The file.
        labels: (N,) int64 >= 0, zeros with targets.
        label_names: Names of the classes, or of the K target series, None if it does not say.
        names: Name of each example.
        groups: Whose each example is, None if it does not say.
        times: (E,) real numbers, finite and >= 0, in the unit of the options.
        channels: (E,) whole numbers >= 0.
        start: (N+1,) where each example begins, and where the last ends.
        raster: (N, steps, C) of 0 and 1.
        values: (N, steps, C) real numbers.
        targets: (N, K, steps) real numbers, None for classes.
    """

    path: Path
    labels: np.ndarray
    label_names: tuple[str, ...] | None
    names: tuple[str, ...]
    groups: tuple[str, ...] | None
    times: np.ndarray | None = None
    channels: np.ndarray | None = None
    start: np.ndarray | None = None
    raster: np.ndarray | None = None
    values: np.ndarray | None = None
    targets: np.ndarray | None = None

    def where(self, what: str) -> str:
        """Return the name of a part of the file for messages."""
        return f"{self.path} ({what})"

    def events(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return channels and times of an example."""
        assert self.times is not None and self.channels is not None and self.start is not None
        part = slice(int(self.start[row]), int(self.start[row + 1]))
        return self.channels[part], self.times[part]

    @cached_property
    def n_channels(self) -> int:
        """How many channels the file has; those of events up to the largest that has any."""
        if self.channels is not None:
            return int(self.channels.max()) + 1 if len(self.channels) else 0
        dense = self.raster if self.raster is not None else self.values
        assert dense is not None
        return dense.shape[2]

    @property
    def n_steps(self) -> int:
        """Steps of its examples, 0 of events."""
        dense = self.raster if self.raster is not None else self.values
        return 0 if dense is None else dense.shape[1]

    @cached_property
    def longest(self) -> np.ndarray | None:
        """The time of the last event, (1,), None without any."""
        if self.times is None or not len(self.times):
            return None
        return np.asarray([self.times.max()])


def find_files(path: Path) -> tuple[dict[str, Path], bool]:
    """Return the file of each split, and whether there are files of splits at all."""
    if not path.exists():
        raise InputError(f"{path} does not exist; give a .npz file, or a folder with train.npz")
    if not path.is_dir():
        return {"train": path}, False
    found: dict[str, Path] = {}
    for split in SPLITS:
        there = [path / f"{name}.npz" for name in NAMES[split] if (path / f"{name}.npz").is_file()]
        if len(there) > 1:
            raise InputError(
                f"{path} must have one file for the {split} split, got "
                f"{' and '.join(each.name for each in there)}; remove one of them"
            )
        if there:
            found[split] = there[0]
    whole = path / _WHOLE
    if whole.is_file() and found:
        raise InputError(
            f"{path} must have {_WHOLE} or files of splits, got both; remove or rename {_WHOLE}"
        )
    if not found and not whole.is_file():
        others = sorted(each.name for each in path.glob("*.npz"))
        got = ", ".join(others[:3]) + (" and more" if len(others) > 3 else "")
        raise InputError(
            f"{path} must have train.npz (and, if you like, validation.npz and test.npz), or "
            f"{_WHOLE}, got {got or 'no .npz'}; rename it, or give one file"
        )
    return found or {"train": whole}, bool(found)


def read_arrays(path: Path, encoding: str) -> Arrays:
    """Return the arrays of a file; nothing in it is ever run, arrays of objects are rejected."""
    found = read_npz(path, _KNOWN, kinds=NUMBERS + TEXTS)
    layouts = [name for name in LAYOUTS if name in found]
    if len(layouts) != 1 or ("labels" in found) == ("targets" in found):
        raise InputError(
            f"{path} must have labels or targets, and one of times (with channels and start), "
            f"raster and values, got {', '.join(found) or 'no array'}; save them with numpy.savez"
        )
    (layout,) = layouts
    if (layout == "values") != (encoding == "currents"):
        kind = "currents" if layout == "values" else "spikes"
        raise InputError(
            f"{path} must have {'values' if encoding == 'currents' else 'times or raster'} with "
            f"data.encoding = {encoding!r}, got {layout}; set data.encoding to {kind!r}"
        )
    targets = None if "labels" in found else _targets(path, found["targets"])
    labels = _labels(path, found["labels"]) if targets is None else np.zeros(len(targets), np.int64)
    n = len(labels)
    names = _texts(path, "names", found.get("names"), n)
    common: dict[str, Any] = {
        "path": path,
        "labels": labels,
        "targets": targets,
        "label_names": _texts(path, "label_names", found.get("label_names")),
        "names": names or tuple(str(row) for row in range(n)),
        "groups": _groups(path, found.get("groups"), n),
    }
    if layout == "times":
        return Arrays(**common | _events(path, found, n))
    return Arrays(**common | {layout: _dense(path, layout, found[layout], n)})


def _refused(path: Path, name: str, expected: str, array: np.ndarray, remedy: str) -> InputError:
    return InputError(
        f"{path} must have {name} as {expected}, got {array.dtype} of shape {array.shape}; {remedy}"
    )


def _labels(path: Path, labels: np.ndarray) -> np.ndarray:
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        remedy = "save one whole number for each of at least one example"
        raise _refused(path, "labels", "whole numbers of shape (examples,)", labels, remedy)
    if labels.dtype.kind == "i" and labels.min() < 0:
        row = int(np.argmin(labels))
        raise InputError(f"{path} must have labels >= 0, got {labels[row]} in example {row}")
    if labels.max() > 1_000_000:
        row = int(np.argmax(labels))
        raise InputError(
            f"{path} must have labels of 0..K-1 for K classes, got {labels[row]} in example {row}"
        )
    return labels.astype(np.int64)


def _targets(path: Path, targets: np.ndarray) -> np.ndarray:
    if targets.ndim != 3 or targets.dtype.kind not in "iuf" or 0 in targets.shape:
        remedy = "save a number for each step of each series of at least one example"
        wanted = "real numbers of shape (examples, series, steps)"
        raise _refused(path, "targets", wanted, targets, remedy)
    return targets


def _texts(
    path: Path, name: str, texts: np.ndarray | None, n: int | None = None
) -> tuple[str, ...] | None:
    """Return texts, n of them if that is known; None if there are none."""
    if texts is None:
        return None
    if texts.ndim != 1 or texts.dtype.kind not in "US" or len(texts) != (n or len(texts) or 1):
        shape = f"({n},)" if n is not None else "(classes,)"
        remedy = "save them with numpy.array([...], dtype=str)"
        raise _refused(path, name, f"texts of shape {shape}", texts, remedy)
    if texts.dtype.kind == "S":
        return tuple(each.decode("utf-8", "replace") for each in texts.tolist())
    return tuple(texts.tolist())


def _groups(path: Path, groups: np.ndarray | None, n: int) -> tuple[str, ...] | None:
    if groups is None:
        return None
    if groups.shape != (n,) or groups.dtype.kind not in "iuUS":
        remedy = "save one for each example"
        raise _refused(path, "groups", f"whole numbers or texts of shape ({n},)", groups, remedy)
    if groups.dtype.kind == "S":
        return tuple(each.decode("utf-8", "replace") for each in groups.tolist())
    return tuple(map(str, groups.tolist()))


def _events(path: Path, found: dict[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    for name in ("channels", "start"):
        if name not in found:
            raise InputError(
                f"{path} must have channels (events,) and start (examples + 1,) besides times, "
                f"got no {name}; example i has the events start[i]:start[i+1]"
            )
    times, channels, start = (found[name] for name in ("times", "channels", "start"))
    if times.shape == channels.shape:  # if not, `event_columns` says it
        check_start(str(path), start, times.size, n)

    def place(event: int) -> str:
        return f"event {event} (example {int(np.searchsorted(start, event, 'right')) - 1})"

    channels, times = event_columns(str(path), channels, times, n_channels=None, place=place)
    return {"times": times, "channels": channels, "start": start}


def _dense(path: Path, name: str, array: np.ndarray, n: int) -> np.ndarray:
    kinds = "biuf" if name == "raster" else "iuf"
    noun = "0 and 1" if name == "raster" else "real numbers"
    if array.ndim != 3 or len(array) != n or 0 in array.shape or array.dtype.kind not in kinds:
        remedy = f"there are {n} labels or targets, and a row is a step of network.dt"
        raise _refused(path, name, f"{noun} of shape ({n}, steps, channels)", array, remedy)
    if name == "raster":
        remedy = "save currents as values, and set data.encoding to 'currents'"
        check_raster(f"{path} (raster)", array, remedy)
    return array
