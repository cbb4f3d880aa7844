"""Whether excitation and inhibition group: what was measured against what shuffling gives."""

from typing import Any

import numpy as np

from mlgenn_delays.analysis.analyse import Analysis
from mlgenn_delays.analysis.figures.fields import plain
from mlgenn_delays.analysis.grouping import TIMED, Grouping, Test
from mlgenn_delays.analysis.style import AFTER, BEFORE, CHANCE, Picture, panels

NAMES = {
    "space": "near in space",
    "time": "near in time",
    "both": "near in both",
    "nearest": "nearest neighbour",
    TIMED: "near in both,\ndelays shuffled",
}


def grouping(analysis: Analysis, name: str) -> Picture | None:
    """Draw the statistics of every neighbourhood before and after training."""
    emerged = analysis.projections[name]
    stages = [("after training", AFTER, emerged.after.grouping.groupings)]
    if emerged.before is not None:
        stages.insert(0, ("before training", BEFORE, emerged.before.grouping.groupings))
    kinds = [kind for kind in NAMES if kind in stages[-1][2]]
    figure, axes = panels(1, 2, width=4.2, height=0.55 * len(kinds) + 1.3, sharey=True)
    for axis, statistic, label in (
        (axes[0, 0], "same", "share of near pairs with equal signs"),
        (axes[0, 1], "moran", "Moran's I of the weights"),
    ):
        for row, (text, color, found) in enumerate(stages):
            for k, kind in enumerate(kinds):
                y = k + 0.34 * (row - (len(stages) - 1) / 2)
                _dot(axis, getattr(found[kind], statistic), y, color, text if k == 0 else "")
        axis.set(xlabel=label, yticks=range(len(kinds)))
        axis.grid(axis="x", alpha=0.3)
    axes[0, 0].set_yticklabels([NAMES[kind] for kind in kinds])
    axes[0, 0].set_ylim(len(kinds) - 0.5, -0.6)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3)
    reach, shared = emerged.after.grouping.reach, emerged.after.grouping.signs_shared
    what = "each neuron's weights"
    if shared:
        what = f"the places of presynaptic neurons (near in time: of {what})"
    caption = (
        "Dots: measured. Grey bars: where 95 % of "
        f"{emerged.after.grouping.permutations} shuffles of {what} lie "
        f"({_in_words(stages[-1][2]['both'])} after training). Near means at most "
        f"{' × '.join(map(str, reach.space))} places and {reach.time:g} ms apart. In the last row "
        "it is the delays that are shuffled: it asks whether the delay matters beyond the place."
    )
    return Picture(f"grouping-{plain(name)}", f"Do signs group? {name}", caption, figure)


def course(analysis: Analysis, name: str) -> Picture | None:
    """Draw how grouping went along with training."""
    emerged = analysis.projections[name]
    if len(emerged.course) < 2:
        return None
    epochs = list(emerged.course)
    figure, axes = panels(1, 2, width=4.2, height=2.9)
    for axis, statistic, label in (
        (axes[0, 0], "same", "share of near pairs\nwith equal signs"),
        (axes[0, 1], "moran", "Moran's I of the weights"),
    ):
        tests = [getattr(emerged.course[e].groupings["both"], statistic) for e in epochs]
        low, high = np.array([test.interval for test in tests]).T
        axis.fill_between(epochs, low, high, color=CHANCE, alpha=0.6, linewidth=0, label="shuffled")
        axis.plot(epochs, [t.observed for t in tests], "o-", color=AFTER, ms=4, label="measured")
        axis.set(xlabel="epoch", ylabel=label)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    if analysis.epoch is not None:
        axes[0, 0].axvline(analysis.epoch, color=BEFORE, lw=1, ls=":", label="analysed epoch")
        axes[0, 1].axvline(analysis.epoch, color=BEFORE, lw=1, ls=":")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3)
    caption = (
        "The same statistics for synapses near in space and time, over the epochs that the run "
        "kept. Grey: where 95 % of the shuffles lie."
    )
    return Picture(f"course-{plain(name)}", f"Grouping over training, {name}", caption, figure)


def _dot(axis: Any, test: Test, y: float, color: str, label: str) -> None:
    """Draw a statistic and where it lies when shuffled."""
    if not np.isfinite(test.observed):
        return
    axis.plot(test.interval, [y, y], color=CHANCE, lw=7, solid_capstyle="butt", zorder=1)
    axis.plot(test.observed, y, "o", color=color, ms=6, label=label or None, zorder=2)


def _in_words(found: Grouping) -> str:
    """Return the finding for pairs near in both."""
    test = found.same
    if not np.isfinite(test.observed):
        return "near in both: no pair"
    return (
        f"near in both: {100 * test.observed:.1f} % of {found.pairs} pairs, by chance "
        f"{100 * test.expected:.1f} %, z = {test.z:.1f}, p = {test.p:.3g}"
    )
