"""What a training shows of its epochs: a line per epoch, and running means beside a bar."""

from typing import Any

import numpy as np

from mlgenn_delays.engines.metrics import ACCURACY, METRIC_OF
from mlgenn_delays.engines.results import BatchResult
from mlgenn_delays.progress import Progress
from mlgenn_delays.runs.history import PARTS, Row, metric_of


class EpochProgress(Progress):
    """Progress of a training: a line per epoch above a bar for the epoch and one for the whole.

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
        self.advance(self._epoch, text=self._running.text)
        self.advance(self._whole)

    def end_epoch(self, row: Row, better: bool) -> None:
        """Show the metrics of an epoch and whether it is the best so far."""
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

    def text(self) -> str:
        """The means in words."""
        n = max(1, self.n)
        score = self.metric.text(self.metric.value(self.statistics, self.n))
        return (
            f"loss {self.loss / n:.4f}  {self.metric.title} {score}  spikes {self.spikes / n:.2f}"
        )


def mean_spikes(spikes: dict[str, float], sizes: dict[str, int]) -> float:
    """The mean over all hidden neurons from the means of their populations."""
    total = sum(sizes[name] for name in spikes)
    return sum(spikes[name] * sizes[name] for name in spikes) / max(1, total)


def epoch_line(row: Row, epochs: int, sizes: dict[str, int], better: bool) -> str:
    """The metrics of an epoch as a line."""
    parts = [f"epoch {row['epoch']}/{epochs}"]
    metric = metric_of(row)
    for part in PARTS:
        loss, score = row[f"{part}_loss"], row[f"{part}_{metric.name}"]
        if loss is not None and score is not None:
            parts.append(f"{part} loss {loss:.4f} {metric.title} {metric.text(score)}")
    spikes = {name: float(row[f"spikes_{name}"] or 0.0) for name in sizes}
    parts.append(f"spikes {mean_spikes(spikes, sizes):.2f}")
    silent = sum(int(row[f"silent_{name}"] or 0) for name in sizes)
    if silent:
        parts.append(f"silent {silent}")
    if row.get("grown") is not None:
        parts.append(f"grown {row['grown']}")
    parts.append(f"{row['seconds']:.1f} s")
    return "  ".join(parts + ["best"] * better)
