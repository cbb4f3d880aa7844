"""delaysnn export and infer, from a run to answers."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.data import load_dataset
from mlgenn_delays.export.artifact import About, Artifact, artifact_of_run, write_bundle
from mlgenn_delays.neurons.declare import NEURONS
from tests.cli.helpers import SMALL, call, parsed, refused, write_words
from tests.export.neurons import hostile_network
from tests.reference.nets import StepRecipe


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Return the validation digits as an array of images."""
    from sklearn.datasets import load_digits

    names = load_dataset("digits")["validation"].names
    path = tmp_path_factory.mktemp("images") / "digits.npy"
    np.save(path, load_digits().images[[int(name) for name in names]])
    return path


@pytest.fixture(scope="module")
def bundle(trained: Path, tmp_path_factory) -> Path:
    """Return the bundle of the small run."""
    path = tmp_path_factory.mktemp("bundle") / "digits.safetensors"
    assert call("export", trained, "--format", "bundle", "--out", path).exit_code == 0
    return path


def test_a_bundle_answers_as_the_run(bundle: Path, trained: Path, images: Path) -> None:
    wanted = parsed(call("evaluate", trained, "--split", "validation", "--json"))
    answers = parsed(call("infer", bundle, images, "--json", "--batch", 32))["answers"]
    labels = load_dataset("digits")["validation"].labels
    assert len(answers) == len(labels) == 180
    hits = sum(int(a["label"]) == label for a, label in zip(answers, labels, strict=True))
    assert hits / 180 == wanted["accuracy"]
    again = parsed(call("infer", trained, images, "--json"))["answers"]
    assert [each["label"] for each in again] == [each["label"] for each in answers]


