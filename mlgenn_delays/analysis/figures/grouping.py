"""Whether excitation and inhibition group, beside shuffles; how synapses come and go."""

from typing import Any

import numpy as np

from mlgenn_delays.analysis.analyse import Analysis, Emerged
from mlgenn_delays.analysis.figures.fields import plain
from mlgenn_delays.analysis.grouping import TIMED, Grouping, Test
from mlgenn_delays.analysis.lifetimes import Survival
from mlgenn_delays.analysis.style import AFTER, BEFORE, CHANCE, SERIES, Picture, panels

KINDS = {"all": "all near pairs", "joined": "one stays, one came", "replaced": "one went, one came"}
FEW = 30  # pairs below which a share is not drawn


def lifetimes(analysis: Analysis, name: str) -> Picture | None:
    """Draw survival, what is left of the start, and agreement with the final network."""
    emerged = analysis.projections[name]
    lives = emerged.lifetimes
    if lives is None:
        return None
    figure, axes = panels(1, 3, width=3.4, height=3.0)
    end = int(lives.epochs[-1])
    for found, color, label in (
        (lives.start, SERIES[0], "there at the start"),
        (lives.later, SERIES[1], "grown later"),
    ):
        if found is not None:
            _steps(axes[0, 0], found, end, color, f"{label} ({found.n})")
    axes[0, 0].set(xlabel="age (epochs)", ylabel="share that lives longer", ylim=(0, 1.03))
    axes[0, 0].legend(loc="upper right")
    axes[0, 1].plot(lives.epochs, lives.from_start, "o-", ms=4, color=SERIES[0], label="the start")
    last = lives.overlap[:, -1]
    axes[0, 1].plot(lives.epochs, last, "s-", ms=4, color=SERIES[2], label="the last epoch")
    axes[0, 1].set(xlabel="epoch", ylabel="share of synapses shared with", ylim=(0, 1.03))
    axes[0, 1].legend(loc="lower right")
    _agreement(axes[0, 2], emerged)
    for axis in axes.flat:
        axis.grid(alpha=0.3)
        axis.xaxis.get_major_locator().set_params(integer=True)
    median = lives.start.median
    half = "more than half live to the end" if median is None else f"half live {median:g} epochs"
    caption = (
        f"Left: of the start's synapses {half} (Kaplan and Meier's estimate; lifetimes are seen "
        "at the epochs that were kept). Middle: what epochs share with the start and with the "
        "last. Right: synapses of an epoch against near ones of the analysed network, onto the "
        f"same neuron: how many have equal signs? Grey: by chance (95 %), for all near pairs; "
        f"shares of fewer than {FEW} pairs are left out."
    )
    return Picture(f"lifetimes-{plain(name)}", f"Lives of synapses, {name}", caption, figure)


def _steps(axis: Any, found: Survival, end: int, color: str, label: str) -> None:
    age = np.concatenate([[0.0], found.age, [end]])
    share = np.concatenate([[1.0], found.share, found.share[-1:] if len(found.share) else [1.0]])
    axis.step(age, share, where="post", color=color, label=label)


def _agreement(axis: Any, emerged: Emerged) -> None:
    everything = {e: found["all"].same for e, found in emerged.across.items()}
    epochs = [e for e in everything if emerged.across[e]["all"].pairs >= FEW]
    if epochs:
        low, high = np.array([everything[e].interval for e in epochs]).T
        axis.fill_between(epochs, low, high, color=CHANCE, alpha=0.6, linewidth=0)
    for k, (kind, label) in enumerate(KINDS.items()):
        seen = [e for e in emerged.across if emerged.across[e][kind].pairs >= FEW]
        share = [emerged.across[e][kind].same.observed for e in seen]
        marker = "os^"[k] + "-"
        axis.plot(seen, share, marker, ms=4, color=SERIES[k], label=label)
    axis.set(xlabel="epoch", ylabel="equal signs, epoch and final", ylim=(0, 1.03))
    if everything:
        axis.set_xlim(min(everything) - 0.3, max(everything) + 0.3)
    axis.legend(loc="lower left")


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
        axis.locator_params(axis="x", nbins=4)
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
        f"{' × '.join(map(str, reach.space))} places and {reach.time:.3g} ms apart. In the last "
        "row the delays are shuffled: it asks whether the delay matters beyond the place."
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
    if not np.isfinite(test.observed):
        return
    axis.plot(test.interval, [y, y], color=CHANCE, lw=7, solid_capstyle="butt", zorder=1)
    axis.plot(test.observed, y, "o", color=color, ms=6, label=label or None, zorder=2)


def _in_words(found: Grouping) -> str:
    test = found.same
    if not np.isfinite(test.observed):
        return "near in both: no pair"
    return (
        f"near in both: {100 * test.observed:.1f} % of {found.pairs} pairs, by chance "
        f"{100 * test.expected:.1f} %, z = {test.z:.1f}, p = {test.p:.3g}"
    )
