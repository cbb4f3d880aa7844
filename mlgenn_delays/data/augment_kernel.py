"""Compiled loops of augmentation; the only module of it that imports Numba."""

import math

import numpy as np

from mlgenn_delays.kernels import kernel

# Channels with up to this many spikes are sorted by insertion: jitter leaves them almost sorted.
_FEW = 48


@kernel
def rearrange(
    spikes: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    move: tuple[int, float, int, int],
    start: np.ndarray,
    time: np.ndarray,
    used: int,
) -> int:
    """Move one example's spikes, drop some, sort them again and merge repeats.

    Arguments:
        spikes: The example's ``start`` (C+1,) and the batch's ``time``, (E_b,) noise [steps] of
            each spike or nothing, (E_b,) whether each stays or nothing.
        move: Shift over channels, shift over time [steps], channels per group, T.
        start: (C+1,) the example's new starts are written here.
        time: New times are written here, from ``used`` on.
        used: Number of times written before.

    Returns:
        Number of times written now.
    """
    old_start, old_time, noise, kept = spikes
    channels, steps, group, n_steps = move
    n_channels = len(old_start) - 1
    for target in range(n_channels):
        start[target] = used
        c = target - channels
        if c < 0 or c >= n_channels or c // group != target // group:
            continue
        end = used
        for e in range(old_start[c], old_start[c + 1]):
            place = e - old_start[0]
            if len(kept) and not kept[place]:
                continue
            moved = old_time[e] + steps
            if len(noise):
                moved += noise[place]
            step = math.floor(moved + 0.5)
            if step >= 0 and step < n_steps:
                time[end] = step
                end += 1
        # Without noise nothing has changed places, and nothing has met.
        used = _tidy(time, used, end) if len(noise) else end
    start[n_channels] = used
    return used


@kernel
def _tidy(time: np.ndarray, first: int, end: int) -> int:
    """Sort ``time[first:end]``, remove repeats, and return where it ends now."""
    if end - first > _FEW:
        time[first:end].sort()
    else:
        for i in range(first + 1, end):
            value = time[i]
            j = i
            while j > first and time[j - 1] > value:
                time[j] = time[j - 1]
                j -= 1
            time[j] = value
    last = first
    for i in range(first, end):
        if i == first or time[i] != time[last - 1]:
            time[last] = time[i]
            last += 1
    return last
