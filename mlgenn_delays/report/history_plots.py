"""Figures of the course of one training, a small one each, which a narrow page stacks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlgenn_delays.analysis.style import CHANCE, INK, SERIES, Picture, look, panels
from mlgenn_delays.engines.metrics import ACCURACY
from mlgenn_delays.recipe import Recipe, build_rule
from mlgenn_delays.recipe.left_to_data import batches_of
from mlgenn_delays.runs.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 4.2, 2.7  # of a figure [inches], a phone's width at the size of its text
_SPIKES, _SILENT = "spikes_", "silent_"


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


def values(history: History, name: str) -> list[float]:
    """A column of numbers, NaN where nothing was measured."""
    return [float("nan") if v is None else float(v) for v in history.column(name)]


def populations(history: History, prefix: str) -> list[str]:
    """The populations of which the history has a column with a prefix."""
    return [key.removeprefix(prefix) for key in history.rows[0] if key.startswith(prefix)]


def by_epoch(axes: "Axes", n: int) -> None:
    """Set up the axis of the epochs."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.set_xlim(*((1, n) if n > 1 else (0.5, 1.5)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _mark_best(axes: "Axes", history: History) -> None:
    by_epoch(axes, len(history))
    axes.axvline(history.best_epoch, color=INK, lw=0.9, ls=":", zorder=0)
    axes.annotate(
        "best", (history.best_epoch, 1), xycoords=("data", "axes fraction"), xytext=(0, 1),
        textcoords="offset points", ha="center", va="bottom", fontsize=8.5, color=INK,
    )  # fmt: skip


def _lines(axes: "Axes", history: History, columns: dict[str, str], scale: float = 1.0) -> None:
    """Draw columns over the epochs, each with its name in the legend."""
    epochs = range(1, len(history) + 1)
    few = "o" if len(history) < 4 else None
    for colour, (label, column) in zip(SERIES, columns.items(), strict=False):
        points = [scale * value for value in values(history, column)]
        axes.plot(epochs, points, color=colour, label=label, marker=few, ms=4)
    if len(columns) > 1:
        axes.legend(loc="best")


def _splits(history: History, kind: str) -> dict[str, str]:
    """The columns of training, and of validation where it was measured."""
    columns = {"training": f"train_{kind}"}
    if history.rows[0][f"validation_{kind}"] is not None:
        columns["validation"] = f"validation_{kind}"
    return columns


def _called(loss: str) -> str:
    """The name of a loss, as text has it."""
    return loss.replace("-", " ") if loss != "cross-entropy" else loss


def draw_loss(axes: "Axes", history: History, loss: str) -> None:
    """Draw the loss, by its name, over the epochs."""
    _lines(axes, history, _splits(history, "loss"))
    axes.set_ylabel(_called(loss))
    axes.set_ylim(bottom=0)
    _mark_best(axes, history)


def _loss(history: History, loss: str) -> Picture:
    with one_panel() as (figure, axes):
        draw_loss(axes, history, loss)
    best = history.best["validation_loss"] or history.best["train_loss"]
    return Picture(
        "loss",
        "Loss",
        f"Mean {_called(loss).removeprefix('mean ')} per example, {best:.4g} in the best epoch, "
        f"{history.best_epoch} (dotted). Training is measured while the network changes, with "
        "dropout and augmentation where the recipe has them; so it may lie above validation.",
        figure,
    )


def _chance(history: History, n_classes: int) -> float:
    """What a network reaches that has learned nothing."""
    return 1 / n_classes if history.metric is ACCURACY else 1.0


def draw_score(axes: "Axes", history: History, n_classes: int) -> None:
    """Draw the metric over the epochs, and what would be reached without learning."""
    metric = history.metric
    label = "chance" if metric is ACCURACY else "mean of the targets"
    chance = metric.scale * _chance(history, n_classes)
    axes.axhline(chance, color=CHANCE, lw=1.2, ls="--", label=label)
    _lines(axes, history, _splits(history, metric.name), metric.scale)
    axes.legend(loc="lower right" if metric.higher else "upper right", frameon=True,
                framealpha=0.9, edgecolor="none")  # fmt: skip
    axes.set_ylabel(metric.label)
    axes.set_ylim(0, 102 if metric is ACCURACY else None)
    _mark_best(axes, history)


def _score(history: History, n_classes: int) -> Picture:
    metric = history.metric
    with one_panel() as (figure, axes):
        draw_score(axes, history, n_classes)
    score = history.score()
    told = f"{metric.text(score)} of validation in the best epoch. " if score else ""
    if metric is ACCURACY:
        guessing = 100 * _chance(history, n_classes)
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
        names = populations(history, _SPIKES)
        _lines(axes, history, {name: _SPIKES + name for name in names})
        axes.set_ylabel("spikes per neuron\nand example")
        axes.set_ylim(bottom=0)
        _mark_best(axes, history)
    ends = ", ".join(
        f"{name} from {values(history, _SPIKES + name)[0]:.3g} to "
        f"{values(history, _SPIKES + name)[-1]:.3g}"
        for name in names
    )
    silent = [_SILENT + name for name in names if _SILENT + name in history.rows[0]]
    busy = silent and not any(any(values(history, column)) for column in silent)
    more = " No neuron was silent in any epoch." if busy else ""
    return Picture(
        "spikes",
        "Spikes",
        f"Mean number of spikes of a neuron in a training example: {ends}.{more}",
        figure,
    )


def _silent(history: History, sizes: dict[str, int]) -> Picture | None:
    names = [name for name in populations(history, _SILENT) if sizes.get(name)]
    if not any(any(values(history, _SILENT + name)) for name in names):
        return None  # the figure of the spikes says so
    with one_panel() as (figure, axes):
        _lines(axes, history, {name: _SILENT + name for name in names})
        axes.set_ylabel("neurons")
        highest = max(max(values(history, _SILENT + name)) for name in names)
        axes.set_ylim(0, max(4.0, 1.08 * highest))
        _mark_best(axes, history)
    last = ", ".join(
        f"{int(values(history, _SILENT + name)[-1])} of {sizes[name]} in {name}" for name in names
    )
    return Picture(
        "silent",
        "Silent neurons",
        f"Neurons without a single spike in an epoch of training; in the last one {last}. "
        "A neuron that never spikes passes no gradient on, and does no work.",
        figure,
    )


def _grown(history: History) -> Picture | None:
    if "grown" not in history.rows[0]:
        return None
    grown = values(history, "grown")
    with one_panel() as (figure, axes):
        axes.bar(range(1, len(grown) + 1), grown, width=0.85, color=SERIES[2])
        axes.set_ylabel("synapses grown")
        _mark_best(axes, history)
        axes.set_xlim(0.4, len(grown) + 0.6)
    return Picture(
        "grown",
        "Rewiring",
        f"Synapses that rewiring grew in each epoch, {sum(grown):,.0f} in all; as many went.",
        figure,
    )
