"""Figures of predictions: the confusion matrix, and examples from input to output."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlgenn_delays.analysis.example_axes import (
    RIGHT,
    WRONG,
    cut,
    draw_classes,
    draw_input,
    draw_series,
    draw_spikes,
)
from mlgenn_delays.analysis.style import INK, SERIES, Picture, look, panels
from mlgenn_delays.report.history_plots import WIDTH, one_panel
from mlgenn_delays.report.predictions import Example, Predictions, softmax

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_NAMES = 40  # classes up to which each has its name, and each cell of the matrix its number


def confusion_side(n_classes: int) -> float:
    """Width of a confusion matrix that can be read [inches]."""
    return float(np.clip(1.4 + 0.3 * min(n_classes, _MOST_NAMES), 3.6, 11.5))


def draw_confusion(axes: "Axes", counts: np.ndarray, labels: Sequence[str]) -> None:
    """Draw a confusion matrix (K, K), a row per label; the darker, the larger the row's share."""
    k = len(counts)
    share = counts / np.maximum(1, counts.sum(1, keepdims=True))
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if k <= _MOST_NAMES:
        for row, column in zip(*np.nonzero(counts), strict=True):
            axes.text(
                column, row, counts[row, column], ha="center", va="center",
                color="white" if share[row, column] > 0.5 else INK,
                fontsize=8 if k > 12 or counts.max() > 999 else 9,
            )  # fmt: skip
        for ticks in (axes.set_xticks, axes.set_yticks):
            _name_classes(ticks, labels)
    axes.set_xlabel("prediction")
    axes.set_ylabel("label")
    axes.tick_params(length=0)
    axes.spines[["top", "right"]].set_visible(True)


def confusion_picture(predictions: Predictions) -> Picture:
    """Draw the confusion matrix."""
    counts = predictions.evaluation.confusion
    side = confusion_side(len(counts))
    with one_panel(width=side, height=side * 0.94) as (figure, axes):
        draw_confusion(axes, counts, predictions.labels)
    n = predictions.evaluation.n
    return Picture(
        "confusion",
        "Confusion matrix",
        f"Number of examples per label (row) and prediction (column), of {n:,} examples of "
        f"{predictions.split}; the darker, the larger the share of the row. "
        f"{_mistaken(predictions)}",
        figure,
    )


def class_picture(predictions: Predictions) -> Picture:
    """Draw the accuracy per class."""
    counts = predictions.evaluation.confusion
    share = 100 * np.diag(counts) / np.maximum(1, counts.sum(1))
    k = len(share)
    with one_panel() as (figure, axes):
        axes.bar(range(k), share, width=0.75, color=SERIES[0])
        axes.axhline(100 * predictions.evaluation.accuracy, color=INK, lw=1, ls="--", label="all")
        if k <= _MOST_NAMES:
            _name_classes(axes.set_xticks, predictions.labels)
        axes.set_xlabel("label")
        axes.set_ylabel("accuracy (%)")
        axes.set_ylim(0, 102)
    there = counts.sum(1) > 0
    worst = int(np.where(there, share, np.inf).argmin())
    return Picture(
        "classes",
        "Accuracy per class",
        f"Share of the examples of each label that are classified correctly; dashed, of all. "
        f"The lowest is that of {predictions.labels[worst]!r}, {share[worst]:.1f} %.",
        figure,
    )


def certainty_picture(predictions: Predictions) -> Picture:
    """Draw how sure the network is of its correct and of its wrong predictions."""
    evaluation = predictions.evaluation
    certainty = 100 * softmax(evaluation.logits.astype(np.float64)).max(1)
    right = evaluation.labels == evaluation.predictions
    kinds = [("correct", right, RIGHT), ("wrong", ~right, WRONG)]
    there = [(word, certainty[chosen], colour) for word, chosen, colour in kinds if chosen.any()]
    with one_panel() as (figure, axes):
        for word, own, colour in there:
            label = f"{word} ({len(own):,})"
            weights = np.full(len(own), 100 / len(own))
            axes.hist(own, np.linspace(0, 100, 21), weights=weights, color=colour, alpha=0.2)
            axes.hist(own, np.linspace(0, 100, 21), weights=weights, color=colour, lw=1.8,
                      histtype="step", label=label)  # fmt: skip
        axes.set_xlabel("certainty (%)")
        axes.set_ylabel("predictions of the kind (%)")
        axes.set_xlim(0, 100)
        axes.legend(loc="upper left")
    medians = " and ".join(f"{np.median(own):.1f} % where it is {word}" for word, own, _ in there)
    return Picture(
        "certainty",
        "Certainty",
        "How sure the network is of its predictions: the softmax probability of the predicted "
        f"class. The median is {medians}.",
        figure,
    )


