"""Running sums over spikes and over currents, whatever the number of examples."""

from array import array
from typing import Any

import numpy as np

from mlgenn_delays.data.types import CurrentBatch, SpikeBatch


class SpikeStatistics:
    """How many spikes examples and channels have."""

    def __init__(self, n_channels: int) -> None:
        self.channels = np.zeros(n_channels, np.int64)
        self.examples = array("q")

    def add(self, batch: SpikeBatch) -> bool:
        """Add an example; return whether it has a spike."""
        counts = np.diff(batch.start[0])
        n = int(batch.start[0, -1] - batch.start[0, 0])
        self.channels += counts
        self.examples.append(n)
        return n > 0

    def summary(self, trial: float) -> dict[str, Any]:
        """Return spikes per example and rates per channel [Hz], of trials of so many ms."""
        rates = self.channels / (len(self.examples) * trial / 1000)
        busiest = int(rates.argmax())
        return {
            "per_example": spread(np.frombuffer(self.examples, np.int64)),
            "rate_hz": spread(rates),
            "silent_channels": int((self.channels == 0).sum()),
            "busiest": {"channel": busiest, "rate_hz": float(rates[busiest])},
        }


class CurrentStatistics:
    """How great currents are, of all and by channel."""

    def __init__(self, n_channels: int) -> None:
        self.low, self.high = np.full(n_channels, np.inf), np.full(n_channels, -np.inf)
        self.total, self.square = np.zeros(n_channels), np.zeros(n_channels)
        self.n = 0

    def add(self, batch: CurrentBatch) -> bool:
        """Add an example; return whether it has a value other than 0."""
        values = batch.values[0]
        low, high = values.min(axis=0), values.max(axis=0)
        np.minimum(self.low, low, out=self.low)
        np.maximum(self.high, high, out=self.high)
        self.total += values.sum(axis=0, dtype=np.float64)
        self.square += np.einsum("tc,tc->c", values, values, dtype=np.float64)
        self.n += len(values)
        return bool(low.any() or high.any())

    def summary(self, trial: float) -> dict[str, Any]:
        """Return the range of the currents, and which channel has the greatest root mean square."""
        square = self.square / self.n
        mean, busiest = float(self.total.mean() / self.n), int(square.argmax())
        return {
            "min": float(self.low.min()),
            "mean": mean,
            "max": float(self.high.max()),
            "std": float(np.sqrt(max(0.0, square.mean() - mean**2))),
            "silent_channels": int(((self.low == 0) & (self.high == 0)).sum()),
            "busiest": {"channel": busiest, "rms": float(np.sqrt(square[busiest]))},
        }


def spread(values: np.ndarray) -> dict[str, float]:
    """Return least, median and greatest of some numbers."""
    return {
        "min": float(values.min()),
        "median": float(np.median(values)),
        "max": float(values.max()),
    }
