"""Readouts and losses: logits from V (K, T) of the output, and dL/dV of cross-entropy and squares.

mean          y_k = 1/T sum_t V_k[t]
sum           y_k = sum_t V_k[t]
max           y_k = max_t V_k[t]
expweighted   y_k = 1/T sum_t exp(-t/T) V_k[t]
softmax-sum   y_k = sum_t softmax(V[t])_k
L = -sum_k q_k log softmax(y)_k, q_label = 1 - smoothing + smoothing / K, the others smoothing / K

Sums are in float64: in float32, a million steps one after the other would be 1 % off.
"""

import numpy as np

from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.neurons.declare import READOUTS

SUM = READOUTS.index("sum")
MAX = READOUTS.index("max")
EXPWEIGHTED = READOUTS.index("expweighted")
SOFTMAX_SUM = READOUTS.index("softmax-sum")


@kernel
def softmax(values, out):
    """Write the softmax of values (K,) to out (K,)."""
    highest = values[0]
    for k in range(1, len(values)):
        highest = max(highest, values[k])
    total = 0.0
    for k in range(len(values)):
        out[k] = np.exp(values[k] - highest)
        total += out[k]
    for k in range(len(values)):
        out[k] /= total


@kernel
def cross_entropy(logits, label, smoothing):
    """Return the cross-entropy of logits (K,); `smoothing` is float32."""
    highest = logits[0]
    for k in range(1, len(logits)):
        highest = max(highest, logits[k])
    total = 0.0
    for k in range(len(logits)):
        total += np.exp(logits[k] - highest)
    right = logits[label] - highest
    if smoothing == 0.0:
        return np.log(total) - right
    mean = 0.0
    for k in range(len(logits)):
        mean += logits[k] - highest
    mean /= len(logits)
    return np.log(total) - (right + smoothing * (mean - right))


@kernel
def share_out(voltage, logits, shares):
    """Write the logits (K,) of V (K, T) by the sum of softmax, and each step's softmax.

    It goes to shares (K, T), or (K, 1) where that of one step after the other will do.
    """
    classes, steps = voltage.shape
    share, sums = np.empty(classes, np.float32), np.zeros(classes)
    for t in range(steps):
        softmax(voltage[:, t], share)
        at = t if shares.shape[1] > 1 else 0
        for k in range(classes):
            sums[k] += share[k]
            shares[k, at] = share[k]
    for k in range(classes):
        logits[k] = sums[k]


@kernel
def peak(values):
    """Return the place of the largest of values (T,), or of the first that is NaN."""
    at = 0
    for t in range(1, len(values)):
        if not values[t] <= values[at] and values[at] == values[at]:
            at = t
    return at


@kernel
def read_out(readout, voltage, logits):
    """Write the logits (K,) of V (K, T)."""
    classes, steps = voltage.shape
    if readout == SOFTMAX_SUM:
        share_out(voltage, logits, np.empty((classes, 1), np.float32))
        return
    weight = np.ones(steps)
    if readout == EXPWEIGHTED:
        for t in range(steps):
            weight[t] = np.exp(-t / steps)
    for k in range(classes):
        if readout == MAX:
            logits[k] = voltage[k, peak(voltage[k])]
            continue
        total = 0.0
        for t in range(steps):
            total += weight[t] * voltage[k, t]
        logits[k] = total if readout == SUM else total / steps


@kernel
def loss_drive(readout, voltage, logits, label, smoothing, drive):
    """Write dL/dV (K, T) of the cross-entropy; for SOFTMAX_SUM, `share_out` wrote to it before."""
    classes, steps = voltage.shape
    outer = np.empty(classes, np.float32)
    softmax(logits, outer)
    outer[label] -= np.float32(1.0) - smoothing
    if smoothing != 0.0:
        for k in range(classes):
            outer[k] -= smoothing / np.float32(classes)
    if readout == SOFTMAX_SUM:
        for t in range(steps):
            mean = 0.0
            for k in range(classes):
                mean += drive[k, t] * outer[k]
            for k in range(classes):
                drive[k, t] *= outer[k] - mean
        return
    weight = np.ones(steps, np.float32)
    if readout == EXPWEIGHTED:
        for t in range(steps):
            weight[t] = np.exp(np.float32(-t / steps))
    for k in range(classes):
        if readout == MAX:
            drive[k] = 0.0
            drive[k, peak(voltage[k])] = outer[k]
            continue
        for t in range(steps):
            w = weight[t]
            drive[k, t] = outer[k] * (w if readout == SUM else w / np.float32(steps))


@kernel
def read_out_examples(readout, voltage, logits, low, high):
    """Write the logits (B, K) of V (B, K, T) in examples low..high-1."""
    for e in range(low, high):
        read_out(readout, voltage[e], logits[e])


@kernel
def share_out_examples(voltage, logits, shares, low, high):
    """Do what `share_out` does in examples low..high-1, all steps' (B, K, T)."""
    for e in range(low, high):
        share_out(voltage[e], logits[e], shares[e])


@kernel
def entropy_examples(logits, labels, smoothing, loss, low, high):
    """Write the cross-entropy (B,) of logits (B, K) in examples low..high-1."""
    for e in range(low, high):
        loss[e] = cross_entropy(logits[e], labels[e], smoothing)


@kernel
def drive_examples(readout, voltage, logits, labels, smoothing, drive, low, high):
    """Write dL/dV (B, K, T) of the cross-entropy in examples low..high-1."""
    for e in range(low, high):
        loss_drive(readout, voltage[e], logits[e], labels[e], smoothing, drive[e])


@kernel
def compare_examples(voltage, targets, first, sums, low, high):
    """Write sums over steps from `first` on, (B, 1 + 3K), in examples low..high-1.

    They are the number of these steps, and by output neuron the squared error of V (B, K, T), the
    targets (B, K, T) and their squares.
    """
    classes, steps = voltage.shape[1], voltage.shape[2]
    for e in range(low, high):
        sums[e, 0] = steps - first
        for k in range(classes):
            error, total, square = 0.0, 0.0, 0.0
            for t in range(first, steps):
                target = np.float64(targets[e, k, t])
                off = voltage[e, k, t] - target
                error += off * off
                total += target
                square += target * target
            sums[e, 1 + k] = error
            sums[e, 1 + classes + k] = total
            sums[e, 1 + 2 * classes + k] = square


@kernel
def error_drive_examples(voltage, targets, first, drive, low, high):
    """Write dL/dV (B, K, T) of the mean squared error in examples low..high-1."""
    classes, steps = voltage.shape[1], voltage.shape[2]
    factor = np.float32(2.0 / (classes * (steps - first)))
    for e in range(low, high):
        for k in range(classes):
            drive[e, k, :first] = 0.0
            for t in range(first, steps):
                drive[e, k, t] = factor * (voltage[e, k, t] - targets[e, k, t])


@kernel
def filter_examples(spikes, silent, response, out, low, high):
    """Write what spikes (B, K, T) add up to, (B, K, T), in examples low..high-1.

    The voltage `silent` (K, T) is that without spikes; one of step s adds `response` (K, T) from
    step s + 1 on.
    """
    steps = spikes.shape[2]
    total = np.empty(steps)
    for e in range(low, high):
        for k in range(spikes.shape[1]):
            for t in range(steps):
                total[t] = silent[k, t]
            for s in range(steps - 1):
                if spikes[e, k, s] != 0.0:
                    for t in range(s + 1, steps):
                        total[t] += response[k, t - s - 1]
            for t in range(steps):
                out[e, k, t] = total[t]
