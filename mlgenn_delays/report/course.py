"""The course of a run's training, as its checkpoint or its metrics tell of it."""

from pathlib import Path

from mlgenn_delays.errors import InputError
from mlgenn_delays.runs.files import METRICS
from mlgenn_delays.runs.history import History, Row, check_rows
from mlgenn_delays.runs.run import Run
from mlgenn_delays.untrusted import read_csv, reason

_MEASURED = ("validation_loss", "validation_accuracy")
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
        header, lines = read_csv(path)
        rows: list[Row] = [
            dict.fromkeys(_MEASURED)
            | {key: _number(key, text) for key, text in zip(header, line, strict=True)}
            for line in lines
        ]
        if rows:
            check_rows(rows)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} must have the metrics of a run: {reason(error)}; take another copy of the run"
        ) from error
    return rows


def _number(key: str, text: str) -> int | float | None:
    """Return a field of the file as a number, None if it is empty."""
    if text == "":
        return None
    return int(text) if key in _WHOLE or key.startswith("silent_") else float(text)
