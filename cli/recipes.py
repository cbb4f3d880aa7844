"""delaysnn recipes."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import completion
from .console import say
from .options import PATH

if TYPE_CHECKING:
    from mlgenn_delays.network import Network
    from mlgenn_delays.recipe import Recipe


@click.command()
@click.argument("name", required=False, shell_complete=completion.recipes)
@click.option(
    "--out", type=PATH, metavar="FILE.toml", help="Write the recipe to a new file, to edit it."
)
@click.option(
    "--explain",
    shell_complete=completion.keys,
    metavar="KEY",
    help="Say what a key, or a table, of recipes means and may be.",
)
def recipes(name: str | None, out: str | None, explain: str | None) -> None:
    """List the recipes; with NAME (or a TOML file) show all its settings.

    They are TOML with what each key may be, in its unit, behind it; stdout holds nothing else.
    """
    if explain is not None:
        _explain(explain)
        return
    from mlgenn_delays.recipe import load_recipe, recipe_names

    from .tables import show_recipes

    if out is not None:
        _write(name, Path(out))
        return
    if name is not None:
        _show(load_recipe(name))
        return
    rows = []
    for each in recipe_names():
        recipe = load_recipe(each)
        rows.append((each, recipe.summary, *_expected(recipe)))
    show_recipes(rows)
    say("train one:    delaysnn train RECIPE")
    say("look at one:  delaysnn recipes RECIPE")
    say("make another: delaysnn recipes RECIPE --out FILE.toml")


def _write(name: str | None, path: Path) -> None:
    """Write a recipe to a new file, without what was measured: that of the copy is another."""
    from mlgenn_delays.data.registry import dataset
    from mlgenn_delays.errors import InputError
    from mlgenn_delays.files import write_atomic
    from mlgenn_delays.recipe import commented, load_recipe
    from mlgenn_delays.recipe.sections import Expected

    if name is None:
        raise InputError(
            f"--out must come with the recipe to write, got {str(path)!r} alone; "
            "delaysnn recipes lists them"
        )
    text = commented(load_recipe(name).model_copy(update={"expected": Expected()}))
    if path.suffix != ".toml" or path.exists() or not path.absolute().parent.is_dir():
        raise InputError(
            f"--out must be a new .toml file in a folder that exists, got {str(path)!r}"
            f"{', which is there already' if path.exists() else ''}; choose another name"
        )
    write_atomic(path, text)
    say(f"recipe: {path}")
    data = " --data DIR" if dataset(load_recipe(path).data.dataset).needs_folder else ""
    say(f"next:   delaysnn train {shlex.quote(str(path))}{data}")


def _explain(key: str) -> None:
    from mlgenn_delays.recipe.explain import explain

    for number, each in enumerate(explain(key)):
        if number:
            say("")
        given = each.default in ("required", "optional")
        say(f"{each.name}: {each.default if given else f'default {each.default}'}; {each.range}")
        say(f"    {each.meaning}")


def _expected(recipe: "Recipe") -> tuple[str, str]:
    expected = recipe.expected
    accuracy = _measured(recipe) or "-"
    if expected.accuracy is not None and not expected.metric.endswith("accuracy"):
        accuracy += f" {expected.metric}"
    if expected.nrmse is not None:
        accuracy += " NRMSE"
    minutes = "-" if expected.minutes is None else f"{expected.minutes:g}"
    return accuracy, minutes


def _measured(recipe: "Recipe") -> str:
    """What was measured with a recipe, empty if nothing was."""
    expected = recipe.expected
    if expected.nrmse is not None:
        return f"{expected.nrmse:.4f}"
    return "" if expected.accuracy is None else f"{100 * expected.accuracy:.2f} %"


def _show(recipe: "Recipe") -> None:
    """Print a recipe on stdout, and on stderr what follows from it."""
    from mlgenn_delays.recipe import commented, data_shape

    for line in commented(recipe).splitlines():
        say(line)
    say("", err=True)
    shape = data_shape(recipe)
    if shape is None:
        _show_without_data(recipe)
    else:
        _show_counts(recipe, *shape)
    _show_expected(recipe)


def _show_without_data(recipe: "Recipe") -> None:
    """Print what is known of a network whose input and output only the data know."""
    say(
        "synapses depend on the data: their files say how many input channels and classes there "
        "are",
        err=True,
    )
    known = recipe.network.counts(None, None)
    if known:
        say(f"known: {', '.join(f'{name} {n}' for name, n in known.items())}", err=True)


def _show_counts(recipe: "Recipe", channels: int, classes: int) -> None:
    from mlgenn_delays.engines.metrics import NRMSE, metric_of_kind
    from mlgenn_delays.recipe import build_network

    from .tables import show_synapses

    network = build_network(recipe, channels, classes, recipe.seed)
    show_synapses(recipe, network)
    series = metric_of_kind(recipe.loss.kind) is NRMSE
    what = "series" if series else "classes"
    say(f"{channels} input channels, {classes} {what}; delays counts those learned", err=True)
    _show_cost(recipe, network, series=series)
    normalised = [p for p in network.populations.values() if p.normalisation is not None]
    if normalised:
        names = ", ".join(f"{p.n} neurons of {p.name}" for p in normalised)
        say(f"normalised, with a gain and an offset each: {names}", err=True)


def _show_cost(recipe: "Recipe", network: "Network", *, series: bool) -> None:
    """Print what is known before a training of what the network costs, on stderr."""
    from mlgenn_delays.cost.footprint import footprint
    from mlgenn_delays.data.fields import count_steps
    from mlgenn_delays.export.artifact import About, Artifact

    pairs = sum(
        network.populations[p.source].n * network.populations[p.target].n
        for p in network.projections.values()
    )
    sparsity = 100 * (1 - network.n_synapses() / pairs)
    say(
        f"cost: {pairs:,} dense synaptic operations per step, connections {sparsity:.1f} % sparse",
        err=True,
    )
    duration = getattr(recipe.data.parsed, "duration", 0.0)
    if duration:
        steps = count_steps(duration, network.dt)
        labels = tuple(map(str, range(network.output().n)))
        about = About(n_steps=steps, labels=labels, series=series)
        sizes = footprint(Artifact.of(network, about)).items()
        told = ", ".join(f"{name} {size.total:,}" for name, size in sizes)
        say(f"bytes with its initial weights and delays: {told}", err=True)


def _show_expected(recipe: "Recipe") -> None:
    expected = recipe.expected
    if expected.published is not None:
        say(f"published: {expected.published}", err=True)
    measured = _measured(recipe)
    if not measured:
        say("expected: not measured yet", err=True)
        return
    parts = [f"expected: {expected.metric} {measured}"]
    if expected.seeds is not None:
        parts.append(f"mean of {expected.seeds} seeds" if expected.seeds > 1 else "one seed")
    if expected.minutes is not None:
        parts.append(f"{expected.minutes:g} min")
    if expected.machine is not None:
        parts.append(f"on {expected.machine}")
    say(", ".join(parts), err=True)
