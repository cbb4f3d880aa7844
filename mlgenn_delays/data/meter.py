"""How far long work on files is, on stderr: a bar on a terminal, else a line at times."""

import sys
import time
from types import TracebackType
from typing import Any

from mlgenn_delays.errors import printable

_QUIET = 5.0  # seconds between two plain lines, and before the first
_REFRESH = 0.1  # seconds between two states of the bar


class Meter:
    """Shows progress; a context, and leaving it ends the show.

    Arguments:
        what: What is done, such as "downloading x".
        total: How much there is to do; None if nobody knows.
        unit: What is counted: "bytes", shown as MB, or any noun.
    """

    def __init__(self, what: str, total: int | None = None, unit: str = "bytes") -> None:
        self.what, self.total, self.unit = what, total, unit
        self.done = 0
        self._said = self._begun = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> "Meter":
        if sys.stderr is not None and sys.stderr.isatty():
            self._bar = _bar()
            self._task = self._bar.add_task(self.what, total=self.total, text="")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, n: int = 1) -> None:
        """Note that n more are done."""
        self.done += n
        now = time.monotonic()
        if now - self._said < (_QUIET if self._bar is None else _REFRESH):
            return
        self._said = now
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, text=self._state())
        else:
            note(f"{self.what}: {self._state()}")

    def _state(self) -> str:
        """Return how far it is, in words."""
        scale, noun = (1e6, "MB") if self.unit == "bytes" else (1, self.unit)
        done = f"{self.done / scale:,.0f}"
        if self.total:
            share = 100 * self.done / self.total
            return f"{done} of {self.total / scale:,.0f} {noun} ({share:.0f} %)"
        return f"{done} {noun}, {time.monotonic() - self._begun:.0f} s"


def note(text: str) -> None:
    """Say something on stderr."""
    if sys.stderr is not None:
        print(printable(text), file=sys.stderr, flush=True)


def _bar() -> Any:
    """Return a bar that goes when its work ends."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[text]}", markup=False),
        console=Console(stderr=True, highlight=False, markup=False),
        transient=True,
        redirect_stdout=False,
    )
