"""The exact simulator: against closed forms, brute force, and the twin at a small step."""

import math

import numpy as np
import pytest

from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput
from tests.reference import eventprop, exact, forward, nets, variants


def one_neuron(**settings: float) -> exact.Neuron:
    wanted = {"tau_mem": 20.0, "tau_syn": 5.0, "bias": 0.0, "v_thresh": 1.0, "tau_refrac": 0.0}
    return exact.Neuron(**{**wanted, **settings})


def brute(neuron: exact.Neuron, end: float, dt: float = 1e-4) -> float:
    """Return the first crossing by stepping the differential equations."""
    v, i, t = neuron.v, neuron.i, neuron.time
    while t < end:
        v += dt * (-v + i + neuron.bias) / neuron.tau_mem
        i -= dt * i / neuron.tau_syn
        t += dt
        if v >= neuron.v_thresh:
            return t
    return math.inf


@pytest.mark.parametrize(("v", "i", "bias"), [(0, 12, 0), (0.5, 4, 0), (0, -3, 2), (0.9, 0, 1.5)])
def test_crossings_against_brute_force(v: float, i: float, bias: float) -> None:
    neuron = one_neuron(v=v, i=i, bias=bias)
    assert neuron.next_spike(60.0) == pytest.approx(brute(neuron, 60.0), abs=2e-3)


def test_a_crossing_up_and_down_between_two_events_is_seen() -> None:
    # V rises to a little over the threshold and is far below it again at the end.
    neuron = one_neuron()
    peak_at = math.log(20.0 / 5.0) * 20.0 * 5.0 / 15.0
    neuron.i = 1.0
    neuron.i = 1.0001 / neuron._voltage(peak_at)
    assert neuron._voltage(peak_at) == pytest.approx(1.0001)
    found = neuron.next_spike(500.0)
    assert found < peak_at
    assert neuron._voltage(found) == pytest.approx(1.0, abs=1e-12)
    neuron.i *= 0.9999 / 1.0001
    assert neuron.next_spike(500.0) == math.inf


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
    network, events = nets.small_net(1.0, recurrent=True, seed=3), nets.small_events(3)
    one = exact.gradients(network, events, 60.0, 0, step=1e-4)
    two = exact.gradients(network, events, 60.0, 0, step=1e-5)
    for a, b in zip(one, two, strict=True):
        for name in a:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_twin_converges(recurrent: bool) -> None:
    found = []
    for seed in (9, 11, 21):
        events, dt = nets.small_events(seed), 0.02
        network = nets.small_net(dt, recurrent=recurrent, seed=seed)
        wanted = exact.gradients(network, events, variants.TOTAL, 0)
        batch = variants.as_batch(events, dt, 0)
        trace = forward.run(network, forward.stimulus(batch, 0), 0)
        outcome = exact.run(network, events, variants.TOTAL, 0)
        assert list(trace.spikes["hidden"].sum(axis=0)) == outcome.counts()
        np.testing.assert_allclose(trace.logits, outcome.logits, atol=2e-3)
        got = eventprop.backward(network, trace, 0)
        found.append(list(variants.errors(network, *got, *wanted).values()))
    assert (np.median(found, axis=0) < 0.01).all()
