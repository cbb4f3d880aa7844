"""delaysnn train --resume: after SIGINT and SIGKILL, and what may not change."""

import json
import shlex
import shutil
import signal
from dataclasses import fields
from pathlib import Path

import pytest

from mlgenn_delays.cli.train import TrainOptions, resume_command
from mlgenn_delays.network import Network
from mlgenn_delays.recipe import load_recipe
from tests.cli.helpers import REWIRED, SMALL, call, parsed, refused, start, write_words
from tests.needs import needs
from tests.processes import ENOUGH, caught, epochs, wait_for

EPOCHS = 16


def stop_early(folder, number, *options):
    """Train in a process and send it a signal after two epochs or more.

    Returns:
        The run, the exit code, and what was said.
    """

    def attempt(run):
        process = start("train", *(options or SMALL), "--epochs", EPOCHS, "--out", run)
        wait_for(lambda: epochs(run) >= 2, process)
        process.send_signal(number)
        output = process.communicate(timeout=ENOUGH)
        if process.returncode == 0:
            return None
        assert 2 <= epochs(run) <= EPOCHS, output
        return run, process.returncode, *output

    return caught(attempt, folder)


def without_seconds(run) -> list[list[str]]:
    """Return the metrics but for the last column, which is the time taken."""
    lines = (run / "metrics.csv").read_text().splitlines()
    assert lines[0].endswith(",seconds")
    return [line.split(",")[:-1] for line in lines]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    assert call("train", *SMALL, "--epochs", EPOCHS, "--out", path).exit_code == 0
    return path


def assert_same(run, other):
    assert without_seconds(run) == without_seconds(other)
    for name in ("network.safetensors", "checkpoints/last/network.safetensors"):
        assert (run / name).read_bytes() == (other / name).read_bytes()


@needs("posix")
def test_interrupted_and_resumed_as_it_says(tmp_path, uninterrupted):
    """Other signals are in tests/cli/test_signals.py."""
    run, code, out, err = stop_early(tmp_path, signal.SIGINT)
    assert code == 128 + signal.SIGINT
    assert out == ""
    assert "Traceback" not in err
    said, _, command = err.splitlines()[-1].partition(": ")
    assert said == "interrupted; continue with"
    assert shlex.split(command)[0] == "delaysnn"
    result = call(*shlex.split(command)[1:])
    assert result.exit_code == 0, result.output
    assert_same(run, uninterrupted)


@pytest.mark.slow
@needs("posix")
def test_killed_and_resumed(tmp_path, uninterrupted):
    run, code, _, _ = stop_early(tmp_path, signal.SIGKILL)
    assert code == -signal.SIGKILL
    result = call("train", "--resume", "--threads", 1, "--out", run)
    assert result.exit_code == 0, result.output
    assert_same(run, uninterrupted)


@pytest.mark.slow
@needs("posix")
def test_structure_learning_killed_and_resumed(tmp_path, rawhd):
    options = ["rawhd", *REWIRED, "--data", rawhd]
    assert call("train", *options, "--epochs", EPOCHS, "--out", tmp_path / "whole").exit_code == 0
    run, code, _, _ = stop_early(tmp_path, signal.SIGKILL, *options)
    assert code == -signal.SIGKILL
    text = refused("train", "--resume", "--set", "rewiring.every=3", "--out", run)
    assert "rewiring.every: -1, 3" in text
    result = call("train", "--resume", "--threads", 1, "--out", run)
    assert result.exit_code == 0, result.output
    assert_same(run, tmp_path / "whole")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, []),
        ({"data": "a b"}, ["--data", "a b"]),
        ({"engine": "genn"}, ["--engine", "genn"]),
        ({"engine": "genn", "backend": "single_threaded_cpu"}, ["--engine", "genn"]),
        ({"engine": "genn", "backend": "cuda"}, ["--engine", "genn", "--backend", "cuda"]),
        ({"engine": "genn", "communicator": "mpi"}, ["--engine", "genn", "--communicator", "mpi"]),
    ],
)
def test_the_resume_command_repeats_what_is_not_kept(given, words):
    names = (each.name for each in fields(TrainOptions))
    options = TrainOptions(**dict.fromkeys(names) | {"engine": "cpu", "overrides": ()} | given)
    said, _, command = resume_command(options, Path("runs/a b")).partition(": ")
    under = "under MPI " if "communicator" in given else ""
    assert said == f"interrupted; continue {under}with"
    assert shlex.split(command) == ["delaysnn", "train", *words, "--resume", "--out", "runs/a b"]


