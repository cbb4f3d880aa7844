"""Laws that hold for any network: what must not matter does not matter."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlgenn_delays import (
    LIF,
    Exponential,
    LeakyIntegrator,
    Network,
    SpikeData,
    SpikeInput,
)
from mlgenn_delays.data.types import SpikeBatch
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import Adam, EventProp
from tests.engines.helpers import compiled, permuted, raster, traces
from tests.reference import nets
from tests.reference.nets import Recipe

few = settings(max_examples=8, deadline=None, derandomize=True)
recipes = st.builds(
    Recipe,
    seed=st.integers(0, 10_000),
    sizes=st.sampled_from([(12, 10, 3), (10, 9, 8, 3)]),
    steps=st.sampled_from([40, 61]),
    density=st.sampled_from([0.5, 1.0]),
    recurrent=st.booleans(),
    tau_refrac=st.sampled_from([0.0, 3.0]),
    granularity=st.sampled_from(["synapse", "axon"]),
)


@few
@given(seed=st.integers(0, 10_000), recurrent=st.booleans())
def test_zero_delays_equal_a_fixed_delay_of_zero(seed: int, recurrent: bool) -> None:
    batch = nets.batch(Recipe(seed))
    results = []
    for granularity in ("synapse", "axon", "fixed"):
        recipe = Recipe(seed, recurrent=recurrent, max_delay=0.0, granularity=granularity)
        results.append(compiled(nets.network(recipe)).record(batch))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].time["hidden0"], other.time["hidden0"])
        np.testing.assert_array_equal(results[0].voltage, other.voltage)


@few
@given(recipe=recipes, seed=st.integers(0, 100))
def test_permuting_hidden_neurons_permutes_results(recipe: Recipe, seed: int) -> None:
    assume(all(trace.tie == recipe.steps for trace in traces(recipe)))
    network, batch = nets.network(recipe), nets.batch(recipe)
    order = np.random.default_rng(seed).permutation(network.populations["hidden0"].n)
    one = compiled(network).record(batch)
    two = compiled(permuted(network, "hidden0", order)[0]).record(batch)
    for b in range(len(batch)):
        before = raster(one, "hidden0", b, recipe.steps)
        after = raster(two, "hidden0", b, recipe.steps)
        np.testing.assert_array_equal(before[:, order], after)
    scale = np.abs(one.logits).max()
    np.testing.assert_allclose(one.logits, two.logits, rtol=0, atol=1e-4 * scale)


@few
@given(recipe=recipes, order=st.permutations(range(5)))
def test_neither_order_nor_neighbours_matter(recipe: Recipe, order: list[int]) -> None:
    network, data = nets.network(recipe), nets.data(recipe, 5)
    engine = compiled(network)
    together = engine.record(data.batch(np.array(order)))
    for place, b in enumerate(order):
        alone = engine.record(data.batch(np.array([b])))
        np.testing.assert_array_equal(together.voltage[place], alone.voltage[0])
        np.testing.assert_array_equal(together.logits[place], alone.logits[0])
        got = raster(together, "hidden0", place, recipe.steps)
        np.testing.assert_array_equal(got, raster(alone, "hidden0", 0, recipe.steps))


@few
@given(recipe=recipes, n=st.sampled_from([3, 37]))
def test_an_examples_gradient_does_not_depend_on_its_neighbours(recipe: Recipe, n: int) -> None:
    # 37 are more examples than there are chunks of a batch.
    network, data = nets.network(recipe), nets.data(recipe, n)
    engine = compiled(network, EventProp(), threads=2)
    alone = [engine.gradients(data.batch(np.array([b]))) for b in range(n)]
    together = engine.gradients(data.batch(np.arange(n)))
    for name, wanted in together.weight.items():
        mean = np.mean([g.weight[name].astype(np.float64) for g in alone], axis=0)
        np.testing.assert_allclose(wanted, mean, rtol=0, atol=1e-5 * np.abs(mean).max() + 1e-12)
        mean = np.mean([g.delay[name].astype(np.float64) for g in alone], axis=0)
        scale = np.abs(mean).max(initial=0.0)
        np.testing.assert_allclose(together.delay[name], mean, rtol=0, atol=1e-5 * scale + 1e-12)


@few
@given(recipe=recipes, tail=st.integers(1, 40))
def test_a_longer_silent_tail_changes_no_earlier_spike(recipe: Recipe, tail: int) -> None:
    engine, batch = compiled(nets.network(recipe)), nets.batch(recipe)
    longer = SpikeBatch(batch.start, batch.time, batch.labels, batch.index, recipe.steps + tail)
    one, two = engine.record(batch), engine.record(longer)
    for name in one.start:
        for b in range(len(batch)):
            got = raster(two, name, b, recipe.steps + tail)[: recipe.steps]
            np.testing.assert_array_equal(raster(one, name, b, recipe.steps), got)
    np.testing.assert_array_equal(one.voltage, two.voltage[:, :, : recipe.steps])


def train(recipe: Recipe, threads: int, rule: EventProp, epochs: int = 1) -> dict[str, np.ndarray]:
    """Return the state after epochs of three batches, and its gradients before them."""
    data = nets.data(recipe, 13)
    engine = compiled(nets.network(recipe), rule, threads)
    gradients = engine.gradients(data.batch(np.arange(13)))
    batches = [data.batch(part) for part in np.array_split(np.arange(13), 3)]
    for epoch in range(epochs):
        engine.train_epoch(batches, epoch=epoch)
    out = {key: np.array(value) for key, value in engine.state().items()}
    out |= {f"gradient {name}": g for name, g in gradients.weight.items()}
    return out | {f"delay gradient {name}": g for name, g in gradients.delay.items()}


@pytest.mark.parametrize("recurrent", [False, True])
def test_threads_change_no_bit(recurrent: bool) -> None:
    recipe = Recipe(70, recurrent=recurrent)
    rule = EventProp(dropout={"hidden0": 0.3})
    one, two = train(recipe, 1, rule), train(recipe, 2, rule)
    again = train(recipe, 1, rule)
    assert one.keys() == two.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], two[key], err_msg=key)
        np.testing.assert_array_equal(one[key], again[key], err_msg=key)


@few
@given(recipe=recipes, rate=st.sampled_from([1.0, 50.0, 1e6]))
def test_delays_stay_in_range_however_fast_they_learn(recipe: Recipe, rate: float) -> None:
    engine = compiled(nets.network(recipe), EventProp(delays=Adam(rate)))
    before = {name: p.delay.copy() for name, p in nets.network(recipe).projections.items()}
    for epoch in range(3):
        engine.train_epoch([nets.batch(recipe)], epoch=epoch)
    network = engine.pull()
    moved = False
    for name, p in network.projections.items():
        assert p.delay.min() >= 0
        assert p.delay.max() <= p.max_delay
        moved |= not np.array_equal(p.delay, before[name])
    assert moved


def test_places_of_recurrent_arrivals_that_32_bits_do_not_hold_are_refused() -> None:
    network, steps = Network(dt=1.0), 1_000_000
    network.add("input", SpikeInput(1))
    network.add("hidden", LIF(5000))
    network.add("output", LeakyIntegrator(1))
    for source, target in (("input", "hidden"), ("hidden", "hidden"), ("hidden", "output")):
        network.connect(
            source, target, Exponential(5.0), weight=0.1, synapses=1, max_delay=2.0 * steps
        )
    data = SpikeData.from_events(
        [([0], [0])], [0], n_channels=1, n_steps=steps, dt=1.0, label_names=("a",)
    )
    engine = compiled(network, EventProp())
    with pytest.raises(
        InputError, match=f"at most 4288 neurons with delays of up to {steps} steps"
    ):
        engine.evaluate([data.batch(np.arange(1))])


SCRIPT = """
import json
from tests.engines.helpers import compiled
from mlgenn_delays.learning import EventProp
from tests.reference import nets
recipe = nets.Recipe(71, sizes=(12, 8, 2), steps=30, recurrent=True, tau_refrac=2.0)
engine, batch = compiled(nets.network(recipe), EventProp()), nets.batch(recipe)
result = engine.record(batch)
gradient = engine.gradients(batch).weight["input->hidden0"]
print(json.dumps([result.time["hidden0"].tolist(), gradient.astype(float).tolist()]))
"""


def test_plain_python_gives_the_same_spikes() -> None:
    answers = []
    for disabled in ("0", "1"):
        env = {**os.environ, "NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    assert answers[0][0] == answers[1][0]
    assert len(answers[0][0]) > 0
    np.testing.assert_allclose(answers[0][1], answers[1][1], rtol=1e-4, atol=1e-6)
