"""delaysnn report."""

from typing import TYPE_CHECKING

import click

from .console import say, say_json
from .options import DATA, JSON, PATH, THREADS

if TYPE_CHECKING:
    from mlgenn_delays.report import Reported


@click.command()
@click.argument("runs", type=PATH, metavar="RUN...", nargs=-1, required=True)
@click.option("--out", type=PATH, metavar="FILE.html", required=True, help="The page to write.")
@DATA
@click.option(
    "--split",
    type=click.Choice(["validation", "test", "train"]),
    help="What confusion matrix and examples are of; validation by default, test without that.",
)
@click.option("--without-data", is_flag=True, help="Leave out all that needs the data.")
@THREADS
@JSON
def report(
    runs: tuple[str, ...],
    out: str,
    data: str | None,
    split: str | None,
    without_data: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Make one page of each RUN, a run directory; several are compared first.

    The page is one file that opens without a network: learning curves, receptive fields and
    structure, examples classified correctly and wrongly, confusion matrix, settings, environment.
    """
    from mlgenn_delays.errors import InputError
    from mlgenn_delays.report import ReportOptions, make_report

    given = {"--data": data, "--split": split}
    for name, value in given.items():
        if without_data and value is not None:
            raise InputError(f"{name} must come without --without-data, got both; leave one out")
    wanted = ReportOptions(data, split, with_data=not without_data, threads=threads)
    made = make_report(runs, out, wanted, lambda words: say(words, err=True))
    if as_json:
        say_json(made.as_dict())
        return
    _show(made)


def _show(made: "Reported") -> None:
    from mlgenn_delays.engines.metrics import METRIC_OF

    for run in made.runs:
        (metric,) = (metric for name, metric in METRIC_OF.items() if name in run)
        scores = [f"{split} {metric.text(v)}" for split, v in run[metric.name].items()]
        say(
            ", ".join([f"{run['run']}: best epoch {run['best_epoch']} of {run['epochs']}", *scores])
        )
    say(f"report: {made.path} ({made.size:,} bytes)")
