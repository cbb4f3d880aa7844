"""A neuron that a recipe declares, by the command line alone."""

import json

import pytest

from tests.cli.helpers import call, metrics
from tests.recipe.test_neurons import FATIGUED

SMALL = ["data.train=40", "data.validation=10", "data.test=10"]
SET = [word for each in SMALL for word in ("--set", each)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run whose recipe file is gone."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.toml").write_text(FATIGUED)
    result = call("train", folder / "own.toml", *SET, "--epochs", 1, "--out", folder / "run")
    assert result.exit_code == 0, result.output
    (folder / "own.toml").unlink()
    return folder / "run"


def test_a_run_holds_all_that_evaluation_and_export_need(run, tmp_path):
    assert "[neurons.Fatigued]" in (run / "recipe.toml").read_text()
    (row,) = metrics(run)
    result = call("evaluate", run, "--split", "validation", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["splits"]["validation"]["accuracy"]
    assert found == pytest.approx(float(row["validation_accuracy"]))
    result = call("export", run, "--format", "c", "--out", tmp_path / "c")
    assert result.exit_code == 0, result.output
    result = call("export", run, "--format", "bundle", "--out", tmp_path / "b.safetensors")
    assert result.exit_code == 0, result.output


def test_a_training_resumes_as_if_never_interrupted(run, tmp_path, monkeypatch):
    from mlgenn_delays.training import trainer

    def interrupt(epoch, *rest):
        if epoch == 2:
            raise KeyboardInterrupt
        return row(epoch, *rest)

    row = trainer.make_row
    recipe = run / "recipe.toml"
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "make_row", interrupt)
        assert call("train", recipe, "--epochs", 2, "--out", tmp_path / "a").exit_code == 130
    assert call("train", "--resume", "--out", tmp_path / "a").exit_code == 0
    assert call("train", recipe, "--epochs", 2, "--out", tmp_path / "b").exit_code == 0
    name = "checkpoints/last/network.safetensors"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_sweep_over_a_parameter_of_it(run, tmp_path):
    grid = ["--grid", "network.layers.0.parameters.jump=0,1", "--workers", 1]
    result = call("sweep", run / "recipe.toml", "--out", tmp_path / "s", *grid, "--json")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "s/results.csv").read_text().count(",done,") == 2
