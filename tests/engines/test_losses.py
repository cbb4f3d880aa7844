"""Losses between forward and backward pass: against twins, central differences and each other."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.data.types import Batch, SpikeBatch
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.metrics import NRMSE
from mlgenn_delays.engines.shared.scoring import Scores, score
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import (
    CrossEntropy,
    EventProp,
    MeanSquaredError,
    SurrogateBPTT,
    Triangle,
)
from mlgenn_delays.learning.losses import LOSSES, as_loss
from mlgenn_delays.network import Network
from mlgenn_delays.neurons.declare import READOUTS
from tests.engines.helpers import relative, worst
from tests.needs import GENN, needs
from tests.reference import eventprop, losses, nets, surrogate
from tests.reference.nets import Recipe, StepRecipe

SHAPE = (5, 3, 40)
DT = 0.5


def together(n: int, task: Any) -> None:
    task(0, n)


def outputs(targets: bool, seed: int = 1) -> tuple[np.ndarray, Batch]:
    """Return voltages (B, K, T), and a batch of as many examples with classes or targets."""
    rng = np.random.default_rng(seed)
    voltage = rng.normal(0, 1, SHAPE).cumsum(2).astype(np.float32) / 4
    series = (0.3 + rng.normal(0, 1, SHAPE)).astype(np.float32) if targets else None
    labels = np.zeros(5, np.int64) if targets else rng.integers(0, 3, 5)
    start, index = np.zeros((5, 2), np.int64), np.arange(5)
    return voltage, SpikeBatch(start, np.zeros(0, np.int32), labels, index, SHAPE[2], series)


def scored(loss: Any, voltage: np.ndarray, batch: Batch, readout: str = "mean") -> Scores:
    kind = READOUTS.index(readout)
    return score(loss, kind, DT, voltage, batch, together, learns=True)


def differences(value: Any, voltage: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """Return central differences of a function of V (K, T)."""
    out = np.zeros(voltage.shape)
    for place in np.ndindex(*voltage.shape):
        up, down = voltage.copy(), voltage.copy()
        up[place] += step
        down[place] -= step
        out[place] = (value(up) - value(down)) / (2 * step)
    return out


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("readout", READOUTS)
def test_cross_entropy_is_the_twins(readout: str, smoothing: float) -> None:
    voltage, batch = outputs(targets=False)
    voltage *= np.float32(0.05)  # no softmax near 0 or 1, where float32 has no digits left
    got = scored(CrossEntropy(smoothing), voltage, batch, readout)
    assert got.drive is not None and got.drive.dtype == np.float32
    for v, label, loss, drive in zip(voltage, batch.labels, got.loss, got.drive, strict=True):
        assert loss == pytest.approx(
            losses.entropy(v, readout, label, smoothing), rel=1e-5, abs=1e-6
        )
        wanted = losses.entropy_drive(v.astype(np.float64), readout, label, smoothing)
        assert relative(drive, wanted) < 1e-5
    v, label = voltage[0].astype(np.float64), batch.labels[0]
    by_hand = differences(lambda v: losses.entropy(v, readout, label, smoothing), v)
    assert relative(losses.entropy_drive(v, readout, label, smoothing), by_hand) < 1e-6
    np.testing.assert_array_equal(got.statistics[:, 0], got.logits.argmax(1) == batch.labels)


@pytest.mark.parametrize("start", [0.0, 4.0])
def test_squared_error_is_the_twins(start: float) -> None:
    voltage, batch = outputs(targets=True)
    assert batch.targets is not None
    got, first = scored(MeanSquaredError(start), voltage, batch), round(start / DT)
    assert got.drive is not None and got.drive.dtype == np.float32
    for v, y, loss, drive in zip(voltage, batch.targets, got.loss, got.drive, strict=True):
        assert loss == pytest.approx(losses.squared_error(v, y, first), rel=1e-5)
        assert relative(drive, losses.error_drive(v, y, first)) < 1e-5
    v, y = voltage[0].astype(np.float64), batch.targets[0].astype(np.float64)
    by_hand = differences(lambda v: losses.squared_error(v, y, first), v)
    assert relative(losses.error_drive(v, y, first), by_hand) < 1e-6
    reached = NRMSE.value(got.statistics.sum(0), len(batch))
    assert reached == pytest.approx(losses.nrmse(voltage, batch.targets, first), rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    scale=st.floats(0.01, 100), offset=st.floats(-5, 5), share=st.floats(0, 2), k=st.integers(1, 3)
)
def test_the_normalised_error_has_no_unit(
    scale: float, offset: float, share: float, k: int
) -> None:
    voltage, batch = outputs(targets=True)
    assert batch.targets is not None
    y = batch.targets[:, :k].astype(np.float64)
    mean = y.mean(axis=(0, 2), keepdims=True)
    guess = y + share * (mean - y)  # 0 is right, 1 is the mean

    def reached(v: np.ndarray, y: np.ndarray) -> float:
        both = v.astype(np.float32), y.astype(np.float32)
        found = scored(MeanSquaredError(), both[0], replace(batch, targets=both[1]))
        return NRMSE.value(found.statistics.sum(0), len(batch))

    assert reached(guess, y) == pytest.approx(share, rel=1e-3, abs=1e-4)
    moved = reached(scale * guess + offset, scale * y + offset)
    assert moved == pytest.approx(share, rel=1e-2, abs=1e-2)


def own(voltage: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean squared error as users write it."""
    error = voltage - targets
    return (error**2).mean(axis=(1, 2)), 2 * error / error[0].size


