"""Data that grow, change, move to another file system or lie behind links, by the commands."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.cli.helpers import call, parsed, refused
from tests.cli.test_own_data import infer, train, write_recipe
from tests.data.backwards import backwards
from tests.data.own_helpers import RATE, examples, write_events
from tests.data.tonic_helpers import no_network, write_gestures

NO_GROUPS = ["--set", "data.group_by=''", "--set", "data.duration=120"]
SPEAKERS = ("ann", "bob", "cyd", "dan", "eve", "fay")


def write_words(folder: Path, speakers: Sequence[str], takes: int) -> Path:
    """Write two words, each recording with noise of its own; return the folder."""
    for word, pitch in (("no", 300), ("yes", 1200)):
        (folder / word).mkdir(parents=True, exist_ok=True)
        for name in (f"{speaker}_{take}.wav" for speaker in speakers for take in range(takes)):
            rng = np.random.default_rng(list(f"{word}{name}".encode()))
            time = np.arange(RATE // 10) / RATE
            sound = 0.4 * np.sin(2 * np.pi * pitch * time) + 0.1 * rng.normal(size=len(time))
            soundfile.write(folder / word / name, sound, RATE)
    return folder


def evaluate(run: Path, *more: object) -> dict[str, Any]:
    """Evaluate a run."""
    return parsed(call("evaluate", run, "--json", *more))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with recordings in `data` and a run on them in `run`; not to be changed."""
    folder = tmp_path_factory.mktemp("words")
    write_words(folder / "data", speakers=SPEAKERS, takes=5)
    train(write_recipe(folder, "words"), folder / "data", folder / "run", *NO_GROUPS)
    return folder


@pytest.fixture
def copy(words: Path, tmp_path: Path) -> Path:
    """Return a copy of the same that may be changed."""
    return Path(shutil.copytree(words, tmp_path / "copy"))


def test_nothing_changed(words: Path) -> None:
    result = call("evaluate", words / "run", "--split", "all", "--json")
    assert result.stderr == ""
    found = parsed(result)
    assert list(found["data"]) == ["train", "validation", "test"]
    for split, counts in found["data"].items():
        trained_on = found["splits"][split]["n"] if split == "train" else 0
        assert counts == {"trained_on": trained_on, "new": 0, "gone": 0, "changed": 0}


def test_a_folder_that_has_grown(copy: Path) -> None:
    """What was trained on is in no test split of the larger folder, and what is new is said."""
    before = evaluate(copy / "run")
    write_words(copy / "data", speakers=("gil", "hal", "ida", "jon", "kim"), takes=6)
    result = call("evaluate", copy / "run", "--data", copy / "data", "--json")
    after = parsed(result)
    counts = after["data"]["test"]
    assert counts["trained_on"] == counts["gone"] == counts["changed"] == 0
    assert counts["new"] == after["n"] - before["n"] > 0
    assert f"note: since the training, the split 'test' has changed: {counts['new']} new (" in (
        result.stderr
    )
    text = refused("train", "--resume", "--out", copy / "run", "--data", copy / "data")
    assert "the training data that the run was started with, got " in text and " new (no/" in text


def test_examples_that_were_trained_on_are_said(copy: Path) -> None:
    """A test split is brought apart, of which some recordings are copies of training ones."""
    tests = write_words(copy / "tests" / "test", speakers=("zoe",), takes=3).parent
    listed = evaluate(copy / "run", "--split", "train")
    assert listed["data"]["train"]["trained_on"] == listed["n"]
    for number, path in enumerate(sorted((copy / "data").glob("no/*.wav"))):
        shutil.copy(path, tests / "test" / "no" / f"copy{number:02d}.wav")
    result = call("evaluate", copy / "run", "--data", tests, "--json")
    found = parsed(result)
    n = found["data"]["test"]["trained_on"]
    assert 20 < n < 30 and found["n"] == 36
    assert f"warning: {n} of 36 examples of the split 'test' were trained on (test/no/copy" in (
        result.stderr
    )
    assert "none of the 36 examples of the split 'test' was in it at the training" in result.stderr


def test_runs_that_do_not_say(copy: Path) -> None:
    (copy / "run" / "data.safetensors").write_bytes(b"")
    assert "data.safetensors is damaged" in refused("evaluate", copy / "run")
    (copy / "run" / "data.safetensors").unlink()
    result = call("evaluate", copy / "run", "--json")
    assert parsed(result)["data"] is None
    text = "run does not say which examples it was trained on (data.safetensors is missing)"
    assert text in result.stderr
    result = call("train", "--resume", "--out", copy / "run")
    assert result.exit_code == 0 and text in result.stderr


