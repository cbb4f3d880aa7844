"""One point's training in a process of its own, on this machine.

`python -m mlgenn_delays.sweep.child train ...` is `python -m delaysnn train ...`, but for
a standard input that is a pipe held open by the sweep: when the sweep ends, however that happens,
the pipe is closed and the training ends at once, instead of writing on to its point.
"""

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgenn_delays.files import write_atomic
from mlgenn_delays.untrusted import read_json

# A training has one thread: as many run at once as there are cores.
_THREADS = ("OMP", "OPENBLAS", "MKL", "NUMBA")
_TAIL = 8192
_REPORTED = (1, 2)  # exit codes with which a training says why it failed


@dataclass(frozen=True)
class Task:
    """What to train and where; files of the process go to `work`, its output to `log`."""

    out: Path
    recipe: str
    data: str | None
    resume: bool
    work: Path
    log: Path

    def command(self) -> list[str]:
        """The command of the process."""
        words = [sys.executable, "-m", "mlgenn_delays.sweep.child", "train"]
        words += ["--resume"] if self.resume else [str(self.recipe_path)]
        words += ["--data", self.data] if self.data is not None else []
        return [*words, "--threads", "1", "--out", str(self.out), "--json"]

    @property
    def recipe_path(self) -> Path:
        """Where the process finds the recipe."""
        return self.work / f"{self.out.name}.toml"

    @property
    def answer_path(self) -> Path:
        """Where the process writes its result."""
        return self.work / f"{self.out.name}.json"


@dataclass(frozen=True)
class Ending:
    """How a process ended: a signal is a negative code; peak memory in bytes, None if unknown."""

    code: int
    answer: dict[str, Any] | None
    reason: str
    peak: int | None

    @property
    def died(self) -> bool:
        """Whether it ended without saying why, so that another try makes sense."""
        return self.answer is None and self.code not in _REPORTED


class Child:
    """The running process of a task."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.ending: Ending | None = None
        write_atomic(task.recipe_path, task.recipe)
        task.log.parent.mkdir(parents=True, exist_ok=True)
        with open(task.answer_path, "wb") as answer, open(task.log, "ab") as log:
            # A session of its own: Ctrl-C reaches the sweep alone, which then stops it.
            self._process = subprocess.Popen(
                task.command(),
                stdin=subprocess.PIPE,
                stdout=answer,
                stderr=log,
                env=os.environ | {f"{name}_NUM_THREADS": "1" for name in _THREADS},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process's ID."""
        return self._process.pid

    def poll(self) -> Ending | None:
        """How the process ended, None while it runs."""
        if self.ending is None:
            code, peak = self._status()
            if code is not None:
                self._close(code, peak)
        return self.ending

    def _status(self) -> tuple[int | None, int | None]:
        """Exit code, None while the process runs, and its peak memory [bytes]."""
        if not hasattr(os, "wait4"):  # not a POSIX system
            return self._process.poll(), None
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            return None, None
        self._process.returncode = os.waitstatus_to_exitcode(status)
        unit = 1 if sys.platform == "darwin" else 1024
        return self._process.returncode, usage.ru_maxrss * unit

    def _close(self, code: int, peak: int | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        answer = _answer(self.task.answer_path) if code == 0 else None
        reason = "" if answer else _reason(self.task.log, code)
        for path in (self.task.answer_path, self.task.recipe_path):
            path.unlink(missing_ok=True)
        self.ending = Ending(code, answer, reason, peak)

    def interrupt(self) -> None:
        """Ask the process to stop."""
        if self.ending is None:
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End the process and wait for it; the run can be resumed."""
        if self.poll() is None:
            self._process.kill()
            while self.poll() is None:
                time.sleep(0.005)


def _answer(path: Path) -> dict[str, Any] | None:
    try:
        found = read_json(path)
        return found if isinstance(found["splits"], dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _reason(log: Path, code: int) -> str:
    """The last error that a failed process printed, or what ended it."""
    if code in _REPORTED:
        lines = log.read_bytes()[-_TAIL:].decode(errors="replace").splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        if errors:
            return errors[-1].removeprefix("error: ")
    number = -code if code < 0 else code - 128  # a training that was asked to end says it so
    if number > 0:
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        hint = "; out of memory?" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended with exit code {code} and no result"


def _end_with_the_sweep() -> None:
    """Wait until the other end of standard input is closed, and end the process."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    # Under nohup, say, the sweep ignores interrupts, and so would this: yet it is stopped by one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()
    runpy.run_module("mlgenn_delays", run_name="__main__", alter_sys=True)
