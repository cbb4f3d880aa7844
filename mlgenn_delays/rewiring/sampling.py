"""Choosing m of n: uniformly, or the largest with ties broken at random."""

import numpy as np


def uniform(n: int, m: int, rng: np.random.Generator) -> np.ndarray:
    """Return m different indices below n, each set equally likely, int64 in no given order."""
    if m == n:
        return np.arange(n)
    return rng.choice(n, m, replace=False, shuffle=False)


def largest(score: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of the m largest scores, int64 in no given order.

    Dead neurons have gradients of exactly zero, so ties are common: among equals at the
    threshold each is equally likely, whatever its index. Takes time linear in n.

    Arguments:
        score: (n,) float, finite.
        m: How many, 0 <= m <= n.
        rng: Draws among ties.
    """
    n = len(score)
    if m == 0 or m == n:
        return np.arange(m)
    threshold = np.partition(score, n - m)[n - m]
    above = np.flatnonzero(score > threshold)
    ties = np.flatnonzero(score == threshold)
    return np.concatenate([above, ties[uniform(len(ties), m - len(above), rng)]])
