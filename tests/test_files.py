"""Files are wholly there or not at all, and what killed processes left is removed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlgenn_delays import files
from mlgenn_delays.errors import WorkError

HOUR = 3600


@pytest.fixture(autouse=True)
def new_process() -> None:
    files.remove_unfinished.cache_clear()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def aged(path: Path, hours: float) -> None:
    os.utime(path, (0, time.time() - hours * HOUR))


KILLED = """
import os, signal, sys
from pathlib import Path
from mlgenn_delays import files
folder = Path(sys.argv[1])
with files.open_atomic(folder / "result") as file:
    file.write(b"half")
    with files.open_folder_atomic(folder / "made") as made:
        (made / "part").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    left = names(tmp_path)
    assert len(left) == 2
    files.write_atomic(tmp_path / "other", b"x")
    assert names(tmp_path) == left | {"other"}  # it may just be slow
    for name in left:
        aged(tmp_path / name, 7)
    files.remove_unfinished.cache_clear()
    files.write_atomic(tmp_path / "another", b"x")
    assert names(tmp_path) == {"other", "another"}


def test_what_is_being_written_stays_however_old(tmp_path: Path) -> None:
    with files.open_atomic(tmp_path / "slow") as file:
        with files.open_folder_atomic(tmp_path / "folder") as folder:
            (folder / "part").write_text("x")
            for path in tmp_path.iterdir():
                aged(path, 1000)
            files.remove_unfinished.cache_clear()
            files.write_atomic(tmp_path / "quick", b"x")
            file.write(b"whole")
    assert names(tmp_path) == {"slow", "quick", "folder"}
    assert (tmp_path / "slow").read_bytes() == b"whole"
    assert names(tmp_path / "folder") == {"part"}


def test_files_of_the_user_stay(tmp_path: Path) -> None:
    for name in (".settings.json.backup01", ".result.abcdefgh", "x.part", "notes"):
        (tmp_path / name).write_text("mine")
        aged(tmp_path / name, 1000)
    before = names(tmp_path)
    files.write_atomic(tmp_path / "result", b"x")
    assert names(tmp_path) == before | {"result"}


def test_links_and_other_peoples_files_stay(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    link = tmp_path / f".x.1{files.PART}"
    link.symlink_to(tmp_path / "kept")
    os.utime(link, (0, 0), follow_symlinks=False)
    other = tmp_path / f".x.2{files.PART}"
    other.write_text("x")
    aged(other, 1000)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.chown(other, 4321, -1)
    else:
        other.unlink()
    before = names(tmp_path)
    files.write_atomic(tmp_path / "result", b"x")
    assert names(tmp_path) == before | {"result"}


def test_temporary_folders_of_killed_processes_go(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    old = tmp_path / f"delaysnn-old{files.PART}"
    (old / "deep").mkdir(parents=True)
    aged(old, 7)
    (tmp_path / "delaysnn-0").mkdir()
    aged(tmp_path / "delaysnn-0", 1000)
    with files.temporary_folder() as folder:
        (folder / "x").write_text("x")
        assert names(tmp_path) == {"delaysnn-0", folder.name}
    assert names(tmp_path) == {"delaysnn-0"}


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="cannot write"), files.open_atomic(tmp_path / "a") as file:
        file.write(b"x")
        raise OSError(28, "No space left on device")
    with pytest.raises(RuntimeError), files.open_folder_atomic(tmp_path / "b") as folder:
        (folder / "x").write_text("x")
        raise RuntimeError
    files.check_writable(tmp_path / "c")
    assert names(tmp_path) == {"c"} and not names(tmp_path / "c")


def test_private_folders(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files.make_private(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o022 == 0
    (tmp_path / "a" / "b").chmod(0o777)
    if hasattr(os, "geteuid"):
        with pytest.raises(PermissionError, match="others may write"):
            files.make_private(tmp_path / "a" / "b")