def _name_classes(set_ticks: Callable[..., object], labels: Sequence[str]) -> None:
    size = 9 if len(labels) <= 12 else 7
    names = [cut(name, 14) for name in labels]
    upright = set_ticks.__name__ == "set_xticks" and max(map(len, names)) > 3
    set_ticks(range(len(names)), names, rotation=90 if upright else 0, fontsize=size)


def _mistaken(predictions: Predictions) -> str:
    off = predictions.evaluation.confusion.copy()
    np.fill_diagonal(off, 0)
    if not off.any():
        return "No prediction is wrong."
    row, column = np.unravel_index(off.argmax(), off.shape)
    what = f"{predictions.labels[row]!r} is taken for {predictions.labels[column]!r}"
    times = "once" if off.max() == 1 else f"{off.max()} times"
    which = "The most frequent mistake" if (off == off.max()).sum() == 1 else "A frequent mistake"
    return f"{which}: {what}, {times} of {predictions.evaluation.confusion[row].sum()}."


def example_pictures(predictions: Predictions) -> list[Picture]:
    """Draw a figure of each example, correctly classified ones first."""
    shown = [*predictions.correct, *predictions.wrong]
    return [_example(example, predictions, number) for number, example in enumerate(shown, 1)]


def _example(example: Example, predictions: Predictions, number: int) -> Picture:
    from matplotlib.ticker import MaxNLocator

    hidden = list(example.spikes)
    ratios = [1.2, *(1.5 for _ in hidden), 1.6 if predictions.series else 1.0]
    ratios += [1.0] * (not predictions.series)
    with look():
        figure, grid = panels(
            len(ratios), 1, width=WIDTH, height=1.1 * sum(ratios) / len(ratios), sharex=True,
            height_ratios=ratios,
        )  # fmt: skip
        rows = list(grid[:, 0])
        draw_input(rows[0], example.inputs, example.channels, example.length)
        rows[0].set_ylabel("input\nchannel")
        for axes, name in zip(rows[1:], hidden, strict=False):
            draw_spikes(axes, *example.spikes[name], predictions.sizes[name], SERIES[0])
            axes.set_ylabel(name)
        outputs = rows[len(hidden) + 1 :]
        drawn = predictions.labels, example.length
        if example.targets is not None:
            draw_series(outputs[0], example.targets, example.voltage, *drawn)
        else:
            line = example.label, example.prediction, *drawn
            draw_classes(outputs[0], example.voltage, *line)
            draw_classes(outputs[1], 100 * example.chances, *line)
            outputs[1].set_ylabel("certainty (%)")
            outputs[1].set_ylim(-3, 103)
        outputs[0].set_ylabel("output V")
        outputs[0].legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 0.96),
            ncols=2,
            fontsize=8.5,
            handlelength=1.2,
            borderaxespad=0.0,
            columnspacing=1.2,
        )
        rows[-1].set_xlabel("time (ms)")
        for axes in rows:
            axes.set_xlim(0, example.length)
            if axes not in outputs:
                axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        figure.align_ylabels(rows)
    if example.targets is not None:
        caption = _caption(example, predictions)
        return Picture(f"example-{number}", f"Example {example.name}", caption, figure)
    mark = "correct" if example.correct else "wrong"
    label, predicted = (predictions.labels[k] for k in (example.label, example.prediction))
    told = f"{label!r}, predicted {predicted!r}" if not example.correct else f"{label!r}"
    return Picture(f"example-{number}-{mark}", f"{mark.capitalize()}: {told}",
                   _caption(example, predictions), figure)  # fmt: skip


def _caption(example: Example, predictions: Predictions) -> str:
    many = ", ".join(f"{len(time):,} spikes in {name}" for name, (time, _) in
                     example.spikes.items())  # fmt: skip
    if predictions.series:
        return f"{example.name}: {many}."
    sure = 100 * example.chances[example.prediction, -1]
    text = f"{example.name}: {many}; in the end {sure:.1f} % sure of its prediction"
    if example.correct:
        return f"{text}."
    own = 100 * example.chances[example.label, -1]
    return f"{text}, and {own:.1f} % of {predictions.labels[example.label]!r}."
