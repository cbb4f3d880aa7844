"""Learning curves on an Axes: loss, metric, spikes, silent neurons and rewiring over the epochs."""

from typing import TYPE_CHECKING

from mlgenn_delays.analysis.style import CHANCE, INK, SERIES
from mlgenn_delays.engines.metrics import ACCURACY
from mlgenn_delays.runs.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPIKES, SILENT, GROWN = "spikes_", "silent_", "grown"  # columns, or how they begin


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


def called(loss: str) -> str:
    """The name of a loss, as text has it."""
    return loss.replace("-", " ") if loss != "cross-entropy" else loss


def draw_loss(axes: "Axes", history: History, loss: str = "loss") -> None:
    """Draw the loss, by its name, over the epochs."""
    _lines(axes, history, _splits(history, "loss"))
    axes.set_ylabel(called(loss))
    axes.set_ylim(bottom=0)
    _mark_best(axes, history)


def chance(history: History, n_classes: int) -> float:
    """What a network reaches that has learned nothing."""
    return 1 / n_classes if history.metric is ACCURACY else 1.0


def draw_score(axes: "Axes", history: History, n_classes: int | None = None) -> None:
    """Draw the metric over the epochs, and for so many classes what guessing reaches."""
    metric = history.metric
    if n_classes is not None:
        label = "chance" if metric is ACCURACY else "mean of the targets"
        level = metric.scale * chance(history, n_classes)
        axes.axhline(level, color=CHANCE, lw=1.2, ls="--", label=label)
    _lines(axes, history, _splits(history, metric.name), metric.scale)
    axes.legend(loc="lower right" if metric.higher else "upper right", frameon=True,
                framealpha=0.9, edgecolor="none")  # fmt: skip
    axes.set_ylabel(metric.label)
    axes.set_ylim(0, 102 if metric is ACCURACY else None)
    _mark_best(axes, history)


def draw_spikes_per_epoch(axes: "Axes", history: History) -> None:
    """Draw the mean spikes per neuron and training example of each population."""
    names = populations(history, SPIKES)
    _lines(axes, history, {name: SPIKES + name for name in names})
    axes.set_ylabel("spikes per neuron\nand example")
    axes.set_ylim(bottom=0)
    _mark_best(axes, history)


def draw_silent(axes: "Axes", history: History) -> None:
    """Draw how many neurons of each population were silent in an epoch."""
    columns = {name: SILENT + name for name in populations(history, SILENT)}
    _lines(axes, history, columns)
    axes.set_ylabel("silent neurons")
    highest = max((max(values(history, column)) for column in columns.values()), default=0.0)
    axes.set_ylim(0, max(4.0, 1.08 * highest))
    _mark_best(axes, history)


def draw_grown(axes: "Axes", history: History) -> None:
    """Draw how many synapses rewiring grew in each epoch."""
    grown = values(history, GROWN)
    axes.bar(range(1, len(grown) + 1), grown, width=0.85, color=SERIES[2])
    axes.set_ylabel("synapses grown")
    _mark_best(axes, history)
    axes.set_xlim(0.4, len(grown) + 0.6)
