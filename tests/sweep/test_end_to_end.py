"""Sweeps of small trainings: killed, interrupted, and with points that die or fail."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.files import PART
from mlgenn_delays.network import Network
from mlgenn_delays.runs.files import locked
from mlgenn_delays.sweep import Sweep, executor, read_results
from mlgenn_delays.sweep.child import Child
from tests.cli.helpers import call, start
from tests.needs import needs
from tests.processes import ENOUGH, caught, epochs, wait_for
from tests.sweep.helpers import SET, SMALL, Here, share_kernels, trained_epochs

pytestmark = needs("posix")
LONG = 30  # epochs; a training that can be caught at work


def make(out, **options):
    return Sweep("digits", out, **({"overrides": SMALL, "epochs": 1} | options))


@pytest.fixture
def here(monkeypatch):
    """Let points be trained in this process, where what becomes of the process does not matter."""
    monkeypatch.setattr(executor, "Child", Here)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Return a finished sweep of one point; not to be changed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        share_kernels(monkeypatch)
        out = tmp_path_factory.mktemp("swept") / "dir"
        (row,) = make(out, grid={"delays.learn": [False]}).run(progress="none")
    assert row["status"] == "done"
    return out


def copied(swept, tmp_path):
    """Return a copy of the finished sweep, and the folder of its point."""
    out = shutil.copytree(swept, tmp_path / "dir")
    (point,) = (out / "points").iterdir()
    return out, point


def test_a_point_is_a_run(swept):
    (row,) = read_results(swept)
    assert row["delays.learn"] is False
    assert row["best_epoch"] == row["epochs"] == 1
    assert 0 <= row["validation_accuracy"] <= 1
    assert row["seconds"] > 0
    assert row["peak_memory_mb"] > 50
    assert row["operations"] > 0 and row["bytes_c"] > row["bytes_c_int8"] > 0
    assert Network.load(swept / row["point"] / "network.safetensors").populations["hidden1"].n == 4
    assert call("evaluate", swept / row["point"]).exit_code == 0
    assert json.loads((swept / "sweep.json").read_text())["grid"] == {"delays.learn": [False]}
    assert not (swept / ".work").exists()


def test_a_finished_point_is_not_run_again(swept, tmp_path, monkeypatch):
    out, point = copied(swept, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in point.rglob("*")}
    monkeypatch.setattr(executor, "Child", None)  # nothing can be started
    (row,) = make(out, grid={"delays.learn": [False]}).run(progress="none")
    assert row["status"] == "done"
    assert {path: path.stat().st_mtime_ns for path in point.rglob("*")} == before


def test_more_points_are_added(swept, here, tmp_path):
    out, point = copied(swept, tmp_path)
    before = (point / "result.json").stat().st_mtime_ns
    rows = make(out, grid={"delays.learn": [True, False]}).run(progress="none")
    assert [row["status"] for row in rows] == ["done", "done"]
    assert (point / "result.json").stat().st_mtime_ns == before
    assert rows[0]["validation_loss"] != rows[1]["validation_loss"]


def test_other_settings_are_refused(swept, tmp_path):
    out, point = copied(swept, tmp_path)
    table = (out / "results.csv").read_bytes()
    with pytest.raises(InputError, match="learning.epochs: 1, 2"):
        make(out, grid={"delays.learn": [False]}, epochs=2).run(progress="none")
    (point / "result.json").unlink()  # begun, with a checkpoint
    with pytest.raises(InputError, match="learning.epochs: 1, 2"):
        make(out, grid={"delays.learn": [False]}, epochs=2).run(progress="none")
    assert (out / "results.csv").read_bytes() == table


def test_points_of_another_grid_are_kept(swept, tmp_path, capsys, monkeypatch):
    out, point = copied(swept, tmp_path)
    monkeypatch.setattr(executor, "Child", always_killed([]))
    make(out, grid={"delays.max": [30.0]}).run(progress="plain")
    assert (point / "result.json").exists()
    assert "1 points" in capsys.readouterr().err
    assert [row["delays.max"] for row in read_results(out)] == [30]


def test_damaged_and_begun_folders(swept, tmp_path):
    out, point = copied(swept, tmp_path)
    sweep = make(out, grid={"delays.learn": [False]})
    (each,) = sweep.points
    name = each.point.name

    def status():
        return sweep.folder.status(name, each.recipe)[0].name

    assert status() == "FINISHED"
    (point / "result.json").write_text("{")
    assert status() == "RESUME"
    (point / "notes.txt").write_text("mine")
    assert status() == "RESUME"
    states = [point / "checkpoints" / which / "state.safetensors" for which in ("last", "best")]
    whole = states[0].read_bytes()
    states[0].write_bytes(whole[:100])
    assert status() == "RESUME"  # from the best epoch
    states[1].write_bytes(whole[:100])
    with pytest.raises(InputError, match=f"{point} is damaged, and holds notes.txt, .*; move that"):
        status()
    (point / "notes.txt").unlink()
    assert status() == "DAMAGED"
    states[0].write_bytes(whole)
    (point / "recipe.toml").write_text("name = ")
    assert status() == "DAMAGED"
    assert not sweep.folder.prepare(name, each.recipe)
    assert not point.exists()
    assert (out / "aside" / f"{name}-1" / "recipe.toml").read_text() == "name = "
    assert status() == "NEW"


@pytest.mark.parametrize(
    "left",
    [
        [],
        [f".recipe.toml.abcdefgh{PART}", "environment.json", ".lock"],
        ["recipe.toml", f"snapshots/.epoch-0000.safetensors.abcdefgh{PART}"],
    ],
)
def test_what_a_kill_in_the_first_epoch_leaves_is_begun_again(swept, here, tmp_path, left):
    out, point = copied(swept, tmp_path)
    kept = point.rename(tmp_path / "kept")
    point.mkdir()
    for name in left:
        (point / name).parent.mkdir(parents=True, exist_ok=True)
        whole = kept / name
        (point / name).write_bytes(whole.read_bytes() if whole.exists() else b"half")
    (row,) = make(out, grid={"delays.learn": [False]}).run(progress="none")
    assert row["status"] == "done"
    assert not (out / "aside").exists()
    whole = {path.relative_to(kept) for path in kept.rglob("*")}
    assert {path.relative_to(point) for path in point.rglob("*")} == whole


@pytest.mark.parametrize("name", ["", "notes.txt", "checkpoints/figure.png", "link"])
def test_a_users_file_in_the_place_of_a_point_stays_there(swept, tmp_path, name, monkeypatch):
    out, point = copied(swept, tmp_path)
    shutil.rmtree(point)
    place = point / name if name else point
    place.parent.mkdir(parents=True, exist_ok=True)
    if name == "link":
        place.symlink_to(tmp_path)
    else:
        place.write_text("mine")
    monkeypatch.setattr(executor, "Child", None)  # nothing can be started
    with pytest.raises(InputError, match="must be left to the sweep.*; move it to another place"):
        make(out, grid={"delays.learn": [False]}).run(progress="none")
    assert place.is_symlink() or place.read_text() == "mine"
    assert not (out / "aside").exists()


def test_a_point_with_a_users_file_goes_on_beside_it(swept, here, tmp_path):
    out, point = copied(swept, tmp_path)
    (point / "result.json").unlink()
    (point / "notes.txt").write_text("mine")
    shutil.rmtree(point / "checkpoints")
    (row,) = make(out, grid={"delays.learn": [False]}).run(progress="none")
    assert row["status"] == "done"
    assert (point / "notes.txt").read_text() == "mine"


def test_a_damaged_result_is_made_again_from_the_run(swept, here, tmp_path):
    out, point = copied(swept, tmp_path)
    whole = json.loads((point / "result.json").read_text())
    (point / "result.json").write_text("{")
    make(out, grid={"delays.learn": [False]}).run(progress="none")
    again = json.loads((point / "result.json").read_text())
    assert again | {"peak": 0} == whole | {"peak": 0}


def test_one_sweep_at_a_time(swept, tmp_path):
    out, _ = copied(swept, tmp_path)
    with locked(out), pytest.raises(InputError, match="another sweep is running"):
        make(out, grid={"delays.learn": [False]}).run(progress="none")


@pytest.mark.slow
def test_killed_and_gone_on_with(tmp_path):
    command = ["sweep", "digits", *SET, "--epochs", LONG, "--seeds", 2]
    names = [each.point.name for each in make(tmp_path / "dir", epochs=LONG, seeds=2).points]

    def attempt(out):
        process = start(*command, "--out", out, "--workers", 1)
        run = out / "points" / names[1]
        wait_for(lambda: epochs(run) >= 2, process)
        process.kill()
        process.communicate()
        wait_for(lambda: free(run))  # the training ends on its own
        return out if epochs(run) < LONG else None

    out = caught(attempt, tmp_path)
    command += ["--out", out]
    runs = [out / "points" / name for name in names]
    left = epochs(runs[1])
    assert left >= 2
    assert [row["status"] for row in read_results(out)] == ["done", "waiting"]
    before = (runs[0] / "result.json").stat().st_mtime_ns
    (out / f".results.csv.abcdefgh{PART}").touch()
    time.sleep(0.2)
    assert epochs(runs[1]) == left
    result = call(*command)
    assert result.exit_code == 0, result.output
    assert "1 of 2 points are finished, 1 to train" in result.stderr
    assert "[2/2] seed=1: validation" in result.stderr
    assert (runs[0] / "result.json").stat().st_mtime_ns == before
    assert not (out / f".results.csv.abcdefgh{PART}").exists()
    assert [row["epochs"] for row in read_results(out)] == [LONG, LONG]
    done = trained_epochs(out / "logs" / f"{names[1]}.log")
    # Gone on with, not begun anew; the end may have come before the last epoch's line was written.
    assert done == sorted(set(done))
    assert set(range(left + 1, LONG + 1)) <= set(done)


def free(run) -> bool:
    try:
        with locked(run):
            return True
    except InputError:
        return False


def test_a_training_ends_with_what_started_it(tmp_path):
    words = [sys.executable, "-m", "mlgenn_delays.sweep.child", "train", *SET]
    words += ["--epochs", "100000", "--out", str(tmp_path / "run")]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(words, stdin=subprocess.PIPE, **quiet)
    wait_for(lambda: epochs(tmp_path / "run") >= 1, process)
    assert process.poll() is None
    process.stdin.close()
    try:
        assert process.wait(timeout=ENOUGH) == 1
    finally:
        process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_and_gone_on_with_as_it_says(tmp_path, number):
    command = ["sweep", "digits", *SET, "--epochs", LONG, "--variant", "a: delays.learn=false"]

    def attempt(out):
        process = start(*command, "--out", out)
        wait_for(lambda: any(epochs(run) >= 2 for run in out.glob("points/*")), process)
        process.send_signal(number)
        said = process.communicate(timeout=ENOUGH)
        return None if process.returncode == 0 else (out, process.returncode, *said)

    out, code, stdout, stderr = caught(attempt, tmp_path)
    assert code == 128 + number, stderr
    assert stdout == ""
    assert "Traceback" not in stderr
    (run,) = (out / "points").iterdir()
    assert free(run)
    left = epochs(run)
    assert 2 <= left <= LONG
    said, _, command = stderr.splitlines()[-1].partition(": ")
    assert said == "interrupted; continue with"
    assert shlex.split(command)[0] == "delaysnn"
    result = call(*shlex.split(command)[1:])
    assert result.exit_code == 0, result.output
    assert trained_epochs(out / "logs" / f"{run.name}.log").count(1) == 1
    assert [row["variant"] for row in read_results(out)] == ["a"]


def always_killed(started: list):
    """Return a kind of child that is killed as soon as it runs."""

    class Killed(Child):
        def __init__(self, task):
            super().__init__(task)
            started.append(task.resume)
            os.kill(self.pid, signal.SIGKILL)

    return Killed


@pytest.mark.slow
def test_a_child_that_is_killed_is_gone_on_with(tmp_path, monkeypatch, capsys):
    resumed = []

    class KilledOnce(Child):
        def __init__(self, task):
            super().__init__(task)
            resumed.append(task.resume)
            if len(resumed) == 1:
                wait_for(lambda: epochs(self.task.out) >= 2, self._process)
                os.kill(self.pid, signal.SIGKILL)

    def attempt(out):
        resumed.clear()
        rows = make(out, epochs=LONG).run(progress="plain")
        return (out, rows) if len(resumed) > 1 else None

    monkeypatch.setattr(executor, "Child", KilledOnce)
    out, (row,) = caught(attempt, tmp_path)
    assert resumed == [False, True]
    assert (row["status"], row["epochs"]) == ("done", LONG)
    said = capsys.readouterr().err
    assert "ended by SIGKILL; out of memory?; resuming it (try 2 of 3)" in said
    (log,) = (out / "logs").iterdir()
    assert trained_epochs(log).count(1) == 1


def test_a_child_that_always_dies_is_recorded_and_tried_by_the_next_call(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(executor, "Child", always_killed(started))
    rows = make(tmp_path, seeds=2).run(progress="none", workers=1)
    assert started == [False] * 6
    assert [row["status"] for row in rows] == ["failed", "failed"]
    assert "ended by SIGKILL" in rows[0]["reason"]
    assert "(3 times)" in rows[0]["reason"]
    monkeypatch.setattr(executor, "Child", Here)
    (row,) = make(tmp_path, seeds=1).run(progress="none")
    assert row["status"] == "done"


def test_a_point_that_diverges_fails_alone_and_for_good(here, tmp_path, monkeypatch):
    out = tmp_path / "dir"
    command = ["sweep", "digits", *SET, "--epochs", 1, "--out", out]
    command += ["--grid", "learning.learning_rate=1e30,5e-3"]
    result = call(*command)
    assert result.exit_code == 1
    assert "1 of 2 points failed" in result.stderr.splitlines()[-1]
    assert "training diverged" in result.stderr.splitlines()[-1]
    failed, done = read_results(out)
    assert (failed["status"], done["status"]) == ("failed", "done")
    assert failed["reason"].startswith("training diverged in epoch 1")
    assert f"failed: {failed['point']}: training diverged" in result.stdout
    monkeypatch.setattr(executor, "Child", None)
    assert call(*command).stderr.splitlines()[-1] == result.stderr.splitlines()[-1]


def test_bad_data_fail_and_are_tried_again(here, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    sweep = Sweep("fsdd", tmp_path / "dir", data=data, epochs=1)
    for _ in range(2):
        (row,) = sweep.run(progress="none")
        assert row["status"] == "failed"
        assert str(data) in row["reason"]
    (log,) = (tmp_path / "dir" / "logs").iterdir()
    assert log.read_text().count("error: ") == 2
