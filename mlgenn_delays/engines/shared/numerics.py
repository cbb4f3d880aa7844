"""What the engine's kernels share: how they are compiled, and when a value counts as 0."""

from typing import Any

import numpy as np

from mlgenn_delays.kernels import kernel

__all__ = ["NOTHING", "SETTLE", "kernel", "settle", "settle_all"]

# Decaying values below NOTHING count as 0: arithmetic on subnormal numbers is tens of times
# slower, and a silent stretch is enough to get there. Looking every SETTLE steps costs nothing.
NOTHING = np.float32(1e-30)
SETTLE = 64


@kernel
def settle(x: Any) -> Any:
    """Return x, or 0 once it has decayed to nothing; NaN stays NaN."""
    return np.float32(0.0) if abs(x) <= NOTHING else x


@kernel
def settle_all(values: Any) -> None:
    """Do that for an array (n,)."""
    for k in range(len(values)):
        values[k] = settle(values[k])


# A spike's slope counts as at least this share of the threshold: rounding can bring a voltage
# that creeps up to its threshold there with a slope of 0.
FLATTEST = np.float32(1e-6)
