"""Sampled currents as input: against the twins, against spikes, and what is refused."""

from typing import Any

import numpy as np
import pytest

from mlgenn_delays.data.types import CurrentBatch, SpikeBatch
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.results import Gradients
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import Atan, EventProp, Gaussian, SpikeCount, SurrogateBPTT, Triangle
from mlgenn_delays.network import (
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
from tests.engines.helpers import compiled, raster, relative, worst
from tests.reference import eventprop, forward, nets
from tests.reference.nets import Recipe, StepRecipe

RULES = [
    EventProp(),
    SurrogateBPTT(),
    SurrogateBPTT(surrogate=Triangle()),
    SurrogateBPTT(surrogate=Atan(), kernel=Gaussian(3.0, 0.23, epochs=4)),
]
OF_CURRENTS = [
    StepRecipe(600, current=True),
    StepRecipe(601, current=True, recurrent=True),
    StepRecipe(602, current=True, recurrent=True, density=0.5, tau_refrac=2.0),
    StepRecipe(603, current=True, sizes=(9, 17, 8, 3), granularity="axon"),
    StepRecipe(804, current=True, sizes=(9, 8, 33, 20), recurrent=True, steps=90, dt=0.5),
    StepRecipe(605, current=True, max_delay=0.0, readout="max"),
    StepRecipe(856, current=True, max_delay=60.0, granularity="fixed", signs="synapse"),
    StepRecipe(607, current=True, steps=33, readout="softmax-sum", sizes=(3, 1, 2)),
]


def examples(recipe: StepRecipe, n: int = 5) -> CurrentBatch:
    """Return random currents without a tie."""
    net, data = nets.step_network(recipe), nets.step_data(recipe, n)
    whole = data.batch(np.arange(n))
    traces = [forward.run(net, forward.stimulus(whole, b)) for b in range(n)]
    kept = [b for b, trace in enumerate(traces) if trace.tie == recipe.steps]
    assert len(kept) > 2
    return data.batch(np.array(kept))


@pytest.mark.parametrize("recipe", OF_CURRENTS, ids=lambda r: str(r.seed))
def test_eventprop_equals_the_twin(recipe: StepRecipe) -> None:
    net, batch = nets.step_network(recipe), examples(recipe)
    wanted = eventprop.gradients(net, batch)
    assert all(trace.spikes["hidden0"].any() for trace in wanted.traces)
    engine = compiled(net, EventProp())
    got = engine.gradients(batch)
    assert got.loss == pytest.approx(wanted.loss, rel=1e-4, abs=1e-6)
    assert all(weight.any() for weight in wanted.weight.values())
    assert worst(got, wanted.weight, wanted.delay) < 1e-4
    recording = engine.record(batch)
    for b, trace in enumerate(wanted.traces):
        for name, fired in trace.spikes.items():
            np.testing.assert_array_equal(raster(recording, name, b, recipe.steps), fired)
        assert relative(recording.voltage[b], trace.voltage["output"].T) < 1e-5


def test_eventprop_of_a_current_pulls_spike_counts() -> None:
    recipe = StepRecipe(608, current=True, recurrent=True)
    net, batch = nets.step_network(recipe), examples(recipe)
    wanted = eventprop.gradients(net, batch, strength=0.05, target=2.0)
    rule = EventProp(spike_count=SpikeCount(target=2.0, strength=0.05))
    assert worst(compiled(net, rule).gradients(batch), wanted.weight, wanted.delay) < 1e-4


def several(source: Any, *, recurrent: bool, seed: int = 0) -> Network:
    """Return a network whose input reaches neurons over synapses of several kinds."""
    net = Network(seed=seed)
    net.add("input", source)
    net.add("hidden", LIF(18, tau_mem=15.0, tau_refrac=2.0), bias=Normal(0.2, 0.2))
    net.add("output", LeakyIntegrator(3), bias=Normal(0.0, 0.1))
    delays = {"delay": Uniform(0.0, 9.0), "max_delay": 9.0}
    net.connect("input", "hidden", Exponential(5.0), weight=Normal(0.3, 0.3), **delays)
    net.connect(
        "input", "hidden", Exponential(2.0), weight=Normal(0.5, 0.5), density=0.5, name="quick",
        **delays,
    )  # fmt: skip
    net.connect(
        "input", "hidden", Exponential(5.0), weight=Normal(0.2, 0.2), name="axonal",
        granularity="axon", density=0.3, delay=Uniform(0.0, 20.0), max_delay=20.0,
    )  # fmt: skip
    if recurrent:
        net.connect("hidden", "hidden", Exponential(3.0), weight=Normal(0, 0.2), **delays)
    net.connect("input", "output", Exponential(5.0), weight=Normal(0.0, 0.2), **delays)
    net.connect("hidden", "output", Exponential(4.0), weight=Normal(0.1, 0.6), **delays)
    return net


def as_currents(batch: SpikeBatch) -> CurrentBatch:
    """Return spikes as currents of 0 and 1."""
    values = np.stack([forward.stimulus(batch, b) for b in range(len(batch))])
    return CurrentBatch(values.astype(np.float32), batch.labels, batch.index)


def same(one: Gradients, other: Gradients, close: float = 2e-5) -> None:
    """Reject gradients that differ, or that are nothing."""
    assert one.loss == pytest.approx(other.loss, rel=1e-5)
    for name, weight in other.weight.items():
        assert weight.any()
        assert relative(one.weight[name], weight) < close, name
        assert relative(one.delay[name], other.delay[name]) < close, name


@pytest.mark.parametrize("rule", RULES, ids=["eventprop", "atan", "triangle", "gaussian"])
@pytest.mark.parametrize("recurrent", [False, True])
def test_currents_of_0_and_1_are_spikes(recurrent: bool, rule: Any) -> None:
    spikes = nets.batch(Recipe(610, sizes=(12, 18, 3)), 5)
    of_spikes = compiled(several(SpikeInput(12), recurrent=recurrent), rule)
    of_currents = compiled(several(CurrentInput(12), recurrent=recurrent), rule)
    currents = as_currents(spikes)
    one, other = of_currents.record(currents), of_spikes.record(spikes)
    assert len(other.time["hidden"]) > 20
    np.testing.assert_array_equal(one.start["hidden"], other.start["hidden"])
    np.testing.assert_array_equal(one.time["hidden"], other.time["hidden"])
    assert relative(one.voltage, other.voltage) < 1e-5
    for epoch in (1, None):
        same(of_currents.gradients(currents, epoch=epoch), of_spikes.gradients(spikes, epoch=epoch))


@pytest.mark.parametrize("rule", RULES, ids=["eventprop", "atan", "triangle", "gaussian"])
@pytest.mark.parametrize("recurrent", [False, True])
def test_larger_currents_over_smaller_weights(recurrent: bool, rule: Any) -> None:
    net = several(CurrentInput(12), recurrent=recurrent, seed=1)
    rng = np.random.default_rng(3)
    values = rng.normal(0.05, 0.2, (5, 60, 12)).astype(np.float32)
    batch = CurrentBatch(values, rng.integers(0, 3, 5), np.arange(5))
    scaled = net.copy()
    from_input = [p.name for p in net.projections.values() if p.source == "input"]
    for name in from_input:
        scaled.projections[name].weight /= 4
    larger = CurrentBatch(4 * values, batch.labels, batch.index)
    first, second = compiled(net, rule), compiled(scaled, rule)
    # A power of two changes no rounding.
    np.testing.assert_array_equal(first.record(batch).voltage, second.record(larger).voltage)
    assert len(first.record(batch).time["hidden"]) > 20
    one, other = first.gradients(batch), second.gradients(larger)
    for name, weight in one.weight.items():
        assert weight.any()
        factor = 4 if name in from_input else 1
        np.testing.assert_array_equal(factor * weight, other.weight[name])
        np.testing.assert_array_equal(one.delay[name], other.delay[name])


@pytest.mark.parametrize("current", [False, True])
@pytest.mark.parametrize("rule", RULES[:2], ids=["eventprop", "atan"])
def test_batches_of_any_size_and_length_share_an_engine(rule: Any, current: bool) -> None:
    net = several(CurrentInput(12) if current else SpikeInput(12), recurrent=True)
    engine = compiled(net, rule)
    for size, steps in ((2, 50), (19, 50), (1, 50), (4, 90), (3, 17), (5, 90)):
        batch: Any = nets.batch(Recipe(612, sizes=(12, 18, 3), steps=steps), size)
        batch = as_currents(batch) if current else batch
        fresh = compiled(net, rule, threads=2)
        np.testing.assert_array_equal(engine.record(batch).voltage, fresh.record(batch).voltage)
        one, other = engine.gradients(batch), fresh.gradients(batch)
        for name in one.weight:
            np.testing.assert_array_equal(one.weight[name], other.weight[name])
            np.testing.assert_array_equal(one.delay[name], other.delay[name])


def test_no_spike_of_a_current_is_lost() -> None:
    net = several(CurrentInput(12), recurrent=False)
    net.populations["hidden"].model = LIF(18, tau_mem=15.0)
    values = np.full((3, 400, 12), 2.0, np.float32)
    for p in net.projections.values():
        p.weight = np.abs(p.weight)
    batch = CurrentBatch(values, np.zeros(3, np.int64), np.arange(3))
    recording = compiled(net, EventProp()).record(batch)
    trace = forward.run(net, forward.stimulus(batch, 2))
    assert trace.spikes["hidden"].sum() > 3000
    np.testing.assert_array_equal(raster(recording, "hidden", 2, 400), trace.spikes["hidden"])


@pytest.mark.parametrize("rule", RULES[:2], ids=["eventprop", "atan"])
def test_data_of_the_wrong_kind_are_refused(rule: Any) -> None:
    spikes = nets.batch(Recipe(611), 3)
    currents = as_currents(spikes)
    of_spikes = compiled(several(SpikeInput(12), recurrent=False), rule)
    of_currents = compiled(several(CurrentInput(12), recurrent=False), rule)
    for ask in ("gradients", "record"):
        with pytest.raises(InputError, match=r"must be spikes for the SpikeInput .* got currents"):
            getattr(of_spikes, ask)(currents)
        with pytest.raises(InputError, match=r"must be currents for the CurrentInput .* spikes"):
            getattr(of_currents, ask)(spikes)
    for engine, data in ((of_spikes, currents), (of_currents, spikes)):
        for run in (lambda e, d: e.evaluate([d]), lambda e, d: e.train_epoch([d], epoch=1)):
            with pytest.raises(InputError, match="the data must be"):
                run(engine, data)
        with pytest.raises(InputError, match="the data must be"):
            engine.candidates(data, "quick")
    narrow = CurrentBatch(currents.values[:, :, :11].copy(), currents.labels, currents.index)
    with pytest.raises(InputError, match="must have 12 channels, got 11"):
        of_currents.gradients(narrow)
    wide = nets.batch(Recipe(611, sizes=(13, 10, 3)), 3)
    with pytest.raises(InputError, match="must have 12 channels, got 13"):
        of_spikes.gradients(wide)


def test_eventprop_refuses_what_it_cannot_learn() -> None:
    cases: list[tuple[StepRecipe, str]] = [
        (StepRecipe(seed_models=True, current=True), "SurrogateBPTT"),
        (StepRecipe(normalised="hidden"), r"without normalisation, got 'hidden0'; take Surrogate"),
        (StepRecipe(delta=True), r"Delta on 'input->hidden0'; give it Exponential.*SurrogateBPTT"),
    ]
    for recipe, match in cases:
        with pytest.raises(InputError, match=match):
            compile_network(nets.step_network(recipe), EventProp(), total_steps=1)
        compile_network(nets.step_network(recipe), SurrogateBPTT(), total_steps=1)
    net = Network()
    net.add("input", SpikeInput(2))
    net.add("hidden", EulerLIF(2))
    net.add("output", EulerLI(2))
    net.connect("input", "hidden", Delta(), weight=1.0)
    net.connect("hidden", "output", Delta(), weight=1.0)
    # Nothing is learned, yet its equations are none that EventProp runs.
    idle = EventProp(weights=None, delays=None)
    with pytest.raises(InputError, match=r"EulerLIF of 'hidden' must .*; take SurrogateBPTT"):
        compile_network(net, idle, total_steps=1)


def test_eventprop_refuses_to_learn_the_time_constant_of_synapses_from_currents() -> None:
    net = Network()
    net.add("input", CurrentInput(2))
    net.add("hidden", LIF(2))
    net.add("output", LeakyIntegrator(2))
    net.connect("input", "hidden", Exponential(5.0, learn=True), weight=1.0)
    net.connect("hidden", "output", Exponential(5.0, learn=True), weight=1.0)
    with pytest.raises(InputError, match="not learned where currents come in.*'input->hidden'"):
        compile_network(net, EventProp(neurons=0.05), total_steps=1)
    compile_network(net, EventProp(neurons=None), total_steps=1)
    compile_network(net, SurrogateBPTT(neurons=0.05), total_steps=1)


def test_dropout_must_name_populations_that_spike() -> None:
    for rule in (EventProp, SurrogateBPTT):
        with pytest.raises(InputError, match=r"\(hidden\), got 'output'"):
            compiled(several(SpikeInput(2), recurrent=False), rule(dropout={"output": 0.5}))
