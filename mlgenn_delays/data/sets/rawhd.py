"""Raw Heidelberg Digits: spoken digits, English and German, as mel-band energies over time.

A folder of four files of ``numpy.save``: ``training_x_data.npy`` and ``testing_x_data.npy``
(N, T, C), and the classes 0..19 in ``training_y_data.npy`` and ``testing_y_data.npy`` (N,). A
frame is a step, whatever its length. A fixed part of the training examples is validation.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np

from mlgenn_delays.data.arrays import check_size, rows_at_once
from mlgenn_delays.data.dataset import Dataset, Example, Item, RawFormat, Space, Splits, as_item
from mlgenn_delays.data.fields import Currents, Scale, Validation, count_steps
from mlgenn_delays.data.losses import Losses
from mlgenn_delays.data.split import split_validation
from mlgenn_delays.data.types import CurrentBatch, CurrentData
from mlgenn_delays.errors import InputError, unreadable
from mlgenn_delays.settings import PositiveTime, Time, check, says, settings

ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GERMAN = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
LABEL_NAMES = ENGLISH + GERMAN
# As published; files of other numbers are taken as well.
N_CHANNELS = 40
FILES = tuple(f"{part}_{kind}_data.npy" for part in ("training", "testing") for kind in "xy")


@settings
class RawhdOptions:
    """Options of RawHD, see `load_rawhd`."""

    group: ClassVar[int] = 0
    space: ClassVar[Space] = (("mel band", 0),)

    encoding: Currents = "currents"
    scale: Annotated[Scale, says("What the values are multiplied by.")] = 20.0
    validation: Validation = 0.1
    duration: Annotated[Time, says("Length of a trial; 0 for that of the data.")] = 0.0


def load_rawhd(
    folder: Path | str,
    *,
    scale: float = 20.0,
    validation: float = 0.1,
    duration: float = 0.0,
    dt: float = 1.0,
) -> dict[str, CurrentData]:
    """Load the four files of a folder as currents.

    Arguments:
        folder: Folder of the files; others in it are ignored.
        scale: What the values are multiplied by.
        validation: Share of the training examples kept for validation, stratified by class and
            always the same; 0 for none.
        duration: Length of a trial [ms], to which examples are cut or padded with zeros; 0 for
            the length of the data.
        dt: Length of a step, and so of a frame [ms].

    Returns:
        "train", "validation" (unless its share is 0) and "test"; ``names`` are the examples'
        numbers in their file.

    Raises:
        InputError: A file is missing or does not hold what it must, or a setting is out of range.

    Example:
        >>> from mlgenn_delays.data import load_rawhd
        >>> load_rawhd("rawhd", validation=0.25, dt=10.0)["test"].n_classes
        20
    """
    RawhdOptions(scale=scale, validation=validation, duration=duration)
    check("dt", dt, PositiveTime)
    n_steps = count_steps(duration, dt) if duration != 0 else None
    x_train, y_train, x_test, y_test = _find(Path(folder))
    train, test = _open_values(x_train), _open_values(x_test)
    _check_size(x_train, train, x_test, test)
    labels = {"train": _read_labels(y_train, x_train.name, len(train))}
    labels["test"] = _read_labels(y_test, x_test.name, len(test))
    _check_labels(y_train, labels["train"])
    _check_labels(y_test, labels["test"])
    for path, values in ((x_train, train), (x_test, test)):
        check_size(f"values of {path}", values, scale=scale)
    parts = _split(y_train, labels["train"], validation)
    parts["test"] = np.arange(len(test))
    data = {}
    for split, rows in parts.items():
        array, label = (test, labels["test"]) if split == "test" else (train, labels["train"])
        values = _take(array, rows, scale, n_steps or array.shape[1])
        names = tuple(str(row) for row in rows)
        lengths = np.full(len(rows), array.shape[1] * dt)
        lost = Losses.of_lengths(lengths, values.any(axis=(1, 2)))
        data[split] = CurrentData(values, label[rows], dt, LABEL_NAMES, names, lost)
    return data


def _load(folder: Path | None, options: RawhdOptions, dt: float, cache: bool) -> Splits:
    """Load the files; there is nothing to compute that a cache could keep."""
    assert folder is not None
    return load_rawhd(
        folder,
        scale=options.scale,
        validation=options.validation,
        duration=options.duration,
        dt=dt,
    )


def _encode(
    options: RawhdOptions, examples: Sequence[np.ndarray], dt: float, n_steps: int
) -> CurrentBatch:
    """Turn frames (frames, C), each of its own length, into currents as `load_rawhd` does."""
    first = np.arange(1)
    values = [_take(each[None], first, options.scale, n_steps) for each in examples]
    n = len(examples)
    return CurrentBatch(np.concatenate(values), np.full(n, -1, np.int64), np.arange(n))


def _items(folder: Path | None, options: RawhdOptions, dt: float) -> Iterator[Item]:
    assert folder is not None
    n_steps = count_steps(options.duration, dt) if options.duration else 0
    x_train, y_train, x_test, y_test = _find(folder)
    train = None
    for split, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        try:
            values = _open_values(x)
            train = values if train is None else train
            _check_size(x_train, train, x, values)
            labels = _read_labels(y, x.name, len(values))
        except InputError as error:
            yield Item(split, x.name, problem=str(error))
            continue
        parts = {split: np.arange(len(labels))}
        # Where labels are damaged, nothing can be split off.
        if split == "train" and not len(_no_class(labels)):
            try:
                parts = _split(y, labels, options.validation)
            except InputError as error:
                yield Item(split, y.name, problem=str(error))
        for part, rows in parts.items():
            for row in rows.tolist():
                label = int(labels[row])
                name = LABEL_NAMES[label] if 0 <= label < len(LABEL_NAMES) else str(label)
                read = partial(_read, (x, y), values, labels, row, options.scale, n_steps, dt)
                yield as_item(part, str(row), label, name, read)


def _read(
    paths: tuple[Path, Path],
    values: np.ndarray,
    labels: np.ndarray,
    row: int,
    scale: float,
    n_steps: int,
    dt: float,
) -> Example:
    """Return an example, in T steps or, where that is 0, as many as there are."""
    own, label = values[row : row + 1], labels[row : row + 1]
    _check_labels(paths[1], label, row)
    check_size(f"values of {paths[0]}", own, scale=scale, example=lambda _: f"example {row}")
    taken = _take(own, np.arange(1), scale, n_steps or own.shape[1])
    batch = CurrentBatch(taken, label.astype(np.int64), np.zeros(1, np.int64))
    return batch, Losses.of_batch([own.shape[1] * dt], batch), [np.ascontiguousarray(own)]


def _check_size(x_train: Path, train: np.ndarray, x_test: Path, test: np.ndarray) -> None:
    if train.shape[1:] != test.shape[1:]:
        raise InputError(
            f"{x_test} must have the steps and channels of {x_train.name}, "
            f"{_size(train.shape)}, got {_size(test.shape)}; make both in the same way"
        )


def _find(folder: Path) -> list[Path]:
    if not folder.exists():
        raise InputError(f"folder {folder} does not exist; give the folder of the RawHD files")
    if not folder.is_dir():
        raise InputError(f"{folder} must be the folder of the RawHD files, got a file")
    missing = [name for name in FILES if not (folder / name).exists()]
    if missing:
        raise InputError(
            f"{folder} must have {', '.join(FILES)}, got none named {', '.join(missing)}; "
            "give the folder that holds all of them"
        )
    return [folder / name for name in FILES]


def _open(path: Path) -> np.ndarray:
    """Return the array of a file, mapped into memory; objects are never loaded."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # NumPy raises many kinds on a damaged header: that is the finding
        reason = str(error).rstrip(".") or type(error).__name__
        raise InputError(
            f"{path} must have one whole array of numbers in NumPy's .npy format, got what "
            f"cannot be read ({reason}); save it with numpy.save, or copy it again"
        ) from error


