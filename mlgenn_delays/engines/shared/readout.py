"""Readouts and loss: logits from V (K, T) of the output, and dL/dV of the cross-entropy.

mean          y_k = 1/T sum_t V_k[t]
sum           y_k = sum_t V_k[t]
max           y_k = max_t V_k[t]
expweighted   y_k = 1/T sum_t exp(-t/T) V_k[t]
softmax-sum   y_k = sum_t softmax(V[t])_k
L = -log softmax(y)_label

Sums are in float64: in float32, a million steps one after the other would be 1 % off.
"""

import numpy as np

from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.network.models import READOUTS

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
def cross_entropy(logits, label):
    """Return -log softmax(logits)[label]."""
    highest = logits[0]
    for k in range(1, len(logits)):
        highest = max(highest, logits[k])
    total = 0.0
    for k in range(len(logits)):
        total += np.exp(logits[k] - highest)
    return np.log(total) - (logits[label] - highest)


@kernel
def read_out(readout, voltage, logits):
    """Write the logits (K,) of V (K, T)."""
    classes, steps = voltage.shape
    if readout == SOFTMAX_SUM:
        share, sums = np.empty(classes, np.float32), np.zeros(classes)
        for t in range(steps):
            softmax(voltage[:, t], share)
            sums += share
        logits[:] = sums
        return
    for k in range(classes):
        if readout == MAX:
            logits[k] = voltage[k].max()
            continue
        total = 0.0
        for t in range(steps):
            w = np.exp(-t / steps) if readout == EXPWEIGHTED else 1.0
            total += w * voltage[k, t]
        logits[k] = total if readout == SUM else total / steps


@kernel
def loss_drive(readout, voltage, logits, label, drive):
    """Write dL/dV (K, T)."""
    classes, steps = voltage.shape
    outer = np.empty(classes, np.float32)
    softmax(logits, outer)
    outer[label] -= np.float32(1.0)
    if readout == SOFTMAX_SUM:
        share = np.empty(classes, np.float32)
        for t in range(steps):
            softmax(voltage[:, t], share)
            mean = 0.0
            for k in range(classes):
                mean += share[k] * outer[k]
            for k in range(classes):
                drive[k, t] = share[k] * (outer[k] - mean)
        return
    for k in range(classes):
        if readout == MAX:
            drive[k] = 0.0
            drive[k, voltage[k].argmax()] = outer[k]
            continue
        for t in range(steps):
            w = np.exp(np.float32(-t / steps)) if readout == EXPWEIGHTED else np.float32(1.0)
            drive[k, t] = outer[k] * (w if readout == SUM else w / np.float32(steps))


@kernel
def read_out_examples(readout, voltage, logits, low, high):
    """Write the logits (B, K) of V (B, K, T) in examples low..high-1."""
    for e in range(low, high):
        read_out(readout, voltage[e], logits[e])


@kernel
def score_examples(logits, labels, loss, low, high):
    """Write the cross-entropy (B,) of logits (B, K) in examples low..high-1."""
    for e in range(low, high):
        loss[e] = cross_entropy(logits[e], labels[e])


@kernel
def drive_examples(readout, voltage, logits, labels, drive, low, high):
    """Write dL/dV (B, K, T) in examples low..high-1."""
    for e in range(low, high):
        loss_drive(readout, voltage[e], logits[e], labels[e], drive[e])
