"""Weights and delays before and after training."""

import numpy as np

from mlgenn_delays.analysis.analyse import Analysis
from mlgenn_delays.analysis.figures.fields import plain
from mlgenn_delays.analysis.style import AFTER, BEFORE, Picture, panels


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
