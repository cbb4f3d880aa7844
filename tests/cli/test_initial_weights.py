"""delaysnn train with automatic weights: sparse networks spike; a resumed run keeps what it has."""

import json
import re
import shutil

import pytest

from mlgenn_delays.network import Network
from mlgenn_delays.training import initial_weights, trainer
from tests.cli.helpers import call, metrics, refused

SPARSE = [
    "train", "digits", "--set", "network.sparsity=0.9", "--set", "network.layers.0.size=64",
    "--set", "regularisation.revive=0",
]  # fmt: skip


def test_a_sparse_network_spikes_and_learns(tmp_path):
    fast = ["--set", "learning.learning_rate=0.05"]
    result = call(*SPARSE, *fast, "--epochs", 2, "--out", tmp_path / "auto")
    assert result.exit_code == 0, result.output
    assert "initial weights: hidden1 " in result.stderr
    first, last = metrics(tmp_path / "auto")
    assert int(first["silent_hidden1"]) <= 0.05 * 64 and float(first["spikes_hidden1"]) > 1
    assert float(last["validation_accuracy"]) > 0.25
    noted = json.loads((tmp_path / "auto/environment.json").read_text())["initial_weights"]
    assert noted["silent"] == {"hidden1": 0} and noted["spikes"]["hidden1"] > 2
    assert set(noted["weights"]) == {"input->hidden1", "hidden1->output"}
    # With weights that suit a dense network, hardly any spikes.
    own = ["network.layers.0.weight_mean=0.05", "network.layers.0.weight_sd=0.12"]
    options = [word for each in (*own, "network.readout.weight_sd=1") for word in ("--set", each)]
    result = call(*SPARSE, *options, "--epochs", 1, "--out", tmp_path / "given")
    assert "initial weights" not in result.stderr
    assert int(metrics(tmp_path / "given")[0]["silent_hidden1"]) > 0.9 * 64


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a run of three epochs; not to be changed."""
    path = tmp_path_factory.mktemp("whole") / "run"
    assert call(*SPARSE, "--epochs", 3, "--out", path).exit_code == 0
    return path


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """Return the same run, interrupted after its first epoch."""

    def interrupt(epoch, *rest):
        if epoch == 2:
            raise KeyboardInterrupt
        return row(epoch, *rest)

    row = trainer.make_row
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "make_row", interrupt)
        result = call(*SPARSE, "--epochs", 3, "--out", tmp_path / "run")
    assert result.exit_code == 130 and len(metrics(tmp_path / "run")) == 1
    return tmp_path / "run"


def test_a_resumed_run_keeps_the_weights_it_started_with(interrupted, whole, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("weights must not be found again")

    monkeypatch.setattr(initial_weights, "initialise_weights", fail)
    result = call("train", "--resume", "--out", interrupted)
    assert result.exit_code == 0, result.output
    name = "checkpoints/last/network.safetensors"
    assert (interrupted / name).read_bytes() == (whole / name).read_bytes()


def test_without_snapshots_they_are_found_again(interrupted, whole):
    shutil.rmtree(interrupted / "snapshots")
    result = call("train", "--resume", "--out", interrupted, "--threads", 1)
    assert result.exit_code == 0, result.output
    name = "checkpoints/last/network.safetensors"
    assert (interrupted / name).read_bytes() == (whole / name).read_bytes()


def test_with_init_the_network_keeps_its_weights(whole, tmp_path):
    init = whole / "network.safetensors"
    result = call(*SPARSE, "--init", init, "--epochs", 1, "--out", tmp_path / "r")
    assert result.exit_code == 0 and "initial weights" not in result.stderr
    start = Network.load(tmp_path / "r/snapshots/epoch-0000.safetensors")
    given = Network.load(init)
    for name, projection in start.projections.items():
        assert (projection.weight == given.projections[name].weight).all()


def test_what_cannot_spike_is_refused_before_anything_is_written(tmp_path):
    late = ["delays.max=500", "delays.initial_max=500", "delays.initial=constant"]
    options = [word for each in late for word in ("--set", each)]
    text = refused(*SPARSE, *options, "--out", tmp_path / "r")
    assert "no neuron of 'hidden1' spikes" in text and "shorten the delays" in text
    assert not (tmp_path / "r").exists()


def test_a_report_says_how_they_were_found(whole, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    page = tmp_path / "run.html"
    asked = "report", run, "--without-data", "--out", page
    assert call(*asked).exit_code == 0
    text = page.read_text()
    assert "initial weights found for 3 spikes per neuron and trial" in text
    assert re.search(
        r"Initial weights of input-&gt;hidden1, hidden1-&gt;output were found on 32 training "
        r"examples, for 3 spikes per neuron and trial; before training: hidden1 \S+ spikes",
        text,
    )
    notes = json.loads((run / "environment.json").read_text())
    notes["initial_weights"]["spikes"] = 3
    (run / "environment.json").write_text(json.dumps(notes))
    assert "environment.json" in refused(*asked)
    del notes["initial_weights"]  # as of a run with weights that were given
    (run / "environment.json").write_text(json.dumps(notes))
    assert call(*asked).exit_code == 0
    assert "Initial weights" not in page.read_text()
