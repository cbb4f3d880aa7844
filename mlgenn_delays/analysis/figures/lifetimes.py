"""How synapses come and go, and whether groups of them outlive them."""

from typing import Any

import numpy as np

from mlgenn_delays.analysis.analyse import Analysis, Emerged
from mlgenn_delays.analysis.figures.fields import plain
from mlgenn_delays.analysis.lifetimes import Survival
from mlgenn_delays.analysis.style import CHANCE, SERIES, Picture, panels

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
    """Draw the share that reaches an age."""
    age = np.concatenate([[0.0], found.age, [end]])
    share = np.concatenate([[1.0], found.share, found.share[-1:] if len(found.share) else [1.0]])
    axis.step(age, share, where="post", color=color, label=label)


def _agreement(axis: Any, emerged: Emerged) -> None:
    """Draw the share of pairs of equal sign across epochs."""
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
    axis.legend(loc="upper left")
