"""Initial weights from data: every layer spikes, and logits are of order 1, before any training.

Weights onto a population are drawn so that all its neurons have the same expected drive, then
scaled by one factor until its neurons spike `SPIKES` times per trial. Populations come in the order
in which spikes reach them, so each is scaled with the spikes that it will receive. Neurons are
known by their spikes alone, as the CPU engine reports them, so this holds for any neuron model.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import numpy as np

from mlgenn_delays.data.types import Batch, CurrentBatch, Data
from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.engines.checks import Trials, check_sizes
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.cpu.normalisation import MOMENTUM
from mlgenn_delays.engines.results import Evaluation
from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.learning import EventProp, Rule, SurrogateBPTT
from mlgenn_delays.learning.losses import CrossEntropy, MeanSquaredError
from mlgenn_delays.network import Network, Population, Projection
from mlgenn_delays.network.initialise import kaiming
from mlgenn_delays.rng import generator
from mlgenn_delays.training.checks import check_data

EXAMPLES = 32
SPIKES = 3.0  # per neuron and trial
FEWEST = 0.1  # spikes per neuron and trial of which the output is scaled
LOGITS = 1.0  # standard deviation over the classes
# Standard deviation of a weight, as a share of what the weights of a neuron add up to on average.
SPREAD = 1 / 14
LOOP = 0.1  # standard deviation of a neuron's recurrent drive, as a share of its feed-forward one
QUIETEST = 0.1  # a presynaptic neuron counts as at least so active, as a share of the mean
TOLERANCE = 0.1
STEPS = 32  # of a search
RESCUES, RESCUE = 8, 0.5
_OTHERWISE = "give weights of your own (weight_mean and weight_sd in a recipe)"


@dataclass(frozen=True)
class InitialWeights:
    """What `initialise_weights` reached, on the examples that it ran.

    Attributes:
        examples: Their number.
        spikes: Mean spikes per neuron and trial, by spiking population.
        silent: Neurons without a spike, by spiking population.
        logits: Standard deviation of the logits over the classes, mean over the examples.
        weights: Mean and standard deviation of the new weights, by projection.
        unexcited: Those of the silent neurons that no active input may excite, as where all signs
            are negative: no weights make them spike. By population, where there are any.
        target: Spikes per neuron and trial that were aimed at.

    Example:
        >>> from mlgenn_delays.training import InitialWeights
        >>> print(InitialWeights(32, {"hidden": 2.9}, {"hidden": 0}, 1.0, {}))
        hidden 2.9 spikes per neuron and trial, 0 silent; logits of 1
        >>> print(InitialWeights(32, {"hidden": 2.9}, {"hidden": 5}, 1.0, {}, {"hidden": 4}))
        hidden 2.9 spikes per neuron and trial, 5 silent (4 without excitatory input); logits of 1
    """

    examples: int
    spikes: dict[str, float]
    silent: dict[str, int]
    logits: float
    weights: dict[str, tuple[float, float]]
    unexcited: dict[str, int] = field(default_factory=dict)
    target: float = SPIKES

    def __str__(self) -> str:
        parts = []
        for name, count in self.spikes.items():
            never = self.unexcited.get(name, 0)
            why = f" ({never} without excitatory input)" if never else ""
            silent = f"{self.silent[name]} silent{why}"
            parts.append(f"{name} {count:.2g} spikes per neuron and trial, {silent}")
        return "; ".join([*parts, f"logits of {self.logits:.2g}"])


def initialise_weights(
    network: Network,
    data: Data,
    projections: Collection[str] | None = None,
    *,
    threads: int | None = None,
) -> InitialWeights:
    """Give a network initial weights with which its neurons spike on the data.

    Weights are drawn anew, from the seed of the network, and scaled layer by layer until neurons
    spike three times per trial on average, none is silent that can spike, and the logits have a
    standard deviation of 1 over the classes. Delays, synapses and signs stay as they are.
    Normalised populations, whose drive does not depend on the size of weights, take Kaiming's
    distribution. The same network and data give the same weights, whatever the threads.

    Arguments:
        network: The network, changed in place.
        data: What it will be trained on; 32 examples of it are run.
        projections: Names of the projections that get new weights, all that are not frozen if
            None. The others keep theirs, and act while a population is scaled.
        threads: Threads, all cores if None.

    Returns:
        The activity reached, and the mean and standard deviation of the weights.

    Raises:
        InputError: The data do not fit the network or have no spikes (or currents), a projection is
            unknown, or a population stays silent whatever its weights.

    Example:
        >>> from mlgenn_delays import LIF, Exponential, LeakyIntegrator, Network, SpikeInput
        >>> from mlgenn_delays import initialise_weights, load_dataset
        >>> data = load_dataset("yin-yang", options={"train": 100}, dt=1.0)["train"]
        >>> network = Network(dt=1.0, seed=0)
        >>> for name, model in (
        ...     ("in", SpikeInput(5)), ("hidden", LIF(30)), ("out", LeakyIntegrator(3))
        ... ):
        ...     _ = network.add(name, model)
        >>> _ = network.connect("in", "hidden", Exponential(5.0), weight=0.0)
        >>> _ = network.connect("hidden", "out", Exponential(5.0), weight=0.0)
        >>> initialise_weights(network, data).silent
        {'hidden': 0}
    """
    series = getattr(data, "targets", None) is not None
    check_data(network, MeanSquaredError() if series else CrossEntropy(), "data", data)
    chosen = _chosen(network, projections)
    rng = generator(network.seed, "initial weights")
    rows = np.sort(rng.choice(len(data), min(len(data), EXAMPLES), replace=False))
    # Series, too, are to be of order 1 in the mean over the trial: they take the logits' part.
    batch = replace(data.batch(rows), targets=None)
    trial = _Trial(network, batch, threads)
    unexcited: dict[str, int] = {}
    for name in chosen:
        trial.network.projections[name].weight[:] = 0.0
    for population in trial.network.order():
        incoming = [p for p in trial.network.incoming(population.name) if p.name in chosen]
        if population.normalisation is not None:
            for projection in incoming:
                _draw_kaiming(trial.network, projection)
            trial.normalise(population.name)
        elif population.name == network.output().name:
            _scale_output(trial, population, incoming)
        elif incoming:
            never = _scale_spiking(trial, population, incoming)
            unexcited |= {population.name: never} if never else {}
    for name in chosen:
        network.projections[name].weight = trial.network.projections[name].weight
    found = trial.evaluate()
    return InitialWeights(
        len(rows),
        found.spikes,
        found.silent,
        float(found.logits.std(1).mean()),
        {name: _moments(network.projections[name].weight) for name in chosen},
        unexcited,
    )


def _chosen(network: Network, projections: Collection[str] | None) -> list[str]:
    known = [name for name, each in network.projections.items() if not each.frozen]
    for name in projections or ():
        if name not in known:
            raise InputError(
                f"projections must be of {', '.join(known)}; got {name!r}{nearest(name, known)}"
            )
    return [name for name in known if projections is None or name in projections]


def _draw_kaiming(network: Network, projection: Projection) -> None:
    rng = generator(network.seed, "weight", projection.name)
    drawn = kaiming(network.populations[projection.source].n).draw(rng, projection.n_synapses)
    projection.weight = drawn.astype(np.float32)
    if projection.sign is not None:
        projection.weight = np.abs(projection.weight) * projection.sign


def _moments(weight: np.ndarray) -> tuple[float, float]:
    return float(weight.mean(dtype=np.float64)), float(weight.std(dtype=np.float64))


class _Trial:
    """A copy of a network that runs one batch again and again with other weights."""

    def __init__(self, network: Network, batch: Batch, threads: int | None) -> None:
        self.network = network.copy()
        self.batch = batch
        # Which sign of a weight excites: that of the data, which may be negative currents.
        currents = isinstance(batch, CurrentBatch) and batch.values.mean(dtype=np.float64) < 0
        self.exciting = {self.network.input().name: -1.0 if currents else 1.0}
        self._threads = threads
        try:
            self._compiled = self._compile(EventProp(weights=None, delays=None))
        except InputError:  # event by event it runs some networks only
            self._compiled = self._compile(SurrogateBPTT(weights=None, delays=None))

    def _compile(self, rule: Rule) -> CompiledNetwork:
        compiled = compile_network(self.network.copy(), rule, total_steps=1, threads=self._threads)
        trials = Trials(len(self.batch), self.batch.n_steps, self._threads)
        check_sizes(self.network, rule, None, trials)
        return compiled

    def evaluate(self) -> Evaluation:
        self._compiled.push(self.network)
        return self._compiled.evaluate([self.batch])

    def activity(self, name: str) -> np.ndarray:
        """Mean spikes of each neuron per trial, or the sum of its current, (n,) float64."""
        if name != self.network.input().name:
            self._compiled.push(self.network)
            counts = np.diff(self._compiled.record(self.batch).start[name], axis=1)
        elif isinstance(self.batch, CurrentBatch):
            counts = np.abs(self.batch.values).sum(1, dtype=np.float64)
        else:
            counts = np.diff(self.batch.start, axis=1)
        return counts.mean(0, dtype=np.float64)

    def normalise(self, name: str) -> None:
        """Set a population's running statistics to those of the batch, as training uses them."""
        norm = self.network.populations[name].normalisation
        assert norm is not None
        norm.mean[:] = norm.variance[:] = 0.0
        compiled = self._compile(SurrogateBPTT(weights=None, delays=None))
        compiled.train_epoch([self.batch], epoch=1)
        found = compiled.pull().populations[name].normalisation
        assert found is not None
        norm.mean[:] = found.mean / np.float32(MOMENTUM)
        norm.variance[:] = found.variance / np.float32(MOMENTUM)


