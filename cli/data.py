"""delaysnn data."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from .completion import datasets, datasets_and_recipes
from .console import CommandGroup, say, say_json
from .options import JSON, PATH


@click.group(cls=CommandGroup)
def data() -> None:
    """Get data sets and look at what is in them.

    `delaysnn data prepare` downloads or unpacks one, `delaysnn data check` finds damaged examples
    and says what there is, of your own data as well.
    """


@data.command()
@click.argument("dataset", shell_complete=datasets)
@click.argument("folder", type=PATH, metavar="DIR", required=False)
def prepare(dataset: str, folder: str | None) -> None:
    """Download or unpack DATASET into DIR; what is there already is only checked.

    For shd, ssc and fsdd. Without a network, put the packed files into DIR by hand: they are
    unpacked, and nothing is downloaded.
    """
    from mlgenn_delays.data.download.prepare import prepare_data

    from .tables import next_steps

    done = prepare_data(dataset, None if folder is None else Path(folder))
    for line in done.lines:
        say(line)
    next_steps(dataset, done.folder, check=True)


@data.command()
@click.argument("dataset", shell_complete=datasets_and_recipes)
@click.argument("folder", type=PATH, metavar="DIR", required=False)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change an option of the data set, as in [data] of a recipe: duration=800.",
)
@click.option(
    "--dt", type=float, metavar="MS", help="Length of a step.  [default: 1.0, or the recipe's]"
)
@click.option(
    "--out",
    type=PATH,
    metavar="PICTURE",
    help="Draw examples of different classes into a .png or .svg file.",
)
@click.option(
    "--baseline",
    "with_baseline",
    is_flag=True,
    help="Of recordings: say what logistic regression reaches on the same splits.",
)
@JSON
def check(
    dataset: str,
    folder: str | None,
    overrides: tuple[str, ...],
    dt: float | None,
    out: str | None,
    with_baseline: bool,
    as_json: bool,
) -> None:
    """Look at every example of DATASET in DIR: what there is, and what is damaged.

    DATASET may be a recipe that is no data set, such as words: its data are then as it takes them.

    Exit code 1 if an example or file is damaged; all of them are found, not just the first.
    """
    from mlgenn_delays.data.baseline import check_has_baseline, measure_baseline
    from mlgenn_delays.data.inspect.picture import check_picture, draw
    from mlgenn_delays.data.inspect.report import inspect
    from mlgenn_delays.errors import WorkError

    from .tables import next_steps, show_check

    if out is not None:
        check_picture(Path(out))
    name, options, step = _chosen(dataset, overrides, dt)
    if with_baseline:
        check_has_baseline(name)
    report = inspect(name, folder, options, dt=step)
    found = None
    if with_baseline and folder is not None and not report.damaged.count:
        found = measure_baseline(name, folder, options, dt=step)
    drawn = out is not None and bool(report.pictured)
    if drawn:
        draw(report, Path(str(out)))
    if as_json:
        baseline = {"baseline": None if found is None else asdict(found)}
        say_json(report.as_dict() | {"picture": out if drawn else None} | baseline)
    else:
        why = "two classes to train on, and other splits"
        why = "data without damage" if report.damaged.count else why
        none = f"none: it needs {why}" if with_baseline else ""
        show_check(report, out if drawn else None, none if found is None else str(found))
    if report.damaged.count:
        raise WorkError(
            f"{report.damaged.count:,} damaged in {folder}, as listed; replace or remove them: "
            "training stops at the first"
        )
    if not as_json:
        next_steps(dataset, folder)


def _chosen(
    name: str, overrides: tuple[str, ...], dt: float | None
) -> tuple[str, dict[str, Any], float]:
    """The data set, its options and the step that a data set or a recipe stands for."""
    from mlgenn_delays.data.registry import DATASETS
    from mlgenn_delays.recipe import load_recipe, recipe_names
    from mlgenn_delays.recipe.load import options_of

    if name in DATASETS or not (name in recipe_names() or name.endswith(".toml")):
        return name, options_of(overrides), 1.0 if dt is None else dt
    recipe = load_recipe(name, [f"data.{each.removeprefix('data.')}" for each in overrides])
    return recipe.data.dataset, recipe.data.options, recipe.network.dt if dt is None else dt
