"""The predictions of a network on a split, and what happens in it on a few examples."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mlgenn_delays.analysis.example_axes import events
from mlgenn_delays.cost import Cost, about_of, cost_of
from mlgenn_delays.data.batching import epoch_batches
from mlgenn_delays.data.types import Batch, CurrentBatch, Data
from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.results import Evaluation
from mlgenn_delays.errors import printable
from mlgenn_delays.learning.losses import Loss, SpikeTimeLoss
from mlgenn_delays.network import Network
from mlgenn_delays.recipe import Recipe, build_loss, build_rule

SPLITS = ("validation", "test", "train")
EACH = 3  # examples of correct and of wrong predictions


@dataclass(frozen=True)
class Example:
    """What happened on one example. Times are in the middle of their steps [ms]."""

    name: str  # its number in the split where it has no name
    label: int
    prediction: int
    length: float  # of the trial [ms]
    channels: int  # of the input
    # Time and channel of each spike, or the currents (T, C).
    inputs: tuple[np.ndarray, np.ndarray] | np.ndarray
    # Time and neuron of each spike, by spiking population.
    spikes: dict[str, tuple[np.ndarray, np.ndarray]]
    voltage: np.ndarray  # (K, T) of the output
    # (K, T) certainty of each class by the readout so far, see `running_logits`.
    chances: np.ndarray
    # (K, T) series to be reproduced, instead of a class; spike trains are filtered
    targets: np.ndarray | None = None

    @property
    def correct(self) -> bool:
        """Whether the prediction is right."""
        return self.label == self.prediction


@dataclass(frozen=True)
class Predictions:
    """The predictions of a network on a split."""

    split: str
    evaluation: Evaluation
    labels: tuple[str, ...]  # of the classes
    sizes: dict[str, int]  # number of neurons, by population
    cost: Cost  # by what the evaluation has counted
    correct: tuple[Example, ...]  # a few typical ones
    # The most certain ones; without any, the least certain of the correct ones.
    wrong: tuple[Example, ...]

    @property
    def series(self) -> bool:
        """Whether the network reproduces series, and tells no classes apart."""
        return self.evaluation.metric == "nrmse"

    @property
    def n_wrong(self) -> int:
        """How many predictions are wrong."""
        return int((self.evaluation.labels != self.evaluation.predictions).sum())


def predict(
    network: Network,
    recipe: Recipe,
    splits: Mapping[str, Data],
    split: str,
    *,
    threads: int | None = None,
    examples: int = EACH,
) -> tuple[Predictions, dict[str, float]]:
    """Evaluate a network on a split and record a few examples.

    Returns:
        The predictions, and the metric by split: of that one and of the test split.
    """
    loss = build_loss(recipe)
    compiled = compile_network(
        network, build_rule(recipe), loss=loss, total_steps=1, seed=recipe.seed, threads=threads,
        learns=False,
    )  # fmt: skip
    data, size = splits[split], recipe.learning.batch_size
    evaluation = compiled.evaluate(_in_order(data, size))
    scores = {split: evaluation.score}
    test = splits.get("test")
    if split != "test" and test is not None and len(test):
        scores["test"] = compiled.evaluate(_in_order(test, size)).score
    if data.targets is None:
        correct, wrong = choose(evaluation, examples)
    else:
        correct, wrong = np.arange(min(2 * examples, len(data))), np.arange(0)
    predictions = Predictions(
        split,
        evaluation,
        tuple(map(printable, data.label_names)),
        {population.name: population.n for population in network.populations.values()},
        cost_of(network, evaluation, about_of(data, **recipe.quantisation.told())),
        _look_into(compiled, data, correct, loss),
        _look_into(compiled, data, wrong, loss),
    )
    return predictions, scores


def _in_order(data: Data, size: int) -> Iterator[Batch]:
    return epoch_batches(data, size, seed=0, epoch=0, shuffle=False)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits (..., K)."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def choose(evaluation: Evaluation, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose n correct and n wrong examples, each of another class as far as there are classes.

    Returns:
        Numbers of correctly predicted examples, those nearest to the median certainty, and of
        wrongly predicted ones, the most certain first; where none is wrong, the least certain.
    """
    certainty = softmax(evaluation.logits.astype(np.float64)).max(1)
    right = evaluation.labels == evaluation.predictions
    correct, wrong = np.flatnonzero(right), np.flatnonzero(~right)
    typical = np.abs(certainty[correct] - np.median(certainty[correct])) if len(correct) else []
    chosen = _spread(correct[np.argsort(typical, kind="stable")], evaluation.labels, n)
    if len(wrong):
        order = wrong[np.argsort(-certainty[wrong], kind="stable")]
    else:
        rest = correct[~np.isin(correct, chosen)]
        order = rest[np.argsort(certainty[rest], kind="stable")]
    return chosen, _spread(order, evaluation.labels, n)


def _spread(order: np.ndarray, labels: np.ndarray, n: int) -> np.ndarray:
    """The first n of an order, of a class only one before all classes have one."""
    _, first = np.unique(labels[order], return_index=True)
    places = [*sorted(first), *(k for k in range(len(order)) if k not in set(first))]
    return order[np.array(places[:n], np.int64)]


def _look_into(
    compiled: CompiledNetwork, data: Data, index: np.ndarray, loss: Loss
) -> tuple[Example, ...]:
    if not len(index):
        return ()
    batch, dt = data.batch(index), data.dt
    targets = batch.targets
    if isinstance(loss, SpikeTimeLoss) and targets is not None:
        from mlgenn_delays.engines.shared.spike_trains import Filter

        targets = Filter(compiled.network, batch.n_steps).filtered(targets)
    recording = compiled.record(batch)
    readout = compiled.network.output().model.readout  # type: ignore[union-attr]
    found = []
    for row, place in enumerate(index):
        voltage = recording.voltage[row]
        name = printable(data.names[place]) if data.names else f"number {place}"
        found.append(
            Example(
                name,
                int(data.labels[place]),
                int(recording.logits[row].argmax()),
                batch.n_steps * dt,
                batch.n_channels,
                batch.values[row]
                if isinstance(batch, CurrentBatch)
                else events(batch.start[row], batch.time, dt),
                {
                    n: events(start[row], recording.time[n], dt)
                    for n, start in recording.start.items()
                },
                voltage,
                softmax(running_logits(readout, voltage).T).T,
                None if targets is None else targets[row],
            )
        )
    return tuple(found)


def running_logits(readout: str, voltage: np.ndarray) -> np.ndarray:
    """The logits (K, T) that a readout had summed up after each step, from the voltage (K, T).

    Those of the last step are the prediction's.
    """
    steps = voltage.shape[1]
    voltage = voltage.astype(np.float64)
    if readout == "max":
        return np.maximum.accumulate(voltage, 1)
    if readout == "softmax-sum":
        return softmax(voltage.T).T.cumsum(1)
    if readout == "expweighted":
        return (voltage * np.exp(-np.arange(steps) / steps)).cumsum(1) / steps
    summed = voltage.cumsum(1)
    return summed if readout == "sum" else summed / steps
