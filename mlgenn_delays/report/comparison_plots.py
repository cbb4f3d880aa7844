"""Figures of several runs side by side; runs that differ in the seed alone are one line."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlgenn_delays.analysis.history_axes import by_epoch, populations, values
from mlgenn_delays.analysis.style import CHANCE, SERIES, Picture
from mlgenn_delays.engines.metrics import Metric
from mlgenn_delays.network import Network
from mlgenn_delays.report.history_plots import HEIGHT, one_panel
from mlgenn_delays.report.settings import Group
from mlgenn_delays.runs.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_GROUPS = 2 * len(SERIES)  # that are told apart by colour and line
_BINS = 40
_NAMED, _LONGEST = 4, 34  # groups, and characters, that a legend has room for


def line_of(number: int) -> tuple[str, str]:
    """Colour and line style of a group by its place."""
    return SERIES[number % len(SERIES)], "-" if number < len(SERIES) else "--"


def comparison_pictures(
    groups: Sequence[Group], histories: Sequence[History], networks: Sequence[Network]
) -> list[Picture]:
    """Draw the figures that compare runs; of the groups the first `MOST_GROUPS`."""
    drawn = groups[:MOST_GROUPS]
    found: list[Picture | None] = [
        _curves(drawn, histories, "loss", "loss", 1.0),
        _spikes(drawn, histories),
    ]
    metrics = {history.metric for history in histories}
    if len(metrics) == 1:
        (metric,) = metrics
        found.insert(0, _curves(drawn, histories, metric.name, metric.label, metric.scale))
        found.insert(2, _results(drawn, histories, metric))
    common = [
        name
        for name in networks[0].projections
        if all(name in network.projections for network in networks)
    ]
    for name in common:
        found += [
            _distribution(drawn, networks, name, "delay"),
            _distribution(drawn, networks, name, "weight"),
        ]
    return [picture for picture in found if picture is not None]


def _curves(
    groups: Sequence[Group], histories: Sequence[History], kind: str, label: str, scale: float
) -> Picture:
    """Of validation where all have it."""
    validated = all(history.best[f"validation_{kind}"] is not None for history in histories)
    split = "validation" if validated else "train"
    with one_panel() as (figure, axes):
        for number, group in enumerate(groups):
            rows = [values(histories[k], f"{split}_{kind}") for k in group.members]
            _band(axes, [[scale * v for v in row] for row in rows], number, _named(group, groups))
        axes.set_ylabel(f"{label}\n{'validation' if validated else 'training'}")
        axes.set_ylim(top=101) if kind == "accuracy" else axes.set_ylim(bottom=0)
        by_epoch(axes, max(len(histories[k]) for group in groups for k in group.members))
        _legend(axes, groups)
    title = kind.upper() if kind == "nrmse" else kind.capitalize()
    return Picture(
        f"compared-{kind}",
        title,
        f"{title} on {'validation' if validated else 'training'} examples after each epoch.",
        figure,
    )


def how_seeds(groups: Sequence[Group]) -> str:
    """How runs of several seeds are drawn, in words."""
    if all(len(group.members) == 1 for group in groups):
        return "In the curves, a line is one run."
    return (
        "In the curves, a line is the mean over runs that differ in nothing but the seed; the band "
        "around it goes from the lowest to the highest of them."
    )


def _named(group: Group, groups: Sequence[Group]) -> str:
    """In a legend: the letter of a group, with its title where there is room."""
    room = len(groups) <= _NAMED and all(len(each.label) <= _LONGEST for each in groups)
    return group.label if room else group.letter


def _legend(axes: "Axes", groups: Sequence[Group]) -> None:
    axes.legend(loc="best", ncols=max(1, len(groups) // 4) if len(groups) > _NAMED else 1)


def _band(axes: "Axes", rows: list[list[float]], number: int, label: str) -> None:
    """Draw the mean of rows of any lengths and the range of them."""
    longest = max(map(len, rows))
    table = np.full((len(rows), longest), np.nan)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    epochs = np.arange(1, longest + 1)
    known = np.isfinite(table).any(0)
    epochs, table = epochs[known], table[:, known]
    colour, style = line_of(number)
    marker = "o" if longest < 4 else None
    axes.plot(epochs, np.nanmean(table, 0), color=colour, ls=style, label=label,
              marker=marker, ms=4)  # fmt: skip
    if len(rows) > 1:
        axes.fill_between(epochs, np.nanmin(table, 0), np.nanmax(table, 0), color=colour,
                          alpha=0.2, lw=0)  # fmt: skip


def _results(
    groups: Sequence[Group], histories: Sequence[History], metric: Metric
) -> Picture | None:
    best = [history.score() for history in histories]
    if any(value is None for value in best):
        return None
    with one_panel(height=max(HEIGHT, 0.7 + 0.3 * len(groups))) as (figure, axes):
        for number, group in enumerate(groups):
            colour, _ = line_of(number)
            own = [metric.scale * float(best[k] or 0.0) for k in group.members]
            axes.plot([min(own), max(own)], [number, number], color=CHANCE, lw=3, zorder=1)
            axes.plot(own, [number] * len(own), "o", color=colour, ms=6, alpha=0.8, zorder=2)
            axes.plot([np.mean(own)], [number], "|", color="black", ms=14, mew=1.6, zorder=3)
        axes.set_yticks(range(len(groups)), [group.letter for group in groups])
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xlabel(f"validation {metric.label}")
        axes.grid(axis="x", color="#E5E5E5", lw=0.8)
        axes.margins(x=0.08)
    return Picture(
        "compared-results",
        "Every run",
        f"Validation {metric.title} of the best epoch: a dot per run, a stroke at the mean of a "
        "group.",
        figure,
    )


def _spikes(groups: Sequence[Group], histories: Sequence[History]) -> Picture:
    """Mean over the populations."""
    with one_panel() as (figure, axes):
        for number, group in enumerate(groups):
            rows = []
            for k in group.members:
                names = populations(histories[k], "spikes_")
                columns = [values(histories[k], f"spikes_{name}") for name in names]
                rows.append(np.mean(columns, 0).tolist() if columns else [])
            _band(axes, rows, number, _named(group, groups))
        axes.set_ylabel("spikes per neuron\nand example")
        axes.set_ylim(bottom=0)
        by_epoch(axes, max(len(histories[k]) for group in groups for k in group.members))
        _legend(axes, groups)
    return Picture(
        "compared-spikes",
        "Spikes",
        "Mean number of spikes of a hidden neuron in a training example.",
        figure,
    )


def _distribution(
    groups: Sequence[Group], networks: Sequence[Network], name: str, kind: str
) -> Picture | None:
    """Of delays or weights, None if all values are the same."""
    pooled = []
    for group in groups:
        synapses = [networks[k].projections[name] for k in group.members]
        each = [p.delay_per_synapse() if kind == "delay" else p.weight for p in synapses]
        pooled.append(np.concatenate(each))
    everything = np.concatenate(pooled)
    if not len(everything) or np.ptp(everything) == 0:
        return None
    low, high = (
        (0.0, float(everything.max()))
        if kind == "delay"
        else (float(v) for v in np.quantile(everything, (0.002, 0.998)))
    )
    fewest = min(len(own) for own in pooled)
    edges = np.linspace(low, high, int(np.clip(np.sqrt(fewest), 8, _BINS)) + 1)
    with one_panel() as (figure, axes):
        for number, (group, own) in enumerate(zip(groups, pooled, strict=True)):
            colour, style = line_of(number)
            share = np.histogram(np.clip(own, low, high), edges)[0] / max(1, len(own))
            axes.stairs(100 * share, edges, color=colour, ls=style, lw=1.6,
                        label=_named(group, groups))  # fmt: skip
        axes.set_xlabel("delay (ms)" if kind == "delay" else "weight")
        axes.set_ylabel("synapses (%)")
        axes.set_ylim(bottom=0)
        _legend(axes, groups)
    counts = ", ".join(f"{group.letter} {len(own):,}" for group, own in zip(groups, pooled,
                       strict=True))  # fmt: skip
    ends = "" if kind == "delay" else " What is beyond the axis is in the bins at its ends."
    return Picture(
        f"compared-{kind}-{name}",
        f"{kind.capitalize()}s of {name}",
        f"{kind.capitalize()}s of {name} after training, in bins; the seeds of a group together. "
        f"Synapses: {counts}.{ends}",
        figure,
    )
