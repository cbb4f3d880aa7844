"""What the generated data sets share: a generator a split, and one spike a channel."""

from collections.abc import Callable

import numpy as np

from mlgenn_delays.data.options import GeneratedOptions
from mlgenn_delays.data.types import SpikeData
from mlgenn_delays.rng import generator

SPLITS = ("train", "validation", "test")


def generate_splits(
    purpose: str,
    options: GeneratedOptions,
    make: Callable[[np.random.Generator, int], SpikeData],
) -> dict[str, SpikeData]:
    """Make every split with a generator of its own.

    Arguments:
        purpose: What the numbers are for, as of `mlgenn_delays.rng.generator`.
        options: The data set's, for sizes and seed.
        make: Function of (generator, number of examples) that gives a split.

    Returns:
        "train", "validation" and "test"; the size of one changes nothing in another.
    """
    return {
        split: make(generator(options.seed, purpose, split), getattr(options, split))
        for split in SPLITS
    }


def balanced_labels(rng: np.random.Generator, n: int, n_classes: int) -> np.ndarray:
    """Return (n,) int64 classes in random order, of each as many as of another, or one more."""
    return rng.permutation(np.arange(n, dtype=np.int64) % n_classes)


def to_steps(times: np.ndarray, dt: float, n_steps: int) -> np.ndarray:
    """Return times [ms] as steps, int64, the half rounded up, kept within ``0 .. n_steps - 1``."""
    return np.clip(np.floor(times / dt + 0.5).astype(np.int64), 0, n_steps - 1)


def one_spike_each(
    times: np.ndarray, labels: np.ndarray, n_steps: int, dt: float, label_names: tuple[str, ...]
) -> SpikeData:
    """Return examples in which every channel spikes once.

    Arguments:
        times: (N, C) [ms], each within the trial.
        labels: (N,) int64 classes.
        n_steps: T, length of a trial.
        dt: Length of a step [ms].
        label_names: Name of each class.
    """
    n, channels = times.shape
    start = np.arange(n)[:, None] * channels + np.arange(channels + 1)
    time = to_steps(times, dt, n_steps).ravel().astype(np.int32)
    return SpikeData(start, time, labels, n_steps, dt, label_names)
