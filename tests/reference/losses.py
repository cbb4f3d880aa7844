"""Losses and metrics in plain loops, from their equations, float64; V and targets are (K, T)."""

import math

import numpy as np

from tests.reference.eventprop import readout_gradient
from tests.reference.forward import readout, softmax


def entropy(voltage: np.ndarray, kind: str, label: int, smoothing: float) -> float:
    """Return the cross-entropy of a readout with smoothed labels."""
    share, loss = softmax(readout(voltage.T, kind)), 0.0
    for k in range(len(share)):
        q = smoothing / len(share) + (1.0 - smoothing) * (k == label)
        loss -= q * math.log(share[k])
    return loss


def entropy_drive(voltage: np.ndarray, kind: str, label: int, smoothing: float) -> np.ndarray:
    """Return dL/dV of `entropy`."""
    by_logit = softmax(readout(voltage.T, kind))
    for k in range(len(by_logit)):
        by_logit[k] -= smoothing / len(by_logit) + (1.0 - smoothing) * (k == label)
    return readout_gradient(voltage.T, kind, by_logit).T


def squared_error(voltage: np.ndarray, targets: np.ndarray, first: int) -> float:
    """Return the mean squared error from step `first` on."""
    total, count = 0.0, 0
    for k in range(voltage.shape[0]):
        for t in range(first, voltage.shape[1]):
            total += (voltage[k, t] - targets[k, t]) ** 2
            count += 1
    return total / count


def error_drive(voltage: np.ndarray, targets: np.ndarray, first: int) -> np.ndarray:
    """Return dL/dV of `squared_error`."""
    out = np.zeros(voltage.shape)
    count = voltage.shape[0] * (voltage.shape[1] - first)
    for k in range(voltage.shape[0]):
        for t in range(first, voltage.shape[1]):
            out[k, t] = 2.0 * (voltage[k, t] - targets[k, t]) / count
    return out


def count_error(voltage: np.ndarray, label: int, correct: float, wrong: float) -> float:
    """Return the mean squared error of the sums of V."""
    total = 0.0
    for k in range(voltage.shape[0]):
        total += (sum(voltage[k]) - (correct if k == label else wrong)) ** 2
    return total / voltage.shape[0]


def count_drive(voltage: np.ndarray, label: int, correct: float, wrong: float) -> np.ndarray:
    """Return dL/dV of `count_error`."""
    out = np.zeros(voltage.shape)
    for k in range(voltage.shape[0]):
        wanted = correct if k == label else wrong
        for t in range(voltage.shape[1]):
            out[k, t] = 2.0 * (sum(voltage[k]) - wanted) / voltage.shape[0]
    return out


def filtered(
    spikes: np.ndarray, tau_mem: np.ndarray, tau_syn: np.ndarray, bias: np.ndarray, dt: float
) -> np.ndarray:
    """Return V of leaky integrators with `Exponential` synapses, Delta for tau_syn 0, (K, T)."""
    out = np.zeros(spikes.shape)
    for k in range(spikes.shape[0]):
        alpha = math.exp(-dt / tau_mem[k])
        inner = v = 0.0
        for t in range(spikes.shape[1]):
            inner += spikes[k, t - 1] if t > 0 else 0.0
            current = inner + bias[k]
            if tau_syn[k] > 0:
                decay = math.exp(-dt / tau_syn[k])
                current = tau_syn[k] / dt * (1.0 - decay) * inner + bias[k]
                inner *= decay
            else:
                inner = 0.0
            v = alpha * v + (1.0 - alpha) * current
            out[k, t] = v
    return out


def nrmse(voltage: np.ndarray, targets: np.ndarray, first: int) -> float:
    """Return the normalised error over all examples, V and targets (N, K, T)."""
    error = spread = 0.0
    for k in range(voltage.shape[1]):
        own = targets[:, k, first:]
        error += ((voltage[:, k, first:] - own) ** 2).sum()
        spread += ((own - own.mean()) ** 2).sum()
    return math.sqrt(error / spread)
