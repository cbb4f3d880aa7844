"""The CPU engine's EventProp gradients against the float64 twin, and against the loss itself."""

from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.data.types import SpikeBatch
from mlgenn_delays.learning import EventProp, SpikeCount, SurrogateBPTT
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput
from mlgenn_delays.neurons.declare import READOUTS
from tests.engines.helpers import compiled, relative, traces, worst
from tests.reference import eventprop, forward, nets
from tests.reference.nets import Recipe

RECIPES = [
    *[Recipe(40 + k, readout=readout) for k, readout in enumerate(READOUTS)],
    *[Recipe(45 + k, readout=readout, recurrent=True) for k, readout in enumerate(READOUTS)],
    Recipe(50, density=0.4),
    Recipe(51, density=0.4, recurrent=True, tau_refrac=2.0),
    Recipe(52, tau_refrac=5.0),
    Recipe(53, tau_refrac=2.5, recurrent=True, bias=0.2),
    Recipe(54, sizes=(12, 10, 9, 8, 3)),
    Recipe(55, sizes=(12, 14, 9, 4), recurrent=True, density=0.5),
    Recipe(56, granularity="axon"),
    Recipe(57, granularity="axon", density=0.4, recurrent=True),
    Recipe(58, granularity="fixed"),
    Recipe(59, bias=0.3, dt=0.5),
    Recipe(60, max_delay=100.0),
    Recipe(61, max_delay=0.0, recurrent=True),
    Recipe(62, sizes=(20, 33, 5), max_delay=30.0),
    Recipe(63, sizes=(5, 1, 2), steps=150),
    Recipe(68, sizes=(20, 70, 5), steps=150, recurrent=True, tau_refrac=2.0, density=0.5),
    Recipe(69, sizes=(20, 40, 5), recurrent=True),
]


def tie_free(recipe: Recipe, n: int = 3) -> SpikeBatch:
    """Return those of n examples in which float32 and float64 cannot differ in their spikes."""
    kept = [b for b, trace in enumerate(traces(recipe, n)) if trace.tie == recipe.steps]
    assert len(kept) > 1
    return nets.data(recipe, n).batch(np.array(kept))


@lru_cache(maxsize=64)
def error(recipe: Recipe) -> float:
    """Return the largest relative error over the gradients of a recipe's network."""
    network, batch = nets.network(recipe), tie_free(recipe)
    wanted = eventprop.gradients(network, batch)
    assert all(trace.spikes["hidden0"].any() for trace in wanted.traces)
    got = compiled(network, EventProp()).gradients(batch)
    assert got.loss == pytest.approx(wanted.loss, rel=1e-4, abs=1e-6)
    return worst(got, wanted.weight, wanted.delay)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: str(r.seed))
def test_equals_the_twin(recipe: Recipe) -> None:
    assert error(recipe) < 1e-4


def test_most_are_equal_to_float32() -> None:
    assert np.median([error(recipe) for recipe in RECIPES]) < 1e-5


@pytest.mark.parametrize("recurrent", [False, True])
def test_spike_count_regularisation(recurrent: bool) -> None:
    recipe = Recipe(64, recurrent=recurrent)
    network, batch = nets.network(recipe), tie_free(recipe)
    rule = EventProp(spike_count=SpikeCount(target=2.0, strength=0.05))
    wanted = eventprop.gradients(network, batch, strength=0.05, target=2.0)
    plain = eventprop.gradients(network, batch)
    assert relative(wanted.weight["input->hidden0"], plain.weight["input->hidden0"]) > 0.1
    assert worst(compiled(network, rule).gradients(batch), wanted.weight, wanted.delay) < 1e-4


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_spike_costs_the_synapses_of_its_neuron(recurrent: bool) -> None:
    recipe = Recipe(66, recurrent=recurrent)
    network, batch = nets.network(recipe), tie_free(recipe)
    wanted = eventprop.gradients(network, batch, strength=0.05, target=2.0, operations=0.02)
    rule = EventProp(spike_count=SpikeCount(target=2.0, strength=0.05), operations=0.02)
    plain = eventprop.gradients(network, batch, strength=0.05, target=2.0)
    assert relative(wanted.weight["input->hidden0"], plain.weight["input->hidden0"]) > 0.1
    assert worst(compiled(network, rule).gradients(batch), wanted.weight, wanted.delay) < 1e-4


