"""The results of a sweep: a row per point as CSV, and means over the seeds."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from mlgenn_delays.errors import InputError
from mlgenn_delays.sweep.folder import RESULTS
from mlgenn_delays.sweep.grid import SEED, VARIANT, parse_value, shown
from mlgenn_delays.sweep.plan import Point
from mlgenn_delays.sweep.record import DONE, FAILED, WAITING, Record
from mlgenn_delays.untrusted import read_csv, reason

Row = dict[str, Any]
SPLITS = ("validation", "test")
_MEASURES = tuple(f"{split}_{kind}" for split in SPLITS for kind in ("accuracy", "loss"))
_WHOLE = (SEED, "best_epoch", "epochs")
_NUMBERS = (*_MEASURES, "seconds", "peak_memory_mb")
_TEXTS = ("status", "point", "reason")
# What follows the axes, in this order.
COLUMNS = (SEED, "status", "best_epoch", "epochs", *_NUMBERS, "point", "reason")


def make_row(point: Point, record: Record | None) -> Row:
    """The row of a point; `record` is None while it waits."""
    row: Row = dict(point.values) | dict.fromkeys(COLUMNS)
    row |= {SEED: point.seed, "status": WAITING, "point": f"points/{point.name}", "reason": ""}
    if record is None:
        return row
    splits = {str(split): measured for split, measured in record.splits.items()}
    for split in SPLITS:
        for kind in ("accuracy", "loss"):
            row[f"{split}_{kind}"] = getattr(splits.get(split), kind, None)
    return row | {
        "status": record.status,
        "best_epoch": record.best_epoch,
        "epochs": record.epochs,
        "seconds": record.seconds,
        "peak_memory_mb": None if record.peak is None else round(record.peak / 1e6, 1),
        "reason": record.reason,
    }


def to_csv(axes: Sequence[str], rows: Iterable[Row]) -> str:
    """Rows as CSV: values of axes as one types them, numbers in full, nothing for None."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*axes, *COLUMNS])
    for row in rows:
        values = ["" if row[name] is None else row[name] for name in COLUMNS]
        writer.writerow([*(shown(row[axis]) for axis in axes), *values])
    return text.getvalue()


def read_results(folder: Path | str) -> list[Row]:
    """Return the rows of a sweep, one a point, in the order of its grid.

    Arguments:
        folder: The sweep (``--out``), running or ended.

    Returns:
        Rows with a value for each axis, ``seed``, ``status`` ("done", "failed", "waiting"),
        ``best_epoch``, ``epochs``, ``validation_accuracy``, ``validation_loss``,
        ``test_accuracy``, ``test_loss``, ``seconds``, ``peak_memory_mb``, ``point`` (the run
        directory, within the folder) and ``reason``; None for what there is not.

    Raises:
        InputError: There are none, or the file is damaged.
    """
    path = Path(folder) / RESULTS
    try:
        header, lines = read_csv(path)
        if tuple(header[-len(COLUMNS) :]) != COLUMNS:
            raise ValueError("it has other columns")
        return [
            {key: _read(key, text) for key, text in zip(header, line, strict=True)}
            for line in lines
        ]
    except FileNotFoundError as error:
        raise InputError(f"there are no results {path}; give the folder of a sweep") from error
    except (OSError, ValueError, InputError) as error:
        raise InputError(
            f"{path} must be the results of a sweep: {reason(error)}; the sweep's command makes "
            "it again"
        ) from error


def _read(key: str, text: str) -> Any:
    if key in (*_WHOLE, *_NUMBERS):
        return _number(key, text) if text else None
    return text if key in (*_TEXTS, VARIANT) else parse_value(text)


def _number(key: str, text: str) -> int | float:
    number = int(text) if key in _WHOLE else float(text)
    highest = 1.0 if key.endswith("accuracy") else math.inf
    if not 0 <= number <= highest:
        raise ValueError(f"{key} must be a number that a training can have, got {text[:40]!r}")
    return number


def summarise(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return means over the seeds, one row a combination of the axes' values, in their order.

    Arguments:
        rows: As `read_results` gives them.

    Returns:
        Rows with a value for each axis, ``n`` (finished points), ``failed``, ``waiting``, and for
        each measure its ``_mean`` and (from two points on) its sample standard deviation ``_sd``,
        None without points.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        key = "\n".join(f"{axis}={shown(row[axis])}" for axis in axes_of(row))
        groups.setdefault(key, []).append(row)
    return [_summary(group) for group in groups.values()]


def axes_of(row: Mapping[str, Any]) -> list[str]:
    """The axes of a row."""
    return [key for key in row if key not in COLUMNS]


def _summary(group: Sequence[Mapping[str, Any]]) -> Row:
    states = [row["status"] for row in group]
    found: Row = {axis: group[0][axis] for axis in axes_of(group[0])}
    found |= {"n": states.count(DONE), FAILED: states.count(FAILED), WAITING: states.count(WAITING)}
    for name in _MEASURES:
        values = [row[name] for row in group if row[name] is not None]
        usable = all(math.isfinite(value) for value in values)
        found[f"{name}_mean"] = fmean(values) if values else None
        found[f"{name}_sd"] = stdev(values) if len(values) > 1 and usable else None
    return found
