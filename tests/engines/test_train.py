"""Training on the CPU engine: the optimiser's steps, state, and what must not carry over."""

import dataclasses

import numpy as np
import pytest

from mlgenn_delays.data.types import SpikeBatch
from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.results import BatchResult
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.learning import Adam, EaseIn, EventProp, SurrogateBPTT
from mlgenn_delays.network import (
    LIF,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    SpikeInput,
)
from tests.engines.helpers import compiled, raster, relative
from tests.reference import forward, nets
from tests.reference.adam import Parameter
from tests.reference.nets import Recipe, StepRecipe


def values(network: Network) -> dict[str, np.ndarray]:
    """Return weights and delays [steps] by projection."""
    out = {f"weight {name}": p.weight.astype(np.float64) for name, p in network.projections.items()}
    return out | {f"delay {n}": p.delay / network.dt for n, p in network.projections.items()}


def gradients(engine: CompiledNetwork, batch: SpikeBatch) -> dict[str, np.ndarray]:
    got = engine.gradients(batch)
    out = {f"weight {name}": g.astype(np.float64) for name, g in got.weight.items()}
    return out | {f"delay {name}": g.astype(np.float64) for name, g in got.delay.items()}


def adam(settings: Adam, value: np.ndarray, given: list[np.ndarray], most: float) -> np.ndarray:
    """Return parameters after the twin's steps over the given gradients, kept in 0..most."""
    out = []
    for start, own in zip(value, np.transpose(given), strict=True):
        parameter = Parameter(start)
        for k, g in enumerate(own):
            rate = settings.learning_rate * settings.schedule.factor(k, 10)
            parameter.update(g, rate, settings.beta1, settings.beta2, settings.epsilon)
            if np.isfinite(most):
                parameter.value = min(max(parameter.value, 0.0), most)
        out.append(parameter.value)
    return np.array(out)