def test_a_finished_run_says_so(trained):
    for again in ([], ["digits"], ["digits", *SMALL, "--epochs", 2]):
        result = call("train", *again, "--resume", "--out", trained, "--json")
        assert parsed(result)["epochs"] == 2
        assert "nothing to do" in result.stderr


def test_without_out_the_last_run_is_resumed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "there is no run in runs/ to resume; give it" in refused("train", "--resume")
    small = ["--set", "data.train=30", "--set", "data.validation=30", "--set", "data.test=30"]
    for recipe in ("digits", "yin-yang", "digits"):
        command = ["train", recipe, *(SMALL if recipe == "digits" else small), "--epochs", 1]
        assert call(*command).exit_code == 0
    files = sorted(Path("runs").glob("*/recipe.toml"), key=lambda file: file.stat().st_mtime_ns)
    runs = [file.parent for file in files]
    assert [run.name.startswith("digits") for run in runs] == [True, False, True]
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "recipe.toml").write_text("name = ")
    for recipe, run in (("digits", runs[2]), ("yin-yang", runs[1])):
        result = call("train", recipe, "--resume", "--json")
        assert parsed(result)["run"] == str(run)
        assert f"{run}, resumed" in result.stderr
    text = refused("train", "fsdd", "--resume")
    assert "there is no run of the recipe 'fsdd' in runs/ to resume" in text


STEADY = ["--set", "learning.schedule=constant", "--set", "delays.schedule=constant"]


def test_more_epochs_for_a_finished_run(tmp_path):
    """Two epochs and two more leave what four at once do, where nothing depends on how many."""
    run, whole = tmp_path / "run", tmp_path / "whole"
    assert call("train", *SMALL, *STEADY, "--epochs", 2, "--out", run).exit_code == 0
    assert call("train", *SMALL, *STEADY, "--epochs", 4, "--out", whole).exit_code == 0
    result = call("train", "--resume", "--epochs", 4, "--out", run, "--json")
    assert parsed(result)["epochs"] == 4
    assert_same(run, whole)
    assert (run / "recipe.toml").read_bytes() == (whole / "recipe.toml").read_bytes()
    assert "epochs: 4, 3" in refused("train", "--resume", "--epochs", 3, "--out", run)
    assert "nothing to do" in call("train", "--resume", "--out", run).stderr


@pytest.mark.parametrize(
    ("settings", "reasons"),
    [
        ([], ["Cosine of the weights", "Cosine of the delays"]),
        ([*STEADY, "--set", "network.sparsity=0.5", "--set", "rewiring.rule=set"], ["SET"]),
        (
            [*STEADY, "--set", "learning.rule=surrogate", "--set", "delays.kernel=gaussian"],
            ["delays.sigma_epochs = 0"],
        ),
    ],
)
def test_more_epochs_that_would_have_made_another_run(tmp_path, settings, reasons):
    run = tmp_path / "run"
    assert call("train", *SMALL, *settings, "--epochs", 1, "--out", run).exit_code == 0
    before = (run / "recipe.toml").read_bytes()
    text = refused("train", "--resume", "--epochs", 2, "--out", run)
    for reason in reasons:
        assert reason in text
    assert f"--init {run}/network.safetensors --epochs 2 without --resume" in text
    assert (run / "recipe.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (["--epochs", 1], "learning.epochs: 2, 1"),
        (["--seed", 5], "seed: 0, 5"),
        (["--set", "delays.max=7"], "delays.max: 30.0, 7.0"),
        (["--set", "data.window=7"], "data.window: 30.0, 7"),
        (["digits", "--lr", 0.1], "learning.learning_rate: 0.005, 0.1"),
        (["digits", "--batch-size", 7], "learning.batch_size: 256, 7"),
        (["fsdd"], 'name: "digits", "fsdd"'),
    ],
)
def test_settings_that_differ_are_named(trained, change, key):
    if change == ["--set", "delays.max=7"]:
        change = ["--set", "delays.initial_max=0", *change]
        key = key.replace("30.0", repr(load_recipe("digits").delays.max))
    text = refused("train", *change, "--resume", "--out", trained)
    assert key in text


