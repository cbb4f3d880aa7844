"""The results of a sweep: of a point as result.json beside its run, of all as CSV and as means."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from mlgenn_delays.engines.metrics import ACCURACY, METRIC_OF, Metric
from mlgenn_delays.errors import InputError
from mlgenn_delays.files import write_atomic
from mlgenn_delays.runs.columns import COLUMNS as COST_COLUMNS
from mlgenn_delays.runs.costs import cost_numbers
from mlgenn_delays.runs.files import METRICS
from mlgenn_delays.sweep.grid import SEED, VARIANT, shown
from mlgenn_delays.sweep.plan import Point
from mlgenn_delays.untrusted import first_problem, parse_value, read_csv, read_json, reason

RESULTS = "results.csv"
RESULT = "result.json"
DONE, FAILED, WAITING = "done", "failed", "waiting"
# How the reason of a failure begins that would come again.
_DIVERGED = "training diverged"


_Epochs = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Measured(BaseModel):
    """Accuracy, or nrmse, and mean loss of a point's network on the n examples of a split."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    nrmse: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    loss: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    n: Annotated[int, Field(ge=1, le=2**63 - 1)]

    @model_validator(mode="after")
    def _one_metric(self) -> "Measured":
        if (self.accuracy is None) == (self.nrmse is None):
            raise ValueError("a split must have accuracy or nrmse")
        return self

    @model_serializer(mode="wrap")
    def _known(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in serialise(self).items() if value is not None}

    @property
    def text(self) -> str:
        """The metric as people read it."""
        (metric,) = (m for m in METRIC_OF.values() if getattr(self, m.name) is not None)
        return metric.text(getattr(self, metric.name))


class Record(BaseModel):
    """How a point ended: `seconds` of epochs over all interruptions, `peak` memory [bytes], and
    what its network costs, by the names of `COLUMNS`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    recipe: str
    status: Literal["done", "failed"]
    reason: str = ""
    epochs: _Epochs | None = None
    best_epoch: _Epochs | None = None
    splits: dict[Literal["validation", "test"], Measured] = {}
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    peak: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    cost: dict[str, float | int | None] = {}
    version: Literal[1] = 1

    @model_validator(mode="after")
    def _possible(self) -> "Record":
        done = self.status == DONE
        if done and (self.epochs is None or self.best_epoch is None):
            raise ValueError("a finished point must have epochs and best_epoch")
        if self.best_epoch is not None and self.best_epoch > (self.epochs or 0):
            raise ValueError("best_epoch must be one of the epochs")
        return self

    @property
    def final(self) -> bool:
        """Whether another try would give the same."""
        return self.status == DONE or self.reason.startswith(_DIVERGED)

    def write(self, folder: Path) -> None:
        """Write it to the folder of its point."""
        write_atomic(folder / RESULT, json.dumps(self.model_dump(), indent=2) + "\n")

    @staticmethod
    def read(folder: Path) -> "Record | None":
        """The record of a point, None if there is none or it is damaged."""
        try:
            return Record.model_validate(read_json(folder / RESULT))
        except (OSError, ValueError):
            return None


def make_record(
    recipe: str, folder: Path, answer: dict[str, Any] | None, reason: str, peak: int | None
) -> Record:
    """The record of a training that ended, with `answer` from its --json, or None and a reason."""
    epochs, seconds = _metrics(folder / METRICS)
    common: dict[str, Any] = {"recipe": recipe, "seconds": seconds, "peak": peak}
    if answer is not None:
        told = {key: answer.get(key) for key in ("epochs", "best_epoch", "splits")}
        try:
            told["cost"] = cost_numbers(answer.get("cost"))
            return Record.model_validate(common | told | {"status": DONE})
        except ValidationError as error:
            reason = f"its process gave a result that cannot be: {first_problem(error)}"
    failed = {"status": FAILED, "reason": reason, "epochs": epochs}
    return Record.model_validate(common | failed)


def _metrics(path: Path) -> tuple[int | None, float | None]:
    """Epochs and seconds of a run's metrics, None if they cannot be read."""
    try:
        header, lines = read_csv(path)
        place = header.index("seconds")
        seconds = sum(float(line[place]) for line in lines)
        return (len(lines), seconds) if lines and 0 <= seconds < math.inf else (None, None)
    except (OSError, ValueError):
        return None, None


def describe(record: Record) -> str:
    """How a point ended, in words."""
    if record.status != DONE:
        return f"failed: {record.reason}"
    parts = [f"{split} {got.text}" for split, got in record.splits.items()]
    if record.seconds is not None:
        parts.append(f"({duration(record.seconds)})")
    return " ".join(parts) or "done"


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


Row = dict[str, Any]
SPLITS = ("validation", "test")
_WHOLE = (SEED, "best_epoch", "epochs")
_TEXTS = ("status", "point", "reason")


def measures(metric: Metric) -> list[str]:
    """The columns of what was measured on splits."""
    return [f"{split}_{kind}" for split in SPLITS for kind in (metric.name, "loss")]


