"""Networks to export, small and of every kind, and what the twin says of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from mlgenn_delays.data.types import SpikeData
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.export.model import CPURunner
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
from tests.export.neurons import every_neuron, hostile_network
from tests.reference import steps
from tests.reference.nets import StepRecipe, step_data, step_network

EXAMPLES = 12
LONG = 65535


@dataclass(frozen=True)
class Case:
    """A network to export.

    Attributes:
        name: Of the case.
        recipe: Of its data, and of its network.
        change: Of the network, or None.
        network: Makes the network.
    """

    name: str
    recipe: StepRecipe
    change: Callable[[Network], None] | None = None
    network: Callable[[StepRecipe], Network] = step_network

    def __str__(self) -> str:
        return self.name


def _several(net: Network) -> None:
    """Add other synapses onto a target, a connection that skips layers, and one of nothing."""
    common: dict[str, Any] = {"delay": Uniform(0.0, 9.0), "max_delay": 300.0}
    net.connect(
        "input", "hidden0", Exponential(2.0), weight=Normal(0.3, 0.5), density=0.5, name="quick",
        **common,
    )  # fmt: skip
    net.connect(
        "input", "hidden0", Delta(), weight=Normal(0.0, 0.5), density=0.3, name="short", **common
    )
    net.connect("input", "output", Exponential(3.0), weight=Normal(0.0, 0.5), name="over", **common)
    net.connect("hidden0", "output", Exponential(3.0), weight=0.0, name="nothing", **common)


def _unplugged(net: Network) -> None:
    """Leave nothing but bias to drive the network."""
    net.projections["input->hidden0"].weight[:] = 0.0
    net.populations["hidden0"].bias[:] = np.linspace(0.5, 2.5, net.populations["hidden0"].n)


def _without_delays(net: Network) -> None:
    net.projections["input->hidden0"].delay[:] = 0.0


CASES = [
    Case(
        "several",
        StepRecipe(
            2000, sizes=(9, 8, 7, 3), recurrent=True, density=0.5, tau_refrac=2.0, readout="mean"
        ),
        _several,
    ),
    Case(
        "delta",
        StepRecipe(2011, delta=True, dt=0.5, normalised="hidden", readout="max", tau_refrac=1.2),
        _without_delays,
    ),
    Case(
        "seed",
        StepRecipe(2002, seed_models=True, recurrent=True, density=0.6, readout="softmax-sum"),
    ),
    Case("currents", StepRecipe(2003, current=True, recurrent=True, readout="expweighted")),
    Case(
        "seed-currents",
        StepRecipe(2004, seed_models=True, current=True, density=0.7, readout="sum"),
    ),
    Case("unplugged", StepRecipe(2005, recurrent=True, readout="sum"), _unplugged),
    Case("every", StepRecipe(2022, recurrent=True, readout="sum"), network=every_neuron),
    Case("hostile", StepRecipe(2024, readout="softmax-sum"), network=hostile_network),
    Case("direct", StepRecipe(2006, sizes=(9, 3), max_delay=60.0, readout="expweighted")),
]
BY_NAME = {case.name: case for case in CASES}


@lru_cache
def artifact(name: str) -> Artifact:
    """Return the artifact of a case; nobody may change it."""
    if name == "long":
        return Artifact.of(_long_network(), About(n_steps=LONG + 60, labels=("a", "b")))
    case = BY_NAME[name]
    net = case.network(case.recipe)
    if case.change is not None:
        case.change(net)
    labels = tuple(f"class {k}" for k in range(case.recipe.sizes[-1]))
    return Artifact.of(net, About(n_steps=case.recipe.steps, labels=labels))


@lru_cache
def batch(name: str) -> Any:
    if name == "long":
        events = [(np.array([0, 1]), np.array([0, 20])), (np.array([1]), np.array([3]))]
        return SpikeData.from_events(
            events, np.zeros(2, int), n_channels=2, n_steps=LONG + 60, dt=1.0,
            label_names=("a", "b"),
        ).batch(np.arange(2))  # fmt: skip
    return step_data(BY_NAME[name].recipe, EXAMPLES).batch(np.arange(EXAMPLES))


@lru_cache
def wanted(name: str) -> Recording:
    return CPURunner(artifact(name), threads=1).run(batch(name))


@lru_cache
def ties(name: str) -> np.ndarray:
    """Return the first step of each example in which float32 sums may fall either way, (B,)."""
    if name == "hostile":  # the twin does not know its neurons
        return np.full(EXAMPLES, batch(name).n_steps)
    return steps.forward(artifact(name).network, batch(name)).tie


def _long_network() -> Network:
    """Return a network with the longest delay that GeNN takes."""
    net = Network()
    net.add("input", SpikeInput(2))
    net.add("hidden", LIF(2, tau_mem=5.0))
    net.add("output", LeakyIntegrator(2, readout="sum"))
    net.connect(
        "input", "hidden", Exponential(5.0), weight=np.array([9.0, 9.0, 9.0]), synapses=3,
        delay=np.array([LONG, 0, 7.0]), max_delay=LONG,
    )  # fmt: skip
    net.connect("hidden", "output", Exponential(), weight=1.0, delay=2.0)
    return net
