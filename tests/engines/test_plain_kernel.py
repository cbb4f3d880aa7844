"""The plain loop kernel of the benchmarks has the CPU engine's gradients, so both do the same."""

import importlib.util
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.learning import EventProp
from tests.docs_commands.pages import ROOT
from tests.engines.helpers import compiled
from tests.reference import eventprop, nets
from tests.reference.nets import Recipe


@pytest.fixture(scope="module")
def plain_kernel() -> Any:
    path = ROOT / "benchmarks" / "plain_kernel.py"
    spec = importlib.util.spec_from_file_location("plain_kernel", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(41, readout="expweighted"),
        Recipe(46, readout="expweighted", recurrent=True, density=0.6, tau_syn=3.0),
        Recipe(47, readout="expweighted", max_delay=0.0, dt=0.5),
    ],
    ids=lambda recipe: str(recipe.seed),
)
def test_gradients_are_those_of_engine_and_twin(plain_kernel: Any, recipe: Recipe) -> None:
    network, batch = nets.network(recipe), nets.batch(recipe, 4)
    worst, same = plain_kernel.largest_difference(compiled(network, EventProp()), network, batch)
    assert worst < 1e-4 and same >= 3
    kernel = plain_kernel.PlainEventProp(network)
    loss, fired = kernel.run(batch)
    wanted = eventprop.gradients(network, batch)
    spikes = [trace.spikes["hidden0"] for trace in wanted.traces]
    assert np.array_equal(fired, spikes) and fired.any()
    assert loss == pytest.approx(wanted.loss, rel=1e-4)
    for name, (by_weight, by_delay) in kernel.gradients().items():
        np.testing.assert_allclose(by_weight, wanted.weight[name], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(by_delay, wanted.delay[name], rtol=1e-3, atol=1e-5)
    assert len(kernel.gradients()) == len(network.projections)
    fan_out = {name: np.diff(p.indptr) for name, p in network.projections.items()}
    met = 0
    for trace in wanted.traces:
        sent = {"input": trace.stimulus.sum(axis=0), "hidden0": trace.spikes["hidden0"].sum(axis=0)}
        met += sum(sent[name.split("->")[0]] @ fan_out[name] for name in fan_out)
    assert kernel.events(batch, fired) == pytest.approx(2 * met / 4)


@pytest.mark.slow
def test_examples_with_other_spikes_are_left_out(plain_kernel: Any) -> None:
    recipe = Recipe(41, readout="expweighted")
    network, batch = nets.network(recipe), nets.batch(recipe, 4)
    engine = compiled(network, EventProp())

    class Other:
        def record(self, batch: Any) -> Any:
            recorded = engine.record(batch)
            recorded.time["hidden0"][recorded.start["hidden0"][2, 0]] += 1
            return recorded

        gradients = staticmethod(engine.gradients)

    worst, same = plain_kernel.largest_difference(Other(), network, batch)
    assert same == 3 and worst < 1e-4
