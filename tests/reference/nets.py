"""Seeded random networks and data that spike, shared by the tests."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlgenn_delays.data.types import CurrentData, SpikeBatch, SpikeData
from mlgenn_delays.network import (
    LIF,
    CurrentInput,
    Delta,
    EulerLI,
    EulerLIF,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    SpikeCounter,
    SpikeInput,
    Uniform,
)
from mlgenn_delays.neurons.models.adaptive_lif import AdaptiveLIF
from mlgenn_delays.neurons.models.balanced_resonator import BalancedResonator
from mlgenn_delays.neurons.models.cuba_lif import CubaLIF
from mlgenn_delays.neurons.models.discrete_lif import DiscreteLIF
from mlgenn_delays.neurons.models.two_compartment_lif import TwoCompartmentLIF

RATE = 0.06  # input spikes a channel and step


@dataclass(frozen=True)
class Recipe:
    """What a random network looks like.

    Attributes:
        seed: Seed of everything.
        sizes: Neurons of input, hidden layers and output.
        steps: T.
        density: Of every projection.
        recurrent: Whether hidden layers project to themselves.
        tau_refrac: [ms].
        bias: Standard deviation of the bias.
        granularity: Of every projection's delays.
        max_delay: Delays are uniform over 0..max_delay [ms].
        readout: Kind of readout.
        delta: Whether hidden synapses are `Delta`.
        dt: [ms].
        tau_syn: Of the hidden layers' feed-forward synapses [ms].
    """

    seed: int = 0
    sizes: tuple[int, ...] = (12, 10, 3)
    steps: int = 80
    density: float = 1.0
    recurrent: bool = False
    tau_refrac: float = 0.0
    bias: float = 0.0
    granularity: str = "synapse"
    max_delay: float = 12.0
    readout: str = "mean"
    delta: bool = False
    dt: float = 1.0
    tau_syn: float = 5.0


def network(recipe: Recipe) -> Network:
    """Return a random network whose hidden layers spike."""
    r = recipe
    net = Network(dt=r.dt, seed=r.seed)
    net.add("input", SpikeInput(r.sizes[0]))
    names = ["input"]
    delays = Uniform(0.0, r.max_delay)
    for k, n in enumerate(r.sizes[1:-1]):
        name = f"hidden{k}"
        net.add(name, LIF(n, tau_mem=15.0, tau_refrac=r.tau_refrac), bias=Normal(0.0, r.bias))
        synapse = Delta() if r.delta else Exponential(r.tau_syn)
        # A steady current of about 1.6 thresholds at the rate of the layer below.
        reach = 1.0 if r.delta else r.tau_syn / r.dt
        mean = 1.6 / (r.sizes[k] * r.density * reach * (RATE if k == 0 else 0.04))
        net.connect(
            names[-1], name, synapse, weight=Normal(mean, 0.7 * mean), delay=delays,
            max_delay=r.max_delay, density=r.density, granularity=r.granularity,
        )  # fmt: skip
        if r.recurrent:
            net.connect(
                name, name, Exponential(3.0), weight=Normal(0.0, 2.0 / n), delay=delays,
                max_delay=r.max_delay, density=min(1.0, 2 * r.density), granularity=r.granularity,
            )  # fmt: skip
        names.append(name)
    net.add("output", LeakyIntegrator(r.sizes[-1], tau_mem=20.0, readout=r.readout))
    net.connect(
        names[-1], "output", Exponential(4.0), weight=Normal(0.1, 0.6), delay=delays,
        max_delay=r.max_delay, density=r.density, granularity=r.granularity,
    )  # fmt: skip
    return net


def data(recipe: Recipe, n: int = 3) -> SpikeData:
    """Return n random examples; every one has spikes of its own density."""
    rng = np.random.default_rng((recipe.seed, 99))
    events = []
    for _ in range(n):
        raster = rng.random((recipe.steps, recipe.sizes[0])) < RATE * rng.uniform(0.9, 1.3)
        steps, channels = np.nonzero(raster)
        events.append((channels, steps))
    labels = rng.integers(0, recipe.sizes[-1], n)
    names = tuple(f"class{k}" for k in range(recipe.sizes[-1]))
    return SpikeData.from_events(
        events, labels, n_channels=recipe.sizes[0], n_steps=recipe.steps, dt=recipe.dt,
        label_names=names,
    )  # fmt: skip


def batch(recipe: Recipe, n: int = 3) -> SpikeBatch:
    return data(recipe, n).batch(np.arange(n))


def small_net(dt: float, *, recurrent: bool, tau_refrac: float = 0.0, seed: int = 0) -> Network:
    """Return the 3-4-2 net of the convergence table, its delays whole ms from 1 ms on."""
    rng = np.random.default_rng((seed, 342))
    net = Network(dt=dt, seed=seed)
    net.add("input", SpikeInput(3))
    net.add("hidden", LIF(4, tau_mem=20.0, tau_refrac=tau_refrac))
    net.add("output", LeakyIntegrator(2, tau_mem=20.0))
    kinds = [("input", "hidden", 0.75, 0.25), ("hidden", "output", 0.2, 1.0)]
    if recurrent:
        kinds.insert(1, ("hidden", "hidden", 0.1, 0.4))
    for source, target, mean, sd in kinds:
        pre, post = net.populations[source].n, net.populations[target].n
        net.connect(
            source, target, Exponential(5.0), weight=rng.normal(mean, sd, pre * post),
            delay=rng.integers(1, 9, pre * post).astype(float), max_delay=12.0,
        )  # fmt: skip
    return net


def small_events(seed: int = 0, total: int = 60, n: int = 5) -> list[tuple[float, int]]:
    """Return input spikes (time [ms], channel) at whole ms for `small_net`."""
    rng = np.random.default_rng((seed, 343))
    times = [sorted(rng.choice(np.arange(1, total - 15), n, replace=False)) for _ in range(3)]
    return [(float(t), c) for c, channel in enumerate(times) for t in channel]


def as_batch(given: np.ndarray, label: int = 0) -> SpikeBatch:
    """Return one trial of input spikes (T, C) of 0 and 1 as a batch."""
    steps, channels = np.nonzero(given)
    whole = SpikeData.from_events(
        [(channels, steps)], np.array([label]), n_channels=given.shape[1], n_steps=len(given),
        dt=1.0, label_names=("a", "b", "c", "d", "e"),
    )  # fmt: skip
    return whole.batch(np.arange(1))


@dataclass(frozen=True)
class StepRecipe:
    """What a random network of any model looks like.

    Attributes:
        seed: Seed of everything.
        sizes: Neurons of input, hidden layers and output.
        steps: T.
        neuron: Name of the model of hidden neurons in `NEURONS`, "" for those below.
        seed_models: Whether neurons are `EulerLIF` and `EulerLI`, with `Delta` synapses.
        delta: Whether the synapses of hidden layers are `Delta`.
        tau_refrac: Of `LIF` [ms].
        current: Whether the input is sampled currents.
        recurrent: Whether hidden layers project to themselves.
        normalised: ``""``, ``"hidden"`` (hidden layers are) or ``"all"`` (the output too).
        density: Of every projection.
        granularity: Of every projection's delays.
        signs: Of every projection.
        max_delay: Delays are uniform over 0..max_delay [ms].
        readout: Kind of readout.
        bias: Standard deviation of the bias.
        dt: [ms].
    """

    seed: int = 0
    sizes: tuple[int, ...] = (9, 8, 3)
    steps: int = 50
    neuron: str = ""
    seed_models: bool = False
    delta: bool = False
    tau_refrac: float = 0.0
    current: bool = False
    recurrent: bool = False
    normalised: str = ""
    density: float = 1.0
    granularity: str = "synapse"
    signs: str = "free"
    max_delay: float = 8.0
    readout: str = "mean"
    bias: float = 0.1
    dt: float = 1.0


# Neurons with equations alone, and the mean current that lets them spike now and then.
NEURONS: dict[str, tuple[Any, float]] = {
    "AdaptiveLIF": (
        lambda n: AdaptiveLIF(n, tau_mem=15.0, tau_adapt=30.0, adapt_v=0.3, adapt_spike=0.2), 2.0
    ),
    "CubaLIF": (lambda n: CubaLIF(n, tau_mem=15.0), 1.6 / 5.0),
    "DiscreteLIF": (lambda n: DiscreteLIF(n, tau_mem=8.0, keep=0.5, drop=0.6), 1.6 / 8.0),
    "TwoCompartmentLIF": (lambda n: TwoCompartmentLIF(n, beta_1=-0.4, beta_2=0.3), 0.25),
    "BalancedResonator": (lambda n: BalancedResonator(n, omega=0.2, tau_mem=5.0), 6.0),
}  # fmt: skip


def step_network(recipe: StepRecipe) -> Network:
    """Return a random network of any model whose hidden layers spike."""
    r = recipe
    net = Network(dt=r.dt, seed=r.seed)
    net.add("input", CurrentInput(r.sizes[0]) if r.current else SpikeInput(r.sizes[0]))
    delays = Uniform(0.0, r.max_delay)
    names = ["input", *(f"hidden{k}" for k in range(len(r.sizes) - 2)), "output"]
    for k, (name, n) in enumerate(zip(names[1:], r.sizes[1:], strict=True)):
        last = name == "output"
        if r.seed_models:
            model = EulerLI(n, 12.0, r.readout) if last else EulerLIF(n, tau_mem=10.0)
        elif last:
            model = LeakyIntegrator(n, tau_mem=20.0, readout=r.readout)
        elif r.neuron:
            model = NEURONS[r.neuron][0](n)
        else:
            model = LIF(n, tau_mem=15.0, tau_refrac=r.tau_refrac)
        normalise = r.normalised == "all" or (r.normalised == "hidden" and not last)
        # Signs drawn at random sum to little: with them, a current of its own drives a neuron.
        steady = 0.0 if r.signs == "free" or last else 1.2
        bias = Normal(steady * _leak(r), r.bias * _leak(r))
        net.add(name, model, bias=bias, normalise=normalise)
        own = "Delta" in getattr(model, "synapses", ())
        delta = own or (r.delta and not last)
        # A steady current of about 1.6 thresholds, at the mean value of what is below.
        value = (1.0 if r.current else RATE) if k == 0 else 0.06
        reach = 1.0 if delta else 5.0 / r.dt
        drive = NEURONS[r.neuron][1] if r.neuron and not last else 1.6 * _leak(r)
        mean = drive / (r.sizes[k] * r.density * reach * value)
        common = {"max_delay": r.max_delay, "granularity": r.granularity, "signs": r.signs}
        net.connect(
            names[k], name, Delta() if delta else Exponential(5.0), delay=delays,
            weight=Normal(0.0 if last else mean, 0.7 * mean), density=r.density, **common,
        )  # fmt: skip
        if r.recurrent and not last:
            spread = 0.3125 * drive / (n * r.density * reach * 0.06)
            net.connect(
                name, name, Delta() if delta else Exponential(3.0), delay=delays,
                weight=Normal(0.0, spread), density=min(1.0, 2 * r.density), **common,
            )  # fmt: skip
    _spread_normalisation(net, r)
    return net


def spiking_output(recipe: StepRecipe, output: Any, synapse: Any) -> Network:
    """Return one whose output, as large as the last hidden layer, is read one to one."""
    net, last = step_network(recipe), f"hidden{len(recipe.sizes) - 3}"
    del net.populations["output"], net.projections[f"{last}->output"]
    net.add("output", output)
    net.connect(last, "output", synapse, weight=1.0, one_to_one=True, frozen=True)
    return net


def counted(recipe: StepRecipe) -> Network:
    """Return one whose last hidden layer is the output: its spikes are counted."""
    return spiking_output(recipe, SpikeCounter(recipe.sizes[-1]), Delta())


def _leak(recipe: StepRecipe) -> float:
    """Return the current that holds a hidden neuron's V at 1."""
    return recipe.dt / 10.0 if recipe.seed_models else 1.0


