"""What there is in a data set, on stdout."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import say
from .tables import console, table

if TYPE_CHECKING:
    from mlgenn_delays.data.inspect.report import Found, Report

# More classes are in --json only.
MOST_CLASSES = 40


def show_check(report: "Report", picture: str | None) -> None:
    """Print what was found."""
    where = f" in {report.folder}" if report.folder is not None else ""
    _line(
        "",
        f"{report.dataset}{where}: {report.examples:,} examples, {len(report.classes)} classes, "
        f"{report.channels} channels of {report.encoding}, trials of {report.trial_ms:g} ms, "
        f"dt {report.dt:g} ms",
    )
    if report.examples:
        console().print(_counts(report))
        _line("durations", _durations(report))
        if report.lost:
            _line("lost", report.lost)
        show = _spikes if report.encoding == "spikes" else _currents
        for name, text in show(report.activity):
            _line(name, text)
    for warning in report.warnings:
        _line("warning", warning)
    for note in report.notes:
        _line("note", note)
    _things("empty", report.empty, "{split} {name}")
    _duplicates(report)
    _things("damaged", report.damaged, "{split} {name}: {reason}")
    if picture is not None:
        _line("picture", picture)


def next_steps(dataset: str, folder: Path | str | None, *, check: bool = False) -> None:
    """Print the commands that come next: a check if asked for, and a training."""
    from mlgenn_delays.recipe import recipe_names

    where = "" if folder is None else f" {shlex.quote(str(folder))}"
    commands = [f"delaysnn data check {dataset}{where}"] if check else []
    if dataset in recipe_names():
        commands.append(f"delaysnn train {dataset}{where and ' --data' + where}")
    for command in commands:
        say(f"next: {command}")


def _line(name: str, text: str) -> None:
    """Print a line that begins with what it is about."""
    say(f"{name:<11} {text}" if name else text)


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
    """Print how many there are, and which."""
    _line(name, f"{found.count:,}" if found.count else "none")
    _listed(found, form)


def _listed(found: "Found", form: str) -> None:
    """Print the first of some things, a line each."""
    for each in found.listed:
        say("  " + " ".join(form.format(**each).split()))
    more = found.count - len(found.listed)
    if more:
        say(f"  and {more:,} more")


def _counts(report: "Report") -> Any:
    """Return how many examples each class has in each split."""
    names = list(report.splits)
    counted = table("class", *(name or "-" for name in names), "all")
    labels = sorted(report.classes)
    for label in labels if len(labels) <= MOST_CLASSES else []:
        row = [report.splits[name].get(label, 0) for name in names]
        counted.add_row(report.classes[label], *map(str, [*row, sum(row)]))
    if len(labels) > MOST_CLASSES:
        counted.add_row(f"{len(labels)} classes: see --json", *[""] * (len(names) + 1))
    sums = [sum(report.splits[name].values()) for name in names]
    counted.add_row("all", *map(str, [*sums, sum(sums)]))
    return counted


def _range(spread: dict[str, float], digits: int = 0) -> str:
    """Return least, median and greatest in words."""
    low, middle, high = (f"{spread[name]:,.{digits}f}" for name in ("min", "median", "max"))
    return f"{low} to {high}, median {middle}"


def _durations(report: "Report") -> str:
    """Return how long examples are."""
    if not report.durations:
        return f"unknown (events carry no end); trials are {report.trial_ms:g} ms"
    share = report.durations["cut"]
    part = f"{100 * share:.1f} %" if share >= 0.001 else "less than 0.1 %"
    cut = f"{part} are longer than {report.trial_ms:g} ms and cut"
    return f"{_range(report.durations)} ms; {cut if share else 'none is cut'}"


def _spikes(activity: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what to say of spikes."""
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
    """Return what to say of currents."""
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
