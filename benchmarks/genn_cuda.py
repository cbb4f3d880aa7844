"""Training on one GPU with the engine `genn`, beside PyTorch with the `dcls` package.

    python benchmarks/genn_cuda.py shd
    python benchmarks/genn_cuda.py fsdd --data DIR
    python benchmarks/genn_cuda.py shd --backend single_threaded_cpu --examples 64   to try it out

`shd` is a generated set of the size of the Spiking Heidelberg Digits: 8,000 examples of 20 classes,
700 channels, about 8,000 spikes, 1,000 steps of 1 ms, each class with rates of its own. The network
has 256 hidden neurons and delays of up to 64 steps, all learned. Rows:

    EventProp        LIF, Exponential synapses, delays of whole steps
    SurrogateBPTT    SeedLIF, Delta synapses, Triangle surrogate, delays of whole steps or Gaussian
    dcls             the last in PyTorch, but for an arctangent surrogate (`seed_torch`)

Each row is a process of its own: seconds of the last epoch, the most device memory in use as the
driver counts it, and accuracy on examples that were not learned.
"""

import argparse
import json
import subprocess
import sys
import threading
import time

import numpy as np

ROWS = ("eventprop", "bptt-dirac", "bptt-gaussian", "dcls")
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
        n = asked.examples or 8000
        return generated(n, 1), generated(n // 10, 2)
    from mlgenn_delays.recipe import load_data, load_recipe

    splits = load_data(load_recipe("fsdd"), asked.data)
    return splits["train"], splits["validation"]


def make_network(data, eventprop: bool):
    """Return the network of a row."""
    from mlgenn_delays import (
        LIF,
        Delta,
        Exponential,
        LeakyIntegrator,
        Network,
        Normal,
        SeedLI,
        SeedLIF,
        SpikeInput,
        Uniform,
    )

    net = Network(dt=data.dt, seed=0)
    net.add("input", SpikeInput(data.n_channels))
    tau = 20.0 * data.dt
    net.add("hidden", LIF(HIDDEN, tau_mem=tau) if eventprop else SeedLIF(HIDDEN, tau_mem=tau))
    classes = data.n_classes
    net.add(
        "output",
        LeakyIntegrator(classes, tau_mem=tau, readout="expweighted")
        if eventprop
        else SeedLI(classes, tau_mem=tau),
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
    if asked.row == "eventprop":
        rule = EventProp(**settings)
    else:
        kernel = Gaussian(SIGMA, SIGMA, 1) if asked.row == "bptt-gaussian" else Dirac()
        rule = SurrogateBPTT(surrogate=Triangle(), kernel=kernel, **settings)
    trainer = Trainer(
        make_network(train, asked.row == "eventprop"), rule, epochs=asked.epochs,
        batch_size=asked.batch, engine="genn", backend=asked.backend, progress="none",
    )  # fmt: skip
    last = trainer.fit(train, validation).rows[-1]
    return {"seconds": last["seconds"], "accuracy": last["validation_accuracy"]}


def theirs(asked, train, validation) -> dict:
    """Train with PyTorch and dcls."""
    import torch
    from seed_torch import Training

    device = "cuda" if asked.backend == "cuda" else "cpu"
    training = Training(make_network(train, False), sigma=SIGMA, dropout=0.0)
    training.model.to(device)
    order, seconds = np.random.default_rng(0), 0.0
    for _ in range(asked.epochs):
        began = time.perf_counter()
        for rows in np.array_split(order.permutation(len(train)), -(-len(train) // asked.batch)):
            training.learn(*tensors(train, rows, device))
        if device == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - began
    right = 0
    with torch.no_grad():
        for low in range(0, len(validation), asked.batch):
            rows = np.arange(low, min(low + asked.batch, len(validation)))
            values, labels = tensors(validation, rows, device)
            right += int((training.model(values).argmax(1) == labels).sum())
    return {"seconds": seconds, "accuracy": right / len(validation)}


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
    memory = Memory()
    train, validation = load(asked)
    memory.start()
    found = (theirs if asked.row == "dcls" else ours)(asked, train, validation)
    print(json.dumps(found | {"memory": memory.most}))


def compare(asked) -> None:
    """Measure every row in a process of its own and print the table."""
    print(f"{'':14}  epoch [s]  memory [MiB]  accuracy [%]", flush=True)
    for row in asked.rows.split(","):
        done = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--row", row], capture_output=True, text=True
        )
        if done.returncode:
            print(f"{row:14}  {done.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{row:14}  {found['seconds']:9.2f}  {found['memory'] or '-':>12}  "
            f"{100 * found['accuracy']:12.2f}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=["shd", "fsdd"])
    parser.add_argument("--data", help="folder of fsdd")
    parser.add_argument("--backend", default="cuda", choices=["cuda", "single_threaded_cpu"])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--examples", type=int, help="of shd, instead of 8000")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    (measure if chosen.row else compare)(chosen)
