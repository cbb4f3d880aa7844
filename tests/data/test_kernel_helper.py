"""The process that compiles beside this one: when it starts, and that nothing depends on it."""

import os
import signal
import time
from pathlib import Path

import pytest

from mlgenn_delays import kernel_helper
from mlgenn_delays.kernel_helper import helped, missed, telling
from tests.needs import needs

pytestmark = needs("linux")


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_it_works_in_a_process_of_its_own_once_a_kernel_is_missing(tmp_path: Path) -> None:
    def work() -> None:
        (tmp_path / str(os.getpid())).touch()

    with helped(work):
        pass
    assert not list(tmp_path.iterdir())
    with helped(work):
        missed()
        missed()
    (file,) = tmp_path.iterdir()
    assert int(file.name) != os.getpid() and gone(int(file.name))
    missed()
    assert list(tmp_path.iterdir()) == [file]


def test_it_is_not_heard(capfd: pytest.CaptureFixture) -> None:
    def work() -> None:
        print("out", flush=True)
        raise RuntimeError("no matter")

    with helped(work):
        missed()
    assert capfd.readouterr() == ("", "")


def test_it_may_be_killed_or_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        (tmp_path / str(os.getpid())).touch()
        time.sleep(60)

    with helped(lambda: os.kill(os.getpid(), signal.SIGKILL)):
        missed()
    monkeypatch.setattr(kernel_helper, "PATIENCE", 0.2)
    began = time.monotonic()
    with helped(work):
        missed()
    assert time.monotonic() - began < 30
    assert all(gone(int(file.name)) for file in tmp_path.iterdir())


def test_an_error_here_ends_it(tmp_path: Path) -> None:
    def work() -> None:
        (tmp_path / str(os.getpid())).touch()
        time.sleep(60)

    began = time.monotonic()
    with pytest.raises(ValueError, match="here"), helped(work):
        missed()
        while not list(tmp_path.iterdir()):
            time.sleep(0.01)
        raise ValueError("here")
    assert time.monotonic() - began < 30
    (file,) = tmp_path.iterdir()
    assert gone(int(file.name))


def test_it_is_told_once() -> None:
    told: list[str] = []
    missed()
    with telling(lambda: told.append("compiling")):
        assert not told
        missed()
        missed()
    missed()
    assert told == ["compiling"]
    with telling(lambda: told.append("not missing")):
        pass
    missed()
    assert told == ["compiling"]