@pytest.mark.parametrize(
    ("before", "said"), [("name = ", "recipe.toml"), ("wonder = 1\n", "there is no key 'wonder'")]
)
def test_a_recipe_that_is_damaged_or_of_a_newer_version(trained, tmp_path, before, said):
    run = shutil.copytree(trained, tmp_path / "run")
    recipe = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(before + recipe)
    assert said in refused("train", "--resume", "--out", run)


def test_init_stays_the_same(trained, tmp_path):
    init = tmp_path / "init.safetensors"
    shutil.copy(trained / "network.safetensors", init)
    run = tmp_path / "run"
    command = ["train", *SMALL, "--epochs", 1, "--out", run]
    assert call(*command, "--init", init).exit_code == 0
    assert call("train", "--resume", "--out", run).exit_code == 0
    assert call("train", "--resume", "--init", init, "--out", run).exit_code == 0
    other = trained / "checkpoints" / "last" / "network.safetensors"
    if other.read_bytes() == init.read_bytes():
        other = run / "network.safetensors"
    assert "--init" in refused("train", "--resume", "--init", other, "--out", run)
    assert "--init" in refused("train", "--resume", "--init", other, "--out", trained)
    init.unlink()  # the run has a copy
    assert call("train", "--resume", "--out", run).exit_code == 0
    shutil.copy(other, run / "init.safetensors")
    assert "holds something else" in refused("train", "--resume", "--out", run)


def test_init_of_a_run_without_its_environment(trained, tmp_path):
    init, other = trained / "network.safetensors", tmp_path / "other.safetensors"
    network = Network.load(init)
    network.projections["input->hidden1"].weight[:] += 1
    network.save(other)
    run = tmp_path / "run"
    assert call("train", *SMALL, "--epochs", 1, "--out", run, "--init", init).exit_code == 0
    (run / "environment.json").unlink()
    assert call("train", "--resume", "--out", run).exit_code == 0
    assert call("train", "--resume", "--init", init, "--out", run).exit_code == 0
    text = refused("train", "--resume", "--init", other, "--out", run)
    assert f"{run / 'init.safetensors'}, got {other}, which holds something else" in text


def test_init_of_a_run_killed_before_its_first_epoch(trained, tmp_path):
    init = tmp_path / "init.safetensors"
    shutil.copy(trained / "network.safetensors", init)
    run = tmp_path / "run"
    command = ["train", *SMALL, "--epochs", 1, "--out", run]
    assert call(*command, "--init", init).exit_code == 0
    first = (run / "network.safetensors").read_bytes()
    for copy in (True, False):
        shutil.rmtree(run / "checkpoints")
        (run / "network.safetensors").unlink()
        if not copy:
            (run / "init.safetensors").unlink()
        assert call("train", "--resume", "--out", run).exit_code == 0
        assert (run / "network.safetensors").read_bytes() == first
    init.unlink()
    assert "there is no delaysnn network file" in refused("train", "--resume", "--out", run)


def test_damaged_environment(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "environment.json").write_text("{")
    assert "environment.json is damaged" in refused("train", "--resume", "--out", run)
    (run / "environment.json").unlink()
    assert call("train", "--resume", "--out", run).exit_code == 0


def test_data_path_is_remembered_and_may_change(tmp_path):
    folder = write_words(tmp_path / "words", [0, 5, 10, 11])
    run = tmp_path / "r"
    small = [*SMALL, "--set", "data.duration=200", "--set", "data.mel.n_bands=8"]
    command = ["train", "fsdd", *small, "--data", folder, "--epochs", 1, "--out", run]
    assert call(*command).exit_code == 0
    assert call("evaluate", run).exit_code == 0
    moved = folder.rename(tmp_path / "moved")
    assert str(folder) in refused("train", "--resume", "--out", run)
    assert call("train", "--resume", "--data", moved, "--out", run).exit_code == 0
    assert json.loads((run / "environment.json").read_text())["data"] == str(folder.resolve())
