"""Seeded random networks and data that spike, shared by the tests."""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.data.types import SpikeBatch, SpikeData
from mlgenn_delays.network import (
    LIF,
    Delta,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    SpikeInput,
    Uniform,
)

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
    """Return n random examples as one batch."""
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