def _spread_normalisation(net: Network, recipe: StepRecipe) -> None:
    """Give every normalised population a gain, offset and running statistics of its own."""
    rng = np.random.default_rng((recipe.seed, 98))
    for population in net.populations.values():
        kept, n = population.normalisation, population.n
        if kept is not None:
            # Standard currents reach the threshold often enough at these.
            scale = 0.3 if recipe.seed_models else 1.5
            kept.gain[:] = scale * rng.uniform(0.7, 1.3, n)
            kept.offset[:] = rng.uniform(0.05, 0.1, n) if recipe.seed_models else 0.8
            kept.mean[:], kept.variance[:] = rng.uniform(0, 0.3, n), rng.uniform(0.2, 1, n)


def step_data(recipe: StepRecipe, n: int = 4) -> SpikeData | CurrentData:
    """Return n random examples for `step_network`."""
    if not recipe.current:
        sizes = (recipe.sizes[0], recipe.sizes[-1])
        return data(Recipe(recipe.seed, sizes=sizes, steps=recipe.steps, dt=recipe.dt), n)
    rng = np.random.default_rng((recipe.seed, 97))
    shape = (n, recipe.steps, recipe.sizes[0])
    values = rng.normal(1.0, 1.0, shape).astype(np.float32)
    labels = rng.integers(0, recipe.sizes[-1], n)
    names = tuple(f"class{k}" for k in range(recipe.sizes[-1]))
    return CurrentData(values, labels, recipe.dt, names)