class _Drawn:
    """Weights of some projections onto a population of n neurons, before they are scaled.

    Per neuron, with the activity a of its inputs, the mean weight is a share of 1 / sum(a), the
    standard deviation one of 1 / sqrt(sum(a^2)): so the drive, the sum of w a, is distributed alike
    for all neurons, however many inputs each has.
    """

    def __init__(self, trial: _Trial, n: int, projections: list[Projection]) -> None:
        self.projections = projections
        self.activity = [trial.activity(p.source) for p in projections]
        self.exciting = [trial.exciting.get(p.source, 1.0) for p in projections]
        self.total, self.square, self.inputs = np.zeros((3, n))
        for p, activity in zip(projections, self.activity, strict=True):
            counted = np.maximum(activity, QUIETEST * activity.mean())[p.pre()]
            self.total += np.bincount(p.post, counted, n)
            self.square += np.bincount(p.post, counted**2, n)
            self.inputs += np.bincount(p.post, minlength=n)
        self._seed = trial.network.seed
        self.weight: list[np.ndarray] = []

    def draw(self, mean: float, spread: np.ndarray | float) -> None:
        """Draw weights: of `mean` drive, spread by so much (n,) of 1 / sqrt(sum(a^2))."""
        # Neurons without inputs have no weights, nor any means.
        means = mean / np.where(self.total > 0, self.total, 1.0)
        sds = spread / np.sqrt(np.where(self.square > 0, self.square, 1.0))
        for p, exciting in zip(self.projections, self.exciting, strict=True):
            z = generator(self._seed, "weight", p.name).standard_normal(p.n_synapses)
            if p.sign is not None:
                z = np.abs(z) * p.sign
            means_of = np.where(self._may_excite(p, exciting), exciting * means[p.post], 0.0)
            self.weight.append(means_of + sds[p.post] * z)

    @staticmethod
    def _may_excite(p: Projection, exciting: float) -> np.ndarray:
        """Whether the weight of each synapse may have the sign that excites, (S,) bool."""
        return np.ones(p.n_synapses, bool) if p.sign is None else p.sign == exciting

    def excitable(self) -> np.ndarray:
        """Whether a neuron has an active input that may excite it, (n,) bool."""
        able = np.zeros(len(self.total), bool)
        for p, exciting, activity in zip(
            self.projections, self.exciting, self.activity, strict=True
        ):
            able[p.post[self._may_excite(p, exciting) & (activity[p.pre()] > 0)]] = True
        return able

    def raise_drive(self, neurons: np.ndarray) -> None:
        """Raise the drive of some neurons (n,) bool by `RESCUE` of the mean."""
        for p, exciting, weight in zip(self.projections, self.exciting, self.weight, strict=True):
            raised = neurons[p.post] & self._may_excite(p, exciting)
            weight[raised] += exciting * RESCUE / self.total[p.post[raised]]

    def scale(self, factor: float) -> None:
        """Give the projections the drawn weights, scaled."""
        for p, weight in zip(self.projections, self.weight, strict=True):
            p.weight = (factor * weight).astype(np.float32)


