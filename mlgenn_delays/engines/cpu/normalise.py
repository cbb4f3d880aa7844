"""Normalisation of synaptic currents, per neuron over batch and time, and its gradient.

Forwards, I' = f (I - mean) + offset with f = gain / sqrt(variance + EPSILON). Backwards, with
D = dL/dI' and X = (I - mean) / sqrt(variance + EPSILON):

    dL/dI = f (D - mean(D) - X mean(D X));   dL/dgain = sum D X;   dL/doffset = sum D
"""

from mlgenn_delays.engines.cpu.flags import kernel


@kernel
def add_up(frame, row, n, series, low, high, sums):
    """Write the sums of I and of I^2 over the trial, by example and neuron, to sums (2, B, n)."""
    for e in range(low, high):
        for j in range(n):
            at = (e * frame.neurons + row + j) * frame.length
            one, two = 0.0, 0.0
            for t in range(at, at + frame.steps):
                value = float(series.current[t])
                one += value
                two += value * value
            sums[0, e, j], sums[1, e, j] = one, two


@kernel
def add_up_back(frame, row, n, mean, root, series, low, high, sums):
    """Write the sums of D and of D X, by example and neuron, to sums (2, B, n)."""
    for e in range(low, high):
        for j in range(n):
            at = (e * frame.neurons + row + j) * frame.length
            one, two = 0.0, 0.0
            for t in range(at, at + frame.steps):
                d = float(series.voltage[t])
                one += d
                two += d * (float(series.current[t]) - mean[j])
            sums[0, e, j], sums[1, e, j] = one, two / root[j]


@kernel
def back_normalise(frame, row, n, mean, root, gain, mean_d, mean_dx, series, low, high):
    """Turn D into dL/dI where it is."""
    for e in range(low, high):
        for j in range(n):
            at = (e * frame.neurons + row + j) * frame.length
            for t in range(at, at + frame.steps):
                x = (float(series.current[t]) - mean[j]) / root[j]
                d = float(series.voltage[t]) - mean_d[j] - x * mean_dx[j]
                series.voltage[t] = gain[j] / root[j] * d
