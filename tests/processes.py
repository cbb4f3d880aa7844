"""Processes of trainings: caught at work, however busy the machine is, or started by MPI."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

from tests.needs import PATH, need

ENOUGH = 120  # seconds, for a start that compiles kernels
TRIES = 8
ROOT = Path(__file__).parents[1]


def mpiexec() -> str:
    """Return the MPI launcher of mpi4py's library, or skip."""
    need("mpi")
    found = shutil.which("mpiexec", path=PATH)
    assert found is not None
    return found


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def printed(command: list[str]) -> list[Any]:
    """Return the JSON that each rank printed."""
    done = run(command)
    assert done.returncode == 0, done.stderr
    decoder, found, rest = json.JSONDecoder(), [], done.stdout.strip()
    while rest:  # ranks may print on one line
        each, end = decoder.raw_decode(rest)
        found.append(each)
        rest = rest[end:].strip()
    return found


def wait_for(condition: Callable[[], object], process: Popen | None = None) -> None:
    """Wait until something holds, or a process has ended."""
    deadline = time.monotonic() + ENOUGH
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        if process is not None and process.poll() is not None:
            return
        time.sleep(0.005)


def epochs(run: Path) -> int:
    """Return how many epochs a run has committed."""
    committed = (run / "checkpoints" / "last" / "state.safetensors").exists()
    return len((run / "metrics.csv").read_text().splitlines()) - 1 if committed else 0


def caught(attempt: Callable[[Path], Any], folder: Path) -> Any:
    """Return what an attempt to catch a training at work gives, in a folder of its own.

    Where several programs share a core, a training may be over before this process gets its turn:
    the attempt then gives None, and is made again.
    """
    for number in range(TRIES):
        if (found := attempt(folder / f"try {number}")) is not None:
            return found
    raise AssertionError(f"the training was over before it was caught, {TRIES} times")
