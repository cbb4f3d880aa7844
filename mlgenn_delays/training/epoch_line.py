"""What a training shows of its epochs: a table of them, and running means beside a bar."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlgenn_delays.engines.metrics import ACCURACY, METRIC_OF
from mlgenn_delays.engines.results import BatchResult
from mlgenn_delays.progress import Progress
from mlgenn_delays.runs.history import PARTS, Row, metric_of

BEST = "* best so far"


class EpochProgress(Progress):
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
        self._running = RunningMeans(sizes)
        self._epoch: Any = None
        self._whole: Any = None
        self._headed = False

    def begin_epoch(self, epoch: int) -> None:
        """Show the start of an epoch."""
        name = f"epoch {epoch}/{self.epochs}"
        if self._whole is None:
            done, total = (epoch - 1) * self.batches, self.epochs * self.batches
            self._epoch = self.add(name, self.batches)
            self._whole = self.add("training", total, done)
        self.restart(self._epoch, name)
        self._running = RunningMeans(self.sizes)

    def batch(self, result: BatchResult) -> None:
        """Show the end of a batch and the running means of the epoch."""
        self._running.add(result)
        self.advance(self._epoch, text=self._running.score)
        self.advance(self._whole, text=self._running.activity)

    def end_epoch(self, row: Row, better: bool) -> None:
        """Show the metrics of an epoch and whether it is the best so far."""
        if not self._headed:
            for line in epoch_head(row, self.epochs, self.sizes):
                self.message(line)
            self._headed = True
        self.message(epoch_line(row, self.epochs, self.sizes, better))


class RunningMeans:
    """Means over the batches of an epoch so far; `sizes` are neurons by population that spikes."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self.sizes = sizes
        self.n = 0
        self.loss = 0.0
        self.metric = ACCURACY
        self.statistics = np.zeros(1)
        self.spikes = 0.0

    def add(self, result: BatchResult) -> None:
        """Add a batch."""
        self.n += result.n
        self.loss += result.loss * result.n
        self.metric = METRIC_OF[result.metric]
        first = self.n == result.n
        self.statistics = result.statistics + (0 if first else self.statistics)
        self.spikes += mean_spikes(result.spikes, self.sizes) * result.n

    def score(self) -> str:
        """Mean loss and metric in words."""
        score = self.metric.text(self.metric.value(self.statistics, self.n))
        return f"loss {self.loss / max(1, self.n):.4f}  {self.metric.title} {score}"

    def activity(self) -> str:
        """Mean spikes in words."""
        return f"spikes {self.spikes / max(1, self.n):.2f}"


def mean_spikes(spikes: dict[str, float], sizes: dict[str, int]) -> float:
    """The mean over all hidden neurons from the means of their populations."""
    total = sum(sizes[name] for name in spikes)
    return sum(spikes[name] * sizes[name] for name in spikes) / max(1, total)


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
    spikes = {name: float(row[f"spikes_{name}"] or 0.0) for name in sizes}
    silent = sum(int(row[f"silent_{name}"] or 0) for name in sizes)
    rest = [_Column("spikes", 8, f"{mean_spikes(spikes, sizes):.2f}")]
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
