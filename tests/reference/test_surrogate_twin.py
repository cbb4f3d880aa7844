"""The surrogate-gradient twin itself: against finite differences, closed forms and `forward`.

Finite differences need a smooth network: neurons emit the primitive of the surrogate instead of
spikes, and V is reset in given steps (or none), wherever it is. Then the surrogate gradient is
the gradient.
"""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.data.types import CurrentData
from mlgenn_delays.learning import Atan, Boxcar, Triangle
from mlgenn_delays.network import LIF, CurrentInput, Delta, EulerLI, EulerLIF, Network
from mlgenn_delays.neurons.declare import READOUTS
from tests.reference import forward as single
from tests.reference import nets, steps, surrogate
from tests.reference.nets import Recipe, StepRecipe

STEP = 2e-5
CLOSE = 3e-6  # the differences themselves are good to 1e-6
SMALL = {"steps": 18, "sizes": (4, 3, 2), "max_delay": 5.0}
SLOPE = Atan(2.0)


def widened(network: Network) -> Network:
    """Return a copy whose parameters are all float64, so that small steps count."""
    work = network.copy()
    for p in work.projections.values():
        p.weight = p.weight.astype(np.float64)
    for population in work.populations.values():
        if (kept := population.normalisation) is not None:
            kept.gain, kept.offset = kept.gain.astype(np.float64), kept.offset.astype(np.float64)
    return work


def resets(network: Network, batch: Any, share: float) -> dict[str, np.ndarray]:
    """Return where V is reset: in a share of all steps, at random."""
    rng = np.random.default_rng(7)
    return {p.name: rng.random((len(batch), batch.n_steps, p.n)) < share for p in network.spiking()}


def penalised(trace: steps.Trace, strength: float, target: float) -> float:
    """Return the mean loss with the spike counts' part."""
    counts = [trace.layers[name].value.sum(axis=1).mean(axis=0) for name in trace.spiking]
    return trace.loss + strength / 2 * sum(float(((c - target) ** 2).sum()) for c in counts)


def differences(
    network: Network, array: np.ndarray, batch: Any, options: dict[str, Any], step: float = STEP,
    strength: float = 0.0, target: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """Return the central differences of the loss by the entries of an array of the network."""
    out = np.zeros(len(array))
    for s in range(len(array)):
        before = array[s]
        for sign in (1, -1):
            array[s] = before + sign * step
            trace = steps.forward(network, batch, **options)
            out[s] += sign * penalised(trace, strength, target) / (2 * step)
        array[s] = before
    return out


def off(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))


def worst(
    recipe: StepRecipe, *, share: float = 0.1, width: float = 1.7, spiking: Any = SLOPE,
    gains: dict[str, np.ndarray] | None = None, **count: float,
) -> float:  # fmt: skip
    """Return the largest relative error of the gradients of a recipe's smooth network."""
    network = widened(nets.step_network(recipe))
    batch = nets.step_data(recipe, 2).batch(np.arange(2))
    options: dict[str, Any] = {"kernel_width": width, "gains": gains}
    options["held"] = resets(network, batch, share)
    options["spike"] = lambda u: surrogate.primitive(spiking, u)
    got = surrogate.gradients(network, batch, spiking, **options, **count)
    assert got.loss == pytest.approx(steps.forward(network, batch, **options).loss)
    errors = []
    for p in network.projections.values():
        wanted = differences(network, p.weight, batch, options, **count)
        errors.append(off(got.weight[p.name], wanted))
        if width and p.granularity != "fixed":
            # Delays are in ms, their gradients by the step.
            wanted = differences(network, p.delay, batch, options, **count) * network.dt
            errors.append(off(got.delay[p.name], wanted))
        if p.granularity == "fixed":
            assert not got.delay[p.name].any()
    for name in got.gain:
        kept = network.populations[name].normalisation
        errors.append(off(got.gain[name], differences(network, kept.gain, batch, options, **count)))
        wanted = differences(network, kept.offset, batch, options, **count)
        errors.append(off(got.offset[name], wanted))
    assert set(got.gain) == {
        name for name, p in network.populations.items() if p.normalisation is not None
    }
    return max(errors)


MODELS = {
    "lif": {},
    "lif-delta": {"delta": True},
    "lif-refractory": {"tau_refrac": 2.0},
    "seed": {"seed_models": True},
    **{name: {"neuron": name} for name in nets.NEURONS},
}
SHAPES = {
    "forward": {},
    "recurrent": {"recurrent": True},
    "normalised": {"normalised": "hidden"},
    "all-normalised": {"normalised": "all"},
    "deep": {"sizes": (4, 3, 3, 2), "recurrent": True},
    "deep-normalised": {"sizes": (4, 3, 3, 2), "normalised": "hidden"},
    "signed": {"density": 0.7, "signs": "dale", "granularity": "axon"},
    "half-steps": {"dt": 0.5, "max_delay": 2.5, "granularity": "axon", "recurrent": True},
    "fixed": {"granularity": "fixed"},
}


