"""What the engine's kernels share: how they are compiled, and when a value counts as 0."""

from typing import Any

import numpy as np

from mlgenn_delays.kernels import kernel

__all__ = ["SUBNORMAL", "FLUSH_EVERY", "kernel", "flush_subnormal", "flush_all_subnormal"]

# Decaying values below SUBNORMAL count as 0: arithmetic on subnormal numbers is tens of times
# slower, and a silent stretch is enough to get there. A test every FLUSH_EVERY steps is free.
SUBNORMAL = np.float32(1e-30)
FLUSH_EVERY = 64


@kernel
def flush_subnormal(x: Any) -> Any:
    """Return x, or 0 where |x| <= SUBNORMAL; NaN stays NaN."""
    return np.float32(0.0) if abs(x) <= SUBNORMAL else x


@kernel
def flush_all_subnormal(values: Any) -> None:
    """Apply `flush_subnormal` to an array (n,) in place."""
    for k in range(len(values)):
        values[k] = flush_subnormal(values[k])


# A spike's slope counts as at least this share of the threshold: rounding can bring a voltage
# that creeps up to its threshold there with a slope of 0.
MIN_SLOPE = np.float32(1e-6)
