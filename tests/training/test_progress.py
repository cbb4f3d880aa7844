import os
import pty
import re
import subprocess
import sys

import numpy as np
import pytest

from mlgenn_delays.engines.results import BatchResult
from mlgenn_delays.progress import Progress, compiling, telling
from mlgenn_delays.training.callbacks import RunningMeans
from mlgenn_delays.training.epoch_line import epoch_head, epoch_line, mean_spikes, running_score
from tests.needs import needs

ROW = {
    "epoch": 2, "train_loss": 0.5, "train_accuracy": 0.875, "validation_loss": 0.25,
    "validation_accuracy": 0.9, "spikes_a": 1.0, "spikes_b": 4.0, "silent_a": 0, "silent_b": 0,
    "seconds": 1.25,
}  # fmt: skip
SIZES = {"a": 1, "b": 2}


def test_a_line_tells_the_epoch_under_its_titles():
    line = epoch_line(ROW, 5, SIZES, True)
    told = ["2/5", "0.5000", "87.50 %", "0.2500", "90.00 %", "3.00", "0", "1.2"]
    assert re.split(" {2,}", line.strip().removesuffix(" *")) == told
    above, below = epoch_head(ROW, 5, SIZES)
    titles = ["epoch", *["loss", "accuracy"] * 2, "spikes", "silent", "seconds"]
    assert below.split() == titles
    assert above.split() == ["train", "validation", *"* best so far".split()]
    ends = [[match.end() for match in re.finditer(r"\S+( %)?", each)] for each in (below, line)]
    assert ends[0] == ends[1][:-1]  # but for the star
    assert epoch_line(ROW, 5, SIZES, False) == line.removesuffix(" *")


def test_columns_are_of_what_was_measured():
    row = ROW | {"validation_loss": None, "validation_accuracy": None, "silent_b": 2}
    assert epoch_line(row, 5, SIZES, False).split() == [
        "2/5",
        "0.5000",
        "87.50",
        "%",
        "3.00",
        "2",
        "1.2",
    ]
    assert "validation" not in "".join(epoch_head(row, 5, SIZES))
    assert "grown" in epoch_head(ROW | {"grown": 0}, 5, SIZES)[1]


def test_the_widest_line_fits_80_columns():
    row = ROW | {"epoch": 999, "grown": 123456, "train_loss": 1e30, "seconds": 12345.6}
    lines = [*epoch_head(row, 999, SIZES), epoch_line(row, 999, SIZES, True)]
    assert max(map(len, lines)) <= 80
    assert "1e+30" in lines[2]


def test_means_weigh_examples_and_neurons():
    running = RunningMeans()
    running.add(BatchResult(1.0, 3, {"a": 3.0, "b": 0.0}, "accuracy", np.array([3])))
    running.add(BatchResult(2.0, 1, {"a": 3.0, "b": 6.0}, "accuracy", np.array([0])))
    logs = running.logs()
    assert logs == {
        "train_loss": 1.25, "train_accuracy": 0.75, "spikes_a": 3.0, "spikes_b": 1.5
    }  # fmt: skip
    assert running_score(logs) == "loss 1.2500  accuracy 75.00 %"
    assert mean_spikes(logs, SIZES) == 2.0
    assert mean_spikes({}, {}) == 0.0


def test_kinds(monkeypatch):
    for kind in ("none", "plain", "bar"):
        assert Progress(kind).kind == kind
    for terminal, kind in ((True, "bar"), (False, "plain")):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)  # noqa: B023
        assert Progress("auto").kind == kind


@pytest.mark.parametrize("kind", ["none", "plain", "bar"])
def test_no_kind_writes_to_stdout(fake, make, capsys, kind):
    make.trainer(epochs=3, progress=kind).fit(make.data(), make.data(4))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert bool(captured.err) == (kind != "none")
    if kind == "plain":
        starts = [line.split()[0] for line in captured.err.splitlines()]
        assert starts == ["train", "epoch", "1/3", "2/3", "3/3"]


SHOW = """
import time
from types import SimpleNamespace
from mlgenn_delays.training.epoch_line import EpochProgress
row = {"train_loss": 0.5, "train_accuracy": 0.5, "validation_loss": None,
       "validation_accuracy": None, "spikes_h": 2.0, "silent_h": 0, "seconds": 1.0}
with EpochProgress("auto", 3, 4, {"h": 2}) as progress:
    progress.trainer = SimpleNamespace(history=SimpleNamespace(best_epoch=2))
    for epoch in (2, 3):
        progress.on_epoch_begin(epoch, {})
        for k in range(4):
            logs = {"train_loss": 0.75, "train_accuracy": 0.5, "spikes_h": 2.0}
            progress.on_batch_end(k + 1, logs)
            time.sleep(0.15)
        progress.on_epoch_end(epoch, {"epoch": epoch, **row})
    progress.message("[done]")
"""


@needs("terminals")
def test_a_terminal_gets_bars():
    """In a pseudo terminal: running means, both bars with the epochs before, a line an epoch."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SHOW], stderr=child, env={**os.environ, "COLUMNS": "150",
        "TERM": "xterm"},
    )  # fmt: skip
    os.close(child)
    shown = b""
    while True:
        try:
            part = os.read(parent, 4096)
        except OSError:  # the other side has closed
            break
        if not part:
            break
        shown += part
    os.close(parent)
    assert process.wait() == 0
    text = shown.decode()
    for wanted in (
        "epoch 2/3", "epoch 3/3", "training", "/12", "/4", "loss 0.7500", "accuracy 50.00 %",
        "spikes 2.00", "  2/3   0.5000   50.00 %", "[done]", "0:0",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert "12/12" in text and " 0/12" not in text


def test_it_is_told_once_that_kernels_are_compiled() -> None:
    told: list[str] = []
    compiling()
    with telling(lambda: told.append("compiling")):
        assert not told
        compiling()
        compiling()
    with telling(lambda: told.append("none was missing")):
        pass
    compiling()
    assert told == ["compiling"]
