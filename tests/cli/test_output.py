"""Output on every terminal: encodings that hold little, names that are no text or hold controls."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlgenn_delays.cli.console import say_prose
from mlgenn_delays.runs.run import Start, Task
from tests.cli.helpers import SMALL
from tests.data.own_helpers import write_wav
from tests.needs import needs

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ODD = os.fsdecode(b"x\xff\x1b[31m")
no_such_names = needs("names of any bytes")


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    """Run a command in a process of its own that must end well; return it, output as bytes."""
    command = [sys.executable, "-m", "delaysnn", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, ASCII])
def test_tables_in_ascii(environment: dict[str, str]) -> None:
    done = run("recipes", **environment)
    assert done.stdout.isascii() and b"digits" in done.stdout


def test_prose_breaks_between_words_in_a_terminal(monkeypatch, capsys) -> None:
    text = "hint: 120 optimiser steps are few; set learning.batch_size-and-a-long-key to less"
    say_prose(text)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    say_prose(text)
    whole, *lines = capsys.readouterr().out.splitlines()
    assert whole == text and len(lines) == 3
    assert " ".join(map(str.strip, lines)) == text
    assert max(map(len, lines)) <= 40 and all(line.startswith("    ") for line in lines[1:])


@pytest.mark.slow
def test_a_run_with_an_odd_name(trained: Path, tmp_path: Path) -> None:
    odd = tmp_path / (ODD if sys.platform == "linux" else "x\u202e")
    shutil.copytree(trained, odd)
    done = run("evaluate", odd, "--threads", 1, PYTHONIOENCODING="cp1252")
    assert b"\\x1b[31m, best checkpoint" in done.stdout
    done = run("evaluate", odd, "--threads", 1, "--json", PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout)["split"] == "test"
    out = tmp_path / f"page{odd.name}.html"
    done = run("report", odd, "--without-data", "--out", out, PYTHONIOENCODING="ascii")
    assert b"report: " in done.stdout
    assert "\\udcff\\x1b[31m" in out.read_bytes().decode()


@pytest.mark.slow
@no_such_names
def test_a_sweep_with_an_odd_name(tmp_path: Path) -> None:
    out = tmp_path / ODD
    done = run("sweep", "digits", *SMALL, "--epochs", 1, "--workers", 1, "--out", out, **ASCII)
    assert done.stdout.isascii() and b"mean \\xb1 standard deviation" in done.stdout
    assert "\\udcff" in done.stdout.decode()
    assert (out / "results.csv").exists()


@pytest.mark.slow
@no_such_names
def test_recordings_with_odd_names(tmp_path: Path) -> None:
    words = tmp_path / os.fsdecode(b"words\xff")
    for label, pitch in (("down", 300), ("up", 1500)):
        for take in range(10):
            write_wav(words / label / f"{ODD}{take}.wav", pitch + 20 * take)
    picture = tmp_path / os.fsdecode(b"p\xff.svg")
    done = run("data", "check", "folder", words, "--out", picture, **ASCII)
    assert b"picture" in done.stdout and picture.stat().st_size > 1000
    settings = ["--set", 'data={dataset="folder"}', "--set", "network.layers.0.size=4"]
    path = tmp_path / "run"
    run("train", "fsdd", *settings, "--data", words, "--epochs", 1, "--out", path, **ASCII)
    done = run("infer", path, words, **ASCII)
    assert done.stdout.count(b"\t") == 40 and done.stdout.isascii()
    answers = json.loads(run("infer", path, words, "--json", **ASCII).stdout)["predictions"]
    assert answers[0]["input"] == str(words / "down" / f"{ODD}0.wav")


def test_names_that_are_no_utf8_are_read_back() -> None:
    noted = json.loads(json.dumps({"path": ODD, "crc32": 3}))
    assert Start.model_validate(noted).path == ODD
    assert Task.model_validate({"labels": [ODD], "n_steps": 3}).labels == [ODD]