def _scale_spiking(trial: _Trial, population: Population, incoming: list[Projection]) -> int:
    """Return how many neurons stay silent because no active input may excite them."""
    name, n = population.name, population.n
    feed = _Drawn(trial, n, [p for p in incoming if not p.recurrent])
    if not feed.projections:
        raise InputError(
            f"projections must have those onto {name!r} from other populations beside the "
            f"recurrent one, got {', '.join(p.name for p in incoming)}"
        )
    if not any(activity.any() for activity in feed.activity):
        sources = ", ".join(repr(p.source) for p in feed.projections)
        raise InputError(
            f"{sources} must be active for initial weights of {name!r}, got no spikes or currents "
            f"in {len(trial.batch)} examples; {_OTHERWISE}, or look at the data with delaysnn data "
            "check"
        )
    feed.draw(1.0, np.minimum(1.0, SPREAD * np.sqrt(feed.inputs)))

    def spikes(factor: float) -> float:
        feed.scale(factor)
        return trial.evaluate().spikes[name]

    factor = _reach(spikes, name)
    loops = [p for p in incoming if p.recurrent]
    if loops:
        drawn = _Drawn(trial, n, loops)
        drawn.draw(0.0, LOOP)
        drawn.scale(factor)
        factor = _search(spikes, SPIKES, factor) or factor
    able = feed.excitable()
    for _ in range(RESCUES):
        silent = (trial.activity(name) == 0) & able
        if not silent.any():
            break
        feed.raise_drive(silent)
        feed.scale(factor)
    return int(((trial.activity(name) == 0) & ~able).sum()) if not able.all() else 0


