"""Frames as a trace between the frames."""

import numpy as np

from mlgenn_delays.data.arrays import rows_at_once


def frame_places(hop: float, dt: float, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the frame before each step (T,) int64, and how far it is to the next, (T,) float32."""
    place = np.arange(n_steps) * (dt / hop)
    low = np.floor(place).astype(np.int64)
    return low, (place - low).astype(np.float32)


def interpolate_frames(frames: np.ndarray, hop: float, dt: float, n_steps: int) -> np.ndarray:
    """Return the linear trace through frames (N, F, B) at the beginning of every step, (N, T, B).

    Frame i is at ``i * hop`` [ms]; zero follows the last.
    """
    low, part = frame_places(hop, dt, n_steps)
    part = part[:, None]
    n, last, n_bands = frames.shape
    ended = np.concatenate([frames, np.zeros_like(frames[:, :1])], axis=1).astype(np.float32)
    low, high = np.minimum(low, last), np.minimum(low + 1, last)
    trace = np.empty((n, n_steps, n_bands), np.float32)
    # At fine steps the trace is many times the frames: what is in between is made bit by bit.
    chunk = rows_at_once(trace.shape)
    for first in range(0, n, chunk):
        some = ended[first : first + chunk]
        before = some[:, low]
        trace[first : first + chunk] = before + part * (some[:, high] - before)
    return trace
