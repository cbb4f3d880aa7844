"""Processes of trainings that are caught at work, however busy the machine is."""

import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

ENOUGH = 120  # seconds, for a start that compiles kernels
TRIES = 8


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
