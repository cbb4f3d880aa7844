"""The result of a point, as it is kept in result.json beside its run."""

import json
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlgenn_delays.files import write_atomic
from mlgenn_delays.runs.files import METRICS
from mlgenn_delays.untrusted import first_problem, read_csv, read_json

RESULT = "result.json"
DONE, FAILED, WAITING = "done", "failed", "waiting"
# How the reason of a failure begins that would come again.
_DIVERGED = "training diverged"


_Epochs = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Measured(BaseModel):
    """Accuracy and mean loss of a point's network on the n examples of a split."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    accuracy: Annotated[float, Field(ge=0, le=1)]
    loss: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    n: Annotated[int, Field(ge=1, le=2**63 - 1)]


class Record(BaseModel):
    """How a point ended; `recipe` is the whole one, `seconds` of epochs over all interruptions,
    `peak` memory [bytes].
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
        return (len(lines), seconds) if lines and 0 <= seconds < inf else (None, None)
    except (OSError, ValueError):
        return None, None


def describe(record: Record) -> str:
    """How a point ended, in words."""
    if record.status != DONE:
        return f"failed: {record.reason}"
    parts = [f"{split} {100 * got.accuracy:.2f} %" for split, got in record.splits.items()]
    if record.seconds is not None:
        parts.append(f"({duration(record.seconds)})")
    return " ".join(parts) or "done"


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
