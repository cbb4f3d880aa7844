"""The twin itself: against closed forms, and on the conventions of semantics.md."""

import math

import numpy as np
import pytest

from mlgenn_delays.network import (
    LIF,
    Delta,
    Exponential,
    LeakyIntegrator,
    Network,
    SpikeInput,
)
from mlgenn_delays.neurons.declare import READOUTS
from tests.reference import eventprop, forward, nets


def single(synapse: object, *, weight: float, delay: float = 0.0, **lif: float) -> Network:
    """Return input -> one LIF neuron -> one output."""
    network = Network(dt=1.0)
    network.add("input", SpikeInput(1))
    network.add("hidden", LIF(1, **lif))
    network.add("output", LeakyIntegrator(2, tau_mem=10.0))
    network.connect("input", "hidden", synapse, weight=weight, delay=delay, max_delay=50.0)
    network.connect("hidden", "output", Exponential(5.0), weight=1.0)
    return network


def pulse(steps: int, *times: int) -> np.ndarray:
    """Return one channel that spikes at the given steps, (T, 1)."""
    given = np.zeros((steps, 1))
    given[list(times)] = 1.0
    return given


def test_voltage_against_the_closed_form() -> None:
    network = single(Exponential(5.0), weight=0.9, tau_mem=20.0)
    v = forward.run(network, pulse(60, 4)).voltage["hidden"][:, 0]
    a, e = math.exp(-1 / 20.0), math.exp(-1 / 5.0)
    first = 0.9 * 5.0 * (1 - e)
    # V[5 + n] = (1 - a) I0 sum of a^(n-k) e^k = (1 - a) I0 (a^(n+1) - e^(n+1)) / (a - e)
    n = np.arange(55)
    wanted = (1 - a) * first * (a ** (n + 1) - e ** (n + 1)) / (a - e)
    np.testing.assert_allclose(v[5:], wanted, rtol=1e-6)
    assert not v[:5].any()


def test_delta_current_lasts_one_step() -> None:
    network = single(Delta(), weight=3.0, tau_mem=20.0)
    trace = forward.run(network, pulse(20, 4, 5, 12))
    np.testing.assert_array_equal(np.flatnonzero(trace.current["hidden"][:, 0]), [5, 6, 13])
    a = math.exp(-1 / 20.0)
    v = trace.voltage["hidden"][:, 0]
    assert v[5] == pytest.approx((1 - a) * 3.0)
    assert v[6] == pytest.approx((1 - a) * 3.0 * (1 + a))
    assert v[7] == pytest.approx(a * v[6])


@pytest.mark.parametrize(("delay", "steps"), [(0.0, 0), (0.5, 1), (2.5, 3), (3.49, 3), (7.0, 7)])
def test_a_spike_acts_d_plus_one_steps_later(delay: float, steps: int) -> None:
    network = single(Delta(), weight=1.0, delay=delay)
    current = forward.run(network, pulse(30, 3)).current["hidden"][:, 0]
    np.testing.assert_array_equal(np.flatnonzero(current), [3 + steps + 1])


def test_delays_are_clamped_to_their_maximum() -> None:
    network = single(Delta(), weight=1.0, delay=4.0)
    network.projections["input->hidden"].max_delay = 2.0
    assert list(forward.delay_steps(network.projections["input->hidden"], 1.0)) == [2]


def test_what_arrives_after_the_end_is_dropped() -> None:
    network = single(Delta(), weight=1.0, delay=4.0)
    assert not forward.run(network, pulse(10, 5)).current["hidden"].any()
    assert forward.run(network, pulse(10, 4)).current["hidden"].any()


@pytest.mark.parametrize(("tau_refrac", "rest"), [(0.0, 0), (1.0, 1), (2.1, 3), (3.0, 3)])
def test_refractory_steps(tau_refrac: float, rest: int) -> None:
    network = single(Delta(), weight=1.0, tau_mem=20.0, tau_refrac=tau_refrac)
    network.populations["hidden"].bias[:] = 50.0  # reaches the threshold in one step
    trace = forward.run(network, pulse(20))
    times = np.flatnonzero(trace.spikes["hidden"][:, 0])
    np.testing.assert_array_equal(times, np.arange(0, 20, rest + 1))
    assert not trace.voltage["hidden"].any()


def test_synaptic_current_goes_on_in_the_refractory_period() -> None:
    network = single(Exponential(5.0), weight=30.0, tau_refrac=4.0)
    current = forward.run(network, pulse(20, 2)).current["hidden"][:, 0]
    np.testing.assert_allclose(current[4:] / current[3:-1], math.exp(-1 / 5.0))


def test_ties_are_seen() -> None:
    network = single(Delta(), weight=0.0, tau_mem=20.0)
    a = math.exp(-1 / 20.0)
    network.populations["hidden"].bias[:] = (1 + 2e-6) / (1 - a**7)
    assert forward.run(network, pulse(6)).tie == 6
    assert forward.run(network, pulse(20)).tie == 6


def test_readouts_and_loss() -> None:
    v = np.array([[0.0, 1.0], [3.0, 1.0], [0.0, 1.0]])
    assert forward.readout(v, "mean") == pytest.approx([1.0, 1.0])
    assert forward.readout(v, "sum") == pytest.approx([3.0, 3.0])
    assert forward.readout(v, "max") == pytest.approx([3.0, 1.0])
    weights = np.exp(-np.arange(3) / 3) / 3
    assert forward.readout(v, "expweighted") == pytest.approx([3 * weights[1], weights.sum()])
    low, high = 1 / (1 + math.e), 1 / (1 + math.exp(-2))
    wanted = [2 * low + high, 3 - 2 * low - high]
    assert forward.readout(v, "softmax-sum") == pytest.approx(wanted)
    assert forward.cross_entropy(np.array([1000.0, 1000.0]), 1) == pytest.approx(math.log(2))


@pytest.mark.parametrize("kind", READOUTS)
def test_readout_gradients_against_finite_differences(kind: str) -> None:
    rng = np.random.default_rng(0)
    v, by_logit, step = rng.normal(size=(7, 3)), rng.normal(size=3), 1e-6
    wanted = np.zeros_like(v)
    for index in np.ndindex(v.shape):
        for sign in (1, -1):
            shifted = v.copy()
            shifted[index] += sign * step
            wanted[index] += sign * (forward.readout(shifted, kind) @ by_logit) / (2 * step)
    got = eventprop.readout_gradient(v, kind, by_logit)
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("recurrent", [False, True])
def test_random_networks_spike(recurrent: bool) -> None:
    for seed in range(5):
        recipe = nets.Recipe(seed, sizes=(12, 10, 8, 3), recurrent=recurrent)
        batch = nets.batch(recipe)
        trace = forward.run(nets.network(recipe), forward.stimulus(batch, 0))
        assert all(spikes.any() for spikes in trace.spikes.values())