def check_steps(
    recipe: Recipe, rule: EventProp, start: dict[str, np.ndarray],
    given: list[dict[str, np.ndarray]], end: dict[str, np.ndarray],
) -> None:  # fmt: skip
    for key, before in start.items():
        kind = key.split()[0]
        settings = rule.weights if kind == "weight" else rule.delays
        most = np.inf if kind == "weight" else recipe.max_delay / recipe.dt
        wanted = adam(settings, before, [g[key] for g in given], most)
        if kind == "delay" and recipe.granularity == "fixed":
            wanted = before
        np.testing.assert_allclose(end[key], wanted, rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("granularity", ["synapse", "axon", "fixed"])
def test_steps_are_adams(granularity: str) -> None:
    recipe = Recipe(80, granularity=granularity, dt=0.5, recurrent=True)
    rule = EventProp(weights=Adam(0.01, schedule=EaseIn(0.1, 2.0)), delays=Adam(0.3, beta1=0.8))
    engine, data = compiled(nets.network(recipe), rule), nets.data(recipe, 12)
    start, given = values(nets.network(recipe)), []
    for part in np.array_split(np.arange(12), 3):
        batch = data.batch(part)
        given.append(gradients(engine, batch))
        engine.train_epoch([batch], epoch=0)
    end = values(engine.pull())
    check_steps(recipe, rule, start, given, end)


def test_gradients_of_a_pipelined_rule_come_a_batch_late() -> None:
    recipe = Recipe(86, dt=0.5, recurrent=True)
    rule = EventProp(weights=Adam(0.01), delays=Adam(0.3))
    data, start = nets.data(recipe, 12), values(nets.network(recipe))
    first, second, third = (data.batch(part) for part in np.array_split(np.arange(12), 3))
    exact = compiled(nets.network(recipe), rule)
    given = [gradients(exact, first), gradients(exact, second)]
    exact.train_epoch([first], epoch=0)
    given.append(gradients(exact, third))
    late = compiled(nets.network(recipe), dataclasses.replace(rule, pipelined=True))
    late.train_epoch([first, second, third], epoch=0)
    end = values(late.pull())
    check_steps(recipe, rule, start, given, end)
    exact.train_epoch([second, third], epoch=0)
    others = values(exact.pull())
    assert all(relative(end[key] - start[key], others[key] - start[key]) > 0.01 for key in start)


def test_what_a_pipelined_rule_did_not_learn_is_forgotten() -> None:
    recipe, rule = Recipe(87), EventProp(pipelined=True)
    engine, data = compiled(nets.network(recipe), rule), nets.data(recipe, 8)
    first, second = data.batch(np.arange(4)), data.batch(np.arange(4, 8))

    def stop(_: BatchResult) -> None:
        raise KeyboardInterrupt

    wanted = gradients(engine, second)
    with pytest.raises(KeyboardInterrupt):
        engine.train_epoch([first, second], epoch=0, on_batch=stop)
    got = gradients(engine, second)
    for key, gradient in wanted.items():
        np.testing.assert_array_equal(got[key], gradient)
    engine.train_epoch([second], epoch=0)
    fresh = compiled(nets.network(recipe), rule)
    fresh.train_epoch([second], epoch=0)
    for key, value in values(fresh.pull()).items():
        np.testing.assert_array_equal(values(engine.pull())[key], value)


def test_a_pipelined_rule_with_normalisation_is_refused() -> None:
    net = nets.step_network(StepRecipe(88, normalised="hidden"))
    with pytest.raises(InputError, match="pipelined rule must have populations without"):
        compiled(net, SurrogateBPTT(pipelined=True))


def test_clipping_bounds_the_norm_over_all_projections() -> None:
    recipe = Recipe(81, recurrent=True)
    batch = nets.batch(recipe)
    whole = compiled(nets.network(recipe), EventProp()).gradients(batch)
    norm = np.sqrt(sum((g.astype(float) ** 2).sum() for g in whole.weight.values()))
    # An epsilon far above the gradients makes Adam's first step proportional to them.
    free = Adam(1.0, epsilon=1e6)
    steps = []
    for clip in (None, norm * 2, norm / 4):
        engine = compiled(nets.network(recipe), EventProp(dataclasses.replace(free, clip=clip)))
        engine.train_epoch([batch], epoch=0)
        state = engine.state()
        steps.append(np.concatenate([state[f"{n}/weight_first"] for n in whole.weight]))
    np.testing.assert_array_equal(steps[0], steps[1])
    np.testing.assert_allclose(steps[2], steps[0] / 4, rtol=1e-4, atol=1e-12)


def test_what_is_not_learned_stays() -> None:
    recipe = Recipe(82)
    start = values(nets.network(recipe))
    for rule, kept in ((EventProp(delays=None), "delay"), (EventProp(weights=None), "weight")):
        engine = compiled(nets.network(recipe), rule)
        engine.train_epoch([nets.batch(recipe)], epoch=0)
        for key, after in values(engine.pull()).items():
            same = np.allclose(after, start[key], rtol=1e-6)
            assert same == key.startswith(kept), key


def train(engine: CompiledNetwork, recipe: Recipe, epochs: range) -> None:
    data = nets.data(recipe, 9)
    for epoch in epochs:
        engine.train_epoch([data.batch(np.arange(5)), data.batch(np.arange(5, 9))], epoch=epoch)


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_state_taken_up_goes_on_bit_for_bit(recurrent: bool) -> None:
    recipe = Recipe(83, recurrent=recurrent)
    rule = EventProp(weights=Adam(0.05), delays=Adam(1.0), dropout={"hidden0": 0.2})
    whole = compiled(nets.network(recipe), rule)
    train(whole, recipe, range(4))
    first = compiled(nets.network(recipe), rule)
    train(first, recipe, range(2))
    state = {key: array.copy() for key, array in first.state().items()}
    second = compiled(nets.network(dataclasses.replace(recipe, seed=84)), rule)
    second.record(nets.batch(recipe))  # so that anything cached of its own delays would show
    second.load_state(state)
    train(second, recipe, range(2, 4))
    for key, wanted in whole.state().items():
        np.testing.assert_array_equal(second.state()[key], wanted, err_msg=key)


def test_a_state_of_another_network_is_refused() -> None:
    engine = compiled(nets.network(Recipe(85)), EventProp())
    other = compiled(nets.network(Recipe(85, sizes=(12, 9, 3))), EventProp())
    with pytest.raises(InputError, match="another network"):
        engine.load_state(other.state())
    with pytest.raises(InputError, match="another network"):
        engine.load_state({})


@pytest.mark.parametrize("recurrent", [False, True])
def test_pushed_and_loaded_values_are_used_at_once(recurrent: bool) -> None:
    recipe = Recipe(86, recurrent=recurrent)
    batch, other = nets.batch(recipe), nets.network(dataclasses.replace(recipe, seed=87))
    wanted = compiled(other).record(batch)
    engine = compiled(nets.network(recipe))
    before = engine.record(batch)
    assert not np.array_equal(before.voltage, wanted.voltage)
    engine.push(other)
    np.testing.assert_array_equal(engine.record(batch).voltage, wanted.voltage)
    engine.load_state(compiled(nets.network(recipe)).state())
    np.testing.assert_array_equal(engine.record(batch).voltage, before.voltage)


def test_no_spike_is_lost_however_many_there_are() -> None:
    recipe = Recipe(89, sizes=(12, 40, 3), steps=200)
    network = nets.network(recipe)
    network.populations["hidden0"].bias[:] = 12.0
    batch = nets.batch(recipe, 2)
    recording = compiled(network, EventProp()).record(batch)
    trace = forward.run(network, forward.stimulus(batch, 1))
    assert trace.spikes["hidden0"].sum() > 3000
    assert trace.tie == recipe.steps
    got = raster(recording, "hidden0", 1, recipe.steps)
    np.testing.assert_array_equal(got, trace.spikes["hidden0"])


def test_more_examples_than_chunks() -> None:
    recipe = Recipe(90, steps=40)
    data = nets.data(recipe, 37)
    engine = compiled(nets.network(recipe), EventProp(), threads=2)
    together = gradients(engine, data.batch(np.arange(37)))
    alone = [gradients(engine, data.batch(np.array([b]))) for b in range(37)]
    for key, got in together.items():
        mean = np.mean([g[key] for g in alone], axis=0)
        np.testing.assert_allclose(got, mean, rtol=0, atol=1e-5 * np.abs(mean).max())


def test_silent_neurons_are_counted_and_revived() -> None:
    recipe = Recipe(91)
    network = nets.network(recipe)
    p = network.projections["input->hidden0"]
    p.weight[p.post < 4] = 0.0
    engine = compiled(network, EventProp(weights=Adam(0.0), delays=None, revive=0.25))
    before = p.weight.copy()
    result = engine.train_epoch([nets.batch(recipe)], epoch=0)
    assert result.silent["hidden0"] == 4
    after = engine.pull().projections["input->hidden0"].weight
    np.testing.assert_allclose(after - before, np.where(p.post < 4, 0.25, 0.0), atol=1e-6)


def test_dropout_is_keyed_by_example_and_epoch() -> None:
    recipe = Recipe(92)
    rule = EventProp(weights=Adam(0.0), delays=None, dropout={"hidden0": 0.5})
    engine, data = compiled(nets.network(recipe), rule), nets.data(recipe, 4)

    def losses(order: list[int], epoch: int) -> dict[int, float]:
        found: list[float] = []
        batches = [data.batch(np.array([b])) for b in order]
        engine.train_epoch(batches, epoch=epoch, on_batch=lambda r: found.append(r.loss))
        return dict(zip(order, found, strict=True))

    assert losses([0, 1, 2, 3], 0) == losses([3, 1, 0, 2], 0)
    assert losses([0, 1, 2, 3], 0) != losses([0, 1, 2, 3], 1)
    plain = compiled(nets.network(recipe)).evaluate([data.batch(np.arange(4))])
    assert engine.evaluate([data.batch(np.arange(4))]).loss == plain.loss


def test_results_add_up() -> None:
    recipe = Recipe(93)
    data, engine = nets.data(recipe, 7), compiled(nets.network(recipe), EventProp())
    batches = [data.batch(np.arange(4)), data.batch(np.arange(4, 7))]
    evaluation = engine.evaluate(batches)
    assert evaluation.n == 7
    np.testing.assert_array_equal(evaluation.labels, data.labels)
    np.testing.assert_array_equal(evaluation.predictions, evaluation.logits.argmax(axis=1))
    assert evaluation.accuracy == np.mean(evaluation.predictions == data.labels)
    assert evaluation.confusion.sum() == 7
    assert np.trace(evaluation.confusion) == round(7 * evaluation.accuracy)
    recording = engine.record(data.batch(np.arange(7)))
    assert evaluation.spikes["hidden0"] == pytest.approx(len(recording.time["hidden0"]) / 70)
    each = [forward.cross_entropy(x, y) for x, y in zip(recording.logits, data.labels, strict=True)]
    assert evaluation.loss == pytest.approx(np.mean(each), rel=1e-5)


def test_divergence_is_an_error() -> None:
    network = nets.network(Recipe(94))
    network.projections["hidden0->output"].weight[0] = np.inf
    with pytest.raises(DivergedError):
        compiled(network, EventProp()).train_epoch([nets.batch(Recipe(94))], epoch=0)


def test_training_lowers_the_loss() -> None:
    recipe = Recipe(95)
    data = nets.data(recipe, 12)
    engine = compiled(nets.network(recipe), EventProp(weights=Adam(0.02), delays=Adam(0.2)))
    batch = data.batch(np.arange(12))
    before = engine.evaluate([batch]).loss
    for epoch in range(60):
        engine.train_epoch([batch], epoch=epoch)
    assert engine.evaluate([batch]).loss < 0.8 * before


def one_neuron(model: LIF, bias: float = 0.0) -> Network:
    net = Network(seed=0)
    net.add("input", SpikeInput(1))
    net.add("hidden", model, bias=bias)
    net.add("output", LeakyIntegrator(2, readout="expweighted"))
    net.connect("input", "hidden", Exponential(5.0), weight=0.1, delay=2.0)
    net.connect("hidden", "output", Exponential(5.0), weight=Normal(0, 1), delay=2.0)
    return net


def one_example(label: int = 0, steps: int = 40) -> SpikeBatch:
    start = np.array([[0, 1]], np.int64)
    return SpikeBatch(start, np.array([3], np.int32), np.array([label]), np.array([0]), steps)


def test_a_flat_crossing_has_a_finite_gradient() -> None:
    """A bias at the threshold brings V there, after rounding, with a slope of 0."""
    engine = compile_network(one_neuron(LIF(1, tau_mem=1.0), 1.0), EventProp(), total_steps=1)
    batch = one_example()
    assert engine.evaluate([batch]).spikes["hidden"] > 0
    gradients = engine.gradients(batch)
    assert all(np.isfinite(g).all() for g in gradients.weight.values())
    assert all(np.isfinite(g).all() for g in gradients.delay.values())


@pytest.mark.parametrize("label", [2, -1])
def test_labels_that_the_network_cannot_answer_are_refused(label: int) -> None:
    engine = compile_network(one_neuron(LIF(1)), EventProp(), total_steps=1)
    with pytest.raises(InputError, match=r"labels must be in 0\.\.1"):
        engine.gradients(one_example(label))
    assert engine.record(one_example(label)).logits.shape == (1, 2)


def test_weights_that_are_no_numbers_stop_the_epoch() -> None:
    rule = EventProp(weights=Adam(1e300))
    engine = compile_network(one_neuron(LIF(1), 2.0), rule, total_steps=1)
    with pytest.raises(DivergedError, match="not finite"):
        engine.train_epoch([one_example()], epoch=1)


def test_delays_of_any_length_past_the_trial_do_nothing() -> None:
    net = one_neuron(LIF(1), 2.0)
    net.projections["hidden->output"].max_delay = 1e9
    net.projections["hidden->output"].delay[:] = 1e9
    engine = compile_network(net, EventProp(), total_steps=1)
    assert not engine.record(one_example()).voltage.any()
