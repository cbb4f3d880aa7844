"""The CPU engine's forward pass against the float64 twin, spike for spike."""

import numpy as np
import pytest

from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput
from tests.engines.helpers import compiled, raster, traces
from tests.reference import forward, nets
from tests.reference.nets import Recipe

RECIPES = [
    Recipe(1),
    Recipe(2, density=0.4),
    Recipe(3, recurrent=True),
    Recipe(4, recurrent=True, density=0.3, tau_refrac=2.0),
    Recipe(5, sizes=(12, 10, 9, 8, 3)),
    Recipe(6, sizes=(12, 14, 9, 4), recurrent=True, density=0.5),
    Recipe(7, tau_refrac=5.0),
    Recipe(8, tau_refrac=2.5, bias=0.2),
    Recipe(9, bias=0.3),
    Recipe(10, delta=True),
    Recipe(11, delta=True, recurrent=True, tau_refrac=1.0),
    Recipe(12, granularity="axon"),
    Recipe(13, granularity="axon", density=0.4, recurrent=True),
    Recipe(14, granularity="fixed"),
    Recipe(15, max_delay=100.0),
    Recipe(16, max_delay=0.0),
    Recipe(17, readout="max"),
    Recipe(18, readout="sum", dt=0.5),
    Recipe(19, readout="expweighted", dt=2.0),
    Recipe(20, readout="softmax-sum", sizes=(20, 33, 5)),
    Recipe(21, sizes=(5, 1, 2), steps=150),
    Recipe(22, sizes=(16, 40, 3), recurrent=True, bias=0.1, tau_refrac=3.0, density=0.7),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: str(r.seed))
def test_equals_the_twin(recipe: Recipe) -> None:
    network, batch = nets.network(recipe), nets.batch(recipe)
    recording = compiled(network).record(batch)
    losses = []
    for b, trace in enumerate(traces(recipe)):
        tie = trace.tie
        for name, spikes in trace.spikes.items():
            assert spikes.any(), f"{name} must spike to test anything"
            got = raster(recording, name, b, recipe.steps)
            np.testing.assert_array_equal(got[:tie], spikes[:tie])
        wanted = trace.voltage["output"]
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(
            recording.voltage[b].T[:tie], wanted[:tie], rtol=0, atol=1e-4 * scale
        )
        if tie == recipe.steps:
            top = np.abs(trace.logits).max()
            np.testing.assert_allclose(recording.logits[b], trace.logits, rtol=0, atol=1e-4 * top)
            losses.append(trace.loss)
    if len(losses) == len(batch):
        loss = compiled(network).evaluate([batch]).loss
        assert loss == pytest.approx(np.mean(losses), rel=1e-4, abs=1e-5)


def test_ties_are_rare() -> None:
    ties = [trace.tie < recipe.steps for recipe in RECIPES for trace in traces(recipe)]
    assert np.mean(ties) < 0.02


@pytest.mark.parametrize("delay", [0.0, 0.49, 0.5, 1.5, 2.5, 6.4])
def test_delays_round_half_up_and_arrive_one_step_on(delay: float) -> None:
    network = Network()
    network.add("input", SpikeInput(1))
    network.add("hidden", LIF(1, tau_mem=1.0))
    network.add("output", LeakyIntegrator(2))
    network.connect("input", "hidden", Exponential(1.0), weight=9.0, delay=delay, max_delay=8.0)
    network.connect("hidden", "output", Exponential(1.0), weight=1.0)
    given = np.zeros((30, 1))
    given[3] = 1
    batch = nets.as_batch(given)
    recording = compiled(network).record(batch)
    assert recording.time["hidden"][0] == 3 + int(np.floor(delay + 0.5)) + 1
    trace = forward.run(network, given)
    np.testing.assert_array_equal(raster(recording, "hidden", 0, 30), trace.spikes["hidden"])
    np.testing.assert_allclose(recording.voltage[0].T, trace.voltage["output"], atol=1e-6)


def test_two_time_constants_onto_one_population() -> None:
    recipe = Recipe(30, tau_syn=8.0)
    network, batch = nets.network(recipe), nets.batch(recipe)
    network.connect("input", "output", Exponential(2.0), weight=0.3, delay=2.0)
    recording = compiled(network).record(batch)
    for b in range(len(batch)):
        trace = forward.run(network, forward.stimulus(batch, b))
        scale = np.abs(trace.voltage["output"]).max()
        assert trace.tie == recipe.steps
        np.testing.assert_allclose(
            recording.voltage[b].T, trace.voltage["output"], rtol=0, atol=1e-4 * scale
        )


def test_a_trial_without_spikes_is_answered() -> None:
    recipe = Recipe(31)
    recording = compiled(nets.network(recipe)).record(nets.as_batch(np.zeros((20, 12))))
    assert len(recording.time["hidden0"]) == 0
    assert not recording.voltage.any()