def _scale_output(trial: _Trial, population: Population, incoming: list[Projection]) -> None:
    if not incoming:
        return
    feed = _Drawn(trial, population.n, incoming)
    source = trial.network.input().name
    if all(
        activity.mean() <= (0.0 if p.source == source else FEWEST)
        for p, activity in zip(incoming, feed.activity, strict=True)
    ):
        # Neurons with weights of their own may hardly spike at first: nothing to scale with.
        for projection in incoming:
            _draw_kaiming(trial.network, projection)
        return
    feed.draw(0.0, 1.0)

    def spread(factor: float) -> float:
        feed.scale(factor)
        return float(trial.evaluate().logits.std(1).mean())

    first = spread(1.0)
    if first > 0 and _search(spread, LOGITS, LOGITS / first) is None:
        feed.scale(LOGITS / first)


def _reach(spikes: Callable[[float], float], name: str) -> float:
    """The factor with which a population spikes as it should, or half as much as it can."""
    factor = _search(spikes, SPIKES, 1.0)
    if factor is not None:
        return factor
    most = spikes(2.0**STEPS)
    if most == 0.0:
        raise InputError(
            f"no neuron of {name!r} spikes however large its weights are; lengthen the trial, "
            f"shorten the delays or lower the threshold, or {_OTHERWISE}"
        )
    return _search(spikes, most / 2, 1.0) or 1.0


def _search(measure: Callable[[float], float], target: float, factor: float) -> float | None:
    """A factor at which something that grows with it is near the target; None without any."""
    low, high = 0.0, math.inf
    for _ in range(STEPS):
        found = measure(factor)
        if abs(found - target) <= TOLERANCE * target or high <= 1.01 * low:
            return factor
        if found < target:
            low = factor
        else:
            high = factor
        factor = 2 * low if high == math.inf else high / 2 if low == 0 else math.sqrt(low * high)
    return None
