"""EventProp of neurons linear between spikes: in continuous time, and on the grid at falling dt."""

import math
from copy import deepcopy

import numpy as np
import pytest

from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput
from tests.reference import (
    circuits,
    eventprop,
    exact,
    forward,
    linear,
    linear_steps,
    linear_variants,
    nets,
    variants,
)
from tests.reference.circuits import Circuit, Kind

# Above the medians of 20 seeds at steps of 0.02 ms, of hidden and of output gradients.
HIDDEN, OUTPUT = 0.03, 0.003


def small(kind: Kind) -> tuple[Circuit, exact.Events]:
    """Return a recurrent 2-2-2 net whose hidden neurons spike several times, and its input."""
    rng = np.random.default_rng(5)
    net = Network(dt=0.1)
    net.add("input", SpikeInput(2))
    net.add("hidden", LIF(2), bias=0.2)
    net.add("output", LeakyIntegrator(2))
    for source, target, mean, tau in (
        ("input", "hidden", 2.0, 5.0),
        ("hidden", "hidden", 0.2, 7.0),
        ("hidden", "output", 0.3, 4.0),
    ):
        net.connect(
            source, target, Exponential(tau), weight=rng.normal(mean, 0.4, 4),
            delay=rng.uniform(1, 8, 4), max_delay=12.0,
        )  # fmt: skip
    times = rng.uniform(1, 40, (2, 6))
    return Circuit(net, {"hidden": kind}), [(float(t), c) for c in (0, 1) for t in times[c]]


def halved(name: str) -> Kind:
    """Return two of the four neurons of the convergence table."""
    kind = linear_variants.KINDS[name](3)
    values = {key: value[:2] for key, value in kind.parameters.items()}
    return Kind(kind.build, values, kind.held, kind.tau_refrac)


@pytest.mark.parametrize("name", linear_variants.KINDS)
def test_continuous_gradients_against_central_differences(name: str) -> None:
    circuit, events = small(halved(name))
    assert min(exact.run(circuit, events, 60.0).counts()) > 1
    wanted = exact.differences(circuit, events, 60.0, 1, step=4e-6)
    got = linear.gradients(circuit, events, 60.0, 1, parameters=True)
    for a, b in zip(vars(got).values(), vars(wanted).values(), strict=True):
        assert a.keys() == b.keys()
        for key in a:
            assert np.abs(b[key]).max() > 0, key
            np.testing.assert_allclose(a[key], b[key], rtol=1e-6, atol=2e-9, err_msg=str(key))


@pytest.mark.parametrize("granularity", ["axon", "fixed"])
def test_delays_that_are_shared(granularity: str) -> None:
    circuit, events = small(halved("adaptive LIF"))
    for q in circuit.network.projections.values():
        q.granularity, q.delay = granularity, q.delay[: 2 if granularity == "axon" else 1]
    wanted = exact.differences(circuit, events, 60.0, 0, step=1e-5, parameters=())
    got = linear.gradients(circuit, events, 60.0, 0)
    for name in wanted.delay:
        np.testing.assert_allclose(got.delay[name], wanted.delay[name], rtol=1e-6, atol=1e-9)


def as_circuit(network: Network, dt: float, seed: int) -> tuple[Network, Circuit, np.ndarray]:
    """Return a network of LIF neurons as both twins take it, and the stimulus."""
    batch = variants.as_batch(nets.small_events(seed, variants.TOTAL, 9), dt, 0)
    return network, Circuit(deepcopy(network)), forward.stimulus(batch, 0)


