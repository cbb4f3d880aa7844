"""Networks for NIR files, and what the CPU engine makes of them."""

from pathlib import Path

import numpy as np

from mlgenn_delays import (
    LIF,
    CurrentInput,
    Delta,
    EulerLI,
    EulerLIF,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    SpikeInput,
    Uniform,
)
from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.export.nir import write_nir
from mlgenn_delays.learning import SurrogateBPTT
from mlgenn_delays.neurons.models.cuba_lif import CubaLIF
from tests.engines.helpers import raster
from tests.reference.nets import StepRecipe, counted, step_data, step_network

STEPS = 50
LABELS = ("a", "b", "c")


def about(steps: int = STEPS) -> About:
    return About(n_steps=steps, labels=LABELS, recipe="some", epoch=3)


def mixed(seed: int) -> Network:
    """Return a network with several kinds of synapses, skips and odd names."""
    net = Network(dt=0.5, seed=seed)
    net.add("the input!", SpikeInput(7))
    net.add("output", LIF(6, tau_mem=9.0), bias=Normal(0.3, 0.1))
    net.add("b", LIF(5, tau_mem=11.0, v_thresh=0.7), bias=Uniform(0.0, 0.3))
    net.add("1", LeakyIntegrator(3, tau_mem=13.0, readout="max"), bias=0.1)
    delays = {"delay": Uniform(0.0, 4.0), "max_delay": 4.0}
    pairs = [
        ("the input!", "output", Exponential(5.0)), ("the input!", "output", Exponential(2.0)),
        ("the input!", "output", Delta()), ("output", "output", Exponential(2.0)),
        ("output", "b", Exponential(3.0)), ("the input!", "b", Exponential(3.0)),
        ("b", "b", Exponential(1.5)), ("b", "1", Exponential(3.0)), ("output", "1", Delta()),
    ]  # fmt: skip
    for k, (source, target, synapse) in enumerate(pairs):
        net.connect(
            source, target, synapse, weight=Normal(0.3, 0.5), density=0.7, name=f"p{k}", **delays
        )
    return net


def driven(kind: type, seed: int) -> Network:
    """Return a network in which a population has nothing but a bias, and one only itself."""
    net = Network(dt=1.0, seed=seed)
    synapse = Delta() if kind.synapses else Exponential(4.0)
    alone, own = {LIF: (1.2, 1.3), EulerLIF: (0.15, 0.2), CubaLIF: (0.25, 0.27)}[kind]
    net.add("input", SpikeInput(4))
    net.add("alone", kind(3, tau_mem=10.0), bias=alone)
    net.add("own", kind(3, tau_mem=12.0), bias=own)
    net.add("output", EulerLI(3, 10.0) if kind is EulerLIF else LeakyIntegrator(3))
    common = {"weight": Normal(0.1, 0.4), "delay": Uniform(0.0, 5.0), "max_delay": 5.0}
    net.connect("own", "own", synapse, **common)
    net.connect("own", "output", synapse, **common)
    net.connect("alone", "output", synapse, **common)
    net.connect("input", "output", synapse, **common)
    return net


def varied(seed: int) -> Network:
    """Return a network whose neurons differ, with currents in synapses and in neurons."""
    net = Network(dt=1.0, seed=seed)
    net.add("input", SpikeInput(6))
    net.add("lif", LIF(5, tau_mem=Uniform(5.0, 20.0), v_thresh=Uniform(0.5, 1.5)), bias=0.2)
    net.add("cuba", CubaLIF(4, Uniform(5.0, 20.0), Uniform(0.5, 1.5), Uniform(2.0, 9.0)), bias=0.02)
    net.add("output", LeakyIntegrator(3, tau_mem=np.array([5.0, 10.0, 20.0])))
    common = {"delay": Uniform(0.0, 5.0), "max_delay": 5.0}
    net.connect("input", "lif", Exponential(Uniform(2.0, 8.0)), weight=Normal(0.6, 0.6), **common)
    net.connect("lif", "cuba", Delta(), weight=Normal(0.4, 0.6), **common)
    net.connect("cuba", "cuba", Delta(), weight=Normal(0.0, 0.2), **common)
    net.connect("cuba", "output", Exponential(4.0), weight=Normal(0.0, 0.6), **common)
    net.connect("input", "output", Exponential(Uniform(2.0, 8.0)), weight=0.1, **common)
    return net


CUBA_RECIPES = [
    StepRecipe(seed=19, neuron="CubaLIF", recurrent=True),
    StepRecipe(seed=20, neuron="CubaLIF", dt=0.5, current=True, granularity="axon"),
]
RECIPES = [
    StepRecipe(seed=1), StepRecipe(seed=2, recurrent=True), StepRecipe(seed=3, delta=True),
    StepRecipe(seed=4, recurrent=True, delta=True, tau_refrac=3.0),
    StepRecipe(seed=5, seed_models=True), StepRecipe(seed=6, seed_models=True, recurrent=True),
    StepRecipe(seed=7, seed_models=True, bias=0.0, current=True, readout="softmax-sum"),
    StepRecipe(seed=8, current=True, tau_refrac=2.0), StepRecipe(seed=9, normalised="all"),
    StepRecipe(seed=10, normalised="hidden", delta=True, current=True),
    StepRecipe(seed=11, max_delay=0.0), StepRecipe(seed=12, max_delay=0.0, delta=True, bias=0.0),
    StepRecipe(seed=13, sizes=(9, 7, 6, 3), density=0.3, recurrent=True),
    StepRecipe(seed=14, granularity="axon", readout="max"),
    StepRecipe(seed=15, granularity="fixed", readout="sum"),
    StepRecipe(seed=16, dt=0.6, recurrent=True, readout="expweighted"),
    StepRecipe(seed=17, signs="dale", density=0.5), StepRecipe(seed=18, dt=2.0, delta=True),
]  # fmt: skip


def networks() -> list[Network]:
    own = [mixed(1), mixed(2), driven(LIF, 3), driven(EulerLIF, 4)]
    own += [driven(CubaLIF, 5), varied(6), *map(step_network, CUBA_RECIPES)]
    own.append(counted(StepRecipe(seed=21, recurrent=True, sizes=(9, 8, 3, 3))))
    return [*map(step_network, RECIPES), *own]


def artifacts() -> list[Artifact]:
    return [Artifact.of(network, about()) for network in networks()]


def examples(artifact: Artifact, n: int = 3) -> SpikeData | CurrentData:
    source = artifact.network.input()
    recipe = StepRecipe(
        seed=5, sizes=(source.n, 3), steps=artifact.about.n_steps, dt=artifact.network.dt,
        current=isinstance(source.model, CurrentInput),
    )  # fmt: skip
    return step_data(recipe, n)


def record(artifact: Artifact, data: SpikeData | CurrentData) -> Recording:
    rule = SurrogateBPTT(weights=None, delays=None)
    compiled = compile_network(artifact.network, rule, total_steps=1, threads=1, learns=False)
    return compiled.record(data.batch(np.arange(len(data))))


def fired(artifact: Artifact, data: SpikeData | CurrentData, example: int) -> dict:
    """Return the spikes of one example by population, (T, n)."""
    recording = record(artifact, data)
    return {
        p.name: raster(recording, p.name, example, artifact.about.n_steps)
        for p in artifact.network.spiking()
    }


def write(artifact: Artifact, path: Path, **settings) -> Path:
    """Write a NIR file without its warnings."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_nir(artifact, path, **settings)
    return path
