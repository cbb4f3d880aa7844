"""Normalisation of synaptic currents, per neuron over batch and time, and its gradient.

Forwards, I' = f (I - mean) + offset with f = gain / sqrt(variance + EPSILON). Backwards, with
D = dL/dI' and X = (I - mean) / sqrt(variance + EPSILON):

    dL/dI = f (D - mean(D) - X mean(D X));   dL/dgain = sum D X;   dL/doffset = sum D
"""

import numpy as np

from mlgenn_delays.engines.cpu.flags import kernel
from mlgenn_delays.engines.cpu.vector import dots


@kernel
def add_up(frame, row, n, one, other, low, high, sums):
    """Write the sums of a row of `one` and of its product with `other` to sums (2, B, n).

    By example and neuron; both are rows of neurons as in `Series`, with 0 behind the trial.
    """
    ones, here = np.ones(frame.span, np.float32), np.zeros(1, np.int64)
    total = np.zeros(1, np.float32)
    for e in range(low, high):
        for j in range(n):
            at = (e * frame.neurons + row + j) * frame.length
            total[0] = 0.0
            dots(total, one, at, frame.span, ones, 0, here, 0, 1)
            sums[0, e, j] = total[0]
            total[0] = 0.0
            dots(total, one, at, frame.span, other, at, here, 0, 1)
            sums[1, e, j] = total[0]


@kernel
def combine(frame, row, n, by_current, by_adjoint, rest, series, low, high):
    """Turn D, in the place of V, into by_adjoint D + by_current I + rest, (n,) float32 each."""
    for e in range(low, high):
        for j in range(n):
            at = (e * frame.neurons + row + j) * frame.length
            a, b, c = by_adjoint[j], by_current[j], rest[j]
            for t in range(at, at + frame.steps):
                series.voltage[t] = a * series.voltage[t] + b * series.current[t] + c
