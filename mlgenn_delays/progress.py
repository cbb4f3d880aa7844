"""Progress of long work: bars on a terminal or in a notebook, else lines on stderr, or nothing."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Self

from mlgenn_delays.errors import printable
from mlgenn_delays.settings import check, one_of

KINDS = ("auto", "bar", "plain", "none")
_QUIET = 5.0  # seconds between two plain lines of a meter, and before the first
_REFRESH = 0.1  # seconds between two texts of a bar; what they tell of may change more often


def check_progress(kind: object) -> None:
    """Reject a kind that is none of `KINDS`."""
    check("progress", kind, Annotated[str, one_of(*KINDS)])


class Progress:
    """Lines, with bars below them; a context, and leaving it removes the bars.

    They go to stderr, in a notebook to the output of the cell.

    Arguments:
        kind: ``"bar"``, ``"plain"`` (lines only), ``"none"``, or ``"auto"``: bars where stderr is a
            terminal and in notebooks, else lines.
        columns: Columns of a bar, from the left: "name", "bar", "count", "elapsed", "remaining",
            "text".
    """

    def __init__(
        self, kind: str = "auto", columns: Sequence[str] = ("name", "bar", "text")
    ) -> None:
        check_progress(kind)
        terminal = sys.stderr is not None and sys.stderr.isatty()
        live = terminal or in_notebook()
        self.kind = ("bar" if live else "plain") if kind == "auto" else kind
        self._bars: Any = _bars(columns) if self.kind == "bar" else None
        self._shown: dict[Any, float] = {}  # when the text of each bar was renewed

    def add(self, name: str, total: int | None, done: int = 0) -> Any:
        """Show one more bar; the other methods take what this returns."""
        if self._bars is None:
            return None
        task = self._bars.add_task(name, total=total, completed=done, text="")
        self._bars.start()
        return task

    def restart(self, task: Any, name: str) -> None:
        """Set a bar back to its start, under another name."""
        if self._bars is not None:
            self._bars.reset(task, description=name, text="")
            self._shown.pop(task, None)

    def advance(self, task: Any, n: int = 1, text: Callable[[], str] | None = None) -> None:
        """Move a bar on, and renew the text beside it every `_REFRESH` seconds."""
        if self._bars is None:
            return
        self._bars.advance(task, n)
        now = time.monotonic()
        if text is not None and now - self._shown.get(task, 0.0) >= _REFRESH:
            self._bars.update(task, text=text())
            self._shown[task] = now
        if not self._bars.live.auto_refresh:
            self._bars.refresh()

    def message(self, text: str) -> None:
        """Print a line, above the bars."""
        if self._bars is not None:
            self._bars.print(printable(text))
        elif self.kind == "plain":
            note(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bars is not None:
            self._bars.stop()


class Meter:
    """Progress of work on files: a bar on a terminal, else a line every few seconds. A context.

    Arguments:
        what: What is done, such as "downloading x".
        total: How much there is to do; None if nobody knows.
        unit: What is counted: "bytes", shown as MB, or any noun.
    """

    def __init__(self, what: str, total: int | None = None, unit: str = "bytes") -> None:
        self.what, self.total, self.unit = what, total, unit
        self.done = 0
        self._said = self._begun = time.monotonic()
        self._progress = Progress()

    def __enter__(self) -> Self:
        self._bar = self._progress.add(self.what, self.total)
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.__exit__(*error)

    def advance(self, n: int = 1) -> None:
        """Note that n more are done."""
        self.done += n
        self._progress.advance(self._bar, n, self._state)
        now = time.monotonic()
        if self._progress.kind == "plain" and now - self._said >= _QUIET:
            self._said = now
            note(f"{self.what}: {self._state()}")

    def _state(self) -> str:
        scale, noun = (1e6, "MB") if self.unit == "bytes" else (1, self.unit)
        done = f"{self.done / scale:,.0f}"
        if self.total:
            share = 100 * self.done / self.total
            return f"{done} of {self.total / scale:,.0f} {noun} ({share:.0f} %)"
        return f"{done} {noun}, {time.monotonic() - self._begun:.0f} s"


_tell: list[Callable[[], None]] = []


@contextmanager
def telling(tell: Callable[[], None]) -> Iterator[None]:
    """Call a function once if a kernel of an engine must be compiled within the context."""
    _tell.append(tell)
    try:
        yield
    finally:
        _tell.clear()


def compiling() -> None:
    """Note that a kernel of an engine must be compiled."""
    while _tell:
        _tell.pop()()


def note(text: str) -> None:
    """Print a line on stderr, if there is one; in notebooks, where it would be red, on stdout."""
    stream = sys.stdout if in_notebook() else sys.stderr
    if stream is not None:
        print(printable(text), file=stream, flush=True)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def _bars(columns: Sequence[str]) -> Any:
    from rich import progress
    from rich.console import Console

    known = {
        "name": progress.TextColumn("{task.description}", markup=False),
        "bar": progress.BarColumn(bar_width=20),
        "count": progress.MofNCompleteColumn(),
        "elapsed": progress.TimeElapsedColumn(),
        "remaining": progress.TimeRemainingColumn(),
        "text": progress.TextColumn("{task.fields[text]}", markup=False),
    }
    chosen = [known[column] for column in columns]
    if in_notebook():
        from mlgenn_delays.notebook import NotebookBars

        return NotebookBars(*chosen)
    return progress.Progress(
        *chosen,
        console=Console(stderr=True, highlight=False, markup=False),
        transient=True,
        redirect_stdout=False,
    )
