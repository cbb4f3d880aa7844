"""Random networks, and what the CPU engine and the float64 twin make of them."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from mlgenn_delays.bits import FLOAT
from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.export.c import Quantised, quantise
from mlgenn_delays.export.model import CPURunner
from mlgenn_delays.network import Exponential, Normal, Uniform
from tests.engines.helpers import raster, relative
from tests.export.c.building import Answer
from tests.export.neurons import every_neuron, hostile_network
from tests.reference import nets, steps
from tests.reference.nets import StepRecipe

EXAMPLES = 6


@dataclass(frozen=True)
class Case:
    recipe: StepRecipe
    # "several" synapse models, "skip"ping projection, "bare": no hidden neuron left,
    # "differs": time constants of synapses between neurons, "every" neuron, "hostile" neurons,
    # which the twin does not know
    more: str = ""

    def __str__(self) -> str:
        return str(self.recipe.seed)


def _case(seed: int, more: str = "", **options: Any) -> Case:
    return Case(StepRecipe(seed, **options), more)


CASES = [
    _case(2000),
    _case(2001, density=0.4, recurrent=True, tau_refrac=2.0, readout="sum"),
    _case(2002, granularity="axon", recurrent=True, readout="max"),
    _case(2003, current=True, recurrent=True, readout="expweighted"),
    _case(2004, sizes=(9, 8, 7, 3), recurrent=True, density=0.5, readout="softmax-sum"),
    _case(2005, max_delay=300.0, steps=400, density=0.5),
    _case(2006, dt=0.5, tau_refrac=2.5, granularity="fixed", bias=0.3),
    _case(2007, max_delay=0.0, recurrent=True, current=True, density=0.6),
    _case(2008, "several", recurrent=True, tau_refrac=1.0),
    _case(2009, sizes=(17, 33, 5), max_delay=30.0, bias=0.0),
    _case(2010, "skip", sizes=(9, 8, 7, 3), delta=True, normalised="hidden"),
    _case(2011, seed_models=True, current=True, recurrent=True, readout="softmax-sum"),
    _case(2012, seed_models=True, recurrent=True, density=0.5, readout="max"),
    _case(2013, delta=True, sizes=(9, 8, 7, 3), readout="expweighted", tau_refrac=1.0),
    _case(2014, "skip", delta=True, current=True, recurrent=True, readout="sum", dt=0.5),
    _case(2015, max_delay=100.0, steps=60, granularity="axon", recurrent=True),
    _case(2016, sizes=(5, 300, 3), density=0.1, recurrent=True, steps=40),
    _case(2017, "bare", bias=0.0),
    _case(2018, "bare", bias=0.0, seed_models=True, current=True, readout="mean"),
    _case(2019, sizes=(40, 12, 4), seed_models=True, current=True, density=0.1, steps=80),
    _case(2020, sizes=(3, 12, 4), current=True, max_delay=20.0, steps=80),
    _case(2021, max_delay=0.0, delta=True, granularity="fixed"),
    _case(2022, "every", recurrent=True, readout="sum"),
    _case(2023, "every", current=True, dt=0.5),
    _case(2024, "hostile", readout="softmax-sum"),
    _case(2025, "hostile", current=True, readout="max"),
    _case(2026, "differs", recurrent=True, density=0.3),
    _case(2027, "counted", recurrent=True, sizes=(9, 8, 4, 4), readout="sum"),
]
NETWORKS = {"every": every_neuron, "hostile": hostile_network, "counted": nets.counted}


@lru_cache(maxsize=64)
def artifact(case: Case) -> Artifact:
    recipe = case.recipe
    net = NETWORKS.get(case.more, nets.step_network)(recipe)
    if case.more == "bare":
        net.projections["hidden0->output"].weight[:] = 0
    if case.more in ("skip", "bare"):
        own = next(iter(net.projections.values())).synapse
        net.connect(
            "input", "output", own, weight=Normal(0.0, 0.3), density=0.5,
            delay=Uniform(0.0, 9.0), max_delay=9.0,
        )  # fmt: skip
    if case.more == "several":
        delays = {"delay": Uniform(0.0, 9.0), "max_delay": 9.0}
        for tau, spread in ((2.0, 0.3), (9.0, 0.1)):
            net.connect(
                "input", "hidden0", Exponential(tau), weight=Normal(0.0, spread), density=0.5,
                name=f"of {tau} ms", **delays,
            )  # fmt: skip
    if case.more == "differs":
        rng = np.random.default_rng(recipe.seed)
        for name, p in net.projections.items():
            n = net.populations[p.target].n
            tau = p.synapse.tau_syn + rng.uniform(0.0, 4.0, n)
            net.projections[name].synapse = Exponential(tau)
    labels = tuple(f"class{k}" for k in range(recipe.sizes[-1]))
    return Artifact.of(net, About(n_steps=recipe.steps, labels=labels))


@lru_cache(maxsize=64)
def rounded(
    case: Case, kind: str = "int8", per: str = "neuron"
) -> tuple[Artifact, Quantised | None]:
    if kind == FLOAT:
        return artifact(case), None
    network, quantised = quantise(artifact(case).network, kind, per)
    return replace(artifact(case), network=network), quantised


@lru_cache(maxsize=64)
def batch(case: Case) -> Batch:
    return nets.step_data(case.recipe, EXAMPLES).batch(np.arange(EXAMPLES))


@lru_cache(maxsize=64)
def wanted(case: Case, kind: str = FLOAT, per: str = "neuron") -> tuple[Recording, np.ndarray]:
    """Return what the CPU engine records, and the first step in which rounding decides."""
    made, _ = rounded(case, kind, per)
    recording = CPURunner(made, threads=1).run(batch(case))
    if case.more == "hostile":
        return recording, np.full(EXAMPLES, case.recipe.steps)
    return recording, steps.forward(made.network, batch(case), training=False).tie


def check(
    case: Case, made: Artifact, answers: list[Answer], kind: str = FLOAT, per: str = "neuron"
) -> None:
    """Compare answers with the CPU engine's, up to the first step in which rounding decides."""
    recording, tie = wanted(case, kind, per)
    hidden, steps = [p.name for p in made.network.spiking()], case.recipe.steps
    assert len(answers) == EXAMPLES
    for b, answer in enumerate(answers):
        for k, name in enumerate(hidden):
            right = raster(recording, name, b, steps)
            np.testing.assert_array_equal(
                answer.raster(k, *right.shape)[: tie[b]], right[: tie[b]], err_msg=name
            )
        if tie[b] == steps:
            assert relative(answer.logits, recording.logits[b]) < 1e-4
            assert answer.label == recording.logits[b].argmax()
