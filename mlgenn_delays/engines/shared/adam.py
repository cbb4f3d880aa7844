"""Adam and what goes with it, over ranges of parameters so that threads share the work.

A parameter's n-th update, with the gradient g and both moments 0 before the first:

    m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
    value -= rate (m / (1 - beta1^n)) / (sqrt(v / (1 - beta2^n)) + epsilon)

n counts the updates of that parameter, which is younger than the training where a synapse grew.

Every parameter is updated from its own gradient, summed over the chunks of a batch in their
order: the result does not depend on how the ranges are cut.
"""

import numpy as np

from mlgenn_delays.engines.shared.numerics import kernel


@kernel
def sum_chunks(chunks, n, low, high, out):
    """Write the sum of n chunks' gradients (chunks, S) over range low..high-1 to out (S,)."""
    for s in range(low, high):
        out[s] = chunks[0, s]
    for c in range(1, n):
        for s in range(low, high):
            out[s] += chunks[c, s]


@kernel
def norm(gradient):
    """Return the L2 norm of a gradient (S,), in float64; NaN or infinite if any of it is."""
    total = 0.0
    for s in range(len(gradient)):
        total += np.float64(gradient[s]) * np.float64(gradient[s])
    return np.sqrt(total)


@kernel
def corrections(beta, low, high, out):
    """Write 1 / (1 - beta^n) of steps n = low + 1 .. high to out[low:high], float32."""
    for n in range(low, high):
        out[n] = 1.0 / (1.0 - beta ** (n + 1))


@kernel
def adam(
    value, gradient, first, second, steps, scale, rate, beta1, beta2, epsilon, fix1, fix2, low, high
):  # fmt: skip
    """Update parameters low..high-1; `scale` multiplies the gradient.

    ``steps`` counts the updates of each parameter: what was grown later has had fewer, and its
    moments are corrected for those alone. ``fix1`` and ``fix2`` are the `corrections`, their last
    entry that of all steps from there on.
    """
    b1, b2, eps = np.float32(beta1), np.float32(beta2), np.float32(epsilon)
    one, by, eta = np.float32(1.0), np.float32(scale), np.float32(rate)
    last1, last2 = len(fix1) - 1, len(fix2) - 1
    for s in range(low, high):
        n = steps[s]
        g = gradient[s] * by
        m = b1 * first[s] + (one - b1) * g
        v = b2 * second[s] + (one - b2) * g * g
        first[s] = m
        second[s] = v
        steps[s] = n + 1
        value[s] -= eta * (m * fix1[min(n, last1)]) / (np.sqrt(v * fix2[min(n, last2)]) + eps)


@kernel
def clamp(value, highest, low, high):
    """Keep delays low..high-1 in 0..highest [steps]."""
    for s in range(low, high):
        value[s] = min(max(value[s], np.float32(0.0)), highest[s])


@kernel
def round_delays(delay, delay_of, highest, steps, low, high, offset):
    """Write 1 + the whole steps of each synapse's delay, at most the trial, to offset (S,)."""
    for s in range(low, high):
        d = delay_of[s]
        bound = min(highest[d], np.float32(steps))
        whole = np.floor(min(max(delay[d], np.float32(0.0)), bound) + np.float32(0.5))
        offset[s] = np.uint32(1 + np.int64(whole))


@kernel
def keep_signs(weight, sign, low, high):
    """Make 0 of weights low..high-1 that crossed to the wrong side of their sign, if they have one.

    A weight never acts with the sign it may not have.
    """
    for s in range(low, high):
        if weight[s] * sign[s] < 0.0:
            weight[s] = 0.0


@kernel
def add_l1(gradient, weight, sign, strength, low, high):
    """Add the gradient of strength times the sum of magnitudes to a gradient (S,)."""
    for s in range(low, high):
        towards = np.float32(sign[s]) if sign[s] != 0 else np.sign(weight[s])
        gradient[s] += strength * towards
