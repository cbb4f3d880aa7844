import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.files import PART
from mlgenn_delays.runs import directory as run_module
from mlgenn_delays.runs.directory import RunDirectory
from mlgenn_delays.runs.files import check_free
from mlgenn_delays.training import describe_environment
from tests.needs import needs

TAKE = """
import sys, time
from mlgenn_delays.runs.directory import RunDirectory
with RunDirectory.open(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def test_create_and_open(tmp_path):
    path = tmp_path / "runs" / "a"
    run = RunDirectory.create(path, 'name = "ä"\n', {"python": "3.11"})
    assert run.path == path
    again = RunDirectory.open(str(path))
    assert again.recipe_text() == 'name = "ä"\n'
    assert json.loads((path / "environment.json").read_text()) == {"python": "3.11"}


def test_an_empty_folder_will_do(tmp_path):
    RunDirectory.create(tmp_path, "")
    assert json.loads((tmp_path / "environment.json").read_text()) == describe_environment()


@pytest.mark.parametrize("name", ["thesis.tex", "environment.json"])
def test_a_folder_with_files_is_refused_and_left_alone(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(InputError, match="one with files in it.*--resume.*another folder"):
        RunDirectory.create(tmp_path, "", {})
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_text() == "x"


def test_a_run_is_not_created_twice(tmp_path):
    RunDirectory.create(tmp_path / "run", "first", {})
    for again in (check_free, lambda path: RunDirectory.create(path, "second", {})):
        with pytest.raises(InputError, match="holds a run; continue with --resume"):
            again(tmp_path / "run")
    assert RunDirectory.open(tmp_path / "run").recipe_text() == "first"


@pytest.mark.parametrize("inner", ["", "deeper/run"])
def test_a_file_in_the_way_is_named(tmp_path, inner):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=f"{tmp_path / 'file'} is a file"):
        RunDirectory.create(tmp_path / "file" / inner, "", {})
    assert (tmp_path / "file").read_text() == "x"


@needs("/proc")
@pytest.mark.parametrize("make", [check_free, RunDirectory.create])
def test_a_folder_that_cannot_be_made_is_bad_input(make):
    with pytest.raises(InputError, match="cannot write to the folder /proc/no/run: .*--out"):
        make("/proc/no/run")
    with pytest.raises(InputError, match="too long; choose another folder"):
        make(f"/tmp/{'x' * 300}/run")


def test_a_folder_that_cannot_be_made_after_all_is_bad_input(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mlgenn_delays.runs.directory.Path.mkdir", refuse)
    with pytest.raises(InputError, match=f"folder {tmp_path / 'run'}: Permission denied"):
        RunDirectory.create(tmp_path / "run", "", {})


@needs("no root")
def test_a_folder_without_permission_is_bad_input(tmp_path):
    tmp_path.chmod(0o500)
    for path in (tmp_path, tmp_path / "run"):
        with pytest.raises(InputError, match="Permission denied"):
            check_free(path)


def test_a_full_disk_is_work_that_failed(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlgenn_delays.files.tempfile.mkdtemp", full)
    with pytest.raises(WorkError, match="No space left on device"):
        check_free(tmp_path)


def test_the_check_leaves_nothing_behind(tmp_path):
    check_free(tmp_path)
    check_free(tmp_path / "runs" / "a")
    assert os.listdir(tmp_path) == []


def test_a_missing_network_is_made_again(fake, make, tmp_path):
    run = make.run(tmp_path / "a run")
    make.trainer(run).fit(make.data(), make.data(4))
    content = {}
    for name in ("best", "last"):
        content[name] = run.network_path(name).read_bytes()
        run.network_path(name).unlink()
        again = f"is missing; delaysnn train --resume --out '{run.path}' makes it again"
        with pytest.raises(InputError, match=again):
            run.network_path(name)
    make.trainer(run).fit(make.data(), make.data(4), resume=True)
    assert {name: run.network_path(name).read_bytes() for name in content} == content


def test_what_is_no_run_is_not_opened(tmp_path):
    with pytest.raises(InputError, match="there is no run"):
        RunDirectory.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match="got a folder without recipe.toml"):
        RunDirectory.open(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="got a file without"):
        RunDirectory.open(tmp_path / "file")
    (tmp_path / "points" / "one").mkdir(parents=True)
    (tmp_path / "points" / "one" / "recipe.toml").touch()
    for folder in (tmp_path, tmp_path / "points"):
        with pytest.raises(InputError, match=f"runs in it, which delaysnn runs {folder} lists"):
            RunDirectory.open(folder)
    run = RunDirectory.create(tmp_path / "run", "", {})
    (run.path / "recipe.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot read"):
        run.recipe_text()


def test_checkpoints_have_two_names(tmp_path):
    run = RunDirectory.create(tmp_path, "", {})
    with pytest.raises(InputError, match="one of last, best, got 'bets'; did you mean 'best'"):
        run.network_path("bets")
    with pytest.raises(InputError, match="no epoch was finished"):
        run.network_path("best")
    assert run.load_checkpoint() is None


def test_one_training_at_a_time(fake, make, tmp_path):
    run = make.run(tmp_path / "run")
    with run.lock(), pytest.raises(InputError, match="another training"):
        make.trainer(RunDirectory.open(run.path)).fit(make.data())
    make.trainer(run).fit(make.data())


def test_training_holds_the_lock_throughout(fake, make, tmp_path):
    run = make.run(tmp_path / "run")
    refused = []

    def attempt(epoch, batch):
        with pytest.raises(InputError, match="another training"), run.lock():
            pass
        refused.append(epoch)

    fake.after_batch = staticmethod(attempt)
    make.trainer(run, epochs=2).fit(make.data(8))
    assert refused == [1, 1, 2, 2]
    with run.lock():
        pass


def test_create_waits_for_no_lock(tmp_path):
    """A process that is making the run keeps a second one from writing its recipe."""
    (tmp_path / "run").mkdir()
    first = RunDirectory(tmp_path / "run")
    with first.lock(), pytest.raises(InputError, match="another training"):
        RunDirectory.create(first.path, "second", {})
    assert os.listdir(first.path) == [".lock"]


def test_create_looks_again_under_the_lock(tmp_path, monkeypatch):
    """Between the first look and the lock another process may have made the run."""

    @contextmanager
    def slow(folder):
        (folder / "recipe.toml").write_text("first")
        yield

    monkeypatch.setattr("mlgenn_delays.runs.directory.locked", slow)
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match="--resume"):
        RunDirectory.create(tmp_path / "run", "second", {})
    assert RunDirectory.open(tmp_path / "run").recipe_text() == "first"


def test_a_run_that_another_process_makes_meanwhile_is_left_alone(tmp_path, monkeypatch):
    real, path = run_module.write_atomic, tmp_path / "run"

    def write(file, content):
        real(file, content)
        path.mkdir(exist_ok=True)
        (path / "recipe.toml").write_text("first")

    monkeypatch.setattr(run_module, "write_atomic", write)
    with pytest.raises(InputError, match="one that holds a run; continue with --resume"):
        RunDirectory.create(path, "second", {})
    assert RunDirectory.open(path).recipe_text() == "first"
    assert os.listdir(tmp_path) == ["run"]


@pytest.mark.parametrize("there", [True, False])
def test_a_run_has_all_it_begins_with_or_can_be_made_again(tmp_path, monkeypatch, there):
    """A kill between the first files and the last, in a folder that was there and in a new one."""
    real, path, left = run_module.write_atomic, tmp_path / "run", 0

    class Killed(BaseException):
        pass

    def write(file, content):
        nonlocal left
        left -= 1
        if not left:
            (file.parent / f".{file.name}.abcd1234.delaysnn-part").write_bytes(b"half")
            raise Killed
        real(file, content)

    for at in (1, 2, 3):
        left = at
        if there and not path.exists():
            path.mkdir()
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(run_module, "write_atomic", write)
            RunDirectory.create(path, "recipe", {}, b"network")
        assert path.exists() == there
        if there:
            with pytest.raises(InputError, match="nothing was begun in it: train without --resume"):
                RunDirectory.open(path)
    RunDirectory.create(path, "recipe", {}, b"network")
    names = set(os.listdir(path)) - {".lock"}
    assert names == {"recipe.toml", "environment.json", "init.safetensors"}
    assert os.listdir(tmp_path) == ["run"]


def test_a_killed_process_releases_the_lock(tmp_path):
    run = RunDirectory.create(tmp_path / "run", "", {})
    process = subprocess.Popen([sys.executable, "-c", TAKE, run.path], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match="another training"), run.lock():
            pass
        process.kill()
        process.wait()
        with run.lock():
            pass
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_run_that_cannot_be_written_is_work_that_failed(tmp_path):
    run = RunDirectory.create(tmp_path / "run", "", {})
    (run.path / ".lock").mkdir()
    with pytest.raises(WorkError, match="cannot write"), run.lock():
        pass


def test_only_leftovers_of_writes_are_removed(tmp_path):
    run = RunDirectory.create(tmp_path / "run", "", {})
    last = run.checkpoint_path("last")
    last.mkdir(parents=True)
    (run.path / "snapshots").mkdir()
    ours = [
        run.path / f".metrics.csv.abcd_123{PART}",
        last / f".state.safetensors.abcd_123{PART}",
        run.path / "snapshots" / f".epoch-0003.safetensors.abcd_123{PART}",
    ]
    others = [
        run.path / f".notes.abcd_123{PART}",
        run.path / ".metrics.csv.abcd_123",
        run.path / "metrics.csv.abcd_123",
        last / "figure.png",
    ]
    for path in ours + others:
        path.write_text("x")
    run.remove_leftovers()
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)


def test_the_environment_names_no_machine_and_no_folder():
    import platform

    found = describe_environment()
    assert {"mlgenn_delays", "python", "numpy", "numba", "platform", "cpu_count"} <= set(found)
    text = json.dumps(found)
    assert os.getcwd() not in text and sys.prefix not in text
    assert (platform.node() or "no name") not in text
    assert found["numpy"].count(".") >= 1 and found["cpu_count"] >= 1
