"""What is left out for inference, and that it changes nothing."""

from typing import Annotated, ClassVar

import numpy as np
import pytest

from mlgenn_delays import (
    LIF,
    CurrentInput,
    Delta,
    Exponential,
    LeakyIntegrator,
    Network,
    SpikeInput,
)
from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.export.prepare import prepare
from mlgenn_delays.learning import EventProp, SurrogateBPTT
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.neurons.declare import SpikingNeuron, neuron
from mlgenn_delays.neurons.models.adaptive_lif import AdaptiveLIF
from mlgenn_delays.settings import Number, says
from tests.reference import nets

STEP_NETS = [
    nets.StepRecipe(seed=1, density=0.2, recurrent=True, tau_refrac=3.0),
    nets.StepRecipe(seed=2, density=0.3, current=True, delta=True, granularity="axon"),
    nets.StepRecipe(seed=3, density=0.25, seed_models=True, current=True, bias=0.0),
]


@neuron
class Pacemaker(SpikingNeuron):
    """n neurons that spike without a current."""

    drive: Annotated[Number, says("What is added to V in a step.")] = 0.1

    step: ClassVar[str] = """
        V = V + I + drive
        spike = V >= 1
        if spike: V = 0
    """


def record(network: Network, data, rule=SurrogateBPTT):
    compiled = compile_network(
        network, rule(weights=None, delays=None), total_steps=1, threads=1, learns=False
    )
    return compiled.record(data.batch(np.arange(len(data))))


def spikes(recording, name: str, n: int) -> list[list[list[int]]]:
    """Return the steps of each example's and neuron's spikes."""
    start, time = recording.start[name], recording.time[name]
    return [[time[row[j] : row[j + 1]].tolist() for j in range(n)] for row in start]


def chain(**bias: float) -> Network:
    """Return input -> a -> output, and a population b that only has a bias -> output."""
    net = Network(dt=1.0)
    net.add("input", SpikeInput(2))
    net.add("a", LIF(3))
    net.add("b", LIF(2), bias=bias.get("b", 0.0))
    net.add("output", LeakyIntegrator(2))
    one = Exponential(5.0)
    net.connect("input", "a", one, weight=1.0, delay=3.0)
    net.connect("a", "output", one, weight=np.array([1.0, 0, 1, 1, 0, 0], np.float32))
    net.connect("b", "output", one, weight=1.0)
    return net


def test_neurons_that_reach_no_output_go() -> None:
    net = chain()
    small, kept = prepare(net)
    assert kept["a"].tolist() == [0, 1]
    assert net.populations["a"].n == 3 and net.projections["a->output"].n_synapses == 6
    assert small.populations["a"].n == 2
    assert small.projections["input->a"].n_synapses == 4
    assert small.projections["a->output"].weight.tolist() == [1.0, 1.0, 1.0]


def test_a_population_that_nothing_drives_goes_whole() -> None:
    small, kept = prepare(chain())
    assert "b" not in small.populations and "b" not in kept
    assert "b->output" not in small.projections


@pytest.mark.parametrize(("bias", "left"), [(1.5, True), (-1.5, False)])
def test_a_bias_drives_a_neuron_without_input(bias: float, left: bool) -> None:
    small, _ = prepare(chain(b=bias))
    assert ("b" in small.populations) is left


def test_neurons_that_rebound_or_spike_by_themselves_stay() -> None:
    net = chain(b=-1.5)
    net.populations["b"].model = AdaptiveLIF(2)
    assert "b" in prepare(net)[0].populations
    net = chain()
    net.populations["b"].model = Pacemaker(2, drive=np.array([0.0, 0.1]))
    small, kept = prepare(net)
    assert kept["b"].tolist() == [1]
    assert small.populations["b"].model == Pacemaker(1, drive=np.array([0.1]))


def test_delays_are_rounded_half_up() -> None:
    delay = np.array([0.49, 0.5, 2.5, 9.7, 10.0, 0.0])
    steps = [0, 1, 3, 10, 10, 0]
    net = Network(dt=1.0)
    net.add("input", CurrentInput(6))
    net.add("output", LeakyIntegrator(1))
    net.connect("input", "output", Delta(), weight=1.0, delay=delay, max_delay=10.0)
    assert delay_steps(net.projections["input->output"], 1.0).tolist() == steps
    small, _ = prepare(net)
    assert small.projections["input->output"].delay.tolist() == steps
    assert small.projections["input->output"].max_delay == 10


def test_axonal_and_fixed_delays_become_one_a_synapse() -> None:
    net = nets.network(nets.Recipe(granularity="axon"))
    small, _ = prepare(net)
    assert all(p.granularity == "synapse" for p in small.projections.values())


def check_less(net: Network, data: SpikeData | CurrentData, rule: type) -> int:
    """Reject a prepared network that computes anything else; return how many neurons it has."""
    small, kept = prepare(net)
    before, after = record(net, data, rule), record(small, data, rule)
    np.testing.assert_array_equal(before.logits, after.logits)
    for name, index in kept.items():
        whole = spikes(before, name, net.populations[name].n)
        left = spikes(after, name, len(index))
        assert [[row[j] for j in index] for row in whole] == left
    return sum(len(index) for index in kept.values())


@pytest.mark.parametrize("density", [0.08, 0.3, 1.0])
@pytest.mark.parametrize("recurrent", [False, True])
def test_less_computes_the_same(density: float, recurrent: bool) -> None:
    recipe = nets.Recipe(
        seed=5, sizes=(12, 20, 20, 3), density=density, recurrent=recurrent, bias=0.3
    )
    left = check_less(nets.network(recipe), nets.data(recipe, 4), EventProp)
    assert left > 0 and (left < 40 or density > 0.1 or recurrent)


@pytest.mark.parametrize("recipe", STEP_NETS, ids=lambda r: str(r.seed))
def test_less_computes_the_same_in_every_model(recipe: nets.StepRecipe) -> None:
    check_less(nets.step_network(recipe), nets.step_data(recipe), SurrogateBPTT)


def test_zero_weights_go_and_normalisation_is_folded_in() -> None:
    net = nets.step_network(nets.StepRecipe(seed=4, normalised="all", current=True))
    first = next(iter(net.projections.values()))
    first.weight[::2] = 0
    small, _ = prepare(net)
    assert all(p.normalisation is None for p in small.populations.values())
    assert small.projections[first.name].n_synapses == int((first.weight != 0).sum())
