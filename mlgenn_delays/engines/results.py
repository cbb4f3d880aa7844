"""Results of engines: of a batch, an epoch, an evaluation; gradients and recordings."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class BatchResult:
    """One batch of training.

    Attributes:
        loss: Mean cross-entropy.
        correct: Correctly classified examples.
        n: Examples.
        spikes: Mean spikes per neuron and example, by LIF population.
    """

    loss: float
    correct: int
    n: int
    spikes: dict[str, float]


@dataclass(frozen=True)
class EpochResult:
    """One epoch of training, measured while the network changed.

    Attributes:
        loss: Mean cross-entropy.
        accuracy: Correct / total.
        n: Examples.
        spikes: Mean spikes per neuron and example, by LIF population.
        silent: Neurons without a spike in the whole epoch, by LIF population.
        grown: Synapses that rewiring grew in the epoch, None without rewiring.
    """

    loss: float
    accuracy: float
    n: int
    spikes: dict[str, float]
    silent: dict[str, int]
    grown: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """Predictions for a data set, in the order of its batches.

    Attributes:
        loss: Mean cross-entropy.
        accuracy: Correct / total.
        n: N.
        labels: (N,) int64.
        predictions: (N,) int64.
        logits: (N, K) float32.
        spikes: Mean spikes per neuron and example, by LIF population.
        silent: Neurons without any spike, by LIF population.
    """

    loss: float
    accuracy: float
    n: int
    labels: np.ndarray
    predictions: np.ndarray
    logits: np.ndarray
    spikes: dict[str, float]
    silent: dict[str, int]

    @property
    def confusion(self) -> np.ndarray:
        """(K, K) int64: how often the row's class was predicted as the column's."""
        k = self.logits.shape[1]
        return np.bincount(self.labels * k + self.predictions, minlength=k * k).reshape(k, k)


@dataclass(frozen=True)
class Gradients:
    """Gradients of the mean loss of one batch, before clipping; zero where nothing is learned.

    Attributes:
        loss: Mean cross-entropy.
        weight: (S,) float32 by projection, in CSR order.
        delay: [1/step] float32 by projection, in the shape of its delays.
        gain: (n,) float32 of the normalisation, by population.
        offset: (n,) float32 of the normalisation, by population.
        parameter: (n,) float32 of learned parameters of neurons, by population and parameter.
    """

    loss: float
    weight: dict[str, np.ndarray]
    delay: dict[str, np.ndarray]
    gain: dict[str, np.ndarray] = field(default_factory=dict)
    offset: dict[str, np.ndarray] = field(default_factory=dict)
    parameter: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """Everything that happened in one batch.

    Attributes:
        start: By LIF population, (B, n+1) int64: neuron j of example b spiked at
            ``time[population][start[b, j]:start[b, j+1]]``.
        time: By LIF population, int32 [steps].
        voltage: (B, K, T) float32, V of the output population after each step.
        logits: (B, K) float32.
    """

    start: dict[str, np.ndarray]
    time: dict[str, np.ndarray]
    voltage: np.ndarray
    logits: np.ndarray
