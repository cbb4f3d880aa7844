"""delaysnn sweep."""

import shlex
from typing import TYPE_CHECKING, Any

import click

from . import completion
from .console import say, say_json
from .options import DATA, JSON, PATH

if TYPE_CHECKING:
    from mlgenn_delays.sweep import Sweep


@click.command()
@click.argument("recipe", shell_complete=completion.recipes)
@click.option(
    "--out", type=PATH, metavar="DIR", required=True, help="Folder of the sweep, old or new."
)
@DATA
@click.option(
    "--grid",
    multiple=True,
    shell_complete=completion.assignments,
    metavar="KEY=A,B,C",
    help="An axis: a setting and its values.",
)
@click.option(
    "--variant",
    multiple=True,
    metavar="'NAME: KEY=A KEY=B'",
    help="Settings that belong together; the names are one axis, `variant`.",
)
@click.option(
    "--exclude",
    multiple=True,
    shell_complete=completion.assignments,
    metavar="KEY=A,KEY=B",
    help="Leave out the points that have all of these values.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Train every combination with the seeds 0..N-1.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    shell_complete=completion.assignments,
    metavar="KEY=VALUE",
    help="Change a setting of all points.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Short for --set learning.epochs=N.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Trainings at once, one thread each; as many as cores and memory fit by default.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler, whose workers train instead.")
@JSON
def sweep(as_json: bool, **options: Any) -> None:
    """Train RECIPE for every combination of a grid and for several seeds.

    The same command resumes after an interruption: finished points are not trained again. Results
    are in DIR/results.csv, the runs in DIR/points. Exits with 1 if a point failed.
    """
    from mlgenn_delays.errors import WorkError

    from .console import Interrupted

    made = _make(options)
    again = _command(options)
    try:
        rows = made.run(workers=options["workers"], scheduler=options["scheduler"], command=again)
    except KeyboardInterrupt as error:
        raise Interrupted(f"interrupted; continue with: {again}") from error
    if as_json:
        say_json(_result(made, rows))
    else:
        _show(made, rows)
    failed = [row for row in rows if row["status"] == "failed"]
    if failed:
        first = failed[0]
        raise WorkError(
            f"{len(failed)} of {len(rows)} points failed, the first is {first['point']}: "
            f"{first['reason']}"
        )


def _make(options: dict[str, Any]) -> "Sweep":
    from mlgenn_delays.sweep import Sweep
    from mlgenn_delays.sweep.grid import parse_excluded, parse_grid, parse_variants

    return Sweep(
        options["recipe"],
        options["out"],
        grid=parse_grid(options["grid"]),
        variants=parse_variants(options["variant"]),
        exclude=parse_excluded(options["exclude"]),
        seeds=options["seeds"],
        overrides=options["overrides"],
        epochs=options["epochs"],
        data=options["data"],
    )


def _command(options: dict[str, Any]) -> str:
    words = ["delaysnn", "sweep", options["recipe"], "--out", options["out"]]
    for name in ("data", "epochs", "seeds", "workers", "scheduler"):
        if options[name] is not None:
            words += [f"--{name}", str(options[name])]
    for name in ("overrides", "grid", "variant", "exclude"):
        for value in options[name]:
            words += ["--set" if name == "overrides" else f"--{name}", value]
    return shlex.join(words)


def _result(made: "Sweep", rows: list[dict[str, Any]]) -> dict[str, Any]:
    from mlgenn_delays.sweep import summarise

    states = [row["status"] for row in rows]
    return {
        "sweep": str(made.folder.path),
        "recipe": made.points[0].recipe.name,
        "axes": [axis.key for axis in made.axes],
        "points": len(rows),
        "done": states.count("done"),
        "failed": states.count("failed"),
        "results": str(made.folder.results),
        "means": summarise(rows),
        "rows": rows,
    }


def _show(made: "Sweep", rows: list[dict[str, Any]]) -> None:
    from mlgenn_delays.sweep import summarise
    from mlgenn_delays.sweep.grid import shown
    from mlgenn_delays.sweep.results import SPLITS, metric_of

    from .tables import show, table

    axes = [axis.key for axis in made.axes]
    means = summarise(rows)
    metric = metric_of(rows[0])
    columns = {name: f"{name}_{metric.name}" for name in SPLITS}
    splits = [
        name for name in SPLITS if any(row[f"{columns[name]}_mean"] is not None for row in means)
    ]
    made_of = table(*axes, *splits, "n", "failed", left=len(axes))
    for row in means:
        cells = [shown(row[axis]) for axis in axes]
        for name in splits:
            mean, sd = row[f"{columns[name]}_mean"], row[f"{columns[name]}_sd"]
            spread = "" if sd is None else f" ± {metric.text(sd).removesuffix(' %')}"
            cells.append(metric.text(mean) + spread)
        made_of.add_row(*cells, str(row["n"]), str(row["failed"] or ""))
    say(f"{made.points[0].recipe.name}: {metric.title}, mean ± standard deviation over n seeds")
    show(made_of)
    for row in rows:
        if row["status"] == "failed":
            say(f"failed: {row['point']}: {row['reason']}")
    say(f"results: {made.folder.results}")
