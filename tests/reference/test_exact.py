"""The exact simulator: against closed forms, brute force, and the twin at a small step."""

import math

import numpy as np
import pytest

from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput
from tests.reference import circuits, eventprop, exact, forward, linear, nets, variants


def system(build, *, tau_syn: float = 5.0, bias: float = 0.0, **values: float) -> circuits.Motion:
    """Return a neuron with one synapse."""
    network = Network()
    network.add("input", SpikeInput(1))
    network.add("hidden", LIF(1))
    network.add("output", LeakyIntegrator(2))
    network.connect("input", "hidden", Exponential(tau_syn), weight=1.0)
    given = circuits.kind(build, 1, bias=bias, **values)
    return circuits.real(circuits.motion(circuits.Circuit(network, {"hidden": given}), "hidden", 0))


LIF_ONE = (circuits.lif, {"tau_mem": 20.0, "theta": 1.0})
ADAPTIVE_ONE = (
    circuits.adaptive,
    {"tau_mem": 20.0, "tau_w": 30.0, "a": 1.5, "beta": 0.5, "theta": 0.8},
)
RESONATOR_ONE = (circuits.resonator, {"tau_mem": 40.0, "omega": 0.4, "theta": 0.2})


def brute(one: circuits.Motion, z: np.ndarray, end: float, dt: float = 4e-3) -> float:
    """Return the first crossing by stepping the differential equations."""
    for k in range(round(end / dt)):
        middle = z + dt / 2 * one.flow @ z
        z = z + dt * one.flow @ middle
        if one.edge @ z >= 0:
            return (k + 1) * dt
    return math.inf


@pytest.mark.parametrize(("build", "values"), [LIF_ONE, ADAPTIVE_ONE, RESONATOR_ONE])
@pytest.mark.parametrize(
    ("v", "i", "bias", "tau_syn"),
    [(0, 12, 0, 5), (0.1, 4, 0, 5), (0, -3, 2, 5), (0.1, 0, 1.5, 5), (0, 6, 0, 20)],
)
def test_crossings_against_brute_force(build, values, v, i, bias, tau_syn) -> None:
    one = system(build, tau_syn=tau_syn, bias=bias, **values)
    z = np.zeros(len(one.edge))
    z[[0, -2, -1]] = v, i, 1.0
    found = circuits.flow(one.flow, 60.0).first_crossing(z, one.edge, 60.0)
    assert found == pytest.approx(brute(one, z, 60.0), abs=8e-3)


def test_equal_time_constants_need_nothing_special() -> None:
    one = system(circuits.lif, tau_syn=20.0, tau_mem=20.0, theta=1.0)
    z = circuits.flow(one.flow, 60.0).move(np.array([0.0, 2.0, 1.0]), 33.3)
    v, i = 2.0 * 33.3 / 20.0 * math.exp(-33.3 / 20.0), 2.0 * math.exp(-33.3 / 20.0)
    np.testing.assert_allclose(z, [v, i, 1.0], rtol=1e-13)


@pytest.mark.parametrize(("build", "values"), [LIF_ONE, ADAPTIVE_ONE, RESONATOR_ONE])
def test_a_crossing_up_and_down_between_two_samples_is_seen(build, values) -> None:
    # V rises to just over the threshold, for far less than a step of the table of states.
    one = system(build, **values)
    flow = circuits.flow(one.flow, 60.0)

    start = np.array([*np.zeros(one.size), 1.0, 1.0])

    def rise(u: float) -> float:
        return float(one.edge @ flow.move(start, u) - one.edge[-1])

    coarse = max(np.arange(0, 30, 0.1), key=rise)
    at = max(np.arange(coarse - 0.1, coarse + 0.1, 1e-3), key=rise)
    peak = rise(at)
    for over, seen in ((1 + 1e-5, True), (1 - 1e-5, False)):
        z = np.array([*np.zeros(one.size), -one.edge[-1] / peak * over, 1.0])
        found = flow.first_crossing(z, one.edge, 60.0)
        assert (found < math.inf) == seen
        if seen:
            assert at - flow.STEP < found < at
            assert one.edge @ flow.move(z, found) == pytest.approx(0.0, abs=1e-12)


def test_a_constant_current_fires_at_the_closed_form_times() -> None:
    network = Network()
    network.add("input", SpikeInput(1))
    network.add("hidden", LIF(1, tau_mem=20.0, tau_refrac=3.0), bias=2.0)
    network.add("output", LeakyIntegrator(2))
    network.connect("input", "hidden", Exponential(5.0), weight=0.0)
    network.connect("hidden", "output", Exponential(5.0), weight=1.0)
    times = exact.run(network, [], 60.0).spikes["hidden"][0]
    period = 20.0 * math.log(2.0)
    wanted = [period + k * (period + 3.0) for k in range(len(times))]
    np.testing.assert_allclose(times, wanted)
    assert len(times) == 3


def test_the_mean_voltage_is_the_integral() -> None:
    network = nets.small_net(1.0, recurrent=True, seed=3)
    events, total, dt = nets.small_events(3), 60.0, 1e-3
    outcome = exact.run(network, events, total)
    grid = np.arange(0, total, dt) + dt / 2
    v = np.zeros((len(grid), 2))
    p = network.projections["hidden->output"]
    k = 5.0 / (5.0 - 20.0)
    for s, (i, j) in enumerate(zip(p.pre(), p.post, strict=True)):
        for t in outcome.spikes["hidden"][i]:
            u = grid - t - p.delay[s]
            late = np.maximum(u, 0)
            kernel = k * (np.exp(-late / 5.0) - np.exp(-late / 20.0))
            v[:, j] += float(p.weight[s]) * kernel * (u > 0)
    np.testing.assert_allclose(outcome.logits, v.mean(axis=0), rtol=1e-5)


def test_differences_do_not_depend_on_their_step() -> None:
    network, events = nets.small_net(1.0, recurrent=False, seed=3), nets.small_events(3)
    one = exact.differences(network, events, 60.0, 0, step=1e-4, parameters=("tau_mem",))
    two = exact.differences(network, events, 60.0, 0, step=1e-5, parameters=("tau_mem",))
    pairs = zip(
        (one.weight, one.delay, one.parameter), (two.weight, two.delay, two.parameter), strict=True
    )
    for a, b in pairs:
        for name in a:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_twin_converges(recurrent: bool) -> None:
    found = []
    for seed in (9, 11, 21):
        events, dt = nets.small_events(seed), 0.02
        network = nets.small_net(dt, recurrent=recurrent, seed=seed)
        wanted = linear.gradients(network, events, variants.TOTAL, 0)
        batch = variants.as_batch(events, dt, 0)
        trace = forward.run(network, forward.stimulus(batch, 0), 0)
        outcome = exact.run(network, events, variants.TOTAL, 0)
        assert list(trace.spikes["hidden"].sum(axis=0)) == outcome.counts()
        np.testing.assert_allclose(trace.logits, outcome.logits, atol=2e-3)
        got = eventprop.backward(network, trace, 0)
        found.append(list(variants.errors(network, *got, wanted.weight, wanted.delay).values()))
    assert (np.median(found, axis=0) < 0.01).all()