def test_what_export_says(trained: Path, tmp_path: Path) -> None:
    result = call("export", trained, "--format", "bundle", "--out", tmp_path / "b")
    assert result.exit_code == 0, result.output
    assert "validation accuracy" in result.stdout and "delaysnn infer" in result.stdout
    told = parsed(call("export", trained, "--format", "bundle", "--out", tmp_path / "c", "--json"))
    assert told["bytes"] == (tmp_path / "c").stat().st_size
    assert told["measured"][0]["n"] == 180
    assert (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_of_a_bundle_come_the_other_formats(bundle: Path, tmp_path: Path) -> None:
    assert call("export", bundle, "--format", "c", "--out", tmp_path / "c").exit_code == 0
    assert (tmp_path / "c" / "delaysnn_model.c").is_file()


def test_neurons_of_ones_own_go_everywhere_but_to_nir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = StepRecipe(4)
    about = About(n_steps=recipe.steps, labels=("a", "b", "c"))
    path, raster = tmp_path / "own.safetensors", tmp_path / "raster.npy"
    write_bundle(Artifact.of(hostile_network(recipe), about), path)
    np.save(raster, np.random.default_rng(1).random((4, recipe.steps, 9)) < 0.1)
    known = parsed(call("infer", path, raster, "--json"))["answers"]
    for name in ("Hostile", "Squashed"):  # as where nobody imported their module
        monkeypatch.delitem(NEURONS, name)
    answers = parsed(call("infer", path, raster, "--json"))["answers"]
    assert [a["probabilities"] for a in answers] == [a["probabilities"] for a in known]
    assert len({tuple(a["probabilities"]) for a in answers}) == 4
    assert call("export", path, "--format", "c", "--out", tmp_path / "c").exit_code == 0
    said = refused("export", path, "--format", "nir", "--out", tmp_path / "n")
    assert "NIR has no node for Hostile (population 'Hostile'); export a bundle, C or" in said
    assert not (tmp_path / "n").exists()


def test_int8_says_what_it_costs(trained: Path, tmp_path: Path) -> None:
    options = ["--format", "c", "--weights", "int8", "--out", tmp_path / "c"]
    result = call("export", trained, *options)
    assert result.exit_code == 0, result.output
    assert "before" in result.stdout and "after (180 examples)" in result.stdout


def test_answers_in_words(bundle: Path, images: Path) -> None:
    result = call("infer", bundle, images)
    assert result.exit_code == 0
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert len(rows) == 180 and all(len(row) == 3 and row[2].endswith(" %") for row in rows)
    assert "180 classified, median" in result.stderr


def test_one_bad_file_costs_no_other_answer(bundle: Path, images: Path, tmp_path: Path) -> None:
    shutil.copy(images, tmp_path / "good.npy")
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY nonsense")
    result = call("infer", bundle, tmp_path)
    assert result.exit_code == 2
    assert len(result.stdout.splitlines()) == 180
    assert "bad.npy" in result.stderr and "1 of the inputs" in result.stderr
    answers = json.loads(call("infer", bundle, tmp_path, "--json").stdout)["answers"]
    assert "error" in answers[0] and len(answers) == 181


def test_a_stream_is_answered_window_by_window(bundle: Path) -> None:
    steps = "\n".join(" ".join("0" * 128) for _ in range(150))
    result = subprocess.run(
        [sys.executable, "-m", "delaysnn", "infer", bundle, "--stream", "--json"],
        input=steps, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 3  # 60 steps each, the last one padded
    assert all(row["latency_ms"] > 0 and 0 < row["confidence"] <= 1 for row in rows)


def test_spoken_words_from_training_to_answers(tmp_path: Path) -> None:
    wavs = write_words(tmp_path / "wavs", [0, 5, 6, 10, 11, 12, 13])
    run, model = tmp_path / "run", tmp_path / "words.safetensors"
    options = [*SMALL, "--set", "data.duration=200", "--set", "delays.max=50"]
    options += ["--set", "delays.initial_max=40", "--epochs", 2, "--data", wavs, "--out", run]
    assert call("train", "fsdd", *options).exit_code == 0
    assert call("export", run, "--format", "bundle", "--out", model).exit_code == 0
    result = parsed(call("infer", model, wavs, "--json"))
    assert len(result["answers"]) == 14
    assert result["latency"]["examples"] == 14 and result["latency"]["median_ms"] > 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--format", "bundle", "--backend", "cuda"], "--format genn"),
        (["--format", "nir", "--weights", "int8"], "--format c"),
        (["--format", "c", "--edges", "delay"], "--format nir"),
        (["--format", "c", "--euler"], "--format nir"),
        (["--format", "pickle"], "pickle"),
    ],
)
def test_options_of_other_formats(trained: Path, tmp_path: Path, options, says: str) -> None:
    assert says in refused("export", trained, *options, "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_what_is_there_stays_and_a_file_has_no_checkpoints(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    command = ["export", bundle, "--format", "bundle", "--out"]
    assert "remove it first" in refused(*command, tmp_path / "x")
    assert (tmp_path / "x").read_text() == "mine"
    assert "--checkpoint" in refused(*command, tmp_path / "y", "--checkpoint", "last")


@pytest.mark.parametrize("form", ["bundle", "nir", "c"])
def test_a_place_that_cannot_be_written(trained: Path, form: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / "x"
    assert "--out" in refused("export", trained, "--format", form, "--out", out)
    assert (tmp_path / "file").read_text() == "mine"


def test_names_that_a_terminal_would_act_on(bundle: Path, images: Path, tmp_path: Path) -> None:
    shutil.copy(images, tmp_path / "a\x1b[31m\nb.npy")
    result = call("infer", bundle, tmp_path, "--batch", 180)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 180
    assert "\x1b" not in result.stdout and r"a\x1b[31m\nb.npy[0]" in result.stdout


def test_answers_that_are_not_finite(trained: Path, images: Path, tmp_path: Path) -> None:
    artifact = artifact_of_run(trained)
    for p in artifact.network.projections.values():
        p.weight[:] = 3e38
    write_bundle(artifact, tmp_path / "huge")
    result = call("infer", tmp_path / "huge", images, "--json")
    assert result.exit_code == 1
    assert "logits are not finite" in result.stderr and result.stdout == ""


def test_one_bad_file_is_one_line(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    assert "bad.npy" in refused("infer", bundle, tmp_path / "bad.npy")


def test_the_name_of_a_model_says_nothing(bundle: Path, images: Path, tmp_path: Path) -> None:
    shutil.copy(bundle, tmp_path / "model.nir")
    assert call("infer", tmp_path / "model.nir", images).exit_code == 0
    assert "a network or a NIR file" in refused("infer", images, images)


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (5, "task"),
        ({"labels": "abc", "n_steps": 60}, "task: labels"),
        ({"labels": [1], "n_steps": 60}, "task: labels.0"),
        ({"labels": ["a"], "n_steps": 0}, "task: n_steps"),
        ({"labels": ["a"], "n_steps": 60, "examples": {"validation": "x"}}, "task: examples"),
    ],
)
def test_damaged_notes(trained: Path, tmp_path: Path, task, says: str) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    notes = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps(notes | {"task": task}))
    text = refused("export", run, "--format", "bundle", "--out", tmp_path / "x")
    assert f"damaged: {says}" in text


def test_a_run_without_its_checkpoints(trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    result = call("export", run, "--format", "bundle", "--out", tmp_path / "x")
    assert result.exit_code == 0 and "validation accuracy" not in result.stdout


@pytest.mark.parametrize("options", [[], ["--stream", "x.npy"], ["x.npy", "--hop", "5"]])
def test_files_or_a_stream(bundle: Path, options: list[str]) -> None:
    refused("infer", bundle, *options)


def test_a_run_that_does_not_say_its_labels_asks_its_data(trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    notes = json.loads((run / "environment.json").read_text())
    assert notes.pop("task")["n_steps"] == 60
    (run / "environment.json").write_text(json.dumps(notes))
    whole, old = tmp_path / "a", tmp_path / "b"
    for source, out in ((trained, whole), (run, old)):
        assert call("export", source, "--format", "bundle", "--out", out).exit_code == 0
    assert whole.read_bytes() == old.read_bytes()
