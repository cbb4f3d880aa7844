"""Compiled loops of augmentation; the only module of it that imports Numba."""

import math

import numpy as np

from mlgenn_delays.kernels import kernel


@kernel
def rearrange(
    spikes: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    move: tuple[int, float, int, int],
    mask: tuple[int, int, int, int],
    start: np.ndarray,
    time: np.ndarray,
    used: int,
) -> int:
    """Move one example's spikes, drop some, sort them again and merge repeats.

    Arguments:
        spikes: The example's ``start`` (C+1,) and the batch's ``time``, (E_b,) noise [steps] of
            each spike or nothing, (E_b,) whether each stays or nothing.
        move: Shift over channels, shift over time [steps], channels per group, T.
        mask: First step and end, first channel of each group and end of what is dropped.
        start: (C+1,) the example's new starts are written here.
        time: New times are written here, from ``used`` on.
        used: Number of times written before.

    Returns:
        Number of times written now.
    """
    old_start, old_time, noise, kept = spikes
    channels, steps, group, n_steps = move
    mask_first, mask_end, mask_low, mask_high = mask
    n_channels = len(old_start) - 1
    for target in range(n_channels):
        start[target] = used
        c = target - channels
        if c < 0 or c >= n_channels or c // group != target // group:
            continue
        place = target % group
        if place >= mask_low and place < mask_high:
            continue
        end = used
        for e in range(old_start[c], old_start[c + 1]):
            number = e - old_start[0]
            if len(kept) and not kept[number]:
                continue
            moved = old_time[e] + steps
            if len(noise):
                moved += noise[number]
            step = math.floor(moved + 0.5)
            masked = step >= mask_first and step < mask_end
            if step >= 0 and step < n_steps and not masked:
                time[end] = step
                end += 1
        # Without noise nothing has changed places, and nothing has met.
        used = _tidy(time, used, end) if len(noise) else end
    start[n_channels] = used
    return used


@kernel
def _tidy(time: np.ndarray, first: int, end: int) -> int:
    """Sort ``time[first:end]``, remove repeats, and return where it ends now."""
    gap = 1
    while gap < (end - first) // 9:  # jitter leaves few spikes almost sorted
        gap = 3 * gap + 1
    while gap > 0:  # Shell's method: NumPy's takes a second to compile
        for i in range(first + gap, end):
            value = time[i]
            j = i
            while j >= first + gap and time[j - gap] > value:
                time[j] = time[j - gap]
                j -= gap
            time[j] = value
        gap //= 3
    last = first
    for i in range(first, end):
        if i == first or time[i] != time[last - 1]:
            time[last] = time[i]
            last += 1
    return last


@kernel
def change_currents(
    values: np.ndarray,
    draws: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    noise: np.ndarray,
    group: int,
    out: np.ndarray,
) -> None:
    """Move examples over channels and time, scale them, add noise, and set masks to zero.

    Arguments:
        values: (B, T, C) float32.
        draws: Of each example: (B, 2) int64 shift over channels and over time [steps]; (B, 4)
            int64 first step and end, first channel of each group and end of its mask; (B,)
            float32 factor; (B, W) uint64 random words, each of which draws noise for four values
            by its 16-bit parts, the lowest first.
        noise: (65536,) float32 what is added, or nothing.
        group: Channels per group.
        out: (B, T, C) float32, the result is written here.
    """
    moves, masks, factors, words = draws
    n, n_steps, n_channels = values.shape
    source = np.empty(n_channels, np.int64)
    for b in range(n):
        factor = factors[b]
        low, high = masks[b, 2], masks[b, 3]
        for c in range(n_channels):
            origin = c - moves[b, 0]
            inside = origin >= 0 and origin < n_channels and origin // group == c // group
            source[c] = origin if inside else -1
        for t in range(n_steps):
            if t >= masks[b, 0] and t < masks[b, 1]:
                out[b, t] = np.float32(0.0)
                continue
            before = t - moves[b, 1]
            there = before >= 0 and before < n_steps
            for c in range(n_channels):
                value = np.float32(0.0)
                if there and source[c] >= 0:
                    value = factor * values[b, before, source[c]]
                if len(noise):
                    number = t * n_channels + c
                    word = words[b, number // 4] >> np.uint64(16 * (number % 4))
                    value += noise[np.int64(word & np.uint64(0xFFFF))]
                out[b, t, c] = value
        if high > low:
            for first in range(0, n_channels, group):
                out[b, :, first + low : first + high] = np.float32(0.0)
