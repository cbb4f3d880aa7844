"""What a training shows while it runs, on stderr: a bar, plain lines, or nothing."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from mlgenn_delays.engines.results import BatchResult
from mlgenn_delays.errors import InputError, nearest, printable
from mlgenn_delays.runs.history import Row

KINDS = ("auto", "bar", "plain", "none")


def check_kind(kind: str) -> None:
    """Refuse a kind of progress that is not there.

    Raises:
        InputError: It is none of `KINDS`.
    """
    if kind not in KINDS:
        hint = nearest(kind, KINDS) if isinstance(kind, str) else ""
        raise InputError(f"progress must be one of {', '.join(KINDS)}, got {kind!r}{hint}")


def make_progress(kind: str, epochs: int, batches: int, sizes: dict[str, int]) -> "Progress":
    """Return what shows a training.

    Arguments:
        kind: ``"bar"``, ``"plain"`` (a line an epoch), ``"none"``, or ``"auto"``: a bar where
            stderr is a terminal, else plain.
        epochs: Epochs of the whole training.
        batches: Batches of an epoch.
        sizes: Neurons by population that spikes.

    Raises:
        InputError: The kind is unknown.
    """
    check_kind(kind)
    if kind == "auto":
        kind = "bar" if sys.stderr is not None and sys.stderr.isatty() else "plain"
    classes = {"bar": BarProgress, "plain": PlainProgress, "none": Progress}
    return classes[kind](epochs, batches, sizes)


class Progress:
    """Shows nothing; the base of those that show something. A context: leaving it ends it.

    Arguments:
        epochs: Epochs of the whole training.
        batches: Batches of an epoch.
        sizes: Neurons by population that spikes.
    """

    def __init__(self, epochs: int, batches: int, sizes: dict[str, int]) -> None:
        self.epochs = epochs
        self.batches = batches
        self.sizes = sizes

    def begin_epoch(self, epoch: int) -> None:
        """Say that an epoch begins."""

    def batch(self, result: BatchResult) -> None:
        """Take the result of a batch."""

    def end_epoch(self, row: Row, better: bool) -> None:
        """Take the metrics of an epoch and whether it is the best so far."""

    def message(self, text: str) -> None:
        """Say something."""

    def close(self) -> None:
        """End."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class PlainProgress(Progress):
    """One line an epoch."""

    def end_epoch(self, row: Row, better: bool) -> None:
        """Print the metrics of an epoch."""
        self.message(epoch_line(row, self.epochs, self.sizes, better))

    def message(self, text: str) -> None:
        """Print a line."""
        print(printable(text), file=sys.stderr, flush=True)


class BarProgress(PlainProgress):
    """A bar for the epoch and one for the whole, under the lines of the epochs so far."""

    REFRESH = 0.1  # seconds between two texts; batches may be much quicker

    def __init__(self, epochs: int, batches: int, sizes: dict[str, int]) -> None:
        super().__init__(epochs, batches, sizes)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=Console(stderr=True, highlight=False, markup=False),
            transient=True,
        )
        self._whole: Any = None
        self._epoch: Any = None
        self._running = Running(sizes)
        self._shown = 0.0

    def begin_epoch(self, epoch: int) -> None:
        """Set the bar of the epoch to its start."""
        name = f"epoch {epoch}/{self.epochs}"
        if self._whole is None:
            done, total = (epoch - 1) * self.batches, self.epochs * self.batches
            self._epoch = self._bar.add_task(name, total=self.batches, text="")
            self._whole = self._bar.add_task("training", total=total, completed=done, text="")
            self._bar.start()
        self._bar.reset(self._epoch, total=self.batches, description=name, text="")
        self._running = Running(self.sizes)
        self._shown = 0.0

    def batch(self, result: BatchResult) -> None:
        """Advance both bars and show the running means of the epoch."""
        self._running.add(result)
        self._bar.advance(self._epoch)
        self._bar.advance(self._whole)
        now = time.monotonic()
        if now - self._shown >= self.REFRESH:
            self._bar.update(self._epoch, text=self._running.text())
            self._shown = now

    def message(self, text: str) -> None:
        """Print a line above the bars."""
        self._bar.console.print(printable(text), soft_wrap=True)

    def close(self) -> None:
        """Take the bars away."""
        self._bar.stop()


class Running:
    """Means over the batches of an epoch so far.

    Arguments:
        sizes: Neurons by population that spikes.
    """

    def __init__(self, sizes: dict[str, int]) -> None:
        self.sizes = sizes
        self.n = 0
        self.loss = 0.0
        self.correct = 0
        self.spikes = 0.0

    def add(self, result: BatchResult) -> None:
        """Take in a batch."""
        self.n += result.n
        self.loss += result.loss * result.n
        self.correct += result.correct
        self.spikes += mean_spikes(result.spikes, self.sizes) * result.n

    def text(self) -> str:
        """Return the means in words."""
        n = max(1, self.n)
        return (
            f"loss {self.loss / n:.4f}  accuracy {100 * self.correct / n:.2f} %  "
            f"spikes {self.spikes / n:.2f}"
        )


def mean_spikes(spikes: dict[str, float], sizes: dict[str, int]) -> float:
    """Return the mean over all hidden neurons from the means of their populations."""
    total = sum(sizes[name] for name in spikes)
    return sum(spikes[name] * sizes[name] for name in spikes) / max(1, total)


def epoch_line(row: Row, epochs: int, sizes: dict[str, int], better: bool) -> str:
    """Return the metrics of an epoch as a line."""
    parts = [f"epoch {row['epoch']}/{epochs}"]
    for part in ("train", "validation"):
        loss, accuracy = row[f"{part}_loss"], row[f"{part}_accuracy"]
        if loss is not None and accuracy is not None:
            parts.append(f"{part} loss {loss:.4f} accuracy {100 * accuracy:.2f} %")
    spikes = {name: float(row[f"spikes_{name}"] or 0.0) for name in sizes}
    parts.append(f"spikes {mean_spikes(spikes, sizes):.2f}")
    silent = sum(int(row[f"silent_{name}"] or 0) for name in sizes)
    if silent:
        parts.append(f"silent {silent}")
    if row.get("grown") is not None:
        parts.append(f"grown {row['grown']}")
    parts.append(f"{row['seconds']:.1f} s")
    return "  ".join(parts + ["best"] * better)
