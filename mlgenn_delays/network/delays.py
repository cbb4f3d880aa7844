"""Delays in ms and in steps of dt: the only place that converts and rounds them.

A delay of d steps acts over ``clamp(floor(d + 0.5), 0, longest)`` whole steps: a half goes up, as
in C's ``round``. Values are rounded from float32, as the engines hold them, so that a half falls on
the same side everywhere. Kernels (`engines.cpu.synapses`, `engines.shared.taps`) round alike.
"""

import numpy as np

from mlgenn_delays.network.projection import Projection


def longest_steps(max_delay: float, dt: float) -> int:
    """Largest delay of a projection in whole steps; `max_delay` and `dt` in ms."""
    return int(np.floor(np.float64(np.float32(max_delay / dt)) + 0.5))


def round_steps(delay: np.ndarray, longest: int) -> np.ndarray:
    """Delays [steps] rounded to whole steps in 0..longest, of the same shape and type."""
    return np.clip(np.floor(delay + np.float32(0.5)), 0, longest)


def delay_steps(projection: Projection, dt: float) -> np.ndarray:
    """Delay of each synapse in whole steps of dt [ms], (S,) int64."""
    delay = (projection.delay_per_synapse() / dt).astype(np.float32)
    return round_steps(delay, longest_steps(projection.max_delay, dt)).astype(np.int64)


def to_ms(delay: np.ndarray, dt: float, max_delay: float) -> np.ndarray:
    """Delays in ms from steps, float64, within 0..max_delay [ms] whatever float32 rounded."""
    return np.clip(delay.astype(np.float64) * dt, 0.0, max_delay)
