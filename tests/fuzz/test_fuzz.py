"""Three hundred mutated files of every kind; `python -m tests.fuzz` makes twenty thousand."""

import subprocess
import sys
from pathlib import Path

from mlgenn_delays.kernels import kernel_cache

ROOT = Path(__file__).parents[2]
# A page or all figures of a run take seconds each.
SLOW = ("metrics page", "snapshot figures")


def test_damaged_and_hostile_files_are_read_or_refused_with_one_line(monkeypatch) -> None:
    kernels = kernel_cache()
    if kernels is not None:
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(kernels.parent))
    # A process of its own: cases are forked from it.
    command = [sys.executable, "-m", "tests.fuzz", "--cases", "300", "--seed", "3", "--jobs", "1"]
    done = subprocess.run([*command, "--without", *SLOW], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "\nall " in done.stdout
