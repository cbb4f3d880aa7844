"""What hidden neurons do: how often they spike, and for which classes.

Shapes: N examples, n neurons of a population, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mlgenn_delays.data.batching import epoch_batches
from mlgenn_delays.data.types import Data
from mlgenn_delays.engines.base import CompiledNetwork


@dataclass(frozen=True)
class Activity:
    """The spikes of populations over a split of the data.

    Attributes:
        examples: N.
        labels: (N,) int64 class of each example; None of data with series, which have no classes.
        predictions: (N,) int64 answers; None as `labels`.
        label_names: Name of each class, or of each series.
        duration: Length of a trial [ms].
        counts: By population, (N, n) int64 spikes of each neuron.
    """

    examples: int
    labels: np.ndarray | None
    predictions: np.ndarray | None
    label_names: tuple[str, ...]
    duration: float
    counts: dict[str, np.ndarray]

    @property
    def accuracy(self) -> float | None:
        """Correct / total; None without classes."""
        if self.labels is None or self.predictions is None:
            return None
        return float((self.labels == self.predictions).mean())

    def rate(self, population: str) -> np.ndarray:
        """Mean firing rate of each neuron [Hz], (n,) float64."""
        return self.counts[population].mean(axis=0) / self.duration * 1000

    def tuning(self, population: str) -> "Tuning | None":
        """Tuning of each neuron to the classes; None without classes."""
        if self.labels is None:
            return None
        return tuning(self.counts[population], self.labels, len(self.label_names))


@dataclass(frozen=True)
class Tuning:
    """Tuning of each neuron to the classes.

    Attributes:
        mean: (n, K) float64 mean spikes per example of each class.
        preferred: (n,) int64 class with most spikes, -1 of silent neurons.
        selectivity: (n,) float64: 0 if all classes have as many spikes, 1 if one class has them
            all: (K - sum of mean / max of mean) / (K - 1), NaN of silent neurons.
        explained: (n,) float64 in 0..1: share of the variance of a neuron's spikes over examples
            that their class explains (eta squared), NaN where there is no variance.
    """

    mean: np.ndarray
    preferred: np.ndarray
    selectivity: np.ndarray
    explained: np.ndarray


def tuning(counts: np.ndarray, labels: np.ndarray, n_classes: int) -> Tuning:
    """Measure the tuning of each neuron to the classes.

    Arguments:
        counts: (N, n) spikes.
        labels: (N,) class of each example.
        n_classes: K. A class without examples does not count.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays.analysis import tuning
        >>> counts, labels = np.array([[9, 0], [7, 2]]), np.array([0, 1])
        >>> tuning(counts, labels, n_classes=2).preferred.tolist()
        [0, 1]
    """
    counts = np.asarray(counts, np.float64)
    members = np.bincount(labels, minlength=n_classes)
    total = np.zeros((n_classes, counts.shape[1]))
    np.add.at(total, labels, counts)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (total / members[:, None]).T
        top = np.fmax.reduce(mean, axis=1, initial=0.0)
        shares = np.nansum(mean, axis=1) / top
        with_examples = int((members > 0).sum())
        selectivity = (with_examples - shares) / (with_examples - 1)
        overall = counts.mean(axis=0)
        within = np.nansum(members * (mean - overall[:, None]) ** 2, axis=1)
        explained = np.minimum(1.0, within / ((counts - overall) ** 2).sum(axis=0))
    preferred = np.where(top > 0, np.nan_to_num(mean, nan=-1.0).argmax(axis=1), -1)
    return Tuning(mean, preferred, selectivity, explained)


def activity(compiled: CompiledNetwork, data: Data, *, batch_size: int = 32) -> Activity:
    """Run a network on a split, and count its spikes.

    Arguments:
        compiled: The network.
        data: The split.
        batch_size: Examples that are in memory together.

    Example:
        >>> from mlgenn_delays import EventProp, Network, compile_network, load_dataset
        >>> from mlgenn_delays.analysis import activity
        >>> network = Network.load("run/network.safetensors")
        >>> compiled = compile_network(network, EventProp(), total_steps=1)
        >>> data = load_dataset("digits", options={"both": True})["test"]
        >>> activity(compiled, data).counts["hidden1"].shape
        (360, 16)
    """
    counts: dict[str, list[np.ndarray]] = {}
    answers = []
    for batch in epoch_batches(data, batch_size, seed=0, epoch=0, shuffle=False):
        found = compiled.record(batch)
        answers.append(found.logits.argmax(axis=1))
        for name, start in found.start.items():
            counts.setdefault(name, []).append(np.diff(start, axis=1))
    joined: Mapping[str, np.ndarray] = {name: np.concatenate(c) for name, c in counts.items()}
    classes = data.targets is None
    return Activity(
        len(data),
        np.asarray(data.labels) if classes else None,
        np.concatenate(answers).astype(np.int64) if classes else None,
        data.label_names,
        data.n_steps * data.dt,
        dict(joined),
    )
