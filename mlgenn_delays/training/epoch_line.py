"""What a training shows of its epochs: a table of them, and running means beside a bar."""

from dataclasses import dataclass
from typing import Any

from mlgenn_delays.engines.metrics import METRIC_OF
from mlgenn_delays.progress import Progress
from mlgenn_delays.runs.history import PARTS, Row, metric_of, silent_notes
from mlgenn_delays.training.callbacks import Callback, Logs

BEST = "* best so far"


class EpochProgress(Progress, Callback):
    """Progress of a training: a table of epochs above a bar for the epoch and one for the whole.

    Arguments:
        kind: As of `Progress`.
        epochs: Epochs of the whole training.
        batches: Batches per epoch.
        sizes: Neurons by population that spikes.
    """

    def __init__(self, kind: str, epochs: int, batches: int, sizes: dict[str, int]) -> None:
        super().__init__(kind, ("name", "bar", "count", "remaining", "text"))
        self.epochs = epochs
        self.batches = batches
        self.sizes = sizes
        self._epoch: Any = None
        self._whole: Any = None
        self._headed = False

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Show the start of an epoch."""
        name = f"epoch {epoch}/{self.epochs}"
        if self._whole is None:
            done, total = (epoch - 1) * self.batches, self.epochs * self.batches
            self._epoch = self.add(name, self.batches)
            self._whole = self.add("training", total, done)
        self.restart(self._epoch, name)

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """Show the end of a batch and the running means of the epoch."""
        self.advance(self._epoch, text=lambda: running_score(logs))
        self.advance(self._whole, text=lambda: f"spikes {mean_spikes(logs, self.sizes):.2f}")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Show the metrics of an epoch and whether it is the best so far."""
        if not self._headed:
            for line in epoch_head(logs, self.epochs, self.sizes):
                self.message(line)
            self._headed = True
        better = epoch == self.trainer.history.best_epoch
        self.message(epoch_line(logs, self.epochs, self.sizes, better))
        if epoch == 1:
            for note in silent_notes(logs, self.sizes):
                self.message(note)


def running_score(logs: Logs) -> str:
    """Mean loss and metric of the epoch so far in words."""
    metric = next(each for each in METRIC_OF.values() if f"train_{each.name}" in logs)
    score = metric.text(logs[f"train_{metric.name}"])
    return f"loss {logs['train_loss']:.4f}  {metric.title} {score}"


def mean_spikes(logs: Logs, sizes: dict[str, int]) -> float:
    """The mean over all hidden neurons from the means of their populations."""
    spikes = (float(logs[f"spikes_{name}"] or 0.0) * n for name, n in sizes.items())
    return sum(spikes) / max(1, sum(sizes.values()))


@dataclass(frozen=True)
class _Column:
    title: str
    width: int
    text: str


def _columns(row: Row, epochs: int, sizes: dict[str, int]) -> dict[str, list[_Column]]:
    """The columns of the table of epochs, by what stands above them; 80 characters hold them."""
    metric = metric_of(row)
    found = {"": [_Column("epoch", max(5, 2 * len(str(epochs)) + 1), f"{row['epoch']}/{epochs}")]}
    for part in PARTS:
        loss, score = row[f"{part}_loss"], row[f"{part}_{metric.name}"]
        if loss is not None and score is not None:
            text = f"{loss:.4f}" if loss < 1000 else f"{loss:.4g}"
            found[part] = [_Column("loss", 9, text), _Column(metric.title, 10, metric.text(score))]
    silent = sum(int(row[f"silent_{name}"] or 0) for name in sizes)
    rest = [_Column("spikes", 8, f"{mean_spikes(row, sizes):.2f}")]
    rest.append(_Column("silent", 8, str(silent)))
    if row.get("grown") is not None:
        rest.append(_Column("grown", 7, str(row["grown"])))
    rest.append(_Column("seconds", 9, f"{row['seconds']:.1f}"))
    return found | {BEST: rest}


def epoch_head(row: Row, epochs: int, sizes: dict[str, int]) -> tuple[str, str]:
    """The two lines above the epochs."""
    groups = _columns(row, epochs, sizes)
    above, below = "", ""
    for name, columns in groups.items():
        width = sum(column.width for column in columns)
        above += f"{name:>{width}}" if name == BEST else f"{name:^{width}}"
        below += "".join(f"{column.title:>{column.width}}" for column in columns)
    return above, below


def epoch_line(row: Row, epochs: int, sizes: dict[str, int], better: bool) -> str:
    """The metrics of an epoch, under what `epoch_head` says."""
    groups = _columns(row, epochs, sizes).values()
    cells = [f"{column.text:>{column.width}}" for columns in groups for column in columns]
    return "".join(cells) + " *" * better
