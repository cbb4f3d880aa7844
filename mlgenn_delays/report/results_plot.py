"""One picture of what a training reached: learning curves and the confusion matrix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlgenn_delays.analysis.history_axes import draw_loss, draw_score
from mlgenn_delays.analysis.style import Picture, blank, look
from mlgenn_delays.engines.metrics import METRIC_OF
from mlgenn_delays.engines.results import Evaluation
from mlgenn_delays.errors import printable
from mlgenn_delays.report.history_plots import HEIGHT, WIDTH
from mlgenn_delays.report.prediction_plots import confusion_side, draw_confusion
from mlgenn_delays.runs.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def results_picture(
    history: History,
    labels: Sequence[str],
    evaluations: dict[str, Evaluation],
    loss: str = "cross-entropy",
) -> Picture:
    """Draw loss and metric over the epochs, and the confusion matrix if there are classes.

    Arguments:
        history: The epochs of the training, at least one.
        labels: Names of the K classes, or of the target series.
        evaluations: Of the network of the best epoch by split; the matrix is of the last of them.
        loss: Name of the loss.
    """
    split, last = next(reversed(evaluations.items()), ("", None))
    matrix = last.confusion if last is not None and last.metric == "accuracy" else None
    side = 0.0 if matrix is None else max(2 * HEIGHT, confusion_side(len(labels)))
    parts = ["loss", "score"] if matrix is None else ["loss confusion", "score confusion"]
    layout: Any = [row.split() for row in parts]
    widths = [WIDTH, side][: len(layout[0])]
    with look():
        figure = blank(sum(widths), max(2 * HEIGHT, side))
        axes: dict[str, Axes] = figure.subplot_mosaic(layout, width_ratios=widths)
        draw_loss(axes["loss"], history, loss)
        draw_score(axes["score"], history, len(labels))
        if matrix is not None:
            draw_confusion(axes["confusion"], matrix, [printable(label) for label in labels])
            axes["confusion"].set_title(_reached(split, last))
    reached = ", ".join(_reached(name, each) for name, each in evaluations.items())
    text = f"Learning curves of {len(history)} epochs, the best of them {history.best_epoch}"
    return Picture("results", "Results", f"{text}. {reached}".strip(), figure)


def _reached(split: str, evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return ""
    metric = METRIC_OF[evaluation.metric]
    return f"{split}: {metric.title} {metric.text(evaluation.score)} of {evaluation.n:,} examples"
