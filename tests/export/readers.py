"""Readers of models of every kind, and what they read."""

from typing import Any

import numpy as np

from mlgenn_delays.data.registry import dataset_shape
from mlgenn_delays.data.types import SpikeBatch
from mlgenn_delays.export.artifact import About
from mlgenn_delays.export.inputs import Reader

RATE = 8000


def reader(name: str = "", n: int = 6, steps: int = 20, dt: float = 1.0, **options: Any) -> Reader:
    """Return the reader of a model trained on a data set, or on spikes of an unknown one."""
    table = {"dataset": name, **options} if name else {}
    shape = dataset_shape(name, options) if name and name != "rawhd" else None
    currents = name == "rawhd" or options.get("encoding") == "currents"
    about = About(n_steps=steps, labels=("a", "b"), data=table)
    return Reader(about, shape[0] if shape else n, dt, currents)


def analogue(n: int = 6, steps: int = 20) -> Reader:
    """Return the reader of a model that takes currents of an unknown data set."""
    return Reader(About(n_steps=steps, labels=("a",)), n, 1.0, True)


def recording(seconds: float = 0.12, rate: int = RATE) -> np.ndarray:
    """Return a tone with a little noise as int16."""
    time = np.arange(int(rate * seconds)) / rate
    noise = np.random.default_rng(0).normal(0, 300, len(time))
    return (12000 * np.sin(2 * np.pi * 700 * time) + noise).astype(np.int16)


def events_of(batch: SpikeBatch, row: int = 0) -> list[tuple[int, int]]:
    """Return the (channel, step) pairs of an example."""
    return [
        (channel, int(step))
        for channel in range(batch.n_channels)
        for step in batch.time[batch.start[row, channel] : batch.start[row, channel + 1]]
    ]