def columns(metric: Metric) -> tuple[str, ...]:
    """What follows the axes, in this order."""
    numbers = (*measures(metric), "seconds", "peak_memory_mb", *COST_COLUMNS)
    return (SEED, "status", "best_epoch", "epochs", *numbers, "point", "reason")


COLUMNS = columns(ACCURACY)
_ALL = {name for metric in METRIC_OF.values() for name in columns(metric)}


def metric_of(row: Mapping[str, Any]) -> Metric:
    """The metric of a row."""
    return next((m for m in METRIC_OF.values() if f"{SPLITS[0]}_{m.name}" in row), ACCURACY)


def make_row(point: Point, record: Record | None, metric: Metric = ACCURACY) -> Row:
    """The row of a point; `record` is None while it waits."""
    row: Row = dict(point.values) | dict.fromkeys(columns(metric))
    row |= {SEED: point.seed, "status": WAITING, "point": f"points/{point.name}", "reason": ""}
    if record is None:
        return row
    splits = {str(split): measured for split, measured in record.splits.items()}
    for split in SPLITS:
        for kind in (metric.name, "loss"):
            row[f"{split}_{kind}"] = getattr(splits.get(split), kind, None)
    return row | {
        "status": record.status,
        "best_epoch": record.best_epoch,
        "epochs": record.epochs,
        "seconds": record.seconds,
        "peak_memory_mb": None if record.peak is None else round(record.peak / 1e6, 1),
        **{name: record.cost.get(name) for name in COST_COLUMNS},
        "reason": record.reason,
    }


def to_csv(axes: Sequence[str], rows: Iterable[Row]) -> str:
    """Rows as CSV: values of axes as one types them, numbers in full, nothing for None."""
    text, rows = io.StringIO(), list(rows)
    names = columns(metric_of(rows[0])) if rows else COLUMNS
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*axes, *names])
    for row in rows:
        values = ["" if row[name] is None else row[name] for name in names]
        writer.writerow([*(shown(row[axis]) for axis in axes), *values])
    return text.getvalue()


def read_results(folder: Path | str) -> list[Row]:
    """The rows of a sweep, one per point, in the order of its grid.

    Arguments:
        folder: The sweep (``--out``), running or ended.

    Returns:
        Rows with a value for each axis, ``seed``, ``status`` ("done", "failed", "waiting"),
        ``best_epoch``, ``epochs``, ``validation_accuracy``, ``validation_loss``,
        ``test_accuracy``, ``test_loss``, ``seconds``, ``peak_memory_mb``, ``operations``
        (effective synaptic operations per example), ``bytes_bundle``, ``bytes_c``,
        ``bytes_c_int8``, ``bytes_c_int4``, ``bytes_c_ternary``, ``bytes_genn``, ``point``
        (the run directory, within the folder) and ``reason``; None for what there is not. For
        target series they have ``_nrmse`` in the place of ``_accuracy``.

    Raises:
        InputError: There are none, or the file is damaged.

    Example:
        >>> from mlgenn_delays.sweep import read_results
        >>> len(read_results("sweep"))
        4
    """
    path = Path(folder) / RESULTS
    try:
        header, lines = read_csv(path)
        if tuple(header[-len(COLUMNS) :]) not in map(columns, METRIC_OF.values()):
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
    if key in (*_TEXTS, VARIANT):
        return text
    if key in _ALL:
        return _number(key, text) if text else None
    return parse_value(text)


def _number(key: str, text: str) -> int | float:
    number = int(text) if key in _WHOLE else float(text)
    highest = 1.0 if key.endswith("accuracy") else math.inf
    if not 0 <= number <= highest:
        raise ValueError(f"{key} must be a number that a training can have, got {text[:40]!r}")
    return number


def summarise(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Means over the seeds, one row per combination of the axes' values, in their order.

    Arguments:
        rows: As `read_results` gives them.

    Returns:
        Rows with a value for each axis, ``n`` (finished points), ``failed``, ``waiting``, and for
        each measure its ``_mean`` and (from two points on) its sample standard deviation ``_sd``,
        None without points.

    Example:
        >>> from mlgenn_delays.sweep import read_results, summarise
        >>> summarise(read_results("sweep"))[0]["n"]
        2
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        key = "\n".join(f"{axis}={shown(row[axis])}" for axis in axes_of(row))
        groups.setdefault(key, []).append(row)
    return [_summary(group) for group in groups.values()]


def axes_of(row: Mapping[str, Any]) -> list[str]:
    """The axes of a row."""
    return [key for key in row if key not in _ALL]


def _summary(group: Sequence[Mapping[str, Any]]) -> Row:
    states = [row["status"] for row in group]
    found: Row = {axis: group[0][axis] for axis in axes_of(group[0])}
    found |= {"n": states.count(DONE), FAILED: states.count(FAILED), WAITING: states.count(WAITING)}
    for name in measures(metric_of(group[0])):
        values = [row[name] for row in group if row[name] is not None]
        usable = all(math.isfinite(value) for value in values)
        found[f"{name}_mean"] = fmean(values) if values else None
        found[f"{name}_sd"] = stdev(values) if len(values) > 1 and usable else None
    return found
