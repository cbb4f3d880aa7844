"""delaysnn import, and what is done with what it makes."""

import json
from pathlib import Path

import nir
import numpy as np
import pytest
from safetensors.numpy import save_file

from mlgenn_delays import Network, load
from mlgenn_delays.imports.state import read_state
from tests.cli.helpers import call, parsed, refused
from tests.imports import helpers
from tests.imports.test_nir import braille, simulate
from tests.imports.test_snn_delays import plain

K, TAU = 9, 4.0
READ = ["--set", f"kernel_size={K}", "--set", f"tau_mem={TAU}", "--set", "readout=max"]
RECIPE = """
name = "on"
summary = "Digits by an imported network"
[data]
dataset = "digits"
both = false
duration = 50.0
window = 30.0
[network]
dt = 1.0
[[network.layers]]
size = 8
model = "DiscreteLIF"
tau_mem = 4.0
synapse = "Delta"
[network.readout]
model = "EulerLI"
kind = "max"
tau_mem = 4.0
synapse = "Delta"
[delays]
max = 8.0
[learning]
rule = "surrogate"
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Write a state dict of SNN-delays for the 64 pixels of digits."""
    rng, found = np.random.default_rng(2), {}
    for k, (n_pre, n) in zip((0, 3), ((64, 8), (8, 10)), strict=True):
        shape = (n, n_pre, 1)
        found[f"model.{k}.weight"] = rng.normal(0.1, 0.4, shape).astype(np.float32)
        found[f"model.{k}.P"] = rng.integers(-4, 5, (1, *shape)).astype(np.float32)
        found[f"model.{k}.SIG"] = np.zeros((1, *shape), np.float32)
    save_file(found, tmp_path / "theirs.safetensors")
    return tmp_path / "theirs.safetensors"


def test_an_imported_network_answers(model: Path, tmp_path: Path) -> None:
    labels = "zero,one,two,three,four,five,six,seven,eight,nine"
    common = ["import", model, "--from", "snn-delays", "--dt", 1, *READ]
    out = tmp_path / "ours.safetensors"
    # 30 steps, and 4 a layer by which SNN-delays pads; one a layer, by which ours is later.
    done = call(*common, "--steps", 30 + 2 * 4 + 2, "--labels", labels, "--out", out)
    assert done.exit_code == 0, done.output
    assert "hidden1: DiscreteLIF(n=8, tau_mem=4.0" in done.stdout
    assert f"next: delaysnn infer {out}" in done.stdout
    given = np.random.default_rng(1).random((5, 30, 64)) < 0.1
    given[:, 18:] = False
    np.savez(tmp_path / "in.npz", raster=given)
    answers = parsed(call("infer", out, tmp_path / "in.npz", "--json"))["predictions"]
    found = read_state(model)
    found = {key.replace("model.3", "model.2"): array for key, array in found.items()}
    for answer, raster in zip(answers, given, strict=True):
        _, voltage = plain(raster.astype(float), found, TAU)
        highest = np.maximum(voltage, 0.0).max(0)
        assert answer["label"] == labels.split(",")[int(highest.argmax())]
        likely = np.exp(highest - highest.max())
        np.testing.assert_allclose(answer["probabilities"], likely / likely.sum(), atol=2e-5)
    assert "must be new" in refused(*common, "--steps", 60, "--out", out)


def test_training_goes_on_from_it(model: Path, tmp_path: Path) -> None:
    done = call(
        "import", model, "--from", "snn-delays", "--dt", 1, *READ, "--format", "network",
        "--out", tmp_path / "start.safetensors",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "next: delaysnn train RECIPE --init" in done.stdout
    (tmp_path / "on.toml").write_text(RECIPE)
    run = tmp_path / "run"
    trained = call(
        "train", tmp_path / "on.toml", "--init", tmp_path / "start.safetensors", "--epochs", 1,
        "--out", run,
    )  # fmt: skip
    assert trained.exit_code == 0, trained.output
    start = Network.load(tmp_path / "start.safetensors").projections["input->hidden1"]
    after = Network.load(run / "network.safetensors").projections["input->hidden1"]
    assert 0 < np.abs(after.weight - start.weight).max() < 0.5
    assert (after.delay != start.delay).any()
    assert json.loads((run / "environment.json").read_text())["init"]["path"].endswith(
        "start.safetensors"
    )
    assert "accuracy" in parsed(call("evaluate", run, "--json"))


def test_a_nir_file_of_another_tool(tmp_path: Path) -> None:
    path = braille(tmp_path / "theirs.nir", 3, delays=True)
    out = tmp_path / "ours"
    for command in (["infer", path, "x.npz"], ["export", path, "--format", "c", "--out", out]):
        assert "take delaysnn import --from nir" in refused(*command)
    done = call(
        "import", path, "--from", "nir", "--dt", 0.1, "--steps", 80, "--set", "euler=true",
        "--out", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    given = helpers.spikes(1, 80, 6)
    counts = simulate(path, given)["lif2"][:-1].sum(0)
    prediction = load(out).predict(given)
    np.testing.assert_array_equal(prediction.logits, counts)
    assert prediction.label == str(counts.argmax())


def test_what_cannot_be_is_said_in_one_line(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "ours"
    common = ["import", model, "--from", "snn-delays", "--dt", 1, "--out", out]
    assert "--steps must be the number of steps of a trial" in refused(*common, *READ)
    assert "--steps and --labels must come with --format bundle" in refused(
        *common, *READ, "--format", "network", "--steps", 3
    )
    assert "n_steps must be a whole number >= 1, got 0" in refused(*common, *READ, "--steps", 0)
    assert "SNNDelays needs kernel_size" in refused(*common, "--steps", 9)
    assert "got 'tau'" in refused(*common, "--steps", 9, *READ, "--set", "tau=3")
    assert "one output per label, got 10 outputs and 2 labels" in refused(
        *common, *READ, "--steps", 9, "--labels", "a,b"
    )
    assert "module 'model.0' must be Linear" in refused(
        "import", model, "--from", "norse", "--dt", 1, "--steps", 9, "--out", out
    )
    assert "a checkpoint of mlGeNN must be in a folder" in refused(
        "import", model, "--from", "mlgenn", "--dt", 1, "--steps", 9, "--set", "sizes=[3,2]",
        "--out", out,
    )  # fmt: skip
    (tmp_path / "other.nir").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    assert "error" in refused(
        "import", tmp_path / "other.nir", "--from", "nir", "--dt", 1, "--steps", 9, "--out", out
    )
    graph = nir.NIRGraph.from_list(
        nir.Input(input_type=np.array([2])), nir.Scale(scale=np.ones(2)),
        nir.Output(output_type=np.array([2])), type_check=False,
    )  # fmt: skip
    nir.write(tmp_path / "scale.nir", graph)
    assert "got 'Scale'" in refused(
        "import", tmp_path / "scale.nir", "--from", "nir", "--dt", 1, "--steps", 9, "--out", out
    )
    assert not out.exists()
