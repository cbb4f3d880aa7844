"""A tiny engine, whose results follow from its state, and what the tests here share."""

import csv
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.engines.results import BatchResult, EpochResult, Evaluation
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.learning import EventProp
from mlgenn_delays.network import (
    LIF,
    CurrentInput,
    Delta,
    EulerLI,
    EulerLIF,
    Exponential,
    LeakyIntegrator,
    Network,
    SpikeInput,
)
from mlgenn_delays.runs.directory import RunDirectory
from mlgenn_delays.training.trainer import Trainer


class FakeCompiled:
    """Every number follows from weights, a moment, a counter and the batches, as in an engine.

    `script` sets, by epoch, the training loss, validation accuracy and validation loss.
    """

    script: dict[str, dict[int, float]] = {}
    silent = 1
    grown = None
    after_batch = None  # called with (epoch, batches so far)
    made: list["FakeCompiled"] = []

    def __init__(self, network, rule, *, rewiring, total_steps, seed, **options):
        self.network, self.total_steps, self.seed = network, total_steps, seed
        self.rule, self.rewiring, self.options = rule, rewiring, options
        self.weight = {k: p.weight.copy() for k, p in network.projections.items()}
        self.moment = np.zeros(3)
        self.step = 0
        self.epoch = 0
        self.train_orders: list[list[int]] = []
        self.evaluated: list[list[int]] = []
        FakeCompiled.made.append(self)

    def train_epoch(self, batches, *, epoch, on_batch=None):
        order, n = [], 0
        for number, batch in enumerate(batches):
            self.step += 1
            self.moment = 0.9 * self.moment + np.sin(batch.index[:1] + self.moment)
            for weight in self.weight.values():
                weight += np.float32(self.moment[0] * epoch / self.total_steps)
            order += batch.index.tolist()
            n += len(batch)
            if on_batch is not None:
                size, correct = len(batch), np.array([len(batch) // 2])
                on_batch(BatchResult(1 / self.step, size, {"hidden": 2.0}, "accuracy", correct))
            if FakeCompiled.after_batch is not None:
                FakeCompiled.after_batch(epoch, number)
        self.epoch = epoch
        self.train_orders.append(order)
        loss = self.script.get("loss", {}).get(epoch, float(np.abs(self.moment[0]) + 0.1))
        if not np.isfinite(loss):
            raise DivergedError("the gradients of hidden->output are not finite")
        silent = {"hidden": FakeCompiled.silent}
        grown = FakeCompiled.grown if self.rewiring is None else FakeCompiled.grown or 0
        return EpochResult(loss, "accuracy", 0.5, n, {"hidden": 2.0}, silent, grown)

    def evaluate(self, batches):
        batches = list(batches)
        index = np.concatenate([b.index for b in batches])
        labels = np.concatenate([b.labels for b in batches])
        self.evaluated.append(index.tolist())
        score = float(np.abs(np.sin(sum(w.sum() for w in self.weight.values()))))
        accuracy = self.script.get("accuracy", {}).get(self.epoch, score)
        loss = self.script.get("validation_loss", {}).get(self.epoch, 1.0 - score)
        logits = np.zeros((len(labels), 2), np.float32)
        return Evaluation(
            loss, "accuracy", accuracy, len(labels), labels, labels, logits, {"hidden": 1.0},
            {"hidden": 0}, np.array([accuracy * len(labels)]),
        )  # fmt: skip

    def pull(self):
        for name, projection in self.network.projections.items():
            projection.weight = self.weight[name].copy()
        return self.network

    def push(self, network):
        self.weight = {k: p.weight.copy() for k, p in network.projections.items()}

    def state(self):
        arrays = {f"weight/{k}": v.copy() for k, v in self.weight.items()}
        return arrays | {"moment": self.moment, "step": np.array(self.step)}

    def load_state(self, state):
        if set(state) != set(self.state()):
            raise InputError("the state is of another network")
        assert state["step"].shape == ()
        self.weight = {k: state[f"weight/{k}"].copy() for k in self.weight}
        self.moment, self.step = state["moment"].copy(), int(state["step"])


@pytest.fixture
def fake(monkeypatch):
    """The tiny engine in the place of all engines."""
    monkeypatch.setattr("mlgenn_delays.training.trainer.compile_network", FakeCompiled)
    for name, value in (
        ("script", {}), ("after_batch", None), ("made", []), ("silent", 1), ("grown", None),
    ):  # fmt: skip
        monkeypatch.setattr(FakeCompiled, name, value)
    return FakeCompiled


def small_network(
    *, channels=3, hidden=4, classes=2, dt=1.0, seed=1, source=SpikeInput, neuron=LIF,
    output=LeakyIntegrator, synapse=None, normalise=False,
):  # fmt: skip
    network = Network(dt=dt, seed=seed)
    network.add("input", source(channels))
    network.add("hidden", neuron(hidden), normalise=normalise)
    network.add("output", output(classes))
    for start, target in (("input", "hidden"), ("hidden", "output")):
        network.connect(
            start, target, synapse or Exponential(5.0), weight=0.5, delay=2.0, max_delay=9.0
        )
    return network


def small_data(n=10, *, channels=3, classes=2, dt=1.0, n_steps=12, seed=0):
    rng = np.random.default_rng(seed)
    events = [(rng.integers(0, channels, 6), rng.integers(0, n_steps, 6)) for _ in range(n)]
    return SpikeData.from_events(
        events,
        np.arange(n) % classes,
        n_channels=channels,
        n_steps=n_steps,
        dt=dt,
        label_names=tuple("abcdefgh"[:classes]),
    )


def small_current_network(**settings):
    return small_network(
        source=CurrentInput, neuron=EulerLIF, output=EulerLI, synapse=Delta(), normalise=True,
        **settings,
    )  # fmt: skip


def small_currents(n=10, *, channels=3, classes=2, dt=1.0, n_steps=12, seed=0):
    values = np.random.default_rng(seed).random((n, n_steps, channels))
    return CurrentData(values, np.arange(n) % classes, dt, tuple("abcdefgh"[:classes]))


def small_trainer(run=None, network=None, rule=None, **arguments):
    defaults = {"epochs": 4, "batch_size": 4, "seed": 3, "progress": "none"}
    network, rule = network or small_network(), rule or EventProp()
    return Trainer(network, rule, run=run, **(defaults | arguments))


def small_run(path):
    return RunDirectory.create(path, 'name = "x"\n', {"python": "3"})


@contextmanager
def interrupted_in(epoch):
    """Interrupt the training within in an epoch, which is then never finished."""

    def interrupt(now, batch):
        if now == epoch:
            raise KeyboardInterrupt

    FakeCompiled.after_batch = staticmethod(interrupt)
    with pytest.raises(KeyboardInterrupt):
        yield
    FakeCompiled.after_batch = None


def interrupted_run(path, **arguments):
    """Return a run of two finished epochs of four."""
    run = small_run(path)
    with interrupted_in(3):
        small_trainer(run, **arguments).fit(small_data(), small_data(4))
    return run


def final_files(path: Path) -> dict[str, object]:
    """What a run left, without what may differ: seconds, sessions, and the lock."""
    from mlgenn_delays.runs.checkpoint import Checkpoint

    found: dict[str, object] = {}
    for file in sorted(
        p for p in path.rglob("*") if p.is_file() and p.name not in (".lock", "sessions.json")
    ):
        name = str(file.relative_to(path))
        if file.name == "metrics.csv":
            with file.open(newline="") as text:
                found[name] = [{**row, "seconds": ""} for row in csv.DictReader(text)]
        elif file.name == "state.safetensors":
            checkpoint = Checkpoint.load(file)
            rows = [{**row, "seconds": 0.0} for row in checkpoint.history]
            arrays = {k: (v.dtype.str, v.shape, v.tobytes()) for k, v in checkpoint.state.items()}
            found[name] = (rows, checkpoint.settings, arrays, checkpoint.best_network)
        else:
            found[name] = file.read_bytes()
    return found


@pytest.fixture
def make():
    """The makers above, for tests that cannot import them."""

    class Makers:
        network = staticmethod(small_network)
        data = staticmethod(small_data)
        current_network = staticmethod(small_current_network)
        currents = staticmethod(small_currents)
        trainer = staticmethod(small_trainer)
        run = staticmethod(small_run)
        interrupted_in = staticmethod(interrupted_in)
        interrupted_run = staticmethod(interrupted_run)
        final_files = staticmethod(final_files)

    return Makers
