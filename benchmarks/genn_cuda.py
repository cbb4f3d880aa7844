"""Training on one GPU with the engine `genn`, beside PyTorch with the `dcls` package, as JSON.

    python benchmarks/genn_cuda.py > gpu.json       in at most six minutes
    python benchmarks/genn_cuda.py fsdd --data DIR
    python benchmarks/genn_cuda.py digits --backend single_threaded_cpu --examples 64

`shd` is a generated set of the size of the Spiking Heidelberg Digits: examples of 20 classes, 700
channels, about 8,000 spikes, 1,000 steps of 1 ms, each class with rates of its own. The network has
256 hidden neurons and delays of up to 64 steps, all learned. Rows:

    eventprop        LIF, Exponential synapses, delays of whole steps
    pipelined        the same, gradients a batch late
    bptt-dirac       SurrogateBPTT: EulerLIF, Delta synapses, Triangle surrogate, whole steps
    bptt-gaussian    the same with Gaussian delay kernels
    dcls             the last in PyTorch, but for an arctangent surrogate (`seed_torch`)

Each row is a process of its own. One JSON object is printed: device, driver, CUDA, versions, and of
every row the seconds of each epoch and of all, compiling included, examples a second in the last
epoch, the most device memory in use as the driver counts it, and accuracy on examples that were not
learned; or the error that ended it. How it goes is on stderr.
"""

import argparse
import json
import platform
import subprocess
import sys
import threading
import time

import numpy as np

ROWS = ("eventprop", "pipelined", "bptt-dirac", "bptt-gaussian", "dcls")
EVENTPROP = ("eventprop", "pipelined")
HIDDEN, LONGEST, SIGMA = 256, 64.0, 4.0


def generated(n: int, seed: int):
    """Return n examples of SHD's size."""
    from mlgenn_delays.data.types import SpikeData

    rng = np.random.default_rng(0)
    shape = 20, 10, 700  # rates a class, tenth of the trial and channel
    rates = rng.gamma(0.3, 1.0, shape)
    rates *= 8000 / (rates.sum((1, 2), keepdims=True) * 100)
    rng = np.random.default_rng(seed)
    labels, events = rng.integers(0, 20, n), []
    for label in labels:
        raster = rng.random((1000, 700)) < np.repeat(rates[label], 100, 0)
        steps, channels = np.nonzero(raster)
        events.append((channels, steps))
    return SpikeData.from_events(
        events, labels, n_channels=700, n_steps=1000, dt=1.0,
        label_names=tuple(str(k) for k in range(20)),
    )  # fmt: skip


