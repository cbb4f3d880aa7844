"""Where weights and delays start: distributions to draw from, and random connectivity."""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.errors import InputError


@dataclass(frozen=True)
class Uniform:
    """Uniform over [low, high).

    Arguments:
        low: Lower bound.
        high: Upper bound, at least ``low``.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low <= self.high):
            raise InputError(f"Uniform must have low <= high, got {self.low!r}, {self.high!r}")

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return n draws, float64 (n,)."""
        return rng.uniform(self.low, self.high, n)


@dataclass(frozen=True)
class Normal:
    """Normal with a mean and a standard deviation.

    Arguments:
        mean: Mean.
        sd: Standard deviation, at least 0.
    """

    mean: float
    sd: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean) and np.isfinite(self.sd) and self.sd >= 0):
            raise InputError(f"Normal must have sd >= 0, got {self.mean!r}, {self.sd!r}")

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return n draws, float64 (n,)."""
        return rng.normal(self.mean, self.sd, n)


Initial = float | np.ndarray | Uniform | Normal


def values(what: str, initial: Initial, rng: np.random.Generator, n: int) -> np.ndarray:
    """Return n starting values, float64 (n,), from a number, an array or a distribution.

    Raises:
        InputError: The array has another length or holds NaN or infinity.
    """
    if isinstance(initial, (Uniform, Normal)):
        return initial.draw(rng, n)
    array = np.asarray(initial, dtype=np.float64)
    if array.ndim == 0:
        array = np.full(n, float(array))
    if array.shape != (n,):
        raise InputError(f"{what} must have shape ({n},), got {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{what} must have finite values, got NaN or infinity")
    return array.copy()


def synapse_count(density: float, n_pre: int, n_post: int) -> int:
    """Return how many synapses a projection of a given density has.

    Raises:
        InputError: The density is outside (0, 1] or leaves no synapse.
    """
    if not 0.0 < density <= 1.0:
        raise InputError(f"density must be in (0, 1], got {density!r}")
    count = int(np.floor(density * n_pre * n_post + 1e-9))
    if count < 1:
        raise InputError(
            f"density must leave at least one of {n_pre} x {n_post} synapses, got {density!r}"
        )
    return count


def connectivity(
    count: int, n_pre: int, n_post: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return `count` pairs drawn uniformly without repeats, as CSR (indptr, post)."""
    if count == n_pre * n_post:
        flat = np.arange(count)
    else:
        flat = np.sort(rng.choice(n_pre * n_post, count, replace=False))
    indptr = np.searchsorted(flat, np.arange(n_pre + 1) * n_post)
    return indptr.astype(np.int64), (flat % n_post).astype(np.int32)
