"""The result of a point, as it is kept in result.json beside its run."""

import csv
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlgenn_delays.files import write_atomic

RESULT = "result.json"
DONE, FAILED, WAITING = "done", "failed", "waiting"
_VERSION = 1
# How the reason of a failure begins that would come again.
_DIVERGED = "training diverged"


@dataclass(frozen=True)
class Record:
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

    recipe: str
    status: str
    reason: str = ""
    epochs: int | None = None
    best_epoch: int | None = None
    splits: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: float | None = None
    peak: int | None = None
    version: int = _VERSION

    @property
    def final(self) -> bool:
        """Whether another try would give the same."""
        return self.status == DONE or self.reason.startswith(_DIVERGED)

    def write(self, folder: Path) -> None:
        """Write it to the folder of its point.

        Raises:
            WorkError: The folder cannot be written.
        """
        write_atomic(folder / RESULT, json.dumps(asdict(self), indent=2) + "\n")

    @staticmethod
    def read(folder: Path) -> "Record | None":
        """Return the record of a point, None if there is none or it is damaged."""
        try:
            found = Record(**json.loads((folder / RESULT).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        known = found.version == _VERSION and found.status in (DONE, FAILED)
        return found if known and isinstance(found.recipe, str) else None


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
    rows = _metrics(folder / "metrics.csv")
    seconds = sum(float(row["seconds"]) for row in rows) if rows else None
    if answer is None:
        return Record(recipe, FAILED, reason, len(rows) or None, seconds=seconds, peak=peak)
    return Record(
        recipe, DONE, "", answer["epochs"], answer["best_epoch"], answer["splits"], seconds, peak
    )


def _metrics(path: Path) -> list[dict[str, str]]:
    """Return the rows of a run's metrics, none if they cannot be read."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return rows if all(float(row["seconds"]) >= 0 for row in rows) else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
