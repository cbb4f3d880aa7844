"""What GeNN's code needs of Gaussian delay kernels; their taps it makes itself."""

import numpy as np

from mlgenn_delays.engines.shared.taps import FAR


def norm_and_mean(delay: np.ndarray, longest: int, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return 1 / sum g and the mean of (k - d) / width^2 of every delay; see `engines.shared.taps`.

    Arguments:
        delay: (S,) [steps].
        longest: Largest delay in whole steps; the kernel ends there.
        width: Of the Gaussian [steps]; 0 gives ones and zeros.

    Returns:
        (S,) float32 each; 1 / sum g is 0 where no whole step is near enough, and the delay then
        acts over one step alone.
    """
    total, mean = np.ones(len(delay)), np.zeros(len(delay))
    if width > 0:
        centre = np.maximum(delay.astype(np.float64), 0.0)
        low = np.maximum(np.ceil(centre - FAR * width), 0.0)
        high = np.minimum(np.floor(centre + FAR * width), longest)
        empty = high < low
        total[~empty] = 0.0
        for k in range(int((high - low).max(initial=0.0)) + 1):
            tap = low + k
            away = (tap - centre) / width
            g = np.where(tap <= high, np.exp(-0.5 * away * away), 0.0)
            total += g
            mean += g * away / width
        total[empty], mean[empty] = np.inf, 0.0
        mean /= total
    return (1.0 / total).astype(np.float32), mean.astype(np.float32)
