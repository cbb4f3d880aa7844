"""What shells complete."""

import os
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from mlgenn_delays.cli import COMMANDS, main
from mlgenn_delays.data.registry import DATASETS
from mlgenn_delays.recipe import load_recipe, recipe_names, settings
from tests.cli.helpers import call


def completed(*words: str) -> list[tuple[str, str]]:
    """Return the values, and their kinds, that complete the last word."""
    shell = ShellComplete(main, {}, "delaysnn", "_DELAYSNN_COMPLETE")
    return [(each.value, each.type) for each in shell.get_completions(list(words[:-1]), words[-1])]


def plain(*words: str) -> list[str]:
    assert {kind for _, kind in completed(*words)} <= {"plain"}
    return [value for value, _ in completed(*words)]


def test_commands_and_options():
    assert plain("") == list(COMMANDS)
    assert plain("data", "") == ["prepare", "check"]
    assert plain("train", "--batch") == ["--batch-size"]
    assert plain("train", "--engine", "") == ["cpu", "genn", "auto"]


@pytest.mark.parametrize("command", ["train", "sweep", "recipes"])
def test_recipes(command):
    assert plain(command, "") == recipe_names()
    assert plain(command, "fsdd-") == ["fsdd-currents", "fsdd-currents-sparse"]
    assert completed(command, "my/own") == [("my/own", "file")]


def test_keys_are_those_of_the_recipe():
    own = settings(load_recipe("shd-recurrent"))
    assert plain("train", "shd-recurrent", "--set", "") == [f"{key}=" for key in own]
    assert plain("sweep", "ssc", "--grid", "network.layers.1.si") == ["network.layers.1.size="]
    assert plain("train", "--set", "data.wind") == ["data.window="]  # of digits
    assert plain("recipes", "--explain", "loss.k") == ["loss.kind"]
    assert plain("train", "nosuch", "--set", "") == []
    assert plain("train", "digits", "--set", "network.layers.1") == []


def test_data_sets_and_files():
    assert plain("data", "prepare", "") == list(DATASETS)
    assert plain("data", "check", "") == list(dict.fromkeys([*DATASETS, *recipe_names()]))
    for command in ("prepare", "check"):
        assert completed("data", command, "fsdd", "x") == [("x", "file")]
    for words in (
        ("train", "fsdd", "--data"), ("train", "--out"), ("train", "--init"), ("evaluate",),
        ("analyse",), ("report",), ("report", "a"), ("infer", "model"), ("export",),
        ("sweep", "digits", "--out"), ("recipes", "fsdd", "--out"),
    ):  # fmt: skip
        assert completed(*words, "x") == [("x", "file")], words


def test_paths_are_not_checked_before_we_do(tmp_path):
    assert "there is no run" in call("evaluate", tmp_path / "no").stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_line_of_the_documentation(shell):
    """Bash is asked for its version first, so it is not tried here."""
    done = subprocess.run(
        [sys.executable, "-c", "from mlgenn_delays.cli import main; main(prog_name='delaysnn')"],
        env=os.environ | {"_DELAYSNN_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "_delaysnn_completion" in done.stdout
