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
    """What the network of a point reached on a split.

    Attributes:
        accuracy: Correct / total.
        loss: Mean loss.
        n: Number of examples.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    accuracy: Annotated[float, Field(ge=0, le=1)]
    loss: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    n: Annotated[int, Field(ge=1, le=2**63 - 1)]


class Record(BaseModel):
    """How a point ended.

    Attributes:
        recipe: The whole recipe it belongs to, as TOML.
        status: "done" or "failed".
        reason: Why it failed.
        epochs: Epochs that were trained.
        best_epoch: The best of them.
        splits: By split accuracy, loss and n.
        seconds: Time of its epochs [s], over all interruptions.
        peak: The most memory it had [bytes].
        version: Version of the format.
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
        """Write it to the folder of its point.

        Raises:
            WorkError: The folder cannot be written.
        """
        write_atomic(folder / RESULT, json.dumps(self.model_dump(), indent=2) + "\n")

    @staticmethod
    def read(folder: Path) -> "Record | None":
        """Return the record of a point, None if there is none or it is damaged."""
        try:
            return Record.model_validate(read_json(folder / RESULT))
        except (OSError, ValueError):
            return None


def make_record(
    recipe: str, folder: Path, answer: dict[str, Any] | None, reason: str, peak: int | None
) -> Record:
    """Return the record of a training that ended.

    Arguments:
        recipe: The recipe as TOML.
        folder: Its run directory.
        answer: What `delaysnn train --json` printed, or None if it failed.
        reason: Why it failed.
        peak: The most memory it had [bytes].
    """
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
    """Return epochs and seconds of a run's metrics, None if they cannot be read."""
    try:
        header, lines = read_csv(path)
        place = header.index("seconds")
        seconds = sum(float(line[place]) for line in lines)
        return (len(lines), seconds) if lines and 0 <= seconds < inf else (None, None)
    except (OSError, ValueError):
        return None, None


def describe(record: Record) -> str:
    """Return how a point ended in words."""
    if record.status != DONE:
        return f"failed: {record.reason}"
    parts = [f"{split} {100 * got.accuracy:.2f} %" for split, got in record.splits.items()]
    if record.seconds is not None:
        parts.append(f"({duration(record.seconds)})")
    return " ".join(parts) or "done"


def duration(seconds: float) -> str:
    """Return a time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
