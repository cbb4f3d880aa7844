"""Compiled loops of blending; the only module of it that imports Numba."""

import math

import numpy as np

from mlgenn_delays.kernels import kernel


@kernel
def blend_pair(
    one: tuple[np.ndarray, np.ndarray, np.ndarray],
    other: tuple[np.ndarray, np.ndarray, np.ndarray],
    group: int,
    n_steps: int,
    scratch: np.ndarray,
    start: np.ndarray,
    time: np.ndarray,
    used: int,
) -> int:
    """Thin two examples, shift them so that their centres meet halfway, and write them as one.

    Arguments:
        one: The example's ``start`` (C+1,), its batch's ``time``, and uint8 random bits, the
            lowest of the first byte for its first spike: a spike stays where its bit is 1.
        other: The same of the example it is blended with.
        group: Channels per group; shifts move within groups only.
        n_steps: T.
        scratch: (2, M) int32 to work in, of at least as many as the spikes of a channel.
        start: (C+1,) the blend's starts are written here.
        time: Its times are written here, from ``used`` on.
        used: Number of times written before.

    Returns:
        Number of times written now.
    """
    channels, steps = _shifts(_centre(one[0], one[1], group), _centre(other[0], other[1], group))
    n_channels = len(start) - 1
    for target in range(n_channels):
        start[target] = used
        n_one = _thin(one, target, channels[0], steps[0], group, n_steps, scratch[0])
        n_other = _thin(other, target, channels[1], steps[1], group, n_steps, scratch[1])
        used = _merge(scratch[0, :n_one], scratch[1, :n_other], time, used)
    start[n_channels] = used
    return used


@kernel
def _centre(start: np.ndarray, time: np.ndarray, group: int) -> tuple[float, float]:
    """Return the mean channel in its group and the mean step of the spikes; NaN of none."""
    n_channels = len(start) - 1
    channels = 0
    steps = 0
    for c in range(n_channels):
        channels += (c % group) * (start[c + 1] - start[c])
        for e in range(start[c], start[c + 1]):
            steps += time[e]
    size = start[n_channels] - start[0]
    if not size:
        return math.nan, math.nan
    return channels / size, steps / size


@kernel
def _shifts(
    one: tuple[float, float], other: tuple[float, float]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return by how many channels the two move, and by how many steps; nothing where one is silent.

    The second rounds what is between them, so that the two never end over half a unit apart.
    """
    if math.isnan(one[0]) or math.isnan(other[0]):
        return (0, 0), (0, 0)
    wide, long = other[0] - one[0], other[1] - one[1]
    up, late = math.floor(wide / 2 + 0.5), math.floor(long / 2 + 0.5)
    return (up, up - math.floor(wide + 0.5)), (late, late - math.floor(long + 0.5))


@kernel
def _thin(
    spikes: tuple[np.ndarray, np.ndarray, np.ndarray],
    target: int,
    channels: int,
    steps: int,
    group: int,
    n_steps: int,
    out: np.ndarray,
) -> int:
    """Write the shifted steps of what stays and comes to a channel; return how many they are."""
    start, time, bits = spikes
    c = target - channels
    if c < 0 or c >= len(start) - 1 or c // group != target // group:
        return 0
    n = 0
    for e in range(start[c], start[c + 1]):
        step = time[e] + steps
        # All are written and few are kept: a branch that random bits decide costs more.
        out[n] = step
        number = e - start[0]
        stays = (bits[number >> 3] >> (number & 7)) & 1
        n += int(stays != 0 and step >= 0 and step < n_steps)
    return n


@kernel
def _merge(one: np.ndarray, other: np.ndarray, time: np.ndarray, used: int) -> int:
    """Write two ascending runs of steps as one without repeats, and return where it ends."""
    i, j = 0, 0
    while i < len(one) and j < len(other):
        first, second = one[i], other[j]
        time[used] = min(first, second)
        i += int(first <= second)
        j += int(second <= first)
        used += 1
    for k in range(i, len(one)):
        time[used] = one[k]
        used += 1
    for k in range(j, len(other)):
        time[used] = other[k]
        used += 1
    return used
