"""The picture of what a training reached."""

import numpy as np
import pytest

from mlgenn_delays.engines.results import Evaluation
from mlgenn_delays.report.results_plot import results_picture
from mlgenn_delays.runs.history import History


def history(metric: str) -> History:
    scores = {f"{part}_{metric}": 0.1 for part in ("train", "validation")}
    losses = [(0.9, 0.8), (0.7, 0.75), (0.5, 0.85)]
    rows = [
        {"epoch": k, "train_loss": train, "validation_loss": validation, **scores, "seconds": 1.0}
        for k, (train, validation) in enumerate(losses, 1)
    ]
    return History(rows)


def evaluation(metric: str, labels: list[int], predictions: list[int]) -> Evaluation:
    n = len(labels)
    score = float(np.mean(np.equal(labels, predictions)))
    logits = np.zeros((n, 3), np.float32)
    return Evaluation(
        0.5, metric, score, n, np.array(labels), np.array(predictions), logits, {}, {}, np.zeros(1)
    )


def test_curves_and_the_matrix_of_the_last_split():
    measured = {
        "validation": evaluation("accuracy", [0, 1], [0, 0]),
        "test": evaluation("accuracy", [0, 1, 2, 2], [0, 1, 1, 2]),
    }
    figure = results_picture(history("accuracy"), ["a", "b", "c\x1b"], measured).figure
    loss, matrix, score = figure.axes
    curves = {line.get_label(): list(line.get_ydata()) for line in loss.lines}
    assert curves["training"] == [0.9, 0.7, 0.5] and curves["validation"] == [0.8, 0.75, 0.85]
    assert score.get_ylabel() == "accuracy (%)"
    (image,) = matrix.images
    assert image.get_array().tolist() == [[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5]]
    assert [text.get_text() for text in matrix.texts] == ["1", "1", "1", "1"]
    assert [each.get_text() for each in matrix.get_yticklabels()] == ["a", "b", r"c\x1b"]
    assert matrix.get_title(loc="left") == "test: accuracy 75.00 % of 4 examples"


@pytest.mark.parametrize("measured", [{}, {"test": evaluation("nrmse", [0, 0], [0, 0])}])
def test_curves_alone(measured):
    picture = results_picture(history("nrmse"), ["x"], measured, "mean-squared-error")
    loss, score = picture.figure.axes
    assert (loss.get_ylabel(), score.get_ylabel()) == ("mean squared error", "NRMSE")
    assert ("test: NRMSE" in picture.caption) == bool(measured)
