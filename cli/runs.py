"""delaysnn runs."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlgenn_delays.errors import InputError, nearest, printable, shorten
from mlgenn_delays.runs.columns import COLUMNS, OPERATIONS

from .console import say, say_json
from .options import JSON, RUNS

if TYPE_CHECKING:
    from rich.table import Table

    from mlgenn_delays.runs.summary import Comparison, RunSummary

# What runs are sorted and chosen by, besides their settings; as --json calls it.
_METRICS = ("accuracy", "nrmse")
_KEYS = (
    "run", "recipe", "status", *_METRICS, "epochs", "best_epoch", "synapses", "spikes", "minutes",
    *COLUMNS,
)  # fmt: skip
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(rf"\s*([\w.-]+?)\s*({'|'.join(_OPERATORS)})\s*(.*?)\s*")


@click.command()
@click.argument("folder", metavar="[DIR]", default=RUNS)
@click.option(
    "--sort",
    metavar="KEY",
    default="run",
    show_default=True,
    help=f"Sort by {', '.join(_KEYS)}, or a setting; the best accuracy comes first.",
)
@click.option("--reverse", is_flag=True, help="Sort the other way round.")
@click.option(
    "--where",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only the runs of which this holds; also with <, >, <=, >= or !=.",
)
@click.option("--compare", nargs=2, metavar="A B", help="Compare two runs instead.")
@JSON
def runs(
    folder: str,
    sort: str,
    reverse: bool,
    where: tuple[str, ...],
    compare: tuple[str, str] | None,
    as_json: bool,
) -> None:
    """List the runs in DIR and the folders in it, or compare two of them; `runs` by default.

    Accuracy (or NRMSE) is that of the best epoch on the validation split; spikes are those of all
    hidden neurons per example in the training of that epoch; operations the effective synaptic ones
    per example of that split. --json and --sort know the bytes of the network by format as well.
    Settings are those in which the runs of a recipe differ. A and B are run directories, in DIR or
    elsewhere.
    """
    if compare is not None:
        _compare(folder, compare, as_json)
        return
    from mlgenn_delays.runs.summary import differing_settings, find_runs, summarise_run

    found = [summarise_run(path) for path in find_runs(folder)] if Path(folder).is_dir() else []
    if not found:
        kind = "a file" if Path(folder).is_file() else "which does not exist"
        raise InputError(
            f"DIR must be a folder with runs, got {folder}, "
            f"{'one without any' if Path(folder).is_dir() else kind}; make a run with delaysnn "
            "train, or give another folder"
        )
    values = [_values(run) for run in found]
    conditions = [_condition(each, values) for each in where]
    if sort not in (known := _known(values)):
        raise InputError(f"--sort must be {_described(sort, known)}")
    places = [k for k, each in enumerate(values) if all(holds(each) for holds in conditions)]
    places = _sorted(places, [each.get(sort) for each in values], reverse ^ (sort == "accuracy"))
    own = differing_settings(found)
    chosen, settings = [found[place] for place in places], [own[place] for place in places]
    if as_json:
        rows = [
            run.as_dict() | {"settings": each} for run, each in zip(chosen, settings, strict=True)
        ]
        say_json({"folder": folder, "runs": rows})
        return
    if len(chosen) < len(found):
        say(f"{len(chosen)} of {len(found)} runs in {folder}")
    if chosen:
        _show(chosen, settings, folder)


def _values(run: "RunSummary") -> dict[str, Any]:
    """What a run is sorted and chosen by: its numbers, and its settings as plain data."""
    from mlgenn_delays.recipe import settings
    from mlgenn_delays.untrusted import parse_value

    known = {} if run.recipe is None else settings(run.recipe)
    row = run.as_dict()
    scores = {name: (row.get(name) or {}).get("validation") for name in _METRICS}
    return {key: parse_value(text) for key, text in known.items()} | {
        key: (row | scores)[key] for key in _KEYS
    }


def _known(values: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys([*_KEYS, *(key for each in values for key in each)]))


def _described(key: str, known: list[str]) -> str:
    return f"one of {', '.join(_KEYS)}, or a setting of a run, got {key!r}{nearest(key, known)}"


def _condition(
    text: str, values: Sequence[Mapping[str, Any]]
) -> Callable[[Mapping[str, Any]], bool]:
    """Whether what a text says holds of the values of a run."""
    from mlgenn_delays.untrusted import parse_value

    match = _CONDITION.fullmatch(text)
    if match is None:
        raise InputError(f"--where must be KEY=VALUE, such as accuracy>0.9, got {text!r}")
    key, sign, wanted = match[1], match[2], parse_value(match[3])
    if key not in (known := _known(values)):
        raise InputError(f"KEY of --where must be {_described(key, known)}")
    if key == "accuracy" and isinstance(wanted, (int, float)) and wanted > 1:
        raise InputError(f"accuracy of --where must be at most 1, got {wanted:g}; 0.9 is 90 %")

    def holds(run: Mapping[str, Any]) -> bool:
        value = run.get(key)
        if value is None:
            return sign == "!="
        try:
            return _OPERATORS[sign](value, wanted)
        except TypeError:  # of two kinds, none is larger
            return False

    return holds


def _sorted(places: Sequence[int], keys: Sequence[Any], reverse: bool) -> list[int]:
    """Places in the order of their keys, numbers first; those without a key come last."""
    known = [k for k in places if keys[k] is not None]

    def rank(place: int) -> tuple[bool, Any]:
        key = keys[place]
        number = isinstance(key, (int, float))
        return not number, key if number else str(key)

    return [*sorted(known, key=rank, reverse=reverse), *(k for k in places if keys[k] is None)]


def _compare(folder: str, names: tuple[str, str], as_json: bool) -> None:
    from mlgenn_delays.runs.summary import compare_runs

    first, second = (
        inside if (inside := Path(folder, name)).exists() and not Path(name).exists() else name
        for name in names
    )
    found = compare_runs(first, second)
    if as_json:
        say_json(found.as_dict())
        return
    _show_comparison(found)


_MOST_SETTINGS = 4  # of a run, in the table
_MOST_TOLD = 10  # runs with something to be said of


def _show(chosen: Sequence["RunSummary"], settings: Sequence[dict[str, str]], folder: str) -> None:
    """Print the table: numbers of each run, and below its name what tells it from the others."""
    from rich.padding import Padding

    from .tables import console, table

    names = [_name(run.path, folder) for run in chosen]
    recipes = {run.recipe.name for run in chosen if run.recipe is not None}
    shown = _folding(table("run", "validation", "synapses", "spikes", OPERATIONS, "time"), 1)
    for run, name, own in zip(chosen, names, settings, strict=True):
        shown.add_row(
            name,
            _score(run),
            _number(run, "synapses"),
            _number(run, "spikes"),
            _number(run, OPERATIONS),
            _time(run),
        )
        if below := _below(run, own, several=len(recipes) > 1):
            shown.add_row(Padding(printable(below), (0, 0, 0, 2)), style="dim")
    if len(recipes) == 1:
        say(f"recipe {min(recipes)}")
    console().print(shown)
    _tell(chosen, names)


def _folding(table: "Table", columns: int) -> "Table":
    """Let the first columns of a table be as narrow as the others need them to be."""
    for column in table.columns[:columns]:
        column.no_wrap, column.overflow = False, "fold"
    return table


def _below(run: "RunSummary", own: Mapping[str, str], *, several: bool) -> str:
    """What tells a run from the others: its state, recipe and settings, where they are needed."""
    parts = [run.state] if run.state else []
    if several and run.recipe is not None and not run.path.name.startswith(f"{run.recipe.name}-"):
        parts.append(run.recipe.name)
    return "; ".join([*parts, *([", ".join(_settings(own))] if own else [])])


def _tell(chosen: Sequence["RunSummary"], names: Sequence[str]) -> None:
    """Print why runs failed or are damaged, and how one that was interrupted is resumed."""
    told = [
        f"{run.status}: {name}: {run.remark}"
        for run, name in zip(chosen, names, strict=True)
        if run.remark
    ]
    for line in told[:_MOST_TOLD]:
        say(line)
    if len(told) > _MOST_TOLD:
        say(f"and {len(told) - _MOST_TOLD} more, see --json")


def _name(path: Path, folder: str) -> str:
    inside = path.is_relative_to(folder) and path != Path(folder)
    return str(path.relative_to(folder) if inside else path)


def _settings(own: Mapping[str, str]) -> list[str]:
    from mlgenn_delays.runs.settings import in_words

    words = [shorten(in_words(key, value), 60) for key, value in own.items()]
    more = len(words) - _MOST_SETTINGS
    return words if more <= 0 else [*words[:_MOST_SETTINGS], f"and {more} more"]


def _score(run: "RunSummary") -> str:
    metric = run.history.metric
    value = run.history.score() if len(run.history) else None
    text = metric.text(value)
    return text if metric.higher or value is None else f"{metric.title} {text}"


def _number(run: "RunSummary", key: str) -> str:
    from mlgenn_delays.runs.summary import amount

    value = run.numbers.get(key)
    return "-" if value is None else amount(value)


def _time(run: "RunSummary") -> str:
    from mlgenn_delays.sweep.results import duration

    return duration(60 * run.numbers["minutes"]) if run.numbers else "-"


_MOST_EPOCHS = 8  # of a comparison, in its table


def _show_comparison(found: "Comparison") -> None:
    from .tables import console, table

    out, pair = console(), found.runs
    for letter, run in zip("AB", pair, strict=True):
        say(f"{letter}: {run.path}")
    results = _folding(table("", "A", "B"), 3)
    for name, cell in {
        "recipe": lambda run: run.recipe.name,
        "status": lambda run: run.state or run.status,
        "best epoch": lambda run: _number(run, "best_epoch"),
        "validation": _score,
        "synapses": lambda run: _number(run, "synapses"),
        "spikes per example": lambda run: _number(run, "spikes"),
        "operations per example": lambda run: _number(run, OPERATIONS),
        "bytes in C": lambda run: _number(run, "bytes_c"),
        "time": _time,
    }.items():
        results.add_row(name, *map(cell, pair))
    out.print(results)
    for what, differing in (("settings", found.settings), ("made with", found.environment)):
        if not differing:
            say(f"{what}: the same")
            continue
        shown = _folding(table(what, "A", "B", left=3), 3)
        for key, values in differing.items():
            shown.add_row(key, *values)
        out.print(shown)
    for split, changes in found.data.items():
        known = f"B has {changes}" if changes else "the same"
        say(f"data, {split}: {'not known of both' if changes is None else known}")
    _show_epochs(pair)


def _show_epochs(pair: Sequence["RunSummary"]) -> None:
    """Print the course of validation at a few epochs, the last one of each run among them."""
    from .tables import console, table

    longest = max(len(run.history) for run in pair)
    if not longest:
        return
    step = -(-longest // _MOST_EPOCHS)
    epochs = {*range(step, longest + 1, step), *(len(run.history) for run in pair)} - {0}
    shown = table("epoch", "A", "B", left=0)
    for epoch in sorted(epochs):
        cells = []
        for run in pair:
            metric = run.history.metric
            rows = run.history.rows[epoch - 1 : epoch]
            cells.append(metric.text(rows[0][f"validation_{metric.name}"] if rows else None))
        shown.add_row(str(epoch), *cells)
    say("validation after an epoch:")
    console().print(shown)
