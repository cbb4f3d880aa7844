"""Delays as taps: the steps over which a synapse acts while its delay is learned, and how much.

A synapse of delay d acts over steps k = first .. first + W - 1 with weights K[k]:

    Dirac      K = 1 at d rounded; for its gradient, dK/dd = -1 there and 1 a step later
    Gaussian   K[k] = g[k] / sum g,  g[k] = exp(-((k - d) / width)^2 / 2),
               dK/dd = K (h - sum K h),  h[k] = (k - d) / width^2

Only steps where g can exceed `LEAST` are held: beyond it a tap is lost in rounding.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.vector import LANES

LEAST = 1e-7
# g falls below LEAST so many widths away from the delay.
FAR = float(np.sqrt(-2.0 * np.log(LEAST)))


class Taps(NamedTuple):
    """Taps of every synapse."""

    size: int  # W, held for every synapse
    first: np.ndarray  # (S,) int64 first step held
    acting: np.ndarray  # (S, W) float32 K
    moving: np.ndarray  # (S, W) float32 dK/dd


def gaussian_size(width: float, longest: int) -> int:
    """Return W for kernels of a width [steps], of delays of at most `longest` steps."""
    return min(longest + 1, int(np.floor(2.0 * FAR * width)) + 1)


def _at_once(n: int, task: Callable[[int, int], None]) -> None:
    if n > 0:
        task(0, n)


def make_taps(
    delay: np.ndarray,
    delay_of: np.ndarray,
    longest: np.ndarray,
    steps: int,
    width: float,
    learning: bool,
    spread: Callable[[int, Callable[[int, int], None]], None] = _at_once,
) -> Taps:
    """Return the taps of every synapse, whose delay is `delay` (D,) at `delay_of` (S,).

    Taps beyond T = `steps`, which bring nothing, are not held; Dirac's (`width` 0) of one step, or
    of two while `learning`. `longest` (D,) int64 is the largest delay; all in steps. ``spread``
    runs task(low, high) over parts of range(S).
    """
    n, last = len(delay_of), np.minimum(longest, steps)
    size = gaussian_size(width, int(last.max(initial=0))) if width > 0 else 1 + learning
    first = np.empty(n, np.int64)
    acting, moving = np.zeros((2, n, size), np.float32)
    if width > 0:
        spread(
            n,
            lambda low, high: fill_gaussian(
                delay, delay_of, longest, last, width, first, acting, moving, low, high
            ),
        )
    else:
        fill_dirac(delay, delay_of, last, first, acting, moving)
    return Taps(size, first, acting, moving)


@kernel
def fill_dirac(delay, delay_of, last, first, acting, moving):
    """Write Dirac taps, of one step or of two."""
    for s in range(len(delay_of)):
        d = delay_of[s]
        whole = np.int64(np.floor(delay[d] + np.float32(0.5)))
        first[s] = min(max(whole, 0), last[d])
        acting[s, 0] = 1.0
        if acting.shape[1] > 1:
            moving[s, 0] = -1.0
            moving[s, 1] = 1.0


@kernel
def fill_gaussian(delay, delay_of, longest, last, width, first, acting, moving, begin, end):
    """Write Gaussian taps of synapses begin..end-1, normalised over the steps 0..longest.

    Of these, 0..last are held.
    """
    size, far = acting.shape[1], FAR * width
    weight = np.empty(min(np.int64(2.0 * far) + 1, np.int64(longest.max())) + 1)
    for s in range(begin, end):
        d = delay_of[s]
        centre = max(np.float64(delay[d]), 0.0)
        low: Any = max(np.int64(np.ceil(centre - far)), 0)
        high: Any = min(np.int64(np.floor(centre + far)), longest[d])
        if high < low:  # so narrow that it ends before the next step
            low = high = min(np.int64(np.floor(centre + 0.5)), longest[d])
        total, mean = 0.0, 0.0
        for k in range(low, high + 1):
            away = (k - centre) / width
            g = np.exp(-0.5 * away * away)
            weight[k - low] = g
            total += g
            mean += g * away / width
        mean /= total
        held = max(min(low, last[d] + 1 - size), 0)
        first[s] = held
        for m in range(size):
            k = held + m
            if low <= k <= min(high, last[d]):
                away = (k - centre) / width
                share = weight[k - low] / total
                acting[s, m] = share
                moving[s, m] = share * (away / width - mean)


@kernel
def place_taps(pre, length, taps, weight, coef, address):
    """Write the coefficient of each tap (S W,), and its address in its source's rows."""
    size = taps.size
    for s in range(len(pre)):
        here = np.int64(pre[s]) * length - taps.first[s] - 1
        for m in range(size):
            coef[s * size + m] = weight[s] * taps.acting[s, m]
            address[s * size + m] = here - m


def placed(plan: Any, layout: Any, taps: Taps, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficient and address of each tap, (S W,) each; see `place_taps`.

    Vectors may be read from the last coefficients on.
    """
    n = len(weight) * taps.size
    coef, address = np.empty(n + LANES, np.float32)[:n], np.empty(n, np.int64)
    place_taps(plan.pre, layout.length, taps, weight, coef, address)
    return coef, address


@kernel
def place_outgoing(plan, layout, taps, weight, coef, address):
    """Write the same in the order of `plan.out_synapse`: where it reads in its target's adjoint."""
    size = taps.size
    for q in range(len(plan.target)):
        if plan.out_first[q] < 0:
            continue
        target, n = layout.neuron_row[plan.target[q]], plan.n[plan.source[q]]
        first = plan.out_first[q]
        for k in range(plan.out[first], plan.out[first + n]):
            s = plan.out_synapse[k]
            here = (target + np.int64(plan.out_post[k])) * layout.length + taps.first[s] + 1
            for m in range(size):
                coef[k * size + m] = weight[s] * taps.acting[s, m]
                address[k * size + m] = here + m


@kernel
def gather_gradient(taps, weight, sums, grad_weight, grad_delay):
    """Write dL/dw and dL/dd (S,) from the correlations at each tap (S W,)."""
    size = taps.size
    for s in range(len(weight)):
        by_weight, by_delay = np.float32(0.0), np.float32(0.0)
        for m in range(size):
            by_weight += taps.acting[s, m] * sums[s * size + m]
            by_delay += taps.moving[s, m] * sums[s * size + m]
        grad_weight[s] = by_weight
        grad_delay[s] = by_delay * weight[s]
