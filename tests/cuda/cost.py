"""What a batch asks of a GPU, counted on the emulator, and how long it would take by a small model.

    python -m tests.cuda.cost                 the tables of docs/developer/cost.md, in minutes
    python -m tests.cuda.cost --only "256, delays to 64"

Kernels are compiled so that every load and store is counted (`checks.cpp`). A few examples and
steps are counted, in four sizes: what is asked of a GPU is a + b B + c T + d B T for B examples
side by side and T steps. All have the same spikes, so that chance does not make the differences.
Each count is that of the last of some batches, so nothing of the start is in it.

The model adds up what is counted, and nothing overlaps:

    launch       3 us, one after another
    copy         10 us + bytes / 50 GB/s (PCI Express 5.0 x16)
    memory       3.3 TB/s (H100; an H200 has 4.8), in sectors of 32 bytes; an atomic takes two

The threads of a warp ask for a sector together. What they ask for again in a later pass through a
loop, for another spike, comes from memory again; or, in the other reckoning, from a cache until the
next barrier. A GPU lies between.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
LAUNCH, COPY = 3e-6, 10e-6  # seconds
LINK, MEMORY, SECTOR = 50e9, 3.3e12, 32  # bytes a second, bytes a second, bytes
# Examples side by side, and steps: so many that neurons no longer spike together as at first.
COUNTED = ((2, 150), (2, 250), (3, 150), (3, 250))
STEPS, SPIKES = 1000, 8000  # of a trial; spikes of its input
INPUTS, CLASSES = 700, 20

PIPELINED = "delaysnn, pipelined"
KINDS = ("mlGeNN", "delaysnn", PIPELINED)
NETWORKS = {
    f"{hidden}{' recurrent' if recurrent else ''}, delays to {longest}": (
        hidden, recurrent, longest,
    )
    for hidden, recurrent in ((256, False), (512, True))
    for longest in (64, 512)
}  # fmt: skip
SIDES = (32, 256)  # examples of a batch
# How the names of kernels and copies start, by what they do.
PARTS = {
    "synapses, forwards and back": ("updatePresynaptic",),
    "neurons": ("updateNeurons",),
    "pointers of queues": ("neuronSpikeQueueUpdate", "synapseDendriticDelayUpdate"),
    "resets, sums over the batch": ("customUpdate",),
    "copies": ("to_device", "to_host"),
}
# By what is counted: launches, sectors, and those of them that are other ones between two barriers;
# or copies, and twice their bytes.
Counts = dict[str, np.ndarray]
ANEW, AGAIN = 1, 2  # which of them come from memory


def network(hidden: int, recurrent: bool, longest: int) -> Any:
    """Return a network whose hidden neurons spike some 20 times a second, soon after the start."""
    from mlgenn_delays import (
        LIF,
        Exponential,
        LeakyIntegrator,
        Network,
        Normal,
        SpikeInput,
        Uniform,
    )

    net = Network(dt=1.0, seed=0)
    net.add("input", SpikeInput(INPUTS))
    net.add("hidden", LIF(hidden, tau_mem=20.0))
    net.add("output", LeakyIntegrator(CLASSES, tau_mem=20.0))
    into = 1.35 / (5.0 * SPIKES / STEPS)
    common = {"delay": Uniform(0.0, 30.0), "max_delay": float(longest)}
    net.connect("input", "hidden", Exponential(5.0), weight=Normal(into, 0.3 * into), **common)
    if recurrent:
        spread = Normal(0.0, 0.01)
        net.connect("hidden", "hidden", Exponential(5.0), weight=spread, **common)
    net.connect("hidden", "output", Exponential(5.0), weight=Normal(0.0, 0.03), **common)
    return net


def examples(n: int, steps: int) -> Any:
    """Return n examples, all alike, of which shorter ones are the beginning of longer ones."""
    from mlgenn_delays import SpikeData

    raster = np.random.default_rng(1).random((steps, INPUTS)) < SPIKES / STEPS / INPUTS
    step, channel = np.nonzero(raster)
    return SpikeData.from_events(
        [(channel, step)] * n, np.arange(n) % CLASSES, n_channels=INPUTS, n_steps=steps, dt=1.0,
        label_names=tuple(str(k) for k in range(CLASSES)),
    )  # fmt: skip


def learn(kind: str, name: str, side: int, steps: int, batches: int) -> float:
    """Learn some batches; return the spikes of a hidden neuron in a second."""
    net, data = network(*NETWORKS[name]), examples(side * batches, steps)
    if kind == "mlGeNN":
        from tests.genn.upstream import Upstream

        with tempfile.TemporaryDirectory() as folder:
            upstream = Upstream(
                net,
                steps,
                Path(folder),
                batch_size=side,
                max_spikes=64,
                backend="cuda",
                reads=False,
            )
            upstream.trained(data.batch(np.arange(len(data))))
        return 0.0
    from mlgenn_delays import Adam, EventProp
    from mlgenn_delays.engines.compile import compile_network

    rule = EventProp(weights=Adam(1e-9), delays=Adam(1e-9), pipelined=kind == PIPELINED)
    compiled = compile_network(
        net, rule, total_steps=batches, engine="genn", backend="cuda", batch_size=side
    )
    found = compiled.train_epoch(
        [data.batch(np.arange(low, low + side)) for low in range(0, len(data), side)], epoch=1
    )
    return found.spikes["hidden"] * 1000.0 / steps


def count(kind: str, name: str, side: int, steps: int) -> tuple[Counts, float]:
    """Return what a batch asks for, in a process a length."""
    from tests.cuda import emulator, machine

    totals, rate = [], 0.0
    last = 3 if kind == PIPELINED else 2  # the first whose weights are new as well
    for batches in (last - 1, last):
        with tempfile.TemporaryDirectory() as folder:
            counts = Path(folder) / "counts.json"
            settings = machine.emulated(emulator.CHECKED) | {"EMULATOR_COUNTS": str(counts)}
            command = [sys.executable, "-m", "tests.cuda.cost", "--count", kind, name]
            done = subprocess.run(
                [*command, str(side), str(steps), str(batches)],
                cwd=ROOT, env=os.environ | settings, capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            rate = float(done.stdout.split()[-1])
            totals.append(read(json.loads(counts.read_text())))
    before, after = totals
    found = {key: after[key] - before.get(key, 0) for key in after}
    return {key: each for key, each in found.items() if each.any()}, rate


def read(told: dict[str, Any]) -> Counts:
    """Return counts as the emulator writes them."""
    found = {
        name: np.array([each["n"], *(each[k] + each["atomics"] for k in ("sectors", "distinct"))])
        for name, each in told["launches"].items()
    }
    for name in ("to_device", "to_host"):
        found[name] = np.array([told[name]["n"], *[told[name]["bytes"]] * 2])
    return found


def seconds(name: str, counts: np.ndarray, memory: int = ANEW) -> float:
    """Return how long some launches of a kernel, or some copies, would take."""
    n, size = counts[0], counts[memory]
    if name in ("to_device", "to_host"):
        return float(n * COPY + size / LINK)
    return float(n * LAUNCH + size * SECTOR / MEMORY)


def predict(kind: str, name: str) -> tuple[list[Counts], float]:
    """Return what batches of each of SIDES and of whole trials ask for, and the hidden rate."""
    found = [count(kind, name, *each) for each in COUNTED]
    left = np.array([[1, b, t, b * t] for b, t in COUNTED], float)
    out = []
    for side in SIDES:
        whole = np.array([1, side, STEPS, side * STEPS], float)
        keys = sorted({key for counts, _ in found for key in counts})
        right = [np.array([counts.get(key, np.zeros(3)) for counts, _ in found]) for key in keys]
        out.append({k: whole @ np.linalg.solve(left, r) for k, r in zip(keys, right, strict=True)})
    return out, found[-1][1]


def table(names: list[str]) -> None:
    """Print the tables: of all networks, and of where the time of the last one's batches goes."""
    print("| network | batch | | launches | copies | MB copied | GB of memory | ms | ms, cached |")
    print("|---|---|---|---|---|---|---|---|---|")
    parts: dict[str, Counts] = {}
    for name, kind in itertools.product(names, KINDS):
        found, rate = predict(kind, name)
        for side, counts in zip(SIDES, found, strict=True):
            copies = counts["to_device"] + counts["to_host"]
            kernels = {k: v for k, v in counts.items() if k not in ("to_device", "to_host")}
            total = sum(kernels.values())
            ms = [1e3 * sum(seconds(*i, how) for i in counts.items()) for how in (ANEW, AGAIN)]
            gb = total[1] * SECTOR / 1e9
            print(
                f"| {name} | {side} | {kind} | {total[0]:,.0f} | {copies[0]:,.0f} | "
                f"{copies[1] / 1e6:.1f} | {gb:.2f} | {ms[0]:.1f} | {ms[1]:.1f} |", flush=True,
            )  # fmt: skip
            parts[kind] = counts
        if rate:
            print(f"{name}: {rate:.1f} spikes a hidden neuron and second", file=sys.stderr)
    print(f"\n| ms of a batch of {side}, {name} |", " | ".join(KINDS), "|")
    print("|---" * (1 + len(KINDS)) + "|")
    for what, start in PARTS.items():
        spent = [
            sum(seconds(*item) for item in parts[kind].items() if item[0].startswith(start))
            for kind in KINDS
        ]
        print(f"| {what} |", " | ".join(f"{1e3 * each:.1f}" for each in spent), "|")


def main() -> None:
    from tests.cuda import machine

    parser = argparse.ArgumentParser(prog="python -m tests.cuda.cost", description=__doc__)
    parser.add_argument("--only", choices=NETWORKS, action="append", help="of the networks")
    parser.add_argument("--count", nargs=5, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.count:
        kind, name, *numbers = chosen.count
        print(learn(kind, name, *map(int, numbers)))
        return
    try:
        table(chosen.only or list(NETWORKS))
    finally:
        machine.remove()


if __name__ == "__main__":
    main()
