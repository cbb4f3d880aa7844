"""Training from examples that stay on disk."""

import numpy as np

from mlgenn_delays import (
    LIF,
    Adam,
    Augment,
    EventProp,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    SpikeInput,
    Trainer,
)
from mlgenn_delays.network.storage import to_bytes
from tests.data.test_stream import random_blocks, split


def test_training_from_a_stream_is_training_from_memory() -> None:
    blocks = random_blocks(30, 5, 30, 7)
    trained = []
    for stream in (False, True):
        data = split(blocks, stream=stream)
        net = Network(dt=1.0, seed=1)
        net.add("input", SpikeInput(5))
        net.add("hidden", LIF(6, tau_mem=10.0))
        net.add("output", LeakyIntegrator(3, readout="max"))
        net.connect("input", "hidden", Exponential(5.0), weight=Normal(1, 0.5), max_delay=5)
        net.connect("hidden", "output", Exponential(5.0), weight=Normal(0, 1), max_delay=5)
        trainer = Trainer(
            net,
            EventProp(weights=Adam(1e-2), delays=Adam(0.1)),
            epochs=2,
            batch_size=8,
            augment=Augment(jitter=1.0),
            progress="none",
        )
        trainer.fit(data, data.take(np.arange(10)))
        trained.append((to_bytes(trainer.network), trainer.evaluate(data).accuracy))
    assert trained[0] == trained[1]
