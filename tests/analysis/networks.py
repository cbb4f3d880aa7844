"""Small networks for the analysis, and run directories that were never trained."""

import numpy as np

from mlgenn_delays.analysis.afferents import Afferents
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput
from mlgenn_delays.network.initialise import Uniform
from mlgenn_delays.recipe import load_recipe
from mlgenn_delays.recipe.load import dump
from mlgenn_delays.runs.directory import RunDirectory

from . import planted_signs as planted

WEIGHT, DELAY = Uniform(-1.0, 1.0), Uniform(0.0, 60.0)


def network(n_in=64, n=12, *, hidden=1, recurrent=False, density=1.0, seed=0, **how):
    """Return a network whose hidden layers have random synapses; `how` goes to all of them."""
    net = Network(dt=1.0, seed=seed)
    net.add("input", SpikeInput(n_in))
    source = "input"
    for k in range(1, hidden + 1):
        layer = net.add(f"hidden{k}", LIF(n)).name
        given = {"weight": WEIGHT, "delay": DELAY, "max_delay": 60.0, "density": density, **how}
        net.connect(source, layer, Exponential(5.0), **given)
        if recurrent:
            net.connect(layer, layer, Exponential(5.0), **given)
        source = layer
    net.add("output", LeakyIntegrator(10))
    net.connect(source, "output", Exponential(5.0), weight=WEIGHT)
    return net


def set_signs(net, law, seed=0):
    """Give the input's synapses the signs of a law of `planted_signs`; delays in units of 60 ms."""
    projection = net.projections["input->hidden1"]
    rng = np.random.default_rng(seed)
    pre = projection.pre()
    scaled = projection.delay_per_synapse() * planted.LONGEST / projection.max_delay
    for neuron in range(net.populations["hidden1"].n):
        own = np.flatnonzero(projection.post == neuron)
        sign = law(pre[own] * planted.BANDS / (pre.max() + 1), scaled[own], rng)
        projection.weight[own] = sign * np.abs(projection.weight[own])
    return net


def run_of(path, net, snapshots=(), recipe="digits", *overrides):
    """Write a run directory as it is where checkpoints were not copied along, and return it."""
    RunDirectory.create(path, dump(load_recipe(recipe, overrides)), {})
    net.save(path / "network.safetensors")
    for epoch, each in dict(snapshots).items():
        (path / "snapshots").mkdir(exist_ok=True)
        each.save(path / "snapshots" / f"epoch-{epoch:04}.safetensors")
    return path


def afferents(synapses, neurons, max_delay=240.0):
    """Return the afferents of synapses (post, pre, delay, weight)."""
    rows = sorted(synapses)
    post = np.array([row[0] for row in rows], np.int64)
    return Afferents(
        np.searchsorted(post, np.arange(neurons + 1)).astype(np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[3] for row in rows], np.float64),
        np.array([row[2] for row in rows], np.float64),
        max_delay,
    )
