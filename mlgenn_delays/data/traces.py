"""Frames as a trace between the frames."""

import numpy as np


def interpolate_frames(frames: np.ndarray, hop: float, dt: float, n_steps: int) -> np.ndarray:
    """Return the linear trace through the frames at the beginning of every step.

    Arguments:
        frames: (N, F, B), frame i at ``i * hop``; zero follows the last.
        hop: Time between frames [ms].
        dt: Length of a step [ms].
        n_steps: T.

    Returns:
        (N, T, B) float32.
    """
    place = np.arange(n_steps) * (dt / hop)
    low = np.floor(place).astype(np.int64)
    part = (place - low).astype(np.float32)[:, None]
    last = frames.shape[1]
    ended = np.concatenate([frames, np.zeros_like(frames[:, :1])], axis=1).astype(np.float32)
    before, after = ended[:, np.minimum(low, last)], ended[:, np.minimum(low + 1, last)]
    return before + part * (after - before)
