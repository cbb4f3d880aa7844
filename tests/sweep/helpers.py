"""Small sweeps, and processes of sweeps to be stopped."""

from pathlib import Path

from mlgenn_delays.kernels import kernel_cache

# A training that takes next to no time.
SMALL = ("network.layers.0.size=4", "learning.batch_size=256")
SET = [word for text in SMALL for word in ("--set", text)]
# The kernels that this process uses: trainings compile none of their own in an empty cache.
KERNELS = kernel_cache()


def share_kernels(monkeypatch) -> None:
    """Let processes of their own use the kernels of this one."""
    if KERNELS is not None:
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(KERNELS.parent))


def trained_epochs(log: Path) -> list[int]:
    lines = log.read_text().splitlines()
    return [int(line.split()[1].split("/")[0]) for line in lines if line.startswith("epoch ")]
