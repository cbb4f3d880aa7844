"""Outputs that spike through the command line: learned spike counts and learned spike times."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlgenn_delays import (
    LIF,
    Delta,
    Exponential,
    Network,
    SpikeCounter,
    SpikeData,
    SpikeInput,
    SurrogateBPTT,
    compile_network,
)
from tests.cli.helpers import call, metrics, parsed, refused
from tests.needs import GENN, need

COUNTED = """
name = "counted"
data = { dataset = "digits", duration = 60.0, window = 30.0, both = true }
loss = { kind = "spike-count", correct = 6.0 }
delays = { max = 20.0, initial_max = 10.0 }
learning = { rule = "surrogate", surrogate = "triangle", epochs = 4, learning_rate = 5e-3 }
[network]
layers = [{ size = 48, tau_mem = 10.0 }, { size = 10, tau_mem = 10.0 }]
[network.readout]
model = "SpikeCounter"
kind = "sum"
synapse = "Delta"
connection = "one-to-one"
"""
TIMED = """
name = "timed"
data = { dataset = "npz" }
loss = { kind = "spike-time" }
delays = { max = 15.0, initial_max = 15.0 }
learning = { epochs = 80, batch_size = 8, learning_rate = 1e-2 }
regularisation = { revive = 0.05 }
[network]
layers = [{ size = 3, tau_mem = 10.0, tau_syn = 3.0 }]
readout = { connection = "one-to-one", tau_mem = 5.0, tau_syn = 3.0 }
"""
CHANNELS, STEPS, EXAMPLES = 9, 60, 160


def planted(folder: Path) -> Path:
    """Write input spikes, and as targets where neurons with planted delays spike.

    Each of three neurons spikes where two of its three channels, over their delays, coincide.
    """
    rng = np.random.default_rng(0)
    raster = rng.random((EXAMPLES, STEPS, CHANNELS)) < 0.05
    raster[:, 40:] = False
    network = Network(seed=0)
    network.add("input", SpikeInput(CHANNELS))
    network.add("last", LIF(3, tau_mem=10.0))
    network.add("output", SpikeCounter(3))
    own = np.arange(CHANNELS)[:, None] // 3 == np.arange(3)
    delay = np.zeros((CHANNELS, 3))
    delay[own] = np.concatenate([rng.permutation([1.0, 7.0, 13.0]) for _ in range(3)])
    network.connect(
        "input", "last", Exponential(3.0), weight=np.where(own, 1.9, 0.0).ravel(),
        delay=delay.ravel(), max_delay=15.0,
    )  # fmt: skip
    network.connect("last", "output", Delta(), weight=1.0, one_to_one=True)
    events: Any = [np.nonzero(each)[::-1] for each in raster]
    data = SpikeData.from_events(
        events, np.zeros(EXAMPLES, int), n_channels=CHANNELS, n_steps=STEPS, dt=1.0,
        label_names=("a", "b", "c"),
    )  # fmt: skip
    compiled = compile_network(network, SurrogateBPTT(None, None), total_steps=1)
    a_step_late = compiled.record(data.batch(np.arange(EXAMPLES))).voltage
    targets = np.zeros_like(a_step_late)
    targets[:, :, :-1] = a_step_late[:, :, 1:]
    assert 0.5 < targets.sum((0, 2)).min() / EXAMPLES < 1.5
    folder.mkdir()
    np.savez(folder / "data.npz", raster=raster.astype(np.uint8), targets=targets)
    return folder


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def settings(*given: str) -> list[str]:
    return [word for each in given for word in ("--set", each)]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("counted")
    recipe = write(folder / "counted.toml", COUNTED)
    found = parsed(call("train", recipe, "--out", folder / "run", "--json"))
    return folder / "run", found


def test_spike_counts_tell_digits_apart(counted: tuple[Path, dict[str, Any]]) -> None:
    run, found = counted
    assert found["splits"]["test"]["accuracy"] > 0.7
    rows = metrics(run)
    assert float(rows[-1]["validation_loss"]) < 0.7 * float(rows[0]["validation_loss"])
    projection = Network.load(run / "network.safetensors").projections["hidden2->output"]
    assert projection.frozen and (projection.weight == 1).all() and projection.n_synapses == 10
    assert "nothing to do" in call("train", "--resume", "--out", run).stderr


@pytest.mark.slow
def test_they_are_reported(counted: tuple[Path, dict[str, Any]]) -> None:
    run, _ = counted
    assert call("report", run, "--out", run.parent / "r.html").exit_code == 0
    assert call("analyse", run, "--out", run.parent / "a").exit_code == 0


FORMS = ["bundle", "nir", pytest.param("genn", marks=pytest.mark.slow)]


@pytest.mark.parametrize("form", FORMS)
def test_it_is_exported(form: str, counted: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    if form == "genn":
        need(*GENN)
    run, _ = counted
    raster = (np.random.default_rng(3).random((4, 60, 128)) < 0.05).astype(np.uint8)
    np.savez(tmp_path / "in.npz", raster=raster)
    suffix = {"bundle": "model.safetensors", "nir": "model.nir"}.get(form, form)
    result = call("export", run, "--format", form, "--out", tmp_path / suffix)
    assert result.exit_code == 0, result.output
    one, two = (
        json.loads(call("infer", model, tmp_path / "in.npz", "--json").stdout)["predictions"]
        for model in (run, tmp_path / suffix)
    )
    assert [a["probabilities"] for a in one] == [b["probabilities"] for b in two]


@pytest.mark.slow
def test_learned_delays_bring_spikes_to_their_times(tmp_path: Path) -> None:
    data, recipe = planted(tmp_path / "data"), write(tmp_path / "timed.toml", TIMED)
    reached = {}
    for learn in ("true", "false"):
        out = tmp_path / learn
        options = settings(f"delays.learn={learn}")
        found = parsed(call("train", recipe, "--data", data, "--out", out, "--json", *options))
        assert set(found["splits"]["test"]) >= {"nrmse", "loss"}
        reached[learn] = found["splits"]["validation"]["nrmse"]
    assert reached["true"] < 0.9 * reached["false"]
    found = parsed(call("evaluate", tmp_path / "true", "--data", data, "--split", "all", "--json"))
    assert found["splits"]["validation"]["nrmse"] == pytest.approx(reached["true"], rel=1e-6)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    recipe, out = write(tmp_path / "counted.toml", COUNTED), tmp_path / "run"
    for given, why in (
        ("network.layers.1.size=11", "network.layers.1.size must be 10, one neuron per class"),
        ("learning.rule=eventprop", "must be 'LeakyIntegrator' .*with learning.rule = 'eventprop'"),
        ("loss.correct=0.5", r"loss.correct must be > loss.wrong \(1\), got 0.5"),
        ("network.readout.weight_sd=2", "network.readout.weight_sd has no effect"),
        ("delays.layers=['output']", "delays.layers must be of hidden1, hidden2, input->hidden1"),
        ("loss.kind=spike-time", "must have target series with the loss 'spike-time', got classes"),
    ):
        error = refused("train", recipe, "--out", out, *settings(given))
        assert re.search(why, error), error
    assert not out.exists()
    data = tmp_path / "data"
    data.mkdir()
    values = np.full((20, 3, 40), 0.5, np.float32)
    np.savez(data / "data.npz", raster=np.ones((20, 40, 4), np.uint8), targets=values)
    recipe = write(tmp_path / "timed.toml", TIMED)
    error = refused("train", recipe, "--data", data, "--out", out)
    assert re.search("must have targets of 0 and 1, the spikes in each .* got 0.5", error), error