def load(asked):
    """Return training and validation data."""
    if asked.set == "shd":
        return generated(asked.examples, 1), generated(max(1, asked.examples // 5), 2)
    from mlgenn_delays.recipe import load_data, load_recipe

    splits = load_data(load_recipe(asked.set), asked.data)
    return tuple(
        splits[name].take(np.arange(min(asked.examples, len(splits[name]))))
        for name in ("train", "validation")
    )


def make_network(data, eventprop: bool):
    """Return the network of a row."""
    from mlgenn_delays import (
        LIF,
        Delta,
        EulerLI,
        EulerLIF,
        Exponential,
        LeakyIntegrator,
        Network,
        Normal,
        SpikeInput,
        Uniform,
    )

    net = Network(dt=data.dt, seed=0)
    net.add("input", SpikeInput(data.n_channels))
    tau = 20.0 * data.dt
    net.add("hidden", LIF(HIDDEN, tau_mem=tau) if eventprop else EulerLIF(HIDDEN, tau_mem=tau))
    classes = data.n_classes
    net.add(
        "output",
        LeakyIntegrator(classes, tau_mem=tau, readout="expweighted")
        if eventprop
        else EulerLI(classes, tau_mem=tau),
    )
    spikes = len(data.time) / len(data) / data.n_steps  # a step
    into = 1.6 / max(spikes, 1e-9) / (5.0 if eventprop else 20.0)
    out = 0.1 if eventprop else 0.01
    for source, target, mean, sd in (
        ("input", "hidden", into, 0.5 * into), ("hidden", "output", 0.0, out),
    ):  # fmt: skip
        net.connect(
            source, target, Exponential(5.0 * data.dt) if eventprop else Delta(),
            weight=Normal(mean, sd), delay=Uniform(0.0, LONGEST * data.dt),
            max_delay=LONGEST * data.dt,
        )  # fmt: skip
    return net


class Memory(threading.Thread):
    """Asks the driver twice a second how much device memory is in use; `most` in MiB, or None."""

    COMMAND = ("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits")

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most: int | None = None

    def run(self) -> None:
        """Ask until there is no driver to ask."""
        while True:
            try:
                said = subprocess.run(self.COMMAND, capture_output=True, text=True, check=True)
                self.most = max(self.most or 0, int(said.stdout.split()[0]))
            except (OSError, subprocess.CalledProcessError, ValueError):
                return
            time.sleep(0.5)


def ours(asked, train, validation) -> dict:
    """Train with the engine `genn`."""
    from mlgenn_delays import Adam, Dirac, EventProp, Gaussian, SurrogateBPTT, Triangle
    from mlgenn_delays.training import Trainer

    settings = {"weights": Adam(1e-3), "delays": Adam(0.1)}
    if asked.row in EVENTPROP:
        rule = EventProp(**settings, pipelined=asked.row == "pipelined")
    else:
        kernel = Gaussian(SIGMA, SIGMA, 1) if asked.row == "bptt-gaussian" else Dirac()
        rule = SurrogateBPTT(surrogate=Triangle(), kernel=kernel, **settings)
    trainer = Trainer(
        make_network(train, asked.row in EVENTPROP), rule, epochs=asked.epochs,
        batch_size=asked.batch, engine="genn", backend=asked.backend, progress="none",
    )  # fmt: skip
    rows = trainer.fit(train, validation).rows
    return {
        "epoch_seconds": [row["seconds"] for row in rows],
        "accuracy": rows[-1]["validation_accuracy"],
    }


def theirs(asked, train, validation) -> dict:
    """Train with PyTorch and dcls."""
    import torch
    from seed_torch import Training

    device = "cuda" if asked.backend == "cuda" else "cpu"
    training = Training(make_network(train, False), sigma=SIGMA, dropout=0.0)
    training.model.to(device)
    order, seconds = np.random.default_rng(0), []
    for _ in range(asked.epochs):
        began = time.perf_counter()
        for rows in np.array_split(order.permutation(len(train)), -(-len(train) // asked.batch)):
            training.learn(*tensors(train, rows, device))
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    right = 0
    with torch.no_grad():
        for low in range(0, len(validation), asked.batch):
            rows = np.arange(low, min(low + asked.batch, len(validation)))
            values, labels = tensors(validation, rows, device)
            right += int((training.model(values).argmax(1) == labels).sum())
    return {"epoch_seconds": seconds, "accuracy": right / len(validation)}


def tensors(data, rows: np.ndarray, device: str):
    """Return values (B, T, C) and labels of some examples."""
    import torch

    batch = data.batch(rows)
    values = np.zeros((len(batch), batch.n_steps, batch.n_channels), np.float32)
    for row, start in zip(values, batch.start, strict=True):
        channels = np.repeat(np.arange(batch.n_channels), np.diff(start))
        row[batch.time[start[0] : start[-1]], channels] = 1.0
    return torch.from_numpy(values).to(device), torch.from_numpy(batch.labels).to(device)


def measure(asked) -> None:
    """Measure one row and print it as JSON."""
    began, memory = time.monotonic(), Memory()
    train, validation = load(asked)
    memory.start()
    found = (theirs if asked.row == "dcls" else ours)(asked, train, validation)
    found["examples_per_second"] = len(train) / found["epoch_seconds"][-1]
    found |= {"seconds": time.monotonic() - began, "memory_mib": memory.most}
    print(json.dumps(found))


def machine(backend: str) -> dict:
    """Return what the figures are of."""
    from importlib.metadata import PackageNotFoundError, version

    import mlgenn_delays
    from mlgenn_delays.engines.genn.checks import installed_version

    def said(*command: str) -> str | None:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            return done.stdout.strip().splitlines()[-1]
        except (OSError, subprocess.CalledProcessError, IndexError):
            return None

    def of(package: str) -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    query = "nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"
    return {
        "backend": backend,
        "device": said(*query),
        "cuda": said("nvcc", "--version"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "versions": {"delaysnn": mlgenn_delays.__version__}
        | {name: installed_version(name) for name in ("pygenn", "ml_genn")}
        | {name: of(name) for name in ("numpy", "torch", "dcls")},
    }


def compare(asked) -> None:
    """Measure every row in a process of its own, and print all."""
    began, rows = time.monotonic(), {}
    for row in asked.rows.split(","):
        left = 60.0 * asked.minutes - (time.monotonic() - began)
        print(f"{row} ...", end=" ", file=sys.stderr, flush=True)
        try:
            done = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--row", row],
                capture_output=True, text=True, timeout=max(1.0, left),
            )  # fmt: skip
            lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
            rows[row] = {"error": lines[-1]} if done.returncode else json.loads(done.stdout)
        except subprocess.TimeoutExpired:
            rows[row] = {"error": f"not done within {asked.minutes:g} minutes for all rows"}
        print(rows[row], file=sys.stderr, flush=True)
    settings = {key: getattr(asked, key) for key in ("set", "batch", "epochs", "examples")}
    print(json.dumps(machine(asked.backend) | {"settings": settings, "rows": rows}, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=["shd", "fsdd", "digits"], nargs="?", default="shd")
    parser.add_argument("--data", help="folder of fsdd")
    parser.add_argument("--backend", default="cuda", choices=["cuda", "single_threaded_cpu"])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--examples", type=int, default=2048, help="that are learned, at most")
    parser.add_argument("--minutes", type=float, default=6.0, help="for all rows")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    (measure if chosen.row else compare)(chosen)
