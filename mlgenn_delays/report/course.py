"""The course of a run's training, as its checkpoint or its metrics tell of it."""

import csv
from pathlib import Path

from mlgenn_delays.errors import InputError
from mlgenn_delays.runs import Run
from mlgenn_delays.training.history import History, Row
from mlgenn_delays.training.run_files import METRICS

_NEEDED = ("train_loss", "train_accuracy", "seconds")
_WHOLE = ("epoch", "grown")


def read_course(run: Run) -> History:
    """Return the epochs of a run.

    Arguments:
        run: The run; of one that was copied without its checkpoints metrics.csv is read.

    Raises:
        InputError: No epoch was finished, or a file is damaged.
    """
    checkpoint = run.directory.load_checkpoint()
    if checkpoint is not None:
        return checkpoint.history
    path = run.directory.path / METRICS
    history = History(_rows(path) if path.is_file() else [])
    if not len(history):
        raise InputError(
            f"the run {run.directory.path} must have a finished epoch, got none; "
            "train it with --resume"
        )
    return history


def _rows(path: Path) -> list[Row]:
    """Return the rows of a file of metrics."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [_row(line, number) for number, line in enumerate(csv.DictReader(file), 1)]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path} must have the metrics of a run: {error}; take another copy of the run"
        ) from error
    return rows


def _row(line: dict[str, str], number: int) -> Row:
    """Return a row of metrics as numbers."""
    row: Row = {key: _number(key, text) for key, text in line.items()}
    if row["epoch"] != number or any(not isinstance(row[key], float) for key in _NEEDED):
        raise ValueError(f"row {number} is not that of epoch {number}")
    row.setdefault("validation_loss", None)
    row.setdefault("validation_accuracy", None)
    return row


def _number(key: str, text: str) -> int | float | None:
    """Return a field of the file as a number, None if it is empty."""
    if text == "":
        return None
    return int(text) if key in _WHOLE or key.startswith("silent_") else float(text)
