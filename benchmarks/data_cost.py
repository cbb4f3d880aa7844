"""What an epoch costs with data of SHD's and SSC's size: time and memory, by the command line.

    python benchmarks/data_cost.py shd          8,000 examples of 8,000 spikes, dense and sparse
    python benchmarks/data_cost.py ssc          75,000 examples of 800 spikes, streamed from disk
    python benchmarks/data_cost.py ssc --spikes 8000      the same with as many spikes as SSC's

Files in the layout of the data sets are written into a temporary folder, with the examples' spikes
drawn at random (from half of those numbers to one and a half). Each row is `delaysnn train` of one
epoch, in a process of its own, with the network of the other benchmarks: 700 inputs, 256 hidden
neurons, trials of 1000 steps of 1 ms, learned delays up to 64 ms. Seconds are those of the epoch
(training and validation); memory is the peak of the whole process, loading included.
"""

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

BLOCK = 500
NETWORK = [
    "network.layers.0.size=256", "delays.max=64", "delays.initial_max=64", "learning.batch_size=32",
    "augmentation.shift=0", "augmentation.blend=0", "network.layers.0.tau_syn=5",
    "regularisation.spikes_strength=0", "delays.layers=all",
]  # fmt: skip
DENSITIES = {"shd": (1.0, 0.1), "ssc": (1.0,)}
SIZES = {
    "shd": {"shd_train.h5": 8000, "shd_test.h5": 100},
    "ssc": {"ssc_train.h5": 75_000, "ssc_valid.h5": 1000, "ssc_test.h5": 100},
}


def write(path: Path, n: int, spikes: int, classes: int, seed: int) -> None:
    """Write a file in the layout of SHD and SSC."""
    import h5py

    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (n,), h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", (n,), h5py.vlen_dtype(np.uint16))
        for first in range(0, n, BLOCK):
            rows = range(first, min(first + BLOCK, n))
            made = [np.empty(len(rows), object) for _ in range(2)]
            for place, size in enumerate(rng.integers(spikes // 2, spikes * 3 // 2, len(rows))):
                made[0][place] = np.sort(rng.random(size, np.float32)).astype(np.float16)
                made[1][place] = rng.integers(0, 700, size, np.uint16)
            times[first : rows.stop], units[first : rows.stop] = made
        file["labels"] = np.arange(n) % classes
        file["extra/speaker"] = np.arange(n) // classes % 10


def settings(recipe: str, density: float, spikes: int) -> list[str]:
    """Return the settings of a row: whatever it is, neurons spike about as trained ones do."""
    mean = 240 / (spikes * density)  # a mean current just above the threshold
    second = ["network.layers.1.size=256"] if recipe == "ssc" else []
    return [
        *NETWORK,
        *second,
        f"network.sparsity={1 - density:g}",
        f"network.layers.0.weight_mean={mean:g}",
        f"network.layers.0.weight_sd={mean / 3:g}",
    ]


def train(recipe: str, data: Path, changes: list[str], out: Path) -> dict[str, float]:
    """Train one epoch and return what it took."""
    command = [sys.executable, "-m", "delaysnn", "train", recipe, "--data", str(data)]
    command += ["--epochs", "1", "--out", str(out)]
    for each in changes:
        command += ["--set", each]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    with open(out / "metrics.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    return {
        "epoch": float(row["seconds"]),
        "whole": time.perf_counter() - begin,
        "peak": usage.ru_maxrss / 1024,
        "hidden": float(row["spikes_hidden1"]),
    }


def main() -> None:
    """Print a table of the asked data set, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", choices=SIZES)
    parser.add_argument("--spikes", type=int, help="spikes an example")
    parser.add_argument("--rounds", type=int, default=1, help="trainings a row")
    asked = parser.parse_args()
    spikes = asked.spikes or {"shd": 8000, "ssc": 800}[asked.data]
    recipe = asked.data
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        os.environ["DELAYSNN_CACHE"] = str(base / "cache")
        for seed, (name, n) in enumerate(SIZES[asked.data].items()):
            write(base / name, n, spikes, 20 if recipe == "shd" else 35, seed)
        size = sum((base / name).stat().st_size for name in SIZES[recipe]) / 2**30
        counts = " + ".join(f"{n}" for n in SIZES[recipe].values())
        print(f"{counts} examples of {spikes} spikes, files of {size:.2f} GiB\n")
        print(
            "| density | cache | epoch, s | whole command, s | peak memory, MiB | hidden spikes |"
        )
        print("|---|---|---|---|---|---|")
        cache = "written"
        for density in DENSITIES[recipe]:
            changes = settings(recipe, density, spikes)
            for number in range(asked.rounds + (cache == "written")):
                found = train(recipe, base, changes, base / f"{density}-{number}")
                print(f"| {density:g} | {cache} | {found['epoch']:.1f} | {found['whole']:.1f} "
                      f"| {found['peak']:.0f} | {found['hidden']:.1f} |", flush=True)  # fmt: skip
                cache = "read"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nwriting the files took {peak:.0f} MiB at the most")


if __name__ == "__main__":
    main()
