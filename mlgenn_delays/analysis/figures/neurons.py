"""Weights and delays before and after, excitation against inhibition, firing rates, and tuning."""

import numpy as np

from mlgenn_delays.analysis.analyse import Analysis
from mlgenn_delays.analysis.figures.fields import plain
from mlgenn_delays.analysis.style import AFTER, BEFORE, SEQUENTIAL, Picture, panels
from mlgenn_delays.errors import printable


def values(analysis: Analysis, name: str) -> Picture | None:
    """Draw how weights and delays lie, and how far delays moved."""
    emerged = analysis.projections[name]
    stages = [("after", AFTER, emerged.after.projection)]
    if emerged.before is not None:
        stages.insert(0, ("before", BEFORE, emerged.before.projection))
    shift = emerged.moved
    figure, axes = panels(1, 3 if shift is not None else 2, width=3.3, height=2.8)
    for axis, label, of in (
        (axes[0, 0], "weight", lambda p: p.weight),
        (axes[0, 1], "delay (ms)", lambda p: p.delay_per_synapse()),
    ):
        everything = np.concatenate([of(p) for _, _, p in stages])
        edges = np.histogram_bin_edges(everything, 40)
        for text, color, projection in stages:
            axis.hist(of(projection), edges, histtype="step", color=color, lw=1.8, label=text)
        axis.set(xlabel=label, ylabel="synapses")
        axis.locator_params(axis="x", nbins=5)
    if shift is not None:
        axes[0, 2].hist(shift.delay, 40, color=AFTER)
        axes[0, 2].axvline(0, color=BEFORE, lw=1)
        axes[0, 2].set(xlabel="delay moved by (ms)", ylabel="synapses there\nbefore and after")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2)
    caption = "Weights and delays of all synapses before and after training."
    if shift is not None and shift.n:
        far = np.abs(shift.delay)
        caption += (
            f" Of the {shift.n} synapses there before and after, delays moved by "
            f"{far.mean():.1f} ms in the mean, half of them by more than {np.median(far):.1f} ms; "
            f"{100 * shift.turned:.1f} % of the weights changed sign."
        )
    return Picture(f"values-{plain(name)}", f"Weights and delays, {name}", caption, figure)


def balance(analysis: Analysis, name: str) -> Picture | None:
    """Draw the share of excitation in what each neuron gets."""
    emerged = analysis.projections[name]
    stages = [("after", AFTER, emerged.after.balance)]
    if emerged.before is not None:
        stages.insert(0, ("before", BEFORE, emerged.before.balance))
    if emerged.after.afferents.n_neurons < 2:
        return None
    figure, axes = panels(1, 2, width=3.6, height=2.8)
    edges = np.linspace(0, 1, 31)
    for text, color, found in stages:
        share = found.share[np.isfinite(found.share)]
        axes[0, 0].hist(share, edges, histtype="step", color=color, lw=1.8, label=text)
        axes[0, 1].plot(found.excitation, found.inhibition, ".", color=color, ms=4, alpha=0.7)
    axes[0, 0].set(xlabel="excitation / (excitation + inhibition)", ylabel="neurons")
    axes[0, 1].set(xlabel="summed excitatory weight", ylabel="summed inhibitory\nweight")
    top = max(axes[0, 1].get_xlim()[1], axes[0, 1].get_ylim()[1])
    axes[0, 1].plot([0, top], [0, top], color=BEFORE, lw=1, ls=":", label="equal")
    axes[0, 1].set(xlim=(0, top), ylim=(0, top))
    axes[0, 1].legend(loc="lower right")
    axes[0, 0].legend(loc="upper center")
    target = analysis.network.projections[name].target
    after = emerged.after.balance.share
    caption = (
        f"Excitation and inhibition onto each neuron of {target!r} by {name}, as sums of weights"
    )
    if np.isfinite(after).any():
        caption += f"; after training the median share of excitation is {np.nanmedian(after):.2f}"
    caption += "."
    return Picture(f"balance-{plain(name)}", f"Balance, {name}", caption, figure)


def rates(analysis: Analysis, population: str) -> Picture | None:
    """Draw how often neurons spike, and how much of it their class explains, where it has one."""
    active = analysis.activity
    assert active is not None
    rate, tuned = active.rate(population), active.tuning(population)
    figure, axes = panels(1, 1 if tuned is None else 2, width=3.6, height=2.8)
    axes[0, 0].hist(rate, 40, color=AFTER)
    axes[0, 0].set(xlabel="mean firing rate (Hz)", ylabel="neurons")
    silent = int((rate == 0).sum())
    caption = (
        f"The {len(rate)} neurons of {population!r} over the {active.examples} examples of the "
        f"split {analysis.split!r}: {silent} never spike, the mean rate is {rate.mean():.1f} Hz."
    )
    if tuned is not None:
        shown = np.isfinite(tuned.explained)
        axes[0, 1].plot(rate[shown], tuned.explained[shown], ".", color=AFTER, ms=5, alpha=0.7)
        axes[0, 1].set(
            xlabel="mean firing rate (Hz)",
            ylabel="variance of spikes\nexplained by the class",
            ylim=(0, 1.03),
        )
        axes[0, 1].grid(alpha=0.3)
        caption += (
            " Right: what share of the variance of a neuron's spike count the class explains (eta "
            "squared)."
        )
    return Picture(f"rates-{plain(population)}", f"Firing rates, {population}", caption, figure)


def tuning(analysis: Analysis, population: str) -> Picture | None:
    """Draw the mean spikes of every neuron for every class, by preferred class."""
    active = analysis.activity
    assert active is not None
    tuned = active.tuning(population)
    order = np.flatnonzero(tuned.preferred >= 0) if tuned is not None else ()
    if tuned is None or not len(order):
        return None
    order = order[np.lexsort((-tuned.selectivity[order], tuned.preferred[order]))]
    share = tuned.mean[order] / np.nanmax(tuned.mean[order], axis=1, keepdims=True)
    names = [printable(name) for name in active.label_names]
    figure, axes = panels(1, 1, width=7.4, height=0.24 * len(names) + 1.6)
    axis = axes[0, 0]
    image = axis.imshow(share.T, aspect="auto", cmap=SEQUENTIAL, vmin=0, vmax=1, origin="lower")
    axis.set(xlabel="neurons that spike, by preferred class", ylabel="class of the example")
    axis.set_yticks(range(len(names)), names)
    figure.colorbar(image, ax=axis, label="mean spikes / preferred")
    caption = (
        f"What the neurons of {population!r} answer to: mean spikes for each class, as a share of "
        "those for the class with most; neurons are sorted by that class, then by selectivity "
        f"(median {np.nanmedian(tuned.selectivity):.2f}; 1 is one class alone)."
    )
    return Picture(f"tuning-{plain(population)}", f"Tuning, {population}", caption, figure)
