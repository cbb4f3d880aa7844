"""Results of engines: of a batch, an epoch, an evaluation; gradients and recordings."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlgenn_delays.engines.metrics import METRIC_OF
from mlgenn_delays.errors import InputError


class _Scored:
    """What has a metric, by name, and its value."""

    metric: str
    score: float

    @property
    def accuracy(self) -> float:
        """Correct / total; InputError for data with target series."""
        return self._as("accuracy")

    @property
    def nrmse(self) -> float:
        """The normalised root mean squared error; InputError for data with classes."""
        return self._as("nrmse")

    def _as(self, metric: str) -> float:
        if metric != self.metric:
            raise InputError(
                f"a result must be of {'classes' if metric == 'accuracy' else 'series'} to "
                f"have {metric}, got one with {self.metric}"
            )
        return self.score


@dataclass(frozen=True)
class BatchResult:
    """One batch of training.

    Attributes:
        loss: Mean loss.
        n: Examples.
        spikes: Mean spikes per neuron and example, by spiking population.
        metric: Name of the metric, see `mlgenn_delays.engines.metrics`.
        statistics: Sums of its statistics over the examples.
    """

    loss: float
    n: int
    spikes: dict[str, float]
    metric: str
    statistics: np.ndarray

    @property
    def correct(self) -> int:
        """Correctly classified examples."""
        return int(self.statistics[0]) if self.metric == "accuracy" else 0


@dataclass(frozen=True)
class EpochResult(_Scored):
    """One epoch of training, measured while the network changed.

    Attributes:
        loss: Mean loss.
        metric: Name of the metric: "accuracy" (correct / total), or "nrmse" for target series.
        score: Its value.
        n: Examples.
        spikes: Mean spikes per neuron and example, by spiking population.
        silent: Neurons without a spike in the whole epoch, by spiking population.
        grown: Synapses that rewiring grew in the epoch, None without rewiring.
    """

    loss: float
    metric: str
    score: float
    n: int
    spikes: dict[str, float]
    silent: dict[str, int]
    grown: int | None = None


@dataclass(frozen=True)
class Evaluation(_Scored):
    """Predictions for a data set, in the order of its batches.

    Attributes:
        loss: Mean loss.
        metric: Name of the metric that fits the data: "accuracy" (correct / total) for classes,
            "nrmse" (root mean squared error over the standard deviation of the targets) for series.
        score: Its value.
        n: N.
        labels: (N,) int64; all 0 for series, for which predictions and confusion mean nothing.
        predictions: (N,) int64.
        logits: (N, K) float32.
        spikes: Mean spikes per neuron and example, by spiking population.
        silent: Neurons without any spike, by spiking population.
        statistics: Sums from which `score` comes, to be added to those of other splits.
        events: What each neuron sent to its synapses over all examples, (n,) int64 by population:
            spikes, or of an input of currents the samples other than 0.
    """

    loss: float
    metric: str
    score: float
    n: int
    labels: np.ndarray
    predictions: np.ndarray
    logits: np.ndarray
    spikes: dict[str, float]
    silent: dict[str, int]
    statistics: np.ndarray = field(repr=False)
    events: dict[str, np.ndarray] = field(default_factory=dict)

    def __repr__(self) -> str:
        score = METRIC_OF[self.metric].text(self.score)
        title = METRIC_OF[self.metric].title
        return f"Evaluation({title} {score}, loss {self.loss:.4g}, {self.n:,} examples)"

    @property
    def measured(self) -> dict[str, Any]:
        """The metric by its name, loss and n, ready for JSON."""
        return {self.metric: self.score, "loss": self.loss, "n": self.n}

    @property
    def confusion(self) -> np.ndarray:
        """(K, K) int64: how often the row's class was predicted as the column's."""
        k = self.logits.shape[1]
        return np.bincount(self.labels * k + self.predictions, minlength=k * k).reshape(k, k)


@dataclass(frozen=True)
class Gradients:
    """Gradients of the mean loss of one batch, before clipping; zero where nothing is learned.

    Attributes:
        loss: Mean loss.
        weight: (S,) float32 by projection, in CSR order.
        delay: [1/step] float32 by projection, in the shape of its delays.
        gain: (n,) float32 of the normalisation, by population.
        offset: (n,) float32 of the normalisation, by population.
        parameter: (n,) float32 of learned parameters, by population and name; ``tau_syn`` is of
            ``population/synapse0``, and so on, for each group of synapses that share one.
    """

    loss: float
    weight: dict[str, np.ndarray]
    delay: dict[str, np.ndarray]
    gain: dict[str, np.ndarray] = field(default_factory=dict)
    offset: dict[str, np.ndarray] = field(default_factory=dict)
    parameter: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Gradients(loss {self.loss:.4g}, of {', '.join(self.weight)})"


@dataclass(frozen=True)
class Recording:
    """Everything that happened in one batch.

    Attributes:
        start: By spiking population, (B, n+1) int64: neuron j of example b spiked at
            ``time[population][start[b, j]:start[b, j+1]]``.
        time: By spiking population, int32 [steps].
        voltage: (B, K, T) float32, V of the output population after each step.
        logits: (B, K) float32.
        variables: (B, n, T) float32 of what was asked for, by population and name: a state of its
            neurons after each step, after any reset, or I, the current in it with bias and
            normalisation.
    """

    start: dict[str, np.ndarray]
    time: dict[str, np.ndarray]
    voltage: np.ndarray
    logits: np.ndarray
    variables: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    def __repr__(self) -> str:
        n, outputs, steps = self.voltage.shape
        more = "".join(f", {name} of {population!r}" for population, name in self.variables)
        return (
            f"Recording({n} examples, {steps} steps, spikes of {', '.join(self.time) or 'none'}, "
            f"voltages of {outputs} outputs{more})"
        )
