"""One network of every neuron, and neurons whose names and equations are unlike any other's."""

from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np

from mlgenn_delays.network import (
    CurrentInput,
    Delta,
    Exponential,
    Network,
    Normal,
    SpikeInput,
    Uniform,
)
from mlgenn_delays.neurons.declare import (
    Readout,
    ReadoutNeuron,
    SpikingNeuron,
    TauMem,
    TauRefrac,
    neuron,
)
from mlgenn_delays.settings import Number, Positive, PositiveTime, says
from tests.reference.nets import NEURONS, RATE, StepRecipe, step_network


@neuron
class Hostile(SpikingNeuron):
    """n neurons called like words of C, GeNN and the exports, with all that equations can hold."""

    double: Annotated[PositiveTime, says("Time constant.")] = 12.0
    switch: Annotated[Positive, says("Threshold.")] = 0.8
    power: Annotated[Number, says("Power.")] = 1.5
    volatile: TauRefrac = 2.0

    step: ClassVar[str] = """
        float = exp(-dt / double)
        State1_p1 = 2 * I
        unused = State1_p1 + 1
        V_p1 = float * V_p1 + (1 - float) * (State1_p1 / 2 - sin(total) - 0.1 * count)
        groesse = sqrt(1 + V_p1 ** 2) - cos(0 * V_p1) + log(1 + (total + 1) ** -2 / 1000)
        void_variable_with_a_name_of_more_than_any = tanh(groesse) ** power
        spike = V_p1 + 0.01 * void_variable_with_a_name_of_more_than_any > switch + 0.2 * total ** 3
        total = float * total + 0.3 * spike
        if spike: V_p1 = -0.1 * float
        count = +float * count + (1 - float) * V_p1
        if spike: count = count + 0.01
    """
    refractory: ClassVar[str] = "volatile"


@neuron
class Squashed(ReadoutNeuron):
    """n outputs whose V is no state."""

    tau_mem: TauMem = 20.0
    readout: Readout = "softmax-sum"

    step: ClassVar[str] = """
        alpha = exp(-dt / tau_mem)
        U = alpha * U + (1 - alpha) * I
        V = 2 * tanh(U)
    """


def every_neuron(recipe: StepRecipe) -> Network:
    """A network in which the input goes to a population of each neuron, and those to the output.

    Arguments:
        recipe: Of each of them; its neuron is left aside.
    """
    net = Network(dt=recipe.dt, seed=recipe.seed)
    for name in ("", *NEURONS):
        part = step_network(replace(recipe, neuron=name))
        own = part.populations.pop("hidden0")
        net.populations[name or "LIF"] = replace(own, name=name or "LIF")
        net.populations |= part.populations
        for p in part.projections.values():
            ends = (end.replace("hidden0", name or "LIF") for end in (p.source, p.target))
            p.source, p.target = ends
            p.name = f"{p.source}->{p.target}"
            net.projections[p.name] = p
    return net


def hostile_network(recipe: StepRecipe) -> Network:
    """A network of neurons that no reference knows, and that differ."""
    inputs, n, outputs = recipe.sizes
    net = Network(dt=recipe.dt, seed=recipe.seed)
    net.add("input", CurrentInput(inputs) if recipe.current else SpikeInput(inputs))
    net.add(
        "Hostile", Hostile(n, Uniform(8.0, 16.0), Normal(0.8, 0.05), np.linspace(1.0, 2.0, n)),
        bias=Normal(0.1, 0.1),
    )  # fmt: skip
    net.add("output", Squashed(outputs, Uniform(10.0, 30.0), recipe.readout))
    mean = 1.6 / (inputs * (1.0 if recipe.current else RATE))
    delays = {"delay": Uniform(0.0, recipe.max_delay), "max_delay": recipe.max_delay}
    net.connect("input", "Hostile", Delta(), weight=Normal(mean, mean), **delays)
    net.connect("Hostile", "Hostile", Exponential(2.0), weight=Normal(0.0, 0.2), **delays)
    net.connect("Hostile", "output", Exponential(5.0), weight=Normal(0.0, 1.0), **delays)
    return net
