"""Training on target series: the metric, the best epoch, resuming, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlgenn_delays import MeanSquaredError, RunDirectory, Trainer, load_dataset
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.recipe import build_network, build_rule, load_recipe
from mlgenn_delays.runs.history import History

RECIPE = load_recipe("delayed-copy", ["network.layers.0.size=12", "learning.epochs=3"])
DATA = load_dataset(
    "delayed-copy",
    options={"train": 24, "validation": 6, "test": 1, "duration": 150.0, "delay": 20.0},
)


def trainer(run: Path | None = None, **options: Any) -> Trainer:
    network = build_network(RECIPE, 24, 1, seed=0)
    settings = {"loss": MeanSquaredError(30.0), "epochs": 3, "batch_size": 8, "progress": "none"}
    made = None if run is None else RunDirectory.create(run, "", {})
    return Trainer(network, build_rule(RECIPE), run=made, **(settings | options))


def fit(made: Trainer, **options: Any) -> History:
    return made.fit(DATA["train"], DATA["validation"], **options)


def test_the_best_epoch_has_the_lowest_error() -> None:
    made = trainer()
    history = fit(made)
    errors = history.column("validation_nrmse")
    assert history.metric.name == "nrmse" and history.score() == min(errors)  # type: ignore
    assert errors[history.best_epoch - 1] == min(errors)  # type: ignore[type-var]
    assert history.column("train_nrmse")[-1] < history.column("train_nrmse")[0]  # type: ignore
    found = made.evaluate(DATA["validation"])
    assert found.nrmse == history.score()
    worse = [{**row, "epoch": k + 1} for k, row in enumerate([history.best, *history.rows])]
    worse[1]["validation_nrmse"] = history.score() + 1  # type: ignore[operator]
    assert History(worse).best_epoch == 1


def test_a_resumed_training_is_the_same(tmp_path: Path) -> None:
    whole = trainer()
    fit(whole)
    fit(trainer(tmp_path / "run", epochs=3))
    checkpoint = RunDirectory.open(tmp_path / "run").load_checkpoint()
    assert checkpoint is not None and checkpoint.settings["loss"] == "MeanSquaredError(start=30.0)"
    read = History.read_csv(tmp_path / "run" / "metrics.csv")
    assert [{**row, "seconds": 0} for row in read] == [
        {**row, "seconds": 0} for row in checkpoint.history
    ]
    part = RunDirectory.create(tmp_path / "part", "", {})
    stopped = trainer()
    stopped.run = part
    stopped._finished = lambda: len(stopped.history) >= 2  # type: ignore[method-assign]
    fit(stopped)
    later = trainer()
    later.run = RunDirectory.open(tmp_path / "part")
    fit(later, resume=True)
    assert to_bytes(later.network) == to_bytes(whole.network)


def test_another_loss_resumes_nothing(tmp_path: Path) -> None:
    fit(trainer(tmp_path / "run"))
    for loss in (MeanSquaredError(), own):
        other = trainer(loss=loss)
        other.run = RunDirectory.open(tmp_path / "run")
        with pytest.raises(InputError, match="resuming needs loss as the run was started with"):
            fit(other, resume=True)


def own(voltage: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    error = voltage - targets
    return (error**2).mean((1, 2)) - 1.0, 2 * error / error[0].size


def test_a_function_may_give_losses_below_zero(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", loss=own)
    history = fit(made)
    assert history.best["validation_loss"] < 0  # type: ignore[operator]
    assert history.best["validation_nrmse"] == history.score()
    assert len(History.read_csv(tmp_path / "run" / "metrics.csv")) == 3


def test_a_function_that_fails_diverges() -> None:
    def broken(voltage: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(len(voltage), np.nan), np.zeros_like(voltage)

    with pytest.raises(DivergedError, match="the loss is not finite"):
        fit(trainer(loss=broken))


def test_an_exploding_error_diverges() -> None:
    rule = build_rule(load_recipe("delayed-copy", ["learning.learning_rate=500"]))
    network = build_network(RECIPE, 24, 1, seed=0)
    with pytest.raises(DivergedError, match="diverged in epoch"):
        fit(Trainer(network, rule, loss="mean-squared-error", epochs=3, progress="none"))


def test_data_that_do_not_fit_are_refused_before_anything_is_written() -> None:
    classes = load_dataset("sequence", options={"train": 8, "validation": 4, "channels": 12})
    for made, train, validation, why in (
        (trainer(loss="cross-entropy"), DATA["train"], None, "must have classes with the loss"),
        (trainer(), classes["train"], None, "training data must have at most 1 classes"),
        (
            trainer(loss=own), DATA["train"], replace(DATA["validation"], targets=None),
            "validation data must have targets where training data have them",
        ),
    ):  # fmt: skip
        with pytest.raises(InputError, match=why):
            made.check(train, validation)
    with pytest.raises(InputError, match="loss must be one of"):
        trainer(loss="square")
