"""A command line in this process or another, and folders of spoken digits."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from mlgenn_delays.cli import main
from mlgenn_delays.cli.banner import ROWS
from mlgenn_delays.cli.train import COMPILING
from tests.data.own_helpers import write_wav

# A network and a training that take next to no time.
SMALL = ["--set", "network.layers.0.size=4", "--set", "learning.batch_size=256"]


# How lines begin that may come before an error: of the data, and what would be trained.
REPORTED = ("baseline: ", "data: ", "hint: ", "warning: ", COMPILING, *ROWS, "   ")


def call(*arguments: object):
    """Run a command; what an error of ours prints is on stderr, a traceback fails the test."""
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert "Traceback" not in result.output
    return result


def refused(*arguments: object) -> str:
    """Run a command that must refuse its input, and return the one line that says why.

    What it read of the data it may have reported before, and that it compiles kernels.
    """
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    *before, error = result.stderr.splitlines(keepends=True)
    assert error.startswith("error: ")
    assert all(line.startswith(REPORTED) for line in before), result.stderr
    return error


def start(*arguments: object, **options):
    """Start a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "delaysnn", *(str(each) for each in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def parsed(result) -> dict:
    """Return the one JSON object that stdout must be."""
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def write_words(folder: Path, takes: list[int]) -> Path:
    """Write two digits, tones of their own, as WAVs of the given takes."""
    for digit, pitch in enumerate((300, 1500)):
        for take in takes:
            write_wav(folder / f"{digit}_ann_{take}.wav", pitch + 20 * take, seconds=0.2)
    return folder


# Structure learned as in the paper, in a tiny network; validation has an example of each class.
REWIRED = [
    word
    for setting in (
        "data.validation=0.25",
        "network.layers.0.size=24",
        "learning.batch_size=16",
        "rewiring.rule=rigl",
        "network.sparsity=0.75",
        "network.dale=true",
        "regularisation.l1=0.02",
        "learning.learning_rate=0.02",
    )
    for word in ("--set", setting)
]


def write_rawhd(folder: Path, n_train: int = 80, n_test: int = 40) -> Path:
    """Write the four files of RawHD: a class is where and when two bumps of energy are."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for part, n in (("training", n_train), ("testing", n_test)):
        labels = np.arange(n) % 20
        values = 0.01 * rng.random((n, 20, 8))
        for row, label in enumerate(labels):
            values[row, 2 + label % 5 : 6 + label % 5, label // 5] += 0.1
            values[row, 12:14, 4 + label % 4] += 0.1
        np.save(folder / f"{part}_x_data.npy", values)
        np.save(folder / f"{part}_y_data.npy", labels)
    return folder


def metrics(run: Path) -> list[dict[str, str]]:
    """Return the rows of a run's metrics."""
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))
