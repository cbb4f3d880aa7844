"""The numbers of runs: headline numbers, and tables that compare."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from mlgenn_delays.report.gather import RunContent
from mlgenn_delays.report.settings import ABSENT, Group

_FEW = 4  # settings that are columns of the table of groups


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    anchor: str = ""  # where it leads, or empty
    swatch: int | None = None  # number of a colour before it, or None


@dataclass(frozen=True)
class Table:
    """A table."""

    caption: str
    header: list[str]  # name of each column
    rows: list[list[Cell]]
    texts: int  # how many columns are text, the rest being numbers


def headline_numbers(run: RunContent) -> dict[str, Any]:
    """The headline numbers of a run, ready for JSON; None for what was not measured."""
    history = run.history
    spikes = _spikes(run)
    return {
        "run": str(run.path),
        "recipe": run.recipe.name,
        "seed": run.recipe.seed,
        "epochs": len(history),
        "best_epoch": history.best_epoch,
        "minutes": sum(float(v or 0.0) for v in history.column("seconds")) / 60,
        "synapses": run.network.n_synapses(),
        "spikes": spikes,
        "accuracy": dict(run.accuracy),
    }


def _spikes(run: RunContent) -> float:
    """The hidden spikes per example: of the predictions, or in the best epoch's training."""
    sizes = {population.name: population.n for population in run.network.spiking()}
    if run.predictions is not None:
        means: dict[str, Any] = run.predictions.evaluation.spikes
    else:
        means = {name: run.history.best.get(f"spikes_{name}") or 0.0 for name in sizes}
    return float(sum(means[name] * n for name, n in sizes.items()))


def tiles(run: RunContent) -> list[dict[str, str]]:
    """The headline numbers of a run as name, value and what more there is to say."""
    found = headline_numbers(run)
    shown = [
        {"name": f"{split} accuracy", "value": percent(value), "more": _of(run, split)}
        for split, value in found["accuracy"].items()
    ]
    dense = sum(
        run.network.populations[p.source].n * run.network.populations[p.target].n
        for p in run.network.projections.values()
    )
    share = 100 * found["synapses"] / dense
    measured = "training" if run.predictions is None else run.predictions.split
    return [
        *shown,
        {"name": "best epoch", "value": str(found["best_epoch"]), "more": f"of {found['epochs']}"},
        {"name": "minutes of training", "value": _amount(found["minutes"]), "more": ""},
        {
            "name": "synapses",
            "value": f"{found['synapses']:,}",
            "more": "" if share == 100 else f"{share:.3g} % of all pairs",
        },
        {
            "name": "hidden spikes per example",
            "value": _amount(found["spikes"]),
            "more": f"in {measured}",
        },
    ]


def _of(run: RunContent, split: str) -> str:
    if run.predictions is not None and run.predictions.split == split:
        return f"of {run.predictions.evaluation.n:,}"
    examples = (run.environment.get("task") or {}).get("examples") or {}
    return f"of {examples[split]:,}" if examples.get(split) else ""


def percent(value: float | None) -> str:
    """A share as text."""
    return "-" if value is None else f"{100 * value:.2f} %"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _mean(values: Sequence[float | None], unit: str = "") -> str:
    """Mean and sample standard deviation as text."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    if unit:
        text = f"{100 * fmean(known):.2f}"
        return f"{text} ± {100 * stdev(known):.2f} %" if len(known) > 1 else f"{text} %"
    return _amount(fmean(known))


def _splits(numbers_of_runs: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(split for each in numbers_of_runs for split in each["accuracy"]))


def groups_table(groups: Sequence[Group], runs: Sequence[RunContent], colours: int) -> Table:
    """What differs between the groups, and means over their runs."""
    numbers_of_runs = [headline_numbers(run) for run in runs]
    splits = _splits(numbers_of_runs)
    keys = list(groups[0].values)
    keys = keys if len(keys) <= _FEW else []
    words = keys or (["what differs"] if len(groups) > 1 else [])
    rows = []
    for number, group in enumerate(groups):
        own = [numbers_of_runs[k] for k in group.members]
        told = [group.values[key].strip('"') for key in keys] or ([group.title] if words else [])
        rows.append([
            Cell(group.letter, swatch=number % 7 if number < colours else None),
            *(Cell(text) for text in told),
            Cell(str(len(own))),
            *(Cell(_mean([each["accuracy"].get(split) for each in own], "%")) for split in splits),
            *(Cell(_mean([each[key] for each in own])) for key in
              ("best_epoch", "minutes", "synapses", "spikes")),
        ])  # fmt: skip
    header = ["group", *words, "runs", *(f"{split} accuracy" for split in splits)]
    header += ["best epoch", "minutes", "synapses", "spikes"]
    caption = "Runs by what differs in their settings: means over seeds, "
    caption += "± the sample standard deviation; spikes are hidden spikes per example"
    return Table(caption, header, rows, 1 + len(words))


def runs_table(
    groups: Sequence[Group], runs: Sequence[RunContent], anchors: Sequence[str]
) -> Table:
    """All runs."""
    numbers_of_runs = [headline_numbers(run) for run in runs]
    splits = _splits(numbers_of_runs)
    letter = {k: group.letter for group in groups for k in group.members}
    rows = []
    for k, (run, found) in enumerate(zip(runs, numbers_of_runs, strict=True)):
        rows.append([
            Cell(run.name, anchor=anchors[k]), Cell(letter[k]), Cell(found["recipe"]),
            Cell(str(found["seed"])),
            *(Cell(percent(found["accuracy"].get(split))) for split in splits),
            Cell(f"{found['best_epoch']} of {found['epochs']}"), Cell(_amount(found["minutes"])),
            Cell(f"{found['synapses']:,}"), Cell(_amount(found["spikes"])),
        ])  # fmt: skip
    header = ["run", "group", "recipe", "seed", *(f"{split} accuracy" for split in splits)]
    header += ["best epoch", "minutes", "synapses", "spikes"]
    return Table("Every run; its name leads to its own part", header, rows, 3)


def settings_table(groups: Sequence[Group]) -> Table | None:
    """What differs between groups, None if the table of groups has it."""
    keys = list(groups[0].values)
    if len(keys) <= _FEW:
        return None
    rows = [[Cell(key), *(Cell(group.values.get(key, ABSENT)) for group in groups)] for key in keys]
    header = ["setting", *(group.letter for group in groups)]
    return Table("Settings that differ between the groups", header, rows, len(header))
