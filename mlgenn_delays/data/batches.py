"""Batches of examples as the engines take them; see `types` for whole splits.

Shapes: B examples, C channels, T time steps, E spikes in all, K target series.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class SpikeBatch:
    """B examples as spikes.

    Attributes:
        start: (B, C+1) int64; channel c of example b spikes at ``time[start[b, c]:start[b, c+1]]``.
        time: (E,) int32 [steps], ascending and without repeats within a channel.
        labels: (B,) int64 class of each example.
        index: (B,) int64 index of each example in its data set (keys the random draws).
        n_steps: T, length of a trial in steps.
        targets: (B, K, T) float32 series to be reproduced, None for data with classes.
    """

    start: np.ndarray
    time: np.ndarray
    labels: np.ndarray
    index: np.ndarray
    n_steps: int
    targets: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_channels(self) -> int:
        """C, the number of input channels."""
        return self.start.shape[1] - 1


@dataclass(frozen=True)
class CurrentBatch:
    """B examples as sampled currents.

    Attributes:
        values: (B, T, C) float32, C-contiguous; what flows into each channel in each step.
        labels: (B,) int64 class of each example.
        index: (B,) int64 index of each example in its data set (keys the random draws).
        targets: (B, K, T) float32 series to be reproduced, None for data with classes.
    """

    values: np.ndarray
    labels: np.ndarray
    index: np.ndarray
    targets: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_steps(self) -> int:
        """T, length of a trial in steps."""
        return self.values.shape[1]

    @property
    def n_channels(self) -> int:
        """C, the number of input channels."""
        return self.values.shape[2]


Batch = SpikeBatch | CurrentBatch


def events_per_channel(batch: Batch) -> np.ndarray:
    """Return how many spikes, or samples other than 0, each channel has, (C,) int64."""
    if isinstance(batch, CurrentBatch):
        return np.count_nonzero(batch.values, axis=(0, 1))
    return np.diff(batch.start.sum(axis=0))


def examples(batch: Batch, low: int, high: int) -> Batch:
    """Return examples low..high-1 of a batch, as views."""
    here, key = slice(low, high), "values" if isinstance(batch, CurrentBatch) else "start"
    names = (key, "labels", "index") + ("targets",) * (batch.targets is not None)
    parts: dict[str, Any] = {name: getattr(batch, name)[here] for name in names}
    return replace(batch, **parts)
