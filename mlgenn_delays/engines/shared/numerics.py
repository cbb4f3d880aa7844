"""What the engine's kernels share: how they are compiled, when a value counts as 0, sums."""

import numpy as np

from mlgenn_delays.kernels import kernel

# Decaying values below SUBNORMAL count as 0: arithmetic on subnormal numbers is tens of times
# slower, and a silent stretch is enough to get there. A test every FLUSH_EVERY steps is free.
SUBNORMAL = np.float32(1e-30)
FLUSH_EVERY = 64


@kernel
def flush_subnormal(x):
    """Return x, or 0 where |x| <= SUBNORMAL; NaN stays NaN."""
    return np.float32(0.0) if abs(x) <= SUBNORMAL else x


@kernel
def flush_all_subnormal(values):
    """Apply `flush_subnormal` to an array (n,) in place."""
    for k in range(len(values)):
        values[k] = flush_subnormal(values[k])


@kernel
def sum_chunks(chunks, first, end, low, high, out):
    """Add the gradients of chunks first..end-1 of (chunks, S) over range low..high-1 to out (S,).

    Chunk 0 is written: what was in `out` before it does not count.
    """
    if first == 0:
        for s in range(low, high):
            out[s] = chunks[0, s]
    for c in range(max(1, first), end):
        for s in range(low, high):
            out[s] += chunks[c, s]


# A spike's slope counts as at least this share of the threshold: rounding can bring a voltage
# that creeps up to its threshold there with a slope of 0.
MIN_SLOPE = np.float32(1e-6)
