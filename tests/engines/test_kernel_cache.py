"""Kernels from the cache compute what freshly compiled ones do, bit for bit.

A run that compiles and the one that resumes it must not differ. They did under fast-math, where
the copies of a kernel within its callers rounded differently from the kernel itself.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.kernels import count_kernels


def trained(
    out: Path, cache: Path, *, compiles: bool, threads: int = 1
) -> tuple[bytes, list[list[str]]]:
    """Return network and metrics, times aside, of a small training in a process of its own."""
    words = ["train", "digits", "--epochs", "1", "--threads", str(threads), "--out", str(out)]
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-m", "delaysnn", *words, "--set", "network.layers.0.size=24"],
        env=environment | {"DELAYSNN_CACHE": str(cache), "TMPDIR": str(out.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ("compiling kernels" in done.stderr) == compiles
    rows = [line.split(",")[:-1] for line in (out / "metrics.csv").read_text().splitlines()]
    return (out / "network.safetensors").read_bytes(), rows


@pytest.mark.slow
@pytest.mark.timeout(900)  # compiles everything, and a quarter again
def test_kernels_that_are_fresh_cached_or_damaged_round_alike(tmp_path: Path) -> None:
    """Emptied, cut and changed files end nothing: they are compiled and written anew.

    With two threads, a second process compiles some of them.
    """
    cache, random = tmp_path / "cache", np.random.default_rng(5)
    first = trained(tmp_path / "first", cache, compiles=True, threads=2)
    files = sorted(cache.rglob("*.nbc"))
    assert files
    assert trained(tmp_path / "second", cache, compiles=False) == first
    assert sorted(cache.rglob("*.nbc")) == files
    # Every fourth, to compile the fewer: those that call or are called by others stay as they are.
    for number, path in enumerate(files[::4]):
        content = bytearray(path.read_bytes())
        if number % 3 == 0:
            content[int(random.integers(len(content)))] ^= 1 << int(random.integers(8))
        path.write_bytes([bytes(content), content[: len(content) // 2], b""][number % 3])
    assert trained(tmp_path / "third", cache, compiles=True) == first
    for folder in {path.parent for path in files}:
        counts = count_kernels(folder)
        assert counts["whole"] and not counts["damaged"]