def _open_values(path: Path) -> np.ndarray:
    """Return the examples of a file, (N, T, C) of a real type, mapped into memory."""
    values = _open(path)
    if values.dtype.kind not in "iuf":
        raise InputError(
            f"{path} must have floating-point (or whole) numbers, got type {values.dtype}; "
            "save it with .astype('float32')"
        )
    if values.ndim != 3 or 0 in values.shape:
        raise InputError(
            f"{path} must have shape (examples, steps, channels) with at least one of each, "
            f"got {values.shape}; save the frames of each example as rows"
        )
    return values


def _read_labels(path: Path, examples: str, n: int) -> np.ndarray:
    """Return the labels of n examples, (n,), whether they are classes or not."""
    labels = _open(path)
    if labels.dtype.kind not in "iu":
        raise InputError(
            f"{path} must have whole numbers, got type {labels.dtype}; "
            "save it with .astype('int64')"
        )
    if labels.shape != (n,):
        raise InputError(
            f"{path} must have one label for each example of {examples}, shape {(n,)}, "
            f"got {labels.shape}; both must come from the same examples in the same order"
        )
    return np.array(labels)


def _no_class(labels: np.ndarray) -> np.ndarray:
    return np.flatnonzero((labels < 0) | (labels >= len(LABEL_NAMES)))


def _check_labels(path: Path, labels: np.ndarray, first: int = 0) -> None:
    """Reject labels that are no class, of the examples from the first on."""
    for row in _no_class(labels)[:1]:
        raise InputError(
            f"{path} must have labels in 0..{len(LABEL_NAMES) - 1}, got {labels[row]} for "
            f"example {first + row}; English digits are 0..9, German ones 10..19"
        )


def _split(path: Path, labels: np.ndarray, share: float) -> dict[str, np.ndarray]:
    if not share:
        return {"train": np.arange(len(labels))}
    train, validation = split_validation(labels, share, str(path))
    return {"train": train, "validation": validation}


def _take(values: np.ndarray, rows: np.ndarray, scale: float, n_steps: int) -> np.ndarray:
    """Return some examples as (N, T, C) float32, scaled, and cut or padded to ``n_steps``."""
    kept = min(n_steps, values.shape[1])
    taken = np.zeros((len(rows), n_steps, values.shape[2]), np.float32)
    step = rows_at_once(values.shape)
    wide = np.result_type(values.dtype, np.float32)  # their own type, if that is wider
    for first in range(0, len(rows), step):
        some = values[rows[first : first + step], :kept].astype(wide)
        with np.errstate(over="ignore"):
            scaled = (some * wide.type(scale)).astype(np.float32)
        taken[first : first + step, :kept] = scaled
    return taken


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]} steps of {shape[2]} channels"


DATASET = Dataset(
    "Raw Heidelberg Digits as currents, a folder of four .npy files",
    RawhdOptions,
    True,
    _load,
    lambda options: (N_CHANNELS, len(LABEL_NAMES)),
    RawFormat("frames", _encode),
    _items,
)
