"""Compiled loop of the rate encoder; the only module of the encoders that imports Numba."""

import numpy as np

from mlgenn_delays.kernels import kernel


@kernel
def lif_raster(
    drive: np.ndarray,
    thresholds: np.ndarray,
    decay: np.float32,
    refractory: int,
    raster: np.ndarray,
) -> None:
    """Mark the spikes of LIF neurons.

    Arguments:
        drive: (N, B, T) float32 input of each band.
        thresholds: (K,) float32.
        decay: ``exp(-dt / tau)``.
        refractory: Steps without integration after a spike.
        raster: (N, K*B, T) bool, false; spikes are written here.
    """
    n_examples, n_bands, n_steps = drive.shape
    rest = np.float32(1.0) - decay
    for n in range(n_examples):
        for k in range(len(thresholds)):
            for b in range(n_bands):
                voltage = np.float32(0.0)
                wait = 0
                for t in range(n_steps):
                    if wait > 0:
                        wait -= 1
                        continue
                    voltage = decay * voltage + rest * drive[n, b, t]
                    if voltage >= thresholds[k]:
                        raster[n, k * n_bands + b, t] = True
                        voltage = np.float32(0.0)
                        wait = refractory