# Each two of model, shape and kind of input meet.
COMBINED = [(*pair, k % 2 == 1) for k, pair in enumerate(product(MODELS, SHAPES))]


@pytest.mark.parametrize(("model", "shape", "current"), COMBINED)
def test_smooth_networks_against_finite_differences(model: str, shape: str, current: bool) -> None:
    recipe = StepRecipe(4, **{**SMALL, "current": current, **MODELS[model], **SHAPES[shape]})
    # What resonates or never leaks is steeper, and so are the errors of the differences.
    assert worst(recipe) < CLOSE * (4 if recipe.neuron else 1)


@pytest.mark.parametrize("seed_models", [False, True])
@pytest.mark.parametrize("recurrent", [False, True])
def test_without_reset_against_finite_differences(recurrent: bool, seed_models: bool) -> None:
    recipe = StepRecipe(5, **SMALL, recurrent=recurrent, seed_models=seed_models)
    assert worst(recipe, share=0.0) < CLOSE


@pytest.mark.parametrize("seed_models", [False, True])
@pytest.mark.parametrize("readout", READOUTS)
def test_readouts_against_finite_differences(readout: str, seed_models: bool) -> None:
    recipe = StepRecipe(6, **SMALL, readout=readout, seed_models=seed_models, recurrent=True)
    assert worst(recipe) < CLOSE


@pytest.mark.parametrize("spiking", [Atan(), Triangle(1.3, 0.7), Boxcar(0.9, 0.6)], ids=str)
def test_surrogates_against_finite_differences(spiking: Any) -> None:
    assert worst(StepRecipe(7, **SMALL, recurrent=True), spiking=spiking) < CLOSE


@pytest.mark.parametrize("width", [0.0, 0.5, 6.0])
def test_kernel_widths_against_finite_differences(width: float) -> None:
    assert worst(StepRecipe(8, **SMALL, recurrent=True), width=width) < CLOSE


@pytest.mark.parametrize("normalised", ["", "hidden"])
def test_dropout_against_finite_differences(normalised: str) -> None:
    recipe = StepRecipe(9, **SMALL, recurrent=not normalised, normalised=normalised)
    rng = np.random.default_rng(0)
    gains = {"input": rng.choice([0, 2.0], (2, 4)), "hidden0": rng.choice([0, 1.25], (2, 3))}
    assert all(gain.any() and not gain.all() for gain in gains.values())
    assert worst(recipe, gains=gains) < CLOSE


@pytest.mark.parametrize("recurrent", [False, True])
def test_spike_count_against_finite_differences(recurrent: bool) -> None:
    recipe = StepRecipe(10, **SMALL, recurrent=recurrent)
    assert worst(recipe, strength=0.3, target=4.0) < CLOSE


@pytest.mark.parametrize("kind", [Atan(3.0), Triangle(0.4, 1.5), Boxcar(0.3, 1.2)], ids=str)
def test_primitives_have_the_surrogate_as_derivative(kind: Any) -> None:
    u, step = np.linspace(-2, 2, 401) + 1e-3, 1e-6
    slope = (surrogate.primitive(kind, u + step) - surrogate.primitive(kind, u - step)) / (2 * step)
    np.testing.assert_allclose(surrogate.psi(kind, u), slope, atol=1e-5)
    assert surrogate.psi(kind, np.zeros(1))[0] == pytest.approx(
        kind.slope / 2 if isinstance(kind, Atan) else kind.height
    )


@pytest.mark.parametrize("width", [0.3, 1.0, 12.0])
@pytest.mark.parametrize("delay", [0.0, 3.3, 9.0])
def test_gaussian_taps_sum_to_one_and_have_their_slope(delay: float, width: float) -> None:
    taps = steps.taps(delay, 9, width)
    assert taps.shape == (10,) and taps.sum() == pytest.approx(1.0)
    ratio = math.exp(-(((2 - delay) / width) ** 2 - ((3 - delay) / width) ** 2) / 2)
    assert taps[2] == pytest.approx(ratio * taps[3])
    up, down = steps.taps(delay + STEP, 9, width), steps.taps(delay - STEP, 9, width)
    slope = surrogate.tap_slopes(delay, 9, width)
    np.testing.assert_allclose(slope, (up - down) / (2 * STEP), atol=1e-7)
    assert slope.sum() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("delay", "tap"), [(0.0, 0), (2.4, 2), (2.6, 3), (8.9, 9)])
