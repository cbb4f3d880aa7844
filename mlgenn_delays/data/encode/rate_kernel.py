"""Compiled loop of the rate encoder; the only module of the encoders that imports Numba."""

import numpy as np

from mlgenn_delays.kernels import kernel


@kernel
def lif_raster(
    frames: np.ndarray,
    heard: np.ndarray,
    low: np.ndarray,
    part: np.ndarray,
    gain: np.float32,
    limit: np.ndarray,
    decay: np.float32,
    refractory: np.int32,
    state: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    raster: np.ndarray,
) -> None:
    """Mark the spikes of LIF neurons that the linear trace through frames drives.

    All neurons take a step side by side, so that it is a few operations on vectors.

    Arguments:
        frames: (N, F, B) float32, the last silent.
        heard: (N,) int64 frames up to the last that is not silent.
        low: (T,) int64 frame before each step, ascending.
        part: (T,) float32 way from there to the next frame, 0..1.
        gain: Factor on the trace.
        limit: (C,) float32 threshold of each neuron, above 0.
        decay: ``exp(-dt / tau)``.
        refractory: Steps without integration after a spike.
        state: What a step works on: drive and voltage (C,) float32, wait (C,) int32, spiked uint8
            of C and up to 7 zeros, and the same memory as uint64.
        raster: (N, C, T) bool, false; spikes are written here.
    """
    n_examples, n_bands, n_channels = len(frames), frames.shape[2], len(limit)
    drive, voltage, wait, spiked, words = state
    rest = np.float32(1.0) - decay
    zero, none, one = np.float32(0.0), np.int32(0), np.int32(1)
    for n in range(n_examples):
        for c in range(n_channels):
            voltage[c] = zero
            wait[c] = none
        for t in range(len(low)):
            at = low[t]
            if at >= heard[n]:
                break  # in silence no voltage grows
            for b in range(n_bands):
                before = frames[n, at, b]
                drive[b] = (before + part[t] * (frames[n, at + 1, b] - before)) * gain
            for c in range(n_bands, n_channels):
                drive[c] = drive[c - n_bands]
            for c in range(n_channels):
                reached = decay * voltage[c] + rest * drive[c]
                moves = wait[c] == none
                fires = moves and reached >= limit[c]
                held = reached if moves else voltage[c]
                left = none if moves else np.int32(wait[c] - one)
                voltage[c] = zero if fires else held
                wait[c] = refractory if fires else left
                spiked[c] = np.uint8(fires)
            for k in range(len(words)):
                if words[k] != 0:
                    for c in range(8 * k, min(8 * k + 8, n_channels)):
                        if spiked[c] != 0:
                            raster[n, c, t] = True
