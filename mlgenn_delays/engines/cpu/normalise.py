"""Normalisation of synaptic currents, per neuron over batch and time, and its gradient.

Forwards, I' = f (I - mean) + offset with f = gain / sqrt(variance + EPSILON). Backwards, with
D = dL/dI' and X = (I - mean) / sqrt(variance + EPSILON):

    dL/dI = f (D - mean(D) - X mean(D X));   dL/dgain = sum D X;   dL/doffset = sum D

Sums are in float64: the variance is a difference of two of them, which may be close to equal.
"""

import numpy as np

from mlgenn_delays.engines.shared.numerics import kernel

ABREAST = 4  # sums at once: one alone would wait for itself


@kernel
def add_up(layout, row, n, one, other, low, high, sums):
    """Write the sums of a row of `one` and of its product with `other` to sums (2, B, n) float64.

    By example and neuron; both are rows of neurons as in `Traces`, with 0 behind the trial.
    """
    plain, product = np.zeros(ABREAST), np.zeros(ABREAST)
    for e in range(low, high):
        for j in range(n):
            at = (e * layout.neurons + row + j) * layout.length
            plain[:] = 0.0
            product[:] = 0.0
            for t in range(at, at + layout.span, ABREAST):
                for k in range(ABREAST):
                    x = np.float64(one[t + k])
                    plain[k] += x
                    product[k] += x * np.float64(other[t + k])
            sums[0, e, j] = plain.sum()
            sums[1, e, j] = product.sum()


@kernel
def combine(layout, row, n, by_current, by_adjoint, rest, traces, low, high):
    """Turn D, in the place of V, into by_adjoint D + by_current I + rest, (n,) float32 each."""
    for e in range(low, high):
        for j in range(n):
            at = (e * layout.neurons + row + j) * layout.length
            a, b, c = by_adjoint[j], by_current[j], rest[j]
            for t in range(at, at + layout.steps):
                traces.voltage[t] = a * traces.voltage[t] + b * traces.current[t] + c
