"""Two small tasks for whole trainings, of spikes and of currents; what a training makes of them.

``python -m tests.training.tasks FOLDER`` trains on the spikes for long, to be interrupted.
"""

import sys
from pathlib import Path

import numpy as np

from mlgenn_delays import (
    LIF,
    SET,
    Adam,
    Cosine,
    CurrentData,
    CurrentInput,
    DeepR,
    Delta,
    EulerLI,
    EulerLIF,
    EventProp,
    Exponential,
    Gaussian,
    LeakyIntegrator,
    Network,
    Normal,
    RigL,
    SpikeData,
    SpikeInput,
    SurrogateBPTT,
    Trainer,
    Uniform,
)
from mlgenn_delays.data.augment.augment import Augment
from mlgenn_delays.training import RunDirectory

RULES = {
    "rigl": RigL(signs="dale", averaging=0.5, longest=8.0),
    "rigl-gradient": RigL(form="magnitude", signs="free", every=3, grow_delay="gradient"),
    "deep_r": DeepR(signs="synapse", grow_delay="random"),
    "set": SET(signs="free", every=0, decay="constant", until=1.0),
}


def spikes(n: int, seed: int) -> SpikeData:
    """Return trials whose class is the order of two channels' spikes: delays must move."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    events = []
    for label in labels:
        first = rng.integers(5, 20)
        steps = [first, first + 15] if label else [first + 15, first]
        events.append((np.repeat([0, 1], 5), np.ravel([[s + k for k in range(5)] for s in steps])))
    return SpikeData.from_events(
        events, labels, n_channels=2, n_steps=80, dt=1.0, label_names=("up", "down")
    )


def spike_trainer(path: Path | None, threads: int, epochs: int, resume: bool = False) -> Trainer:
    """Return a trainer of a recurrent network by EventProp, with dropout."""
    net = Network(dt=1.0, seed=1)
    net.add("input", SpikeInput(2))
    net.add("hidden", LIF(40))
    net.add("output", LeakyIntegrator(2))
    for source, target, weight, latest, density in (
        ("input", "hidden", Normal(1.0, 0.4), 20, 1.0),
        ("hidden", "hidden", Normal(0.0, 0.02), 20, 0.5),
        ("hidden", "output", Normal(0.0, 0.3), 5, 1.0),
    ):
        net.connect(
            source, target, Exponential(5.0), weight=weight, density=density,
            delay=Uniform(0, latest), max_delay=30,
        )  # fmt: skip
    rule = EventProp(weights=Adam(0.01), delays=Adam(0.1), dropout={"hidden": 0.1}, revive=0.01)
    return Trainer(
        net, rule, epochs=epochs, batch_size=16, seed=5, threads=threads,
        run=run_at(path, resume), augment=Augment(jitter=0.5, blend=0.5), progress="none",
    )  # fmt: skip


def currents(n: int, seed: int) -> CurrentData:
    """Return trials whose class is the order of two pulses."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    values = 0.1 * rng.random((n, 30, 4))
    for row, label in enumerate(labels):
        first = rng.integers(2, 10)
        values[row, first : first + 3, 2 * label] += 1.0
        values[row, first + 6 : first + 9, 2 - 2 * label] += 1.0
    return CurrentData(values, labels, 1.0, ("up", "down"))


def current_trainer(
    path: Path | None, threads: int, epochs: int, resume: bool = False, rule: str = "rigl"
) -> Trainer:
    """Return a trainer with all that keeps a state of its own.

    These are the running statistics of normalisation, a kernel that narrows, dropout, and
    structure learned from averaged gradients.
    """
    rewiring = RULES[rule]
    net = Network(dt=1.0, seed=1)
    net.add("input", CurrentInput(4))
    net.add("hidden", EulerLIF(24, tau_mem=10.0), normalise=True)
    net.add("output", EulerLI(2, tau_mem=10.0))
    for source, target, synapses in (("input", "hidden", 32), ("hidden", "output", 12)):
        net.connect(
            source, target, Delta(), weight=Normal(0.0, 1.0), delay=Uniform(0, 8), max_delay=8.0,
            synapses=synapses, signs=rewiring.signs,
        )  # fmt: skip
    learning = SurrogateBPTT(
        weights=Adam(0.05), delays=Adam(0.1, schedule=Cosine()), l1=0.02,
        kernel=Gaussian(4.0, 0.23, epochs / 2), dropout={"hidden": 0.1},
    )  # fmt: skip
    return Trainer(
        net, learning, rewiring=rewiring, epochs=epochs, batch_size=16, seed=5, threads=threads,
        run=run_at(path, resume), augment=Augment(noise=0.05), progress="none",
    )  # fmt: skip


def run_at(path: Path | None, resume: bool) -> RunDirectory | None:
    if path is None:
        return None
    return RunDirectory.open(path) if resume else RunDirectory.create(path, "x = 1", {})


if __name__ == "__main__":
    spike_trainer(Path(sys.argv[1]), 1, 500).fit(spikes(200, 1), spikes(50, 2))
