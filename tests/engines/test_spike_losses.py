"""Losses of spike counts and spike times: against twins, central differences and laws."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.metrics import NRMSE
from mlgenn_delays.engines.shared.spike_trains import Filter
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import (
    EventProp,
    SpikeCountLoss,
    SpikeTimeLoss,
    SurrogateBPTT,
    Triangle,
)
from mlgenn_delays.network import (
    Delta,
    Exponential,
    LeakyIntegrator,
    Network,
    Uniform,
)
from tests.engines.helpers import raster, relative, worst
from tests.engines.test_losses import differences, outputs, scored, together
from tests.needs import GENN, needs
from tests.reference import eventprop, losses, nets, surrogate
from tests.reference.nets import StepRecipe

SURROGATE = SurrogateBPTT(surrogate=Triangle())


def learned(net: Network) -> list[str]:
    return [name for name, p in net.projections.items() if not p.frozen]


def timed(seed: int = 421, **options: Any) -> tuple[Network, StepRecipe]:
    """Return a network whose output filters the spikes of its last neurons, 4 of them."""
    of = StepRecipe(seed, **({"sizes": (9, 8, 4, 4)} | options))
    return nets.spiking_output(of, LeakyIntegrator(4, tau_mem=6.0), Exponential(3.0)), of


def counted(seed: int = 422, **options: Any) -> tuple[Network, StepRecipe]:
    of = StepRecipe(seed, **({"sizes": (9, 8, 4, 4)} | options))
    return nets.counted(of), of


def with_trains(batch: Batch, seed: int = 5) -> Batch:
    rng = np.random.default_rng(seed)
    trains = (rng.random((len(batch), 4, batch.n_steps)) < 0.08).astype(np.float32)
    return replace(batch, labels=np.zeros(len(batch), np.int64), targets=trains)


def free(net: Network, of: StepRecipe, n: int = 8) -> np.ndarray:
    """Return the examples in which float32 and float64 cannot differ in their spikes."""
    data = nets.step_data(of, n)
    tie = surrogate.gradients(net, data.batch(np.arange(n)), Triangle()).trace.tie
    kept = np.flatnonzero(tie == of.steps)
    assert len(kept) > 2
    return kept


def test_count_error_is_the_twins() -> None:
    voltage, batch = outputs(targets=False)
    got = scored(SpikeCountLoss(correct=7.0, wrong=2.0), voltage, batch, "sum")
    assert got.drive is not None and got.drive.dtype == np.float32
    for v, label, loss, drive in zip(voltage, batch.labels, got.loss, got.drive, strict=True):
        exact = v.astype(np.float64)
        assert loss == pytest.approx(losses.count_error(exact, label, 7.0, 2.0), rel=1e-6)
        assert relative(drive, losses.count_drive(exact, label, 7.0, 2.0)) < 1e-6
    v, label = voltage[0].astype(np.float64), batch.labels[0]
    by_hand = differences(lambda v: losses.count_error(v, label, 7.0, 2.0), v)
    assert relative(losses.count_drive(v, label, 7.0, 2.0), by_hand) < 1e-6
    np.testing.assert_array_equal(got.statistics[:, 0], got.logits.argmax(1) == batch.labels)


@pytest.mark.parametrize("synapse", [Exponential(3.0), Exponential(Uniform(1.0, 9.0)), Delta()])
def test_trains_are_filtered_as_the_twin_does(synapse: Any) -> None:
    of = StepRecipe(420, sizes=(9, 4, 4), dt=0.5)
    net = nets.spiking_output(
        of, LeakyIntegrator(4, tau_mem=np.array([3.0, 6.0, 12.0, 20.0])), synapse
    )
    output = net.output()
    output.bias[:] = (0.0, 0.1, 0.2, 0.3)
    trains = with_trains(nets.step_data(of, 5).batch(np.arange(5))).targets
    assert trains is not None
    tau: Any = getattr(net.projections["hidden0->output"].synapse, "tau_syn", 0.0)
    got = Filter(net, of.steps).filtered(trains, together)
    assert got.dtype == np.float32
    taus = output.model.tau_mem.array, np.full(4, 0.0) + np.asarray(tau)  # type: ignore[union-attr]
    for spikes, v in zip(trains, got, strict=True):
        assert relative(v, losses.filtered(spikes, *taus, output.bias, 0.5)) < 1e-6


@pytest.mark.parametrize("rule", [EventProp(), SURROGATE], ids=["eventprop", "surrogate"])
def test_spikes_that_are_the_targets_have_no_distance(rule: Any) -> None:
    net, of = timed()
    batch = nets.step_data(of, 5).batch(np.arange(5))
    engine = compile_network(net, rule, loss=SpikeTimeLoss(), total_steps=1)
    recording = engine.record(batch)
    own = np.stack([raster(recording, "hidden1", e, of.steps).T for e in range(5)])
    assert own.sum() > 20
    batch = with_trains(batch)
    far = engine.evaluate([batch])
    assert far.metric == "nrmse" and far.nrmse > 0.5
    exact = replace(batch, targets=own.astype(np.float32))
    found = engine.evaluate([exact])
    assert found.loss < 1e-10 and found.nrmse < 1e-4
    assert all(np.abs(g).max() < 1e-4 for g in engine.gradients(exact).weight.values())
    moved = replace(batch, targets=np.roll(own, 3, axis=2).astype(np.float32))
    assert 0.1 < engine.evaluate([moved]).nrmse
    silent = replace(batch, targets=np.zeros_like(own, np.float32))
    assert engine.evaluate([silent]).loss > 1e-3


def squares(voltage: np.ndarray, trains: np.ndarray, steps_first: bool) -> np.ndarray:
    """Return dL/dV of the spike-time loss of `timed`, V (T, K) or (K, T)."""
    v = voltage.T if steps_first else voltage
    wanted = losses.filtered(trains, np.full(4, 6.0), np.full(4, 3.0), np.zeros(4), 1.0)
    drive = losses.error_drive(v, wanted, 0)
    return drive.T if steps_first else drive


def test_eventprop_of_spike_times_is_the_twins(monkeypatch: pytest.MonkeyPatch) -> None:
    net, of = timed(recurrent=True, bias=0.0)
    batch = with_trains(nets.step_data(of, 8).batch(free(net, of)))
    given = iter(batch.targets)  # type: ignore[arg-type]
    monkeypatch.setattr(
        eventprop, "loss_by_voltage",
        lambda network, trace, label: squares(trace.voltage["output"], next(given), True),
    )  # fmt: skip
    wanted = eventprop.gradients(net, batch)
    got = compile_network(net, EventProp(), loss="spike-time", total_steps=1).gradients(batch)
    right = [{name: kind[name] for name in learned(net)} for kind in (wanted.weight, wanted.delay)]
    assert all(array.any() for kind in right for array in kind.values())
    assert worst(got, *right) < 1e-4
    assert not got.weight["hidden1->output"].any()


@pytest.mark.parametrize("loss", ["spike-time", "spike-count"])
def test_surrogate_of_both_is_the_twins(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    timely = loss == "spike-time"
    net, of = (timed if timely else counted)(recurrent=True)
    batch = nets.step_data(of, 8).batch(free(net, of))
    batch = with_trains(batch) if timely else batch

    def drive(network: Network, trace: Any, labels: np.ndarray) -> np.ndarray:
        after = trace.layers["output"].after
        if timely:
            pairs = zip(after, batch.targets, strict=True)  # type: ignore[call-overload]
            return np.stack([squares(v, y, True) for v, y in pairs])
        pairs = zip(after, labels, strict=True)
        return np.stack([losses.count_drive(v.T, label, 10.0, 1.0).T for v, label in pairs])

    monkeypatch.setattr(surrogate, "voltage_gradient", drive)
    wanted = surrogate.gradients(net, batch, Triangle())
    engine = compile_network(net, SURROGATE, loss=loss, total_steps=1)
    got = engine.gradients(batch)
    right = [
        {name: of_kind[name] for name in learned(net)} for of_kind in (wanted.weight, wanted.delay)
    ]
    assert all(array.any() for array in right[0].values())
    assert worst(got, *right) < 1e-4
    if not timely:
        recording = engine.record(batch)
        spikes = [raster(recording, "hidden1", e, of.steps)[:-1].sum(0) for e in range(len(batch))]
        np.testing.assert_array_equal(recording.logits, spikes)
        assert engine.evaluate([batch]).metric == "accuracy"


@pytest.mark.parametrize(
    "rule",
    [
        EventProp(weights=None, delays=0.1),
        SurrogateBPTT(weights=None, delays=0.1, surrogate=Triangle()),
    ],
)
def test_delays_learn_spike_times(rule: Any) -> None:
    """Spikes of a network with other delays are its targets."""
    net, of = timed(426, sizes=(9, 4, 4), bias=0.0)
    batch = with_trains(nets.step_data(of, 12).batch(np.arange(12)))
    recording = compile_network(net, rule, total_steps=1).record(batch)
    own = np.stack([raster(recording, "hidden0", e, of.steps).T for e in range(12)])
    batch = replace(batch, targets=own.astype(np.float32))
    p = net.projections["input->hidden0"]
    p.delay = np.clip(p.delay + np.random.default_rng(1).uniform(-8, 8, len(p.delay)), 0, 8)
    found = []
    for threads in (1, 2):
        engine = compile_network(
            net.copy(), rule, loss="spike-time", total_steps=200, threads=threads
        )
        first = engine.evaluate([batch]).nrmse
        for epoch in range(200):
            engine.train_epoch([batch], epoch=epoch)
        assert engine.evaluate([batch]).nrmse < 0.5 * first
        found.append(engine.pull().projections["input->hidden0"].delay)
    np.testing.assert_array_equal(*found)


@needs(*GENN)
def test_genn_has_the_gradients_of_both() -> None:
    from tests.parity import helpers as parity

    for kind, make in (("spike-time", timed), ("spike-count", counted)):
        net, of = make(recurrent=True, bias=0.0)
        batch = nets.step_data(of, 8).batch(free(net, of))
        batch = with_trains(batch) if kind == "spike-time" else batch
        for rule in [SURROGATE, EventProp()][: 1 + (kind == "spike-time")]:
            right = parity.cpu(net, rule, loss=kind)
            got = parity.genn(net, rule, loss=kind)
            parity.check(got.gradients(batch), right.gradients(batch))
            one, two = got.evaluate([batch]), right.evaluate([batch])
            assert one.score == pytest.approx(two.score, rel=1e-4)
            assert one.logits == pytest.approx(two.logits, rel=1e-4, abs=1e-5)


def test_the_metric_of_trains_is_the_twins() -> None:
    net, of = timed()
    batch = with_trains(nets.step_data(of, 5).batch(np.arange(5)))
    engine = compile_network(net, SURROGATE, loss="spike-time", total_steps=1)
    voltage = engine.record(batch).voltage
    taus = np.full(4, 6.0), np.full(4, 3.0), np.zeros(4), 1.0
    wanted = np.stack([losses.filtered(y, *taus) for y in batch.targets])  # type: ignore
    found = engine.evaluate([batch])
    assert found.nrmse == pytest.approx(losses.nrmse(voltage, wanted, 0), rel=1e-5)
    assert found.nrmse == NRMSE.value(found.statistics, 5)


def test_what_does_not_fit_is_refused() -> None:
    (by_time, of), (by_count, _) = timed(), counted()
    learns = nets.spiking_output(of, LeakyIntegrator(4), Exponential(3.0, learn=True))
    other = nets.spiking_output(of, LeakyIntegrator(4), Exponential(3.0))
    other.connect("hidden0", "output", Exponential(5.0), weight=1.0)
    normal = nets.step_network(StepRecipe(1, normalised="all"))
    for net, rule, loss, why in (
        (
            by_time,
            SURROGATE,
            "spike-count",
            "must be a SpikeCounter with the loss 'spike-count', g",
        ),
        (by_count, EventProp(), "spike-count", "must be SurrogateBPTT with the loss 'spike-count'"),
        (by_count, SURROGATE, "spike-time", "must be linear and remember its input with .*LeakyI"),
        (learns, SURROGATE, "spike-time", "not learned .* got tau_syn of LeakyIntegrator 'output'"),
        (other, SURROGATE, "spike-time", "synapses of one kind .* got 2 kinds onto"),
        (normal, SURROGATE, "spike-time", "must be without normalisation with the loss"),
    ):
        with pytest.raises(InputError, match=why):
            compile_network(net, rule, loss=loss, total_steps=1)
    batch = nets.step_data(of, 3).batch(np.arange(3))
    trains = with_trains(batch)
    for net, loss, given, why in (
        (by_time, "spike-time", batch, "must have target series with the loss 'spike-time', got c"),
        (by_count, "spike-count", trains, "must have classes with the loss 'spike-count', got tar"),
        (
            by_time,
            "spike-time",
            replace(trains, targets=0.5 * trains.targets),
            "must have targets of 0 and 1, .* got 0.5; take the loss 'mean-squared-error'",
        ),
    ):
        with pytest.raises(InputError, match=why):
            compile_network(net, SURROGATE, loss=loss, total_steps=1).evaluate([given])
    with pytest.raises(InputError, match=r"correct must be a number > wrong \(2\), got 1"):
        SpikeCountLoss(correct=1.0, wrong=2.0)