@pytest.mark.parametrize("readout", READOUTS)
def test_output_weights_have_the_gradient_of_the_stepped_loss(readout: str) -> None:
    recipe = Recipe(65, readout=readout, steps=60)
    network, batch = nets.network(recipe), tie_free(recipe)
    name = "hidden0->output"
    got = compiled(network, EventProp()).gradients(batch).weight[name]
    work = network.copy()
    work.projections[name].weight = work.projections[name].weight.astype(np.float64)
    weight, step = work.projections[name].weight, 1e-5
    wanted = np.zeros(len(weight))
    for s in range(len(weight)):
        for sign in (1, -1):
            weight[s] += sign * step
            losses = [
                forward.run(work, forward.stimulus(batch, b), int(batch.labels[b])).loss
                for b in range(len(batch))
            ]
            wanted[s] += sign * np.mean(losses) / (2 * step)
            weight[s] -= sign * step
    assert relative(got, wanted) < 1e-5


def chain(weight: float, delay: float) -> Network:
    """Return input -> one hidden neuron -> two outputs, where one input spike is enough."""
    network = Network()
    network.add("input", SpikeInput(1))
    network.add("hidden", LIF(1, tau_mem=5.0))
    network.add("output", LeakyIntegrator(2))
    network.connect("input", "hidden", Exponential(5.0), weight=weight, delay=delay, max_delay=20)
    network.connect("hidden", "output", Exponential(5.0), weight=np.array([0.5, -0.5]))
    return network


@pytest.mark.parametrize("steps", [8, 9, 10])
def test_spikes_in_the_last_steps(steps: int) -> None:
    network = chain(6.0, 2.0)
    given = np.zeros((steps, 1))
    given[[1, 5]] = 1
    batch = nets.as_batch(given)
    wanted = eventprop.gradients(network, batch)
    assert wanted.traces[0].tie == steps
    got = compiled(network, EventProp()).gradients(batch)
    assert worst(got, wanted.weight, wanted.delay) < 1e-5
    last = np.flatnonzero(wanted.traces[0].spikes["hidden"])[-1]
    assert steps > 9 or last == steps - 1
    assert relative(got.weight["input->hidden"], np.zeros(1)) > 0


def test_input_spike_in_the_last_step_changes_nothing() -> None:
    network = chain(6.0, 0.0)
    given = np.zeros((20, 1))
    given[3] = 1
    before = compiled(network, EventProp()).gradients(nets.as_batch(given))
    given[19] = 1
    after = compiled(network, EventProp()).gradients(nets.as_batch(given))
    for name in before.weight:
        np.testing.assert_array_equal(before.weight[name], after.weight[name])
        np.testing.assert_array_equal(before.delay[name], after.delay[name])


def test_no_gradient_where_the_arrival_is_past_the_end() -> None:
    given = np.zeros((20, 1))
    given[15] = 1
    late = compiled(chain(6.0, 4.0), EventProp()).gradients(nets.as_batch(given))
    assert not late.weight["input->hidden"].any()
    assert not late.delay["input->hidden"].any()
    assert not late.weight["hidden->output"].any()
    given[15], given[9] = 0, 1
    early = compiled(chain(6.0, 4.0), EventProp()).gradients(nets.as_batch(given))
    assert early.weight["input->hidden"].any()
    assert early.delay["input->hidden"].any()


def test_fixed_delays_have_no_gradient() -> None:
    recipe = Recipe(66, granularity="fixed")
    got = compiled(nets.network(recipe), EventProp()).gradients(nets.batch(recipe))
    assert all(g.shape == (1,) and not g.any() for g in got.delay.values())
    assert all(g.any() for g in got.weight.values())


@pytest.mark.parametrize("rule", [EventProp, SurrogateBPTT])
def test_gradients_of_what_is_not_learned_are_zero(rule: Any) -> None:
    # engines.results.Gradients: "zero where nothing is learned".
    recipe = Recipe(66, recurrent=True)
    network, batch = nets.network(recipe), nets.batch(recipe)
    for left_out, learned in (("weight", "delay"), ("delay", "weight")):
        got = compiled(network, rule(**{f"{left_out}s": None})).gradients(batch)
        assert not any(g.any() for g in getattr(got, left_out).values())
        assert all(g.any() for g in getattr(got, learned).values())


def test_gradients_learn_nothing() -> None:
    recipe = Recipe(67)
    compiled_net, batch = compiled(nets.network(recipe), EventProp()), nets.batch(recipe)
    before = {key: array.copy() for key, array in compiled_net.state().items()}
    compiled_net.gradients(batch)
    for key, array in compiled_net.state().items():
        np.testing.assert_array_equal(array, before[key])
