"""Figures of the course of one training, a small one each, which a narrow page stacks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlgenn_delays.analysis.history_axes import (
    GROWN,
    SILENT,
    SPIKES,
    by_epoch,
    called,
    chance,
    draw_grown,
    draw_loss,
    draw_score,
    draw_silent,
    draw_spikes_per_epoch,
    populations,
    values,
)
from mlgenn_delays.analysis.style import SERIES, Picture, look, panels
from mlgenn_delays.engines.metrics import ACCURACY
from mlgenn_delays.recipe import Recipe, build_rule
from mlgenn_delays.recipe.left_to_data import batches_of
from mlgenn_delays.runs.history import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 4.2, 2.7  # of a figure [inches], a phone's width at the size of its text


@contextmanager
def one_panel(width: float = WIDTH, height: float = HEIGHT) -> Iterator[tuple["Figure", Any]]:
    """Draw a figure of one panel [inches] in the look of all figures."""
    with look():
        figure, grid = panels(width=width, height=height)
        yield figure, grid[0, 0]


def history_pictures(
    history: History, n_classes: int, sizes: dict[str, int], loss: str = "cross-entropy"
) -> list[Picture]:
    """Draw the learning curves of a run.

    Arguments:
        history: Its epochs.
        n_classes: Classes that it tells apart.
        sizes: Number of neurons, by population.
        loss: Name of the loss.
    """
    found = [_loss(history, loss), _score(history, n_classes), _spikes(history)]
    found += [picture for picture in (_silent(history, sizes), _grown(history)) if picture]
    return found


def rate_pictures(recipe: Recipe, examples: int, epochs: int) -> list[Picture]:
    """Draw the learning rates, at the beginning of each epoch, as far as they are known.

    Arguments:
        recipe: What was trained.
        examples: Training examples; 0 if not known.
        epochs: Epochs that were trained.
    """
    rule = build_rule(recipe)
    optimisers = {"weights": rule.weights, "delays (steps)": rule.delays}
    learned = {name: adam for name, adam in optimisers.items() if adam is not None}
    if not examples or not learned:
        return []
    batches = batches_of(examples, recipe.learning.batch_size)
    total = batches * max(epochs, recipe.learning.epochs)
    with one_panel() as (figure, axes):
        for colour, (name, adam) in zip(SERIES, learned.items(), strict=False):
            factors = [adam.schedule.factor(batches * epoch, total) for epoch in range(epochs)]
            rates = [adam.learning_rate * factor for factor in factors]
            axes.plot(
                range(1, epochs + 1),
                rates,
                color=colour,
                label=name,
                marker="." if epochs < 4 else None,
            )
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_ylabel("learning rate")
        axes.legend(loc="best")
        by_epoch(axes, epochs)
    caption = "Learning rate of Adam at the beginning of each epoch; of delays, in steps."
    return [Picture("learning-rate", "Learning rate", caption, figure)]


def _loss(history: History, loss: str) -> Picture:
    with one_panel() as (figure, axes):
        draw_loss(axes, history, loss)
    best = history.best["validation_loss"] or history.best["train_loss"]
    return Picture(
        "loss",
        "Loss",
        f"Mean {called(loss).removeprefix('mean ')} per example, {best:.4g} in the best epoch, "
        f"{history.best_epoch} (dotted). Training is measured while the network changes, with "
        "dropout and augmentation where the recipe has them; so it may lie above validation.",
        figure,
    )


def _score(history: History, n_classes: int) -> Picture:
    metric = history.metric
    with one_panel() as (figure, axes):
        draw_score(axes, history, n_classes)
    score = history.score()
    told = f"{metric.text(score)} of validation in the best epoch. " if score else ""
    if metric is ACCURACY:
        guessing = 100 * chance(history, n_classes)
        what = f"Share of examples classified correctly: {told}Guessing gives {guessing:.3g} %"
    else:
        what = (
            "Root mean squared error over the standard deviation of the targets: "
            f"{told}Their mean gives 1"
        )
    title = metric.title if metric.title.isupper() else metric.title.capitalize()
    return Picture(metric.name, title, f"{what} (dashed).", figure)


def _spikes(history: History) -> Picture:
    with one_panel() as (figure, axes):
        draw_spikes_per_epoch(axes, history)
    names = populations(history, SPIKES)
    ends = ", ".join(
        f"{name} from {values(history, SPIKES + name)[0]:.3g} to "
        f"{values(history, SPIKES + name)[-1]:.3g}"
        for name in names
    )
    silent = [SILENT + name for name in names if SILENT + name in history.rows[0]]
    busy = silent and not any(any(values(history, column)) for column in silent)
    more = " No neuron was silent in any epoch." if busy else ""
    return Picture(
        "spikes",
        "Spikes",
        f"Mean number of spikes of a neuron in a training example: {ends}.{more}",
        figure,
    )


def _silent(history: History, sizes: dict[str, int]) -> Picture | None:
    names = [name for name in populations(history, SILENT) if sizes.get(name)]
    if not any(any(values(history, SILENT + name)) for name in names):
        return None  # the figure of the spikes says so
    with one_panel() as (figure, axes):
        draw_silent(axes, history)
    last = ", ".join(
        f"{int(values(history, SILENT + name)[-1])} of {sizes[name]} in {name}" for name in names
    )
    return Picture(
        "silent",
        "Silent neurons",
        f"Neurons without a single spike in an epoch of training; in the last one {last}. "
        "A neuron that never spikes passes no gradient on, and does no work.",
        figure,
    )


def _grown(history: History) -> Picture | None:
    if GROWN not in history.rows[0]:
        return None
    with one_panel() as (figure, axes):
        draw_grown(axes, history)
    grown = values(history, GROWN)
    return Picture(
        "grown",
        "Rewiring",
        f"Synapses that rewiring grew in each epoch, {sum(grown):,.0f} in all; as many went.",
        figure,
    )
