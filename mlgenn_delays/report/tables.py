"""The numbers of runs: headline numbers, and tables that compare."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from mlgenn_delays.engines.metrics import Metric
from mlgenn_delays.report.gather import RunContent
from mlgenn_delays.report.predictions import Predictions
from mlgenn_delays.report.settings import Group
from mlgenn_delays.runs.costs import cost_numbers
from mlgenn_delays.runs.settings import ABSENT
from mlgenn_delays.runs.summary import amount, headline_numbers

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


def numbers_of(run: RunContent) -> dict[str, Any]:
    """The headline numbers of a run, with what this report has measured."""
    found = headline_numbers(run.path, run.recipe, run.history, run.network)
    if run.predictions is not None:
        spikes, sizes = run.predictions.evaluation.spikes, run.network.spiking()
        found["spikes"] = float(sum(spikes[population.name] * population.n for population in sizes))
        found |= cost_numbers(run.predictions.cost.as_dict())
    return found | {run.history.metric.name: dict(run.scores)}


def tiles(run: RunContent) -> list[dict[str, str]]:
    """The headline numbers of a run as name, value and what more there is to say."""
    found, metric = numbers_of(run), run.history.metric
    shown = [
        {"name": f"{split} {metric.title}", "value": metric.text(value), "more": _of(run, split)}
        for split, value in run.scores.items()
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
        {"name": "minutes of training", "value": amount(found["minutes"]), "more": ""},
        {
            "name": "synapses",
            "value": f"{found['synapses']:,}",
            "more": "" if share == 100 else f"{share:.3g} % of all pairs",
        },
        {
            "name": "hidden spikes per example",
            "value": amount(found["spikes"]),
            "more": f"in {measured}",
        },
        *([] if run.predictions is None else _cost(run.predictions)),
    ]


def _cost(predictions: Predictions) -> list[dict[str, str]]:
    """What an inference costs."""
    cost = predictions.cost
    share = 100 * cost.effective / cost.dense
    sizes = {"C": cost.footprint.get("c"), "C, int8": cost.footprint.get("c_int8")}
    return [
        {
            "name": "synaptic operations per example",
            "value": amount(cost.effective),
            "more": f"{share:.3g} % of the dense ones, in {predictions.split}",
        },
        *(
            {
                "name": f"bytes in {name}",
                "value": amount(size.total),
                "more": f"{amount(size.state)} of them state",
            }
            for name, size in sizes.items()
            if size is not None
        ),
    ]


def _of(run: RunContent, split: str) -> str:
    """Say how many examples a score is of, and what the baseline reaches on them."""
    known = {} if run.baseline is None else run.baseline.accuracy
    baseline = f"baseline {run.history.metric.text(known[split])}" if split in known else ""
    return ", ".join(filter(None, (_n_examples(run, split), baseline)))


def _n_examples(run: RunContent, split: str) -> str:
    if run.predictions is not None and run.predictions.split == split:
        return f"of {run.predictions.evaluation.n:,}"
    examples = run.examples(split)
    return f"of {examples:,}" if examples else ""


def _mean_score(metric: Metric, values: Sequence[float | None]) -> str:
    """Mean and sample standard deviation as text."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return metric.text(known[0] if known else None)
    mean, unit, _ = metric.text(fmean(known)).partition(" %")
    return f"{mean} ± {metric.text(stdev(known)).removesuffix(' %')}{unit}"


def _columns(runs: Sequence[RunContent]) -> list[tuple[Metric, str]]:
    """Metric and split of each column of results."""
    return list(dict.fromkeys((run.history.metric, split) for run in runs for split in run.scores))


def _score(run: RunContent, metric: Metric, split: str) -> float | None:
    return run.scores.get(split) if run.history.metric is metric else None


def groups_table(groups: Sequence[Group], runs: Sequence[RunContent], colours: int) -> Table:
    """What differs between the groups, and means over their runs."""
    numbers_of_runs, columns = [numbers_of(run) for run in runs], _columns(runs)
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
            *(Cell(_mean_score(m, [_score(runs[k], m, split) for k in group.members]))
              for m, split in columns),
            *(Cell(amount(fmean([each[key] for each in own]))) for key in
              ("best_epoch", "minutes", "synapses", "spikes")),
        ])  # fmt: skip
    header = ["group", *words, "runs", *(f"{split} {m.title}" for m, split in columns)]
    header += ["best epoch", "minutes", "synapses", "spikes"]
    caption = "Runs by what differs in their settings: means over seeds, "
    caption += "± the sample standard deviation; spikes are hidden spikes per example"
    return Table(caption, header, rows, 1 + len(words))


def runs_table(
    groups: Sequence[Group], runs: Sequence[RunContent], anchors: Sequence[str]
) -> Table:
    """All runs."""
    numbers_of_runs, columns = [numbers_of(run) for run in runs], _columns(runs)
    letter = {k: group.letter for group in groups for k in group.members}
    rows = []
    for k, (run, found) in enumerate(zip(runs, numbers_of_runs, strict=True)):
        rows.append([
            Cell(run.name, anchor=anchors[k]), Cell(letter[k]), Cell(found["recipe"]),
            Cell(str(found["seed"])),
            *(Cell(m.text(_score(run, m, split))) for m, split in columns),
            Cell(f"{found['best_epoch']} of {found['epochs']}"), Cell(amount(found["minutes"])),
            Cell(f"{found['synapses']:,}"), Cell(amount(found["spikes"])),
        ])  # fmt: skip
    header = ["run", "group", "recipe", "seed", *(f"{split} {m.title}" for m, split in columns)]
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
