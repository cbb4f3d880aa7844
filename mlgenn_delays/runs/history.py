"""The history of a training: one row of metrics per epoch, and which epoch was best."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mlgenn_delays.engines.metrics import ACCURACY, METRIC_OF, Metric
from mlgenn_delays.engines.results import EpochResult, Evaluation
from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.untrusted import first_problem, read_csv, reason

Row = dict[str, int | float | None]
_WHOLE = ("epoch", "grown")
PARTS = ("train", "validation")  # of the data; the second has None without validation data


def make_row(epoch: int, train: EpochResult, validation: Evaluation | None, seconds: float) -> Row:
    """Metrics of an epoch (from 1): training while the network changed, validation after it."""
    row: Row = {
        "epoch": epoch,
        "train_loss": float(train.loss),
        f"train_{train.metric}": float(train.score),
        "validation_loss": None if validation is None else float(validation.loss),
        f"validation_{train.metric}": None if validation is None else float(validation.score),
    }
    row |= {f"spikes_{name}": float(count) for name, count in train.spikes.items()}
    row |= {f"silent_{name}": int(count) for name, count in train.silent.items()}
    if train.grown is not None:
        row["grown"] = int(train.grown)
    return row | {"seconds": float(seconds)}


_Share = Annotated[float, Field(ge=0, le=1)]
_Loss = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, le=2**63 - 1)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    epoch: Annotated[int, Field(ge=1)]
    train_loss: _Loss
    train_accuracy: _Share = 0.0
    train_nrmse: _Positive = 0.0
    validation_loss: _Loss | None
    validation_accuracy: _Share | None = None
    validation_nrmse: _Positive | None = None
    grown: _Count = 0
    seconds: _Positive

    __pydantic_extra__: dict[
        Annotated[str, Field(pattern="^(spikes|silent)_.")], _Count | _Positive
    ]


def check_rows(rows: Sequence[Row]) -> None:
    """Raise a `ValueError` for rows that `make_row` would not have made."""
    if not rows:
        raise ValueError("it has no epoch")
    metric = metric_of(rows[0]).name
    for number, row in enumerate(rows, 1):
        try:
            found = _Row.model_validate(row)
        except ValueError as error:
            raise ValueError(f"row {number}: {first_problem(error)}") from error
        if found.epoch != number:
            raise ValueError(f"row {number} is of epoch {found.epoch}")
        if row.keys() != rows[0].keys():
            raise ValueError(f"row {number} has other columns than the first")
        if (row["validation_loss"] is None) != (row[f"validation_{metric}"] is None):
            raise ValueError(f"row {number} has one of validation_loss and validation_{metric}")


def metric_of(row: Row) -> Metric:
    """The metric of a row; a `ValueError` for a row with none or several."""
    found = [
        m for m in METRIC_OF.values() if {f"train_{m.name}", f"validation_{m.name}"} & row.keys()
    ]
    if len(found) != 1 or not {f"{part}_{found[0].name}" for part in PARTS} <= row.keys():
        raise ValueError(
            f"its rows must have one of {', '.join(METRIC_OF)} for {' and '.join(PARTS)}"
        )
    return found[0]


def check_columns(history: "History", populations: Sequence[str], *, rewired: bool) -> None:
    """Raise a `ValueError` for a history of other spiking populations, or rewired otherwise."""
    wanted = {f"{kind}_{name}" for kind in ("spikes", "silent") for name in populations}
    found = {key for key in history.rows[0] if key.startswith(("spikes_", "silent_"))}
    if found != wanted:
        raise ValueError(f"its history must be of the populations {', '.join(populations)}")
    if ("grown" in history.rows[0]) != rewired:
        raise ValueError(
            f"its history must be of a training {'with' if rewired else 'without'} rewiring"
        )


class History:
    """The rows of metrics of a training.

    The best epoch has the best validation metric: the highest accuracy, or for target series the
    lowest normalised error; of equals, the lowest validation loss; of equals again, it is the
    first. Without validation data it is the last.

    Arguments:
        rows: Rows to begin with, as `make_row` gives them, the first of epoch 1.

    Attributes:
        rows: One per epoch: ``epoch``, ``train_loss``, ``train_accuracy``, ``validation_loss``,
            ``validation_accuracy`` (None without validation data; ``train_nrmse`` and
            ``validation_nrmse`` instead for target series), ``spikes_<population>`` (mean spikes
            per neuron and example in training), ``silent_<population>`` (neurons without a spike
            in the epoch), ``grown`` (synapses that rewiring grew, absent without), ``seconds``.
        best_epoch: Number of the best epoch, 0 before the first.
        stopped_early: Whether a callback, such as `EarlyStopping`, ended the training.

    Example:
        >>> from pathlib import Path
        >>> from mlgenn_delays.training import History
        >>> len(History.read_csv(Path("run/metrics.csv")))
        2
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.rows: list[Row] = []
        self.best_epoch = 0
        self.stopped_early = False
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> bool:
        """Append the row of the next epoch; whether it is the best so far."""
        self.rows.append(row)
        better = self.best_epoch == 0 or _rank(row) > _rank(self.best)
        if better or row["validation_loss"] is None:
            self.best_epoch = len(self.rows)
        return self.best_epoch == len(self.rows)

    @property
    def metric(self) -> Metric:
        """What chooses the best epoch: accuracy, or the normalised error of target series."""
        return metric_of(self.rows[0]) if self.rows else ACCURACY

    def score(self, part: str = "validation") -> float | None:
        """The metric of the best epoch on "train" or "validation"; None where not measured."""
        return self.best[f"{part}_{self.metric.name}"]

    @property
    def best(self) -> Row:
        """The row of the best epoch; IndexError before the first."""
        if not self.rows:
            raise IndexError("a history without epochs has no best row")
        return self.rows[self.best_epoch - 1]

    @property
    def epochs_without_better(self) -> int:
        """How many epochs came after the best."""
        return len(self.rows) - self.best_epoch

    def ended(self, epochs: int, patience: int | None) -> bool:
        """Whether no epoch is left of so many, or no better one came in `patience` epochs."""
        waited = patience is not None and self.epochs_without_better >= patience
        return waited or len(self) >= epochs

    def column(self, name: str) -> list[int | float | None]:
        """One metric over the epochs.

        Raises:
            InputError: There is none of that name.
        """
        if self.rows and name not in self.rows[0]:
            known = list(self.rows[0])
            raise InputError(
                f"a column must be one of {', '.join(known)}, got {name!r}{nearest(name, known)}"
            )
        return [row[name] for row in self.rows]

    def to_csv(self) -> str:
        """Rows as CSV; numbers read back exactly, what was not measured is empty."""
        text = io.StringIO()
        if self.rows:
            writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        return text.getvalue()

    @staticmethod
    def read_csv(path: Path) -> "History":
        """The history that `to_csv` gave, from a file.

        Raises:
            InputError: The file is damaged.
        """
        try:
            header, lines = read_csv(path)
            rows: list[Row] = [
                {key: _number(key, text) for key, text in zip(header, line, strict=True)}
                for line in lines
            ]
            if rows:
                check_rows(rows)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} must be the metrics of a run: {reason(error)}; take another copy of the "
                "run"
            ) from error
        return History(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __repr__(self) -> str:
        if not self.rows:
            return "History(no epoch)"
        names = [f"{part}_{kind}" for part in PARTS for kind in ("loss", self.metric.name)]
        measured = {name: self.best[name] for name in names if self.best[name] is not None}
        shown = ", ".join(f"{key} {value:.4g}" for key, value in measured.items())
        return f"History({len(self.rows)} epochs, best {self.best_epoch}: {shown})"


def nothing_left(history: History) -> str:
    """The words for a training that is resumed after its end."""
    why = "stopped early" if history.stopped_early else "finished"
    return (
        f"nothing to do: the training {why} after {len(history)} epochs, "
        f"the best of them epoch {history.best_epoch}"
    )


def _rank(row: Row) -> tuple[float, float]:
    """Sort key of epochs: the larger, the better."""
    metric = metric_of(row)
    score, loss = row[f"validation_{metric.name}"], row["validation_loss"]
    return (0.0, 0.0) if score is None or loss is None else (metric.rank(score), -loss)


def silent_notes(row: Row, sizes: dict[str, int]) -> Iterator[str]:
    """The words for each population without a spike in the first epoch; `sizes` are neurons."""
    for name, n in sizes.items():
        if row.get(f"silent_{name}") == n:
            yield (
                f"no neuron of {name!r} spiked in epoch 1, so nothing is learned through it; set "
                "its weight_init to 'auto', raise the weights onto it, or set "
                "regularisation.revive"
            )


def _number(key: str, text: str) -> int | float | None:
    if text == "":
        return None
    return int(text) if key in _WHOLE or key.startswith("silent_") else float(text)