def test_a_kernel_of_no_width_is_one_tap(delay: float, tap: int) -> None:
    np.testing.assert_array_equal(np.flatnonzero(steps.taps(delay, 9, 0.0)), [tap])
    np.testing.assert_allclose(steps.taps(delay, 9, 0.02), steps.taps(delay, 9, 0.0), atol=1e-12)


def test_dirac_delays_are_rounded_as_in_c_and_clamped() -> None:
    assert [int(np.argmax(steps.taps(d, 3, 0.0))) for d in (0.49, 0.5, 1.5, 2.5, 3.5, 7.0)] == [
        0, 1, 2, 3, 3, 3,
    ]  # fmt: skip


def one_neuron(delay: float, max_delay: float, **settings: Any) -> Network:
    """Return one current -> one EulerLIF neuron -> two outputs."""
    network = Network(dt=1.0)
    network.add("input", CurrentInput(1))
    network.add("hidden", EulerLIF(1, tau_mem=4.0), **settings)
    network.add("output", EulerLI(2, tau_mem=4.0, readout="mean"))
    network.connect("input", "hidden", Delta(), weight=1.0, delay=delay, max_delay=max_delay)
    network.connect("hidden", "output", Delta(), weight=np.array([0.5, -0.5]))
    return network


def currents(values: list[float], label: int = 0) -> Any:
    array = np.array(values, dtype=np.float32)[None, :, None]
    return CurrentData(array, np.array([label]), 1.0, ("a", "b")).batch(np.arange(1))


def test_seed_neurons_by_hand() -> None:
    # Arrives in steps 1..6; V before step: 0, 0, .8, 1.4, (reset) 0, .9, .675, ...
    batch = currents([0.8, 0.8, 5.0, 0.9, 0.0, 0.5, 0.0, 0.0])
    layer = steps.forward(one_neuron(0.0, 0.0), batch).layers["hidden"]
    after = [0.0, 0.8, 1.4, 0.0, 0.9, 0.675, 1.00625, 0.0]
    np.testing.assert_allclose(layer.after[0, :, 0], after, rtol=1e-6)
    np.testing.assert_allclose(layer.tested[0, 1:, 0], after[:-1], rtol=1e-6)
    np.testing.assert_array_equal(np.flatnonzero(layer.fired[0, :, 0]), [3, 7])


def test_seed_readout_by_hand() -> None:
    batch = currents([4.0, 0.0, 0.0, 0.0, 0.0])
    trace = steps.forward(one_neuron(0.0, 0.0), batch)
    np.testing.assert_array_equal(np.flatnonzero(trace.layers["hidden"].fired[0, :, 0]), [2])
    v = trace.layers["output"].after[0, :, 0]
    np.testing.assert_allclose(v, [0.0, 0.0, 0.0, 0.5, 0.375])
    np.testing.assert_allclose(trace.logits[0], [0.175, -0.175])


def test_dirac_delay_gradient_is_the_difference_of_one_step() -> None:
    # A value moved one step on changes the (linear) output's part of the loss by that much.
    recipe = StepRecipe(11, steps=30, delta=True)
    network, batch = widened(nets.step_network(recipe)), nets.step_data(recipe).batch(np.arange(4))
    name = "hidden0->output"
    p = network.projections[name]
    step, place = 1e-5, 5
    p.delay[:] = np.clip(np.floor(p.delay), 0, 6)
    got = surrogate.gradients(network, batch, Atan())
    # The loss by an extra synapse of weight +-step at d + 1 and -+step at d, by difference.
    other = p.__class__(**{**vars(p), "name": "extra", "weight": np.zeros(p.n_synapses)})
    other.delay = p.delay + 1
    network.projections["extra"] = other
    losses = []
    for sign in (1, -1):
        other.weight[place], p.weight[place] = sign * step, p.weight[place] - sign * step
        losses.append(steps.forward(network, batch).loss)
        p.weight[place] += sign * step
    wanted = float(p.weight[place]) * (losses[0] - losses[1]) / (2 * step)
    assert got.delay[name][place] == pytest.approx(wanted, rel=1e-6)


RECIPES = [
    Recipe(70),
    Recipe(71, recurrent=True, tau_refrac=2.0),
    Recipe(72, sizes=(12, 9, 8, 3), delta=True, readout="max"),
    Recipe(73, granularity="axon", density=0.5, dt=0.5, bias=0.2, readout="softmax-sum"),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: str(r.seed))