@pytest.mark.parametrize("tau_refrac", [0.0, 2.3])
@pytest.mark.parametrize("dt", [1.0, 0.1])
def test_lif_neurons_are_a_special_case(dt: float, tau_refrac: float) -> None:
    given = nets.small_net(dt, recurrent=True, tau_refrac=tau_refrac, seed=3)
    given.populations["hidden"].bias[:] = 0.1, 0.2, -0.1, 0.0
    network, circuit, stimulus = as_circuit(given, dt, 3)
    old, new = forward.run(network, stimulus, 1), linear_steps.run(circuit, stimulus, 1)
    assert old.spikes["hidden"].sum() > 8
    np.testing.assert_array_equal(new.layers["hidden"].fired, old.spikes["hidden"])
    assert new.loss == pytest.approx(old.loss, rel=1e-12)
    mean = {"hidden": old.spikes["hidden"].sum(axis=0).astype(float)}
    pull = {"hidden": 0.01 * (mean["hidden"] - 2.0)}
    weight, delay = eventprop.backward(network, old, 1, eventprop.Regularisation(0.01, 2.0, mean))
    got = linear_steps.backward(circuit, new, 1, by_count=pull)
    for name in weight:
        np.testing.assert_allclose(got.weight[name], weight[name], rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(got.delay[name], delay[name], rtol=1e-10, atol=1e-14)


def test_the_state_at_a_spike() -> None:
    before, after = np.array([0.6, 0.1]), np.array([1.4, 0.3])
    one = circuits.adaptive(20.0, 50.0, 0.3, 0.5, 1.0)
    line = linear_steps.at_threshold(one, before, after, "line")
    np.testing.assert_allclose(line, [1.0, 0.2])
    tilted = circuits.adaptive_threshold(20.0, 50.0, 0.5, 1.0)
    for form in ("line", "project"):
        at = linear_steps.at_threshold(tilted, before, after, form)
        assert tilted.n @ at == pytest.approx(1.0, rel=1e-12)


def test_a_step_is_exact_for_a_constant_current() -> None:
    one, dt = circuits.adaptive(20.0, 50.0, 0.3, 0.5, 1.0), 3.0
    step = linear_steps.exact_step(one, dt, ())
    x = np.array([0.4, -0.2])
    fine = x.copy()
    for _ in range(20000):
        middle = fine + dt / 40000 * (one.a @ fine + one.b * 1.7)
        fine = fine + dt / 20000 * (one.a @ middle + one.b * 1.7)
    np.testing.assert_allclose(step.e @ x + step.f * 1.7 + step.h, fine, rtol=1e-8)
    held = linear_steps.exact_step(one, dt, (True, False))
    np.testing.assert_allclose(held.e[0], [1.0, 0.0])
    assert held.e[1, 1] == pytest.approx(math.exp(-dt / 50.0))
    assert held.f[0] == 0.0


def test_parameters_of_the_output_are_the_gradient_of_the_steps() -> None:
    # Without spikes of its own nothing of the output is approximate.
    circuit, events = small(halved("adaptive LIF"))
    stimulus = np.zeros((600, 2))
    for time, channel in events:
        stimulus[round(time / 0.1), channel] = 1.0
    got = linear_steps.backward(circuit, linear_steps.run(circuit, stimulus, 1), 1)
    for key, values in circuit.kinds["output"].parameters.items():
        for j in range(2):
            kept, losses = values[j], []
            for shift in (1e-5, -1e-5):
                values[j] = kept + shift
                losses.append(linear_steps.run(circuit, stimulus, 1).loss)
            values[j] = kept
            wanted = (losses[0] - losses[1]) / 2e-5
            assert got.parameter["output", key][j] == pytest.approx(wanted, rel=1e-5, abs=1e-10)


def test_any_step_of_the_right_limit_will_do() -> None:
    found = {}
    for dt in (0.2, 0.02):
        each = []
        for seed in (0, 1):
            right, counts = linear_variants.wanted("adaptive LIF", seed)
            net = linear_variants.circuit("adaptive LIF", seed, dt)
            batch = variants.as_batch(linear_variants.events(seed), dt, 0)
            stimulus, stepper = forward.stimulus(batch, 0), linear_steps.euler_step
            trace = linear_steps.run(net, stimulus, stepper=stepper)
            assert list(trace.layers["hidden"].fired.sum(axis=0)) == counts
            got = linear_steps.backward(net, trace, 0, stepper=stepper)
            each.append(list(linear_variants.errors(got, right, dt).values()))
        found[dt] = np.nanmedian(each, axis=0)
    assert (found[0.02] < found[0.2] / 3).all(), found


def check_convergence(name: str, seeds: int, coarse: float, fine: float, factor: float) -> None:
    before, _, _ = linear_variants.medians(name, coarse, seeds)
    after, _, n = linear_variants.medians(name, fine, seeds)
    assert n > 0.8 * seeds
    for key, value in after.items():
        assert value < (OUTPUT if "output" in key else HIDDEN), (key, value)
        assert value < before[key] / factor, (key, value, before[key])


@pytest.mark.parametrize("name", ["adaptive LIF", "adaptive threshold"])
def test_errors_fall_with_the_step(name: str) -> None:
    check_convergence(name, 2, 0.2, 0.02, 2.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", linear_variants.KINDS)
def test_errors_of_every_neuron_fall_with_the_step(name: str) -> None:
    check_convergence(name, linear_variants.SEEDS, 0.2, 0.02, 4.0)


@pytest.mark.slow
def test_the_form_taken_is_the_best() -> None:
    for name in ("adaptive LIF", "adaptive threshold", "resonator"):
        _, ratios, _ = linear_variants.medians(name, 0.1, 12, linear_variants.FORMS)
        assert ratios[0] > 0.995, (name, "project")
        assert ratios[1] > 1.03, (name, "end")
