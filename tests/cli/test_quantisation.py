"""Training with few bits on the command line, from a recipe's table to C."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.export.artifact import read_bundle
from mlgenn_delays.network import Network
from tests.cli.helpers import SMALL, call, parsed, refused

BITS = ["--set", "quantisation.weights=int4", "--set", "quantisation.delay_step=2"]


@pytest.fixture(scope="module")
def few_bits(tmp_path_factory) -> Path:
    """Return a small run with weights of 4 bits."""
    run = tmp_path_factory.mktemp("bits") / "run"
    result = call("train", "digits", *SMALL, *BITS, "--epochs", 1, "--out", run)
    assert result.exit_code == 0, result.output
    assert "int4 weights with a scale per neuron, delays in steps of 2 ms" in result.stderr
    return run


def test_a_run_with_few_bits_is_integers_wherever_it_goes(few_bits: Path, tmp_path: Path) -> None:
    for p in Network.load(few_bits / "network.safetensors").projections.values():
        assert set(p.delay % 2) == {0.0} and len(set(p.weight[p.post == 0])) <= 15
    measured = parsed(call("evaluate", few_bits, "--split", "validation", "--json"))
    told = parsed(call("export", few_bits, "--out", tmp_path / "b", "--format", "bundle", "--json"))
    assert told["measured"][0]["accuracy"] == measured["accuracy"]
    artifact = read_bundle(tmp_path / "b")
    assert artifact.about.quantised == "int4" and artifact.quantised is not None
    assert max(np.abs(q).max() for q in artifact.quantised.values.values()) == 7
    again = parsed(call("evaluate", few_bits, "--split", "validation", "--engine", "cpu", "--json"))
    assert again["loss"] == measured["loss"]
    assert call("export", tmp_path / "b", "--format", "c", "--out", tmp_path / "c").exit_code == 0
    done = subprocess.run(["make", "-C", tmp_path / "c", "test"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_goes_on_as_if_it_had_not_ended(few_bits: Path, tmp_path: Path) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    options = [*SMALL, *BITS, "--set", "delays.schedule=constant"]
    options += ["--set", "learning.schedule=constant"]
    assert call("train", "digits", *options, "--epochs", 2, "--out", whole).exit_code == 0
    assert call("train", "digits", *options, "--epochs", 1, "--out", run).exit_code == 0
    assert call("train", "--resume", "--epochs", 2, "--out", run).exit_code == 0
    network = "checkpoints/last/network.safetensors"
    assert (run / network).read_bytes() == (whole / network).read_bytes()
    said = refused("train", "--resume", "--set", "quantisation.weights=int8", "--out", run)
    assert 'quantisation.weights: "int4", "int8"' in said


def test_quantised_after_training(trained: Path, few_bits: Path) -> None:
    plain = parsed(call("evaluate", trained, "--json"))
    result = parsed(call("evaluate", trained, "--quantise", "ternary", "--json"))
    assert result["quantised"] == "ternary" and result["loss"] != plain["loss"]
    close = parsed(call("evaluate", trained, "--quantise", "int8", "--json"))
    assert abs(close["loss"] - plain["loss"]) < abs(result["loss"] - plain["loss"])
    text = call("evaluate", trained, "--quantise", "int8").stdout
    assert "best checkpoint, weights quantised to int8" in text
    said = refused("evaluate", few_bits, "--quantise", "int8")
    assert "must come with a run of float32 weights, got int8 with" in said
    said = refused("export", few_bits, "--format", "c", "--weights", "int8", "--out", "nowhere")
    assert "--weights must be int4 or float32 for" in said and "leave --weights out" in said


def test_c_has_the_weights_that_were_learned(few_bits: Path, tmp_path: Path) -> None:
    for options, kind in (([], "int4"), (["--weights", "float32"], "float32")):
        out = tmp_path / kind
        result = call("export", few_bits, "--format", "c", *options, "--out", out)
        assert result.exit_code == 0, result.output
        assert f"synapses of {kind} weights" in result.stdout and "before" not in result.stdout
        assert f'DELAYSNN_WEIGHTS "{kind}"' in (out / "delaysnn_model.h").read_text()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (["weights=int5"], "quantisation.weights must be one of float32, int8, int4, ternary, got"),
        (["delay_step=1.5"], "quantisation.delay_step must be in multiples of dt (1 ms), got 1.5"),
        (["delay_step=40"], "so that there are two delays within the longest, 30 ms, got 40.0"),
        (
            ["delay_values=[40.0]"],
            "up to 30 ms, the longest delay of 'input->hidden1', got (40.0",
        ),
        (["delay_step=2", "delay_values=[1.0]"], "must be 0 with delay_values, got 2.0; give one"),
        (["per=projection"], "quantisation.weights = 'float32'"),
    ],
)
def test_what_clashes_is_refused(changes: list[str], text: str, tmp_path: Path) -> None:
    given = [part for each in changes for part in ("--set", f"quantisation.{each}")]
    assert text in refused("train", "digits", *given, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_delays_that_are_not_there_have_no_grid(tmp_path: Path) -> None:
    given = ["--set", "delays.max=0", "--set", "delays.initial_max=0"]
    given += ["--set", "quantisation.delay_step=2", "--out", tmp_path / "run"]
    assert "two delays within the longest, 0 ms" in refused("train", "digits", *given)


def test_a_sweep_over_bits(tmp_path: Path) -> None:
    result = call(
        "sweep", "digits", *SMALL, "--epochs", 1, "--seeds", 1, "--out", tmp_path / "s", "--grid",
        "quantisation.weights=float32,ternary",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = (tmp_path / "s" / "results.csv").read_text().splitlines()
    assert [row.split(",")[:3] for row in rows[1:]] == [
        [kind, "0", "done"] for kind in ("float32", "ternary")
    ]