def test_equals_the_other_forward_twin(recipe: Recipe) -> None:
    network, batch = nets.network(recipe), nets.batch(recipe)
    got = steps.forward(network, batch)
    assert got.spikes["hidden0"].any()
    for b in range(len(batch)):
        wanted = single.run(network, single.stimulus(batch, b), int(batch.labels[b]))
        for name, fired in wanted.spikes.items():
            np.testing.assert_array_equal(got.spikes[name][b], fired)
        for name, layer in got.layers.items():
            if name != "input":
                np.testing.assert_allclose(layer.after[b], wanted.voltage[name], atol=1e-12)
                np.testing.assert_allclose(layer.current[b], wanted.current[name], atol=1e-12)
        assert got.losses[b] == pytest.approx(wanted.loss) and got.tie[b] == wanted.tie


@pytest.mark.parametrize("seed_models", [False, True])
def test_evaluation_equals_the_folded_network(seed_models: bool) -> None:
    recipe = StepRecipe(12, normalised="all", seed_models=seed_models)
    network, batch = nets.step_network(recipe), nets.step_data(recipe).batch(np.arange(4))
    got = steps.forward(network, batch, training=False)
    folded = steps.forward(network.folded(), batch)
    assert got.spikes["hidden0"].any()
    np.testing.assert_array_equal(got.spikes["hidden0"], folded.spikes["hidden0"])
    np.testing.assert_allclose(got.logits, folded.logits, rtol=1e-4, atol=1e-5)
    kept = network.populations["hidden0"].normalisation
    np.testing.assert_array_equal(got.running["hidden0"][0], kept.mean)


def test_normalised_currents_have_the_gain_as_deviation() -> None:
    recipe = StepRecipe(13, normalised="hidden", current=True)
    network, batch = nets.step_network(recipe), nets.step_data(recipe).batch(np.arange(4))
    trace, kept = steps.forward(network, batch), network.populations["hidden0"].normalisation
    layer = trace.layers["hidden0"]
    np.testing.assert_allclose(layer.drive.mean(axis=(0, 1)), kept.offset, rtol=1e-6)
    np.testing.assert_allclose(layer.drive.std(axis=(0, 1)), kept.gain, rtol=1e-3)
    flat = layer.current.reshape(-1, 8)
    mean, variance = trace.running["hidden0"]
    np.testing.assert_allclose(mean, 0.9 * kept.mean + 0.1 * flat.mean(axis=0), rtol=1e-6)
    wanted = 0.9 * kept.variance + 0.1 * flat.var(axis=0, ddof=1)
    np.testing.assert_allclose(variance, wanted, rtol=1e-6)


@pytest.mark.parametrize("granularity", ["synapse", "axon", "fixed"])
def test_candidate_is_the_gradient_of_the_synapse_once_there(granularity: str) -> None:
    recipe = StepRecipe(14, granularity=granularity, signs="synapse", density=0.8)
    network, batch = nets.step_network(recipe), nets.step_data(recipe).batch(np.arange(4))
    name = "input->hidden0"
    p = network.projections[name]
    p.weight[7] = 0.0
    wanted = surrogate.gradients(network, batch, Atan(), kernel_width=1.5).weight[name][7]
    pre, post, delay = int(p.pre()[7]), int(p.post[7]), float(p.delay_per_synapse()[7])
    less = network.copy()
    p = less.projections[name]
    p.indptr = p.indptr - (np.arange(len(p.indptr)) > pre)
    p.post, p.weight, p.sign = (np.delete(a, 7) for a in (p.post, p.weight, p.sign))
    if granularity == "synapse":
        p.delay = np.delete(p.delay, 7)
    got = surrogate.candidate(less, batch, Atan(), name, pre, post, delay, kernel_width=1.5)
    assert wanted and got == pytest.approx(wanted, rel=1e-12)


def test_ties_and_boxcar_edges_are_seen() -> None:
    network = one_neuron(0.0, 0.0)
    assert steps.forward(network, currents([1.000004, 0, 0, 0])).tie[0] == 2
    assert steps.forward(network, currents([1.00004, 0, 0, 0])).tie[0] == 4
    batch = currents([0.700004, 0, 0, 0])
    assert surrogate.gradients(network, batch, Boxcar(0.3)).trace.tie[0] == 2
    assert surrogate.gradients(network, batch, Boxcar(0.31)).trace.tie[0] == 4


def test_a_voltage_at_the_threshold() -> None:
    seed = steps.forward(one_neuron(0.0, 0.0), currents([1.0, 0, 0, 0])).layers["hidden"]
    assert seed.after[0, 1, 0] == 1.0 and not seed.fired.any()
    network = one_neuron(0.0, 0.0)
    network.populations["hidden"].model = LIF(1, tau_mem=4.0, v_thresh=1 - math.exp(-1 / 4.0))
    lif = steps.forward(network, currents([1.0, 0, 0, 0])).layers["hidden"]
    np.testing.assert_array_equal(np.flatnonzero(lif.fired[0, :, 0]), [1])