def with_targets(batch: Batch, k: int, seed: int = 3) -> Batch:
    rng = np.random.default_rng(seed)
    series = rng.normal(0.2, 0.5, (len(batch), k, batch.n_steps)).astype(np.float32)
    return replace(batch, labels=np.zeros(len(batch), np.int64), targets=series)


def steady(recipe: Recipe) -> tuple[Network, Batch]:
    net, batch = nets.network(recipe), nets.batch(recipe, 6)
    return net, with_targets(batch, net.output().n)


@pytest.mark.parametrize("recurrent", [False, True])
def test_eventprop_of_squares_is_the_twins(
    recurrent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(401 + recurrent, recurrent=recurrent, density=0.6)
    net, batch = steady(recipe)
    traces = eventprop.gradients(net, batch).traces
    kept = np.array([b for b, trace in enumerate(traces) if trace.tie == recipe.steps])
    assert len(kept) > 1 and batch.targets is not None
    batch = with_targets(nets.data(recipe, 6).batch(kept), net.output().n)
    targets = iter(batch.targets)  # type: ignore[arg-type]

    def drive(network: Network, trace: Any, label: int) -> np.ndarray:
        voltage = trace.voltage[network.output().name].T
        return losses.error_drive(voltage, next(targets), 10).T

    monkeypatch.setattr(eventprop, "loss_by_voltage", drive)
    wanted = eventprop.gradients(net, batch)
    got = compile_network(net, EventProp(), loss=MeanSquaredError(10.0), total_steps=1)
    assert worst(got.gradients(batch), wanted.weight, wanted.delay) < 1e-4


def test_surrogate_of_squares_is_the_twins(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = StepRecipe(403, recurrent=True, density=0.6)
    net, batch = nets.step_network(recipe), nets.step_data(recipe, 6).batch(np.arange(6))
    tie = surrogate.gradients(net, batch, Triangle()).trace.tie
    kept = np.flatnonzero(tie == recipe.steps)
    assert len(kept) > 1
    batch = with_targets(nets.step_data(recipe, 6).batch(kept), net.output().n)

    def drive(network: Network, trace: Any, labels: np.ndarray) -> np.ndarray:
        voltage = trace.layers[network.output().name].after
        pairs = zip(voltage, batch.targets, strict=True)  # type: ignore[call-overload]
        return np.stack([losses.error_drive(v.T, y, 0).T for v, y in pairs])

    monkeypatch.setattr(surrogate, "voltage_gradient", drive)
    wanted = surrogate.gradients(net, batch, Triangle())
    rule = SurrogateBPTT(surrogate=Triangle())
    got = compile_network(net, rule, loss="mean-squared-error", total_steps=1).gradients(batch)
    assert worst(got, wanted.weight, wanted.delay) < 1e-4


RULES = [EventProp(), SurrogateBPTT(surrogate=Triangle()), EventProp(pipelined=True)]


@pytest.mark.parametrize("rule", RULES, ids=["eventprop", "surrogate", "pipelined"])
def test_a_function_learns_as_the_loss_that_it_is(rule: Any) -> None:
    net, batch = steady(Recipe(405, recurrent=True))
    learned = []
    for loss, threads in (("mean-squared-error", 1), ("mean-squared-error", 2), (own, 2)):
        engine = compile_network(net.copy(), rule, loss=loss, total_steps=6, threads=threads)
        results = [engine.train_epoch([batch, batch], epoch=k) for k in (1, 2, 3)]
        assert results[0].metric == "nrmse" and results[2].score < results[0].score
        evaluation = engine.evaluate([batch])
        assert evaluation.nrmse == evaluation.score == evaluation.measured["nrmse"]
        with pytest.raises(InputError, match="to have accuracy, got one with nrmse"):
            _ = evaluation.accuracy
        learned.append((engine.pull().projections, evaluation.loss))
    (one, loss), (threaded, same), (other, close) = learned
    assert loss == same and close == pytest.approx(loss, rel=1e-4)
    for name in one:
        np.testing.assert_array_equal(one[name].weight, threaded[name].weight)
        assert relative(other[name].weight, one[name].weight) < 1e-3


def test_a_function_takes_classes_where_there_are_no_targets() -> None:
    recipe = Recipe(406)
    net, batch = nets.network(recipe), nets.batch(recipe, 6)
    seen: list[np.ndarray] = []

    def pull_up(voltage: np.ndarray, labels: np.ndarray) -> tuple[Any, Any]:
        seen.append(labels)
        wanted = np.eye(voltage.shape[1])[labels][:, :, None]
        error = voltage - wanted
        return (error**2).mean((1, 2)), 2 * error / error[0].size

    engine = compile_network(net, EventProp(), loss=pull_up, total_steps=4)
    result = engine.train_epoch([batch], epoch=1)
    assert result.metric == "accuracy" and engine.evaluate([batch]).loss < result.loss
    np.testing.assert_array_equal(seen[0], batch.labels)


@needs(*GENN)
def test_genn_has_the_gradients_of_squares() -> None:
    from tests.parity import helpers as parity

    case = parity.Case(StepRecipe(1001, density=0.4, recurrent=True, tau_refrac=2.0))
    net = parity.network(case)
    batch = with_targets(parity.pick(case, parity.free(case)), net.output().n)
    for rule in (case.rule(), EventProp(pipelined=True)):
        for loss in (MeanSquaredError(10.0), own):
            right = parity.cpu(net, rule, loss=loss)
            got = parity.genn(net, rule, loss=loss)
            parity.check(got.gradients(batch), right.gradients(batch))
            assert got.evaluate([batch]).nrmse == pytest.approx(
                right.evaluate([batch]).nrmse, rel=1e-4
            )


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (np.zeros(6), "must give a pair of loss"),
        ((0.5, np.zeros((6, 3, 80))), r"must give loss \(6,\) and dL/dV .* got \(\)"),
        ((np.zeros(6), np.zeros((6, 80, 3))), r"must give loss \(6,\) and dL/dV \(6, 3, 80\)"),
        ((np.zeros(6), "steep"), "must give arrays of real numbers"),
    ],
)
def test_a_function_that_gives_something_else(result: Any, why: str) -> None:
    net, batch = steady(Recipe(407))
    engine = compile_network(net, EventProp(), loss=lambda v, y: result, total_steps=1)
    with pytest.raises(InputError, match=why):
        engine.gradients(batch)


