"""The report of runs: gathered, rendered, written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlgenn_delays.errors import InputError
from mlgenn_delays.files import encoded, write_atomic
from mlgenn_delays.report.gather import DataOnce, ReportOptions, gather, names_of
from mlgenn_delays.report.page import render
from mlgenn_delays.report.tables import numbers_of
from mlgenn_delays.runs.run import Run

SUFFIX = ".html"
MOST_WHOLE = 4  # runs that are told with examples and analysis


@dataclass(frozen=True)
class Reported:
    """A report that was made.

    Attributes:
        path: The page.
        size: Of the file [bytes].
        runs: Headline numbers of each run, see `tables.numbers_of`.
    """

    path: Path
    size: int
    runs: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return {"report": str(self.path), "bytes": self.size, "runs": self.runs}


def check_out(path: Path) -> None:
    """Reject a page that could not be written, before the work."""
    if path.suffix.lower() != SUFFIX:
        raise InputError(f"--out must be a {SUFFIX} file, got {str(path)!r}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"--out must be a file in a folder that exists, got {str(path)!r}")


def make_report(
    paths: Sequence[Path | str],
    out: Path | str,
    wanted: ReportOptions | None = None,
    tell: Callable[[str], None] = lambda words: None,
) -> Reported:
    """Make one page of one or several runs.

    Arguments:
        paths: The run directories.
        out: The page to write, a .html file; an older one is replaced.
        wanted: What it shall hold; of more than four runs it holds no examples and no
            analysis.
        tell: Called with a few words before what takes long.

    Raises:
        InputError: A path is no run or has no finished epoch, the page cannot be written there,
            or the data cannot be used.
        WorkError: The page cannot be written.

    Example:
        >>> from mlgenn_delays.report import ReportOptions, make_report
        >>> make_report(["run"], "report.html", ReportOptions(with_data=False)).path.name
        'report.html'
    """
    out, options = Path(out), wanted or ReportOptions()
    check_out(out)
    if not paths:
        raise InputError("runs must be given, got none")
    names = names_of([Path(path) for path in paths])
    runs = [Run(path) for path in paths]
    for run in runs:  # the last one shall not be refused after all work on the others
        run.history()
    notes = []
    if len(runs) > MOST_WHOLE and options.whole:
        options = replace(options, whole=False)
        notes.append(
            f"Examples and analysis are left out, for these are more than {MOST_WHOLE} runs; "
            "make a report of fewer to see them."
        )
    data = DataOnce()
    gathered = [
        gather(run, name, options, data, tell) for run, name in zip(runs, names, strict=True)
    ]
    tell("page")
    content = encoded(render(gathered, notes))
    write_atomic(out, content)
    return Reported(out, len(content), [numbers_of(run) for run in gathered])
