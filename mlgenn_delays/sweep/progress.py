"""What a sweep shows while it runs, on stderr: a bar on a terminal, else plain lines."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from mlgenn_delays.errors import InputError, nearest, printable
from mlgenn_delays.sweep.points import Point
from mlgenn_delays.sweep.record import DONE, Record

KINDS = ("auto", "bar", "plain", "none")


class Progress:
    """Shows nothing but keeps count; the base of those that show something. A context.

    Arguments:
        total: Points of the sweep.
        done: Those of them that were finished before.
    """

    def __init__(self, total: int, done: int) -> None:
        self.total = total
        self.done = done
        self._before = done
        self._began = time.monotonic()

    def ended(self, point: Point, record: Record) -> None:
        """Take the end of a point."""
        self.done += 1
        self.message(f"[{self.done}/{self.total}] {point.text}: {describe(record)}{self._left()}")

    def _left(self) -> str:
        """Return the time left in words, from how quickly points ended so far."""
        left, ended = self.total - self.done, self.done - self._before
        if not left or not ended:
            return ""
        return f"  about {duration(left * (time.monotonic() - self._began) / ended)} left"

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
    """One line a point."""

    def message(self, text: str) -> None:
        """Print a line."""
        print(printable(text), file=sys.stderr, flush=True)


class BarProgress(Progress):
    """A bar under the lines of the points so far."""

    def __init__(self, total: int, done: int) -> None:
        super().__init__(total, done)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._bar: Any = RichProgress(
            TextColumn("points"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True, highlight=False, markup=False),
            transient=True,
        )
        self._task = self._bar.add_task("points", total=total, completed=done)
        self._bar.start()

    def ended(self, point: Point, record: Record) -> None:
        """Print the end of a point and advance the bar."""
        super().ended(point, record)
        self._bar.update(self._task, completed=self.done)

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(printable(text), soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def check_kind(kind: str) -> None:
    """Refuse a kind of progress that is not there.

    Raises:
        InputError: It is none of `KINDS`.
    """
    if kind not in KINDS:
        raise InputError(
            f"progress must be one of {', '.join(KINDS)}, got {kind!r}{nearest(str(kind), KINDS)}"
        )


def make_progress(kind: str, total: int, done: int) -> Progress:
    """Return what shows a sweep.

    Arguments:
        kind: Of `KINDS`; ``"auto"`` is a bar where stderr is a terminal, else plain lines.
        total: Points of the sweep.
        done: Those of them that are finished.
    """
    check_kind(kind)
    if kind == "auto":
        kind = "bar" if sys.stderr is not None and sys.stderr.isatty() else "plain"
    classes = {"bar": BarProgress, "plain": PlainProgress, "none": Progress}
    return classes[kind](total, done)


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