def test_a_function_cannot_change_the_voltage() -> None:
    def careless(voltage: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        voltage -= targets
        return voltage.sum((1, 2)), voltage

    net, batch = steady(Recipe(407))
    with pytest.raises(ValueError, match="read-only"):
        compile_network(net, EventProp(), loss=careless, total_steps=1).gradients(batch)


def test_what_does_not_fit_the_loss_is_refused() -> None:
    net, batch = steady(Recipe(408))
    classes = nets.batch(Recipe(408), 6)
    for loss, given_batch, why in (
        ("cross-entropy", batch, "must have classes with the loss 'cross-entropy'"),
        ("mean-squared-error", classes, "must have target series with the loss"),
        (MeanSquaredError(80.0), batch, "loss.start must be below the 80 ms of a trial"),
        (
            "mean-squared-error",
            replace(batch, targets=batch.targets[:, :1]),
            r"must have targets of shape \(6, 3, 80\)",
        ),
    ):
        engine = compile_network(net, EventProp(), loss=loss, total_steps=1)
        with pytest.raises(InputError, match=why):
            engine.evaluate([given_batch])
    assert compile_network(net, EventProp(), total_steps=1).record(batch).voltage.any()


def test_losses_by_name() -> None:
    assert as_loss("cross-entropy") == CrossEntropy() and as_loss(own) is own
    for wrong in ("cross-entropie", 3, None, CrossEntropy):
        with pytest.raises(InputError, match=f"loss must be one of {', '.join(LOSSES)}"):
            as_loss(wrong)
