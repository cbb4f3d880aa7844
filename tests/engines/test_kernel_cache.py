"""Kernels from the cache compute what freshly compiled ones do, bit for bit.

A run that compiles and the one that resumes it must not differ. They did under fast-math, where
the copies of a kernel within its callers rounded differently from the kernel itself.
"""

import os
import subprocess
import sys
from pathlib import Path

TRAIN = """
import hashlib
from mlgenn_delays import *
data = load_dataset("digits")["train"]
net = Network(seed=0)
net.add("input", SpikeInput(64))
net.add("hidden", LIF(24, tau_mem=10.0))
net.add("output", LeakyIntegrator(10, readout="expweighted"))
common = {"delay": Uniform(0, 20), "max_delay": 30}
net.connect("input", "hidden", Exponential(20.0), weight=Normal(0.1, 0.2), **common)
net.connect("hidden", "hidden", Exponential(20.0), weight=Normal(0.0, 0.02), **common)
net.connect("hidden", "output", Exponential(10.0), weight=Normal(0, 1), **common)
trainer = Trainer(net, EventProp(Adam(5e-3)), epochs=1, batch_size=16, threads=2, progress="none")
row = trainer.fit(data).rows[0]
assert row["spikes_hidden"] > 0.1
arrays = [a for p in trainer.network.projections.values() for a in (p.weight, p.delay)]
print(row["train_loss"], hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest())
"""


def trained(cache: Path) -> str:
    """Return loss and hash of a small training in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN],
        env=environment | {"DELAYSNN_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fresh_kernel_and_a_cached_one_round_alike(tmp_path: Path) -> None:
    first = trained(tmp_path)
    files = {file for file in tmp_path.rglob("*.nbc")}
    assert files
    assert trained(tmp_path) == first
    assert {file for file in tmp_path.rglob("*.nbc")} == files
