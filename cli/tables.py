"""Results, data sets and analyses as tables on stdout."""

import shlex
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from mlgenn_delays.errors import printable

from .console import say, say_prose

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mlgenn_delays.data.inspect.report import Found, Report
    from mlgenn_delays.network import Network
    from mlgenn_delays.recipe import Recipe

# Pairs of classes that are told where a confusion matrix does not fit.
MOST_PAIRS = 10
NUMBERED = "label (row) and prediction (column)"
# Columns where stdout is a file or a pipe.
FILE_WIDTH = 160


def console(*, err: bool = False) -> "Console":
    """The console of results: stdout (or stderr), with nothing rewritten in what is printed."""
    from rich.console import Console

    found = Console(stderr=err, highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        found.width = FILE_WIDTH
    return found


def table(*columns: str, left: int = 1) -> "Table":
    """An empty table; all but so many columns on the left are numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    class Printable(Table):
        """A table that shows escapes for what a terminal would act on."""

        def add_row(self, *cells: Any, **options: Any) -> None:
            ready = (c if hasattr(c, "__rich_console__") else printable(str(c)) for c in cells)
            super().add_row(*ready, **options)

    table = Printable(box=SIMPLE_HEAD)
    for number, name in enumerate(columns):
        justify: Any = "left" if number < left else "right"
        table.add_column(printable(name), justify=justify, no_wrap=True)
    return table


def width_of(table: "Table", out: "Console") -> int:
    """How many columns a table takes if nothing of it is cut."""
    return out.measure(table, options=out.options.update(width=10_000)).maximum


def show(table: "Table", *, err: bool = False) -> None:
    """Print a table, its columns closer together where it is too wide otherwise."""
    out = console(err=err)
    if width_of(table, out) > out.width:
        _move_together(table)
    out.print(table)


def _move_together(table: "Table") -> None:
    table.box, table.padding = None, (0, 1, 0, 0)


def _splits(splits: dict[str, dict[str, Any]]) -> "Table":
    from mlgenn_delays.engines.metrics import METRIC_OF

    first = next(iter(splits.values()))
    (metric,) = (metric for name, metric in METRIC_OF.items() if name in first)
    shown = table("split", metric.title, "loss", "examples")
    for name, row in splits.items():
        shown.add_row(name, metric.text(row[metric.name]), f"{row['loss']:.4f}", str(row["n"]))
    return shown


def show_training(result: dict[str, Any]) -> None:
    """Print what a training reached, where it is, and what to do next."""
    from mlgenn_delays.runs.files import RESULTS

    best = result["best_epoch"]
    say(f"{result['recipe']}: best epoch {best} of {result['epochs']}")
    if result["splits"]:
        show(_splits(result["splits"]))
    _say_baseline(result["baseline"])
    say(f"run:  {result['run']}")
    say(f"plot: {Path(result['run']) / RESULTS}")
    split = next((f" --split {name}" for name in result["splits"]), " --split train")
    option = "" if "test" in result["splits"] else split
    say(f"next: delaysnn evaluate {shlex.quote(result['run'])}{option}")


def _say_baseline(baseline: dict[str, Any] | None) -> None:
    if baseline is not None:
        from mlgenn_delays.data.baseline import Baseline

        say_prose(f"baseline: {Baseline(**baseline)}")


def show_evaluation(result: dict[str, Any], names: tuple[str, ...], run: Path) -> None:
    """Print what a network reached and which classes it takes for which."""
    out = console()
    kind = result.get("quantised")
    say(f"{run}, {result['checkpoint']} checkpoint{f', weights quantised to {kind}' * bool(kind)}")
    rows = dict(result["splits"])
    if result["split"] == "all":
        rows["all"] = result
    show(_splits(rows))
    _say_baseline(result["baseline"])
    if "cost" in result:
        from .cost import show_cost

        show_cost(result["cost"])
    if "confusion" not in result:
        return
    counts = result["confusion"]
    labels = [names[k] if k < len(names) else str(k) for k in range(len(counts))]
    numbered = _numbered_confusion(labels, counts)
    for title, shown in (("", _confusion(labels, counts)), (NUMBERED, numbered)):
        if width_of(shown, out) <= out.width:
            if title:
                say(title)
            out.print(shown)
            return
    say(f"confusion matrix of {len(labels)} classes: in a wider terminal, or with --json")
    pairs = _confused(labels, counts)
    if pairs.row_count:
        say("most frequent mistakes:")
        show(pairs)


def _confusion(labels: list[str], counts: list[list[int]]) -> "Table":
    """The confusion matrix, a column per class under its name."""
    shown = table("label \\ prediction", *labels)
    for label, row in zip(labels, counts, strict=True):
        shown.add_row(label, *(str(count) if count else "." for count in row))
    return shown


def _numbered_confusion(labels: list[str], counts: list[list[int]]) -> "Table":
    """The same in less space: columns under the numbers of their classes, close together."""
    shown = table("", "label", *map(str, range(len(labels))), left=2)
    _move_together(shown)
    shown.columns[0].justify = "right"
    widest = max(len(str(n)) for n in (len(labels) - 1, *(n for row in counts for n in row)))
    for column in shown.columns[2:]:
        column.min_width = widest
    for number, (label, row) in enumerate(zip(labels, counts, strict=True)):
        shown.add_row(str(number), label, *(str(count) if count else "." for count in row))
    return shown


def _confused(labels: list[str], counts: list[list[int]]) -> "Table":
    """The pairs of classes that are taken for each other most often."""
    shown = table("label", "prediction", "examples", "of the label", left=2)
    wrong = [(count, k, j) for k, row in enumerate(counts) for j, count in enumerate(row) if j != k]
    for count, k, j in sorted(wrong, key=lambda each: -each[0])[:MOST_PAIRS]:
        if count:
            share = f"{100 * count / sum(counts[k]):.1f} %"
            shown.add_row(labels[k], labels[j], str(count), share)
    return shown


def show_recipes(rows: list[tuple[str, str, str, str]]) -> None:
    """Print the recipes: name, what they are, expected accuracy and minutes."""
    out = console()
    shown = table("recipe", "expected", "minutes", "summary")
    shown.collapse_padding = True  # leaves the summary more room
    shown.columns[1].no_wrap, shown.columns[1].max_width = False, max(14, out.width // 5)
    shown.columns[3].justify, shown.columns[3].no_wrap = "left", False
    for name, summary, accuracy, minutes in rows:
        shown.add_row(name, accuracy, minutes, summary)
    out.print(shown)


def learned_delays(recipe: "Recipe", network: "Network") -> dict[str, int]:
    """How many delays of a network are learned, by projection."""
    learned = recipe.delays.learn
    return {
        name: each.n_delays() if learned and each.learns_delay else 0
        for name, each in network.projections.items()
    }


def show_synapses(recipe: "Recipe", network: "Network") -> None:
    """Print synapses and learned delays by projection, and their sums, on stderr."""
    delays = learned_delays(recipe, network)
    synapses = {name: each.n_synapses for name, each in network.projections.items()}
    shown = table("projection", "synapses", "delays")
    for name in network.projections:
        shown.add_row(name, str(synapses[name]), str(delays[name]))
    shown.add_row("all", str(sum(synapses.values())), str(sum(delays.values())))
    show(shown, err=True)


def show_analysis(found: dict[str, Any], figures: int, folder: Path) -> None:
    """Print the main findings, and where the others are."""
    epoch = "" if found["epoch"] is None else f", epoch {found['epoch']}"
    say(f"{found['run']}, {found['checkpoint']} checkpoint{epoch}")
    for name, projection in found["projections"].items():
        say("")
        for line in _synapses(name, projection):
            say(line)
        _show_grouping(projection)
        _show_clusters(projection)
        _show_lives(projection)
    if found["activity"] is not None:
        say("")
        _show_activity(found["activity"])
    say(f"{figures} figures, their captions and all numbers: {folder}")


def _synapses(name: str, projection: dict[str, Any]) -> list[str]:
    after, moved = projection["after"], projection["moved"]
    lines = [f"{name}: {after['synapses']} synapses"]
    if moved is not None and moved["synapses"]:
        far = moved["distance_ms"]["mean"]
        lines[0] += f", {moved['synapses']} of them from the start"
        lines.append(
            f"  their delays moved by {far:.1f} ms in the mean, "
            f"{100 * moved['turned_sign']:.1f} % changed sign"
        )
    return lines


def _show_grouping(projection: dict[str, Any]) -> None:
    shown = table("near in", "", "pairs", "equal", "chance", "z", "p", "I")
    shown.pad_edge = False  # for 80 columns
    for stage in ("before", "after"):
        found = projection[stage]
        for kind, each in (found["grouping"] if found else {}).items():
            if not isinstance(each, dict) or not each["pairs"]:
                continue
            same, moran = each["same_sign"], each["moran"]
            if same["observed"] is None or same["expected"] is None:
                continue
            shown.add_row(
                kind, stage, str(each["pairs"]), f"{100 * same['observed']:.1f} %",
                f"{100 * same['expected']:.1f} %", f"{same['z']:.1f}", f"{same['p']:.3g}",
                f"{moran['observed']:.3f}",
            )  # fmt: skip
    if shown.row_count:
        say("  near pairs: share with equal signs, the same by chance, Moran's I of their weights:")
        show(shown)


def _show_clusters(projection: dict[str, Any]) -> None:
    found = projection["after"]["clusters"]
    mean, largest = found["mean_size"], found["largest"]
    if mean["expected"] is not None:
        say(
            f"  clusters: mean size {mean['observed']:.2f} (chance {mean['expected']:.2f}, "
            f"p = {mean['p']:.3g}), largest {largest['observed']:.0f}"
        )


def _show_lives(projection: dict[str, Any]) -> None:
    lives = projection["lifetimes"]
    if lives is None:
        return
    median = lives["start"]["median_epochs"]
    half = "more than half live to the end" if median is None else f"half live {median:g} epochs"
    left = 100 * lives["shared_with_start"][-1]
    say(f"  of the start's synapses {half}, {left:.0f} % are left; {lives['grown']} grown")


def _show_activity(found: dict[str, Any]) -> None:
    classes = found["classes"] is not None
    share = f"{100 * found['accuracy']:.2f} % of " if classes else ""
    say(f"{found['split']}: {share}{found['examples']} examples")
    tuned = ["median selectivity"] if classes else []
    shown = table("population", "mean rate", "silent", *tuned)
    for name, each in found["populations"].items():
        known = [s for s in each["neurons"]["selectivity"] or () if s is not None]
        middle = [f"{median(known):.2f}" if known else "-"] if classes else []
        shown.add_row(name, f"{each['rate_hz']['mean']:.1f} Hz", str(each["silent"]), *middle)
    show(shown)


# More classes are in --json only.
MOST_LABELS = 40


def show_check(report: "Report", picture: str | None, baseline: str = "") -> None:
    """Print what was found."""
    where = f" in {report.folder}" if report.folder is not None else ""
    _line(
        "",
        f"{report.dataset}{where}: {report.examples:,} examples, {_targets(report)}, "
        f"{report.channels} channels of {report.encoding}, trials of {report.trial_ms:g} ms, "
        f"dt {report.dt:g} ms",
    )
    if report.examples:
        show(_counts(report))
        _line("durations", _durations(report))
        if report.lost:
            _line("lost", report.lost)
        told = _spikes if report.encoding == "spikes" else _currents
        for name, text in told(report.activity):
            _line(name, text)
    for warning in report.warnings:
        _line("warning", warning)
    for note in report.notes:
        _line("note", note)
    _things("empty", report.empty, "{split} {name}")
    _duplicates(report)
    _things("damaged", report.damaged, "{split} {name}: {reason}")
    if baseline:
        _line("baseline", baseline)
    if picture is not None:
        _line("picture", picture)


def _targets(report: "Report") -> str:
    if not report.series:
        return f"{len(report.classes)} classes"
    names = report.series[:MOST_LABELS]
    more = f" and {len(report.series) - len(names)} more" * (len(report.series) > len(names))
    return f"target series {', '.join(names)}{more}"


def next_steps(dataset: str, folder: Path | str | None, *, check: bool = False) -> None:
    """Print the commands that come next: a check if asked for, and a training."""
    from mlgenn_delays.recipe import load_recipe, recipe_names

    where = "" if folder is None else f" {shlex.quote(str(folder))}"
    commands = [f"delaysnn data check {dataset}{where}"] if check else []
    known = recipe_names()
    recipes = [dataset] if dataset in known or dataset.endswith(".toml") else []
    if not recipes and not check:  # one that takes the data set
        recipes = [each for each in known if load_recipe(each).data.dataset == dataset]
    for recipe in recipes:
        commands.append(f"delaysnn train {shlex.quote(recipe)}{where and ' --data' + where}")
    for command in commands:
        say(f"next: {command}")


def _line(name: str, text: str) -> None:
    say_prose(f"{name:<11} {text}" if name else text, indent=12)


def _duplicates(report: "Report") -> None:
    """Print which examples are there twice, if that was looked for."""
    leaks, repeats = report.leaks, report.repeats
    if not report.compares:
        return
    if leaks.count:
        _line("duplicates", f"warning: {leaks.count:,} also in another split:")
        _listed(leaks, "{split} {name} is {same_as[0]} {same_as[1]}")
    if repeats:
        _line("duplicates", f"{repeats:,} within a split")
    if not leaks.count and not repeats:
        _line("duplicates", "none")


def _things(name: str, found: "Found", form: str) -> None:
    _line(name, f"{found.count:,}" if found.count else "none")
    _listed(found, form)


def _listed(found: "Found", form: str) -> None:
    for each in found.listed:
        say("  " + " ".join(form.format(**each).split()))
    more = found.count - len(found.listed)
    if more:
        say(f"  and {more:,} more")


def _counts(report: "Report") -> Any:
    names = list(report.splits)
    head = "" if report.series else "class"
    counted = table(head, *(name or "-" for name in names), "all")
    labels = [] if report.series else sorted(report.classes)
    for label in labels if len(labels) <= MOST_LABELS else []:
        row = [report.splits[name].get(label, 0) for name in names]
        counted.add_row(report.classes[label], *map(str, [*row, sum(row)]))
    if len(labels) > MOST_LABELS:
        counted.add_row(f"{len(labels)} classes: see --json", *[""] * (len(names) + 1))
    sums = [sum(report.splits[name].values()) for name in names]
    last = "examples" if report.series else "all"
    counted.add_row(last, *map(str, [*sums, sum(sums)]))
    return counted


def _range(spread: dict[str, float], digits: int = 0) -> str:
    low, middle, high = (f"{spread[name]:,.{digits}f}" for name in ("min", "median", "max"))
    return f"{low} to {high}, median {middle}"


def _durations(report: "Report") -> str:
    if not report.durations:
        return f"unknown (events carry no end); trials are {report.trial_ms:g} ms"
    share = report.durations["cut"]
    part = f"{100 * share:.1f} %" if share >= 0.001 else "less than 0.1 %"
    cut = f"{part} are longer than {report.trial_ms:g} ms and cut"
    return f"{_range(report.durations)} ms; {cut if share else 'none is cut'}"


def _spikes(activity: dict[str, Any]) -> list[tuple[str, str]]:
    silent, busiest = activity["silent_channels"], activity["busiest"]
    return [
        ("spikes", f"{_range(activity['per_example'])} per example"),
        (
            "rates",
            f"{_range(activity['rate_hz'], 1)} Hz per channel; {silent} silent; busiest is channel "
            f"{busiest['channel']} with {busiest['rate_hz']:.1f} Hz",
        ),
    ]


def _currents(activity: dict[str, Any]) -> list[tuple[str, str]]:
    silent, busiest = activity["silent_channels"], activity["busiest"]
    return [
        (
            "values",
            f"{activity['min']:.4g} to {activity['max']:.4g}, mean {activity['mean']:.4g}, "
            f"standard deviation {activity['std']:.4g}",
        ),
        (
            "channels",
            f"{silent} always 0; busiest is channel {busiest['channel']} with a root mean square "
            f"of {busiest['rms']:.4g}",
        ),
    ]
