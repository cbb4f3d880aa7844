"""Normalisation of a population's synaptic current, per neuron over batch and time.

    I' = gain (I - mean) / sqrt(variance + EPSILON) + offset

Training takes mean and variance of the batch at hand and keeps running ones, which evaluation
uses (Ioffe and Szegedy 2015); gain and offset are learned. It is folded into weights and a bias
current by `Network.folded`.
"""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.errors import InputError

EPSILON = 1e-5
FIELDS = ("mean", "variance", "gain", "offset")


@dataclass
class Normalisation:
    """Statistics and affine map of n neurons' currents.

    Attributes:
        mean: (n,) float32 running mean of the current.
        variance: (n,) float32 running variance, >= 0.
        gain: (n,) float32, >= 0 so that a synapse keeps its sign when folded.
        offset: (n,) float32.
    """

    mean: np.ndarray
    variance: np.ndarray
    gain: np.ndarray
    offset: np.ndarray

    @staticmethod
    def start(n: int) -> "Normalisation":
        """Normalisation of n neurons before any training."""
        zeros, ones = np.zeros(n, np.float32), np.ones(n, np.float32)
        return Normalisation(zeros, ones, ones.copy(), zeros.copy())

    def factor(self) -> np.ndarray:
        """What the current is multiplied by, (n,) float32."""
        root = np.sqrt(self.variance.astype(np.float64) + EPSILON)
        return (self.gain / root).astype(np.float32)

    def shift(self) -> np.ndarray:
        """What is added after that, (n,) float32."""
        return (self.offset - self.mean * self.factor()).astype(np.float32)

    def check(self, where: str, n: int) -> None:
        """Raise an `InputError` for other shapes than (n,) and values out of range."""
        for name in FIELDS:
            array = getattr(self, name)
            if array.shape != (n,) or not np.isfinite(array).all():
                raise InputError(
                    f"{name} of the normalisation of {where} must be finite and of shape ({n},), "
                    f"got shape {array.shape}"
                )
        for name in ("variance", "gain"):
            if getattr(self, name).min() < 0:
                raise InputError(f"{name} of the normalisation of {where} must be >= 0")