def test_arrays_that_changed_under_a_run(tmp_path: Path) -> None:
    """The same file with other labels, or other times, is not what the run was trained on."""
    events, labels = examples(60, channels=20)
    data, run = tmp_path / "data.npz", tmp_path / "run"
    train(write_recipe(tmp_path, "mine"), write_events(data, events, labels), run)
    resume = ("train", "--resume", "--out", run)
    write_events(data, events, np.roll(labels, 1))
    text = refused(*resume)
    assert "resuming needs the training data that the run was started with, got" in text
    assert " changed (0, 1, 2 and" in text
    write_events(data, [(channels, times / 2) for channels, times in events], labels)
    assert " changed (" in refused(*resume)
    found = evaluate(run)
    assert found["data"]["test"]["changed"] == found["n"]
    write_events(data, events[1:], labels[1:])
    assert " gone (" in refused(*resume)
    write_events(data, events, labels)
    assert call(*resume).exit_code == 0


def test_a_test_split_that_changed_is_said_when_resuming(tmp_path: Path) -> None:
    events, labels = examples(60, channels=20)
    for name, part in (("train", slice(0, 40)), ("test", slice(40, 60))):
        write_events(tmp_path / "data" / f"{name}.npz", events[part], labels[part])
    run = tmp_path / "run"
    train(write_recipe(tmp_path, "mine"), tmp_path / "data", run)
    write_events(tmp_path / "data" / "test.npz", events[40:55], labels[40:55])
    result = call("train", "--resume", "--out", run)
    assert result.exit_code == 0
    assert "the split 'test' has changed: 5 gone (15, 16, 17 and 2 more)" in result.stderr


def test_one_example_of_a_class_needs_no_split(copy: Path) -> None:
    few = write_words(copy / "few", speakers=("zoe",), takes=2)
    (few / "yes" / "zoe_1.wav").unlink()
    assert "cannot split 2 examples of class 'no'" in refused(
        "evaluate", copy / "run", "--data", few
    )
    found = evaluate(copy / "run", "--data", few, "--split", "all")
    assert found["n"] == 3 and list(found["splits"]) == ["all"]
    assert found["data"]["all"]["new"] == 3 and found["data"]["all"]["trained_on"] == 0
    assert "all" in call("evaluate", copy / "run", "--data", few, "--split", "all").stdout
    assert "does not exist" in refused(
        "evaluate", copy / "run", "--data", few / "x", "--split", "all"
    )


@pytest.mark.filterwarnings("ignore:tonic takes its")
def test_events_of_tonic_on_another_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy with equal times finds the cache of the first, whatever order its folders have."""
    no_network(monkeypatch)
    home, run = tmp_path / "home", tmp_path / "run"
    home.mkdir()
    write_gestures(home)
    recipe = tmp_path / "gestures.toml"
    text = write_recipe(tmp_path, "nmnist").read_text()
    recipe.write_text(
        text.replace("NMNIST", "DVSGesture").replace("downsample = 2", "downsample = 16")
    )
    train(recipe, home, run)
    before = evaluate(run, "--split", "all")
    moved = shutil.copytree(home, tmp_path / "scratch")
    with backwards(monkeypatch):
        result = call("evaluate", run, "--split", "all", "--data", moved, "--json")
        after = parsed(result)
    assert before == after
    assert all(
        sum(v for k, v in c.items() if k != "trained_on") == 0 for c in after["data"].values()
    )
    with backwards(monkeypatch):
        assert call("train", "--resume", "--out", run, "--data", moved).exit_code == 0


def test_answers_to_linked_folders(words: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    store = write_words(tmp_path / "store", speakers=SPEAKERS, takes=1)
    (inputs / "no").mkdir(parents=True)
    for path in (store / "no").iterdir():
        shutil.copy(path, inputs / "no")
    (inputs / "yes").symlink_to(store / "yes")
    answers = infer(tmp_path, words / "run", inputs)
    found = [each["input"] for each in answers]
    assert len(found) == 12 and found == sorted(found)
    (inputs / "yes").unlink()
    (inputs / "up").symlink_to(inputs)
    result = call("infer", tmp_path / "bundle.safetensors", inputs, "--json")
    assert len(parsed(result)["predictions"]) == 6
    assert "up is left out: it leads to" in result.stderr


def test_training_on_linked_folders_is_the_same(words: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "no").mkdir(parents=True)
    for path in (words / "data" / "no").iterdir():
        (home / "no" / path.name).symlink_to(path)
    (home / "yes").symlink_to(words / "data" / "yes")
    found = evaluate(words / "run", "--data", home, "--split", "all")
    assert found == evaluate(words / "run", "--split", "all") and found["n"] == 60
