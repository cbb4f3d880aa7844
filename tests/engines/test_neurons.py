"""Every declared neuron on the CPU engine against the float64 twin of its equations."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.learning import Atan, Dirac, EventProp, Gaussian, SurrogateBPTT, Triangle
from mlgenn_delays.network import LeakyIntegrator, Network
from mlgenn_delays.network.models import learning
from tests.engines.helpers import raster, relative
from tests.engines.test_surrogate import Case, check, compared, free, network, pick
from tests.reference import nets, steps, surrogate
from tests.reference.nets import NEURONS, StepRecipe

WIDE = (Gaussian(3.0, 0.23, epochs=4), 1)
CASES = [
    Case(
        StepRecipe(
            700 + k, sizes=(9, 11, 3), neuron=neuron, recurrent=recurrent, current=k % 3 == 0,
            dt=(1.0, 0.5)[k % 4 == 1],
        ),
        (Atan(), Triangle())[k % 2],
        *kernel,
    )
    for k, (neuron, recurrent, kernel) in enumerate(
        product(NEURONS, (False, True), [(Dirac(), None), WIDE])
    )
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.recipe.neuron}-{case}")
def test_spikes_and_gradients_equal_the_twins(case: Case) -> None:
    wanted = check(case)
    built = compile_network(network(case.recipe), case.rule(), total_steps=1)
    index = free(case)
    recording = built.record(pick(case.recipe, index))
    for name, fired in wanted.trace.spikes.items():
        if case.width:  # recording is of rounded delays
            break
        for e in range(len(index)):
            assert np.array_equal(raster(recording, name, e, case.recipe.steps), fired[e])


def test_spikes_are_neither_rare_nor_everywhere() -> None:
    for case in CASES:
        wanted, _ = compared(case)
        for fired in wanted.trace.spikes.values():
            assert 0.01 < fired.mean() < 0.5, case.recipe


LEARNED = {
    "AdaptiveLIF": ("tau_mem", "v_thresh", "tau_adapt", "adapt_v", "adapt_spike"),
    "CubaLIF": ("tau_mem", "tau_syn", "v_thresh"),
    "TwoCompartmentLIF": ("beta_1", "beta_2", "dendrite_reset", "v_thresh"),
    "BalancedResonator": ("omega", "damping", "spike_damping", "q_decay", "tau_mem", "v_thresh"),
    "": ("tau_mem", "v_thresh"),  # LIF
}


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("neuron", LEARNED)
def test_gradients_of_parameters_equal_the_twins(
    neuron: str, recurrent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "BY_HAND", (LeakyIntegrator,))
    learned = LEARNED[neuron]
    recipe = StepRecipe(
        731, sizes=(9, 11, 3), neuron=neuron, recurrent=recurrent, current=True,
        tau_refrac=0.0 if neuron else 2.0,
    )  # fmt: skip
    network = nets.step_network(recipe)
    hidden = network.populations["hidden0"]
    hidden.model, hidden.learn = learning("'hidden0'", hidden.model, learned), learned
    whole = nets.step_data(recipe, 4)
    wanted = surrogate.gradients(network, whole.batch(np.arange(4)), Atan(), learned=learned)
    kept = np.flatnonzero(wanted.trace.tie == recipe.steps)
    assert len(kept) > 1
    batch = whole.batch(kept)
    wanted = surrogate.gradients(network, batch, Atan(), learned=learned)
    got = compile_network(network, SurrogateBPTT(), total_steps=1).gradients(batch)
    for name in learned:
        right = wanted.parameter["hidden0", name]
        assert np.abs(right).max() > 0
        assert relative(got.parameter["hidden0", name], right) < 1e-5, name


def test_learned_parameters_stay_in_their_range_and_are_resumed(tmp_path: Path) -> None:
    recipe = StepRecipe(740, sizes=(9, 11, 3), neuron="AdaptiveLIF", dt=0.5)
    network = nets.step_network(recipe)
    hidden = network.populations["hidden0"]
    names = ("tau_mem", "tau_adapt", "adapt_v")
    hidden.model, hidden.learn = learning("'hidden0'", hidden.model, names), names
    batch = nets.step_data(recipe, 4).batch(np.arange(4))
    rule = SurrogateBPTT(neurons=0.5)

    def steps_of(count: int, state: dict | None = None) -> tuple:
        compiled = compile_network(network.copy(), rule, total_steps=9)
        if state is not None:
            compiled.load_state(state)
        compiled.train_epoch([batch] * count, epoch=1)
        return compiled.state(), compiled.pull()

    half, _ = steps_of(3)
    resumed, learned = steps_of(3, half)
    whole, _ = steps_of(6)
    assert all(np.array_equal(resumed[key], whole[key]) for key in whole)
    model = learned.populations["hidden0"].model
    assert np.min(model.tau_mem) >= 0.25 and np.max(model.tau_mem) <= 1e9
    assert not np.array_equal(model.tau_mem, hidden.model.tau_mem)
    path = tmp_path / "network.safetensors"
    learned.save(path)
    assert Network.load(path).populations["hidden0"].model == model


def test_learned_parameters_that_leave_what_equations_stand_are_named() -> None:
    recipe = StepRecipe(741, sizes=(9, 11, 3), neuron="BalancedResonator")
    network = nets.step_network(recipe)
    hidden = network.populations["hidden0"]
    hidden.model, hidden.learn = learning("'hidden0'", hidden.model, ("omega",)), ("omega",)
    rule = SurrogateBPTT(neurons=5.0)
    compiled = compile_network(network, rule, total_steps=9)
    batch = nets.step_data(recipe, 4).batch(np.arange(4))
    says = "the learned omega of BalancedResonator made boundary not finite, at too high a"
    with pytest.raises(DivergedError, match=says):
        compiled.train_epoch([batch] * 3, epoch=1)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("rule", [SurrogateBPTT(), EventProp()])
def test_recorded_variables_are_the_twins(rule: object, recurrent: bool) -> None:
    recipe = StepRecipe(750, sizes=(9, 11, 3), neuron="AdaptiveLIF", recurrent=recurrent)
    network = nets.step_network(recipe)
    whole = nets.step_data(recipe, 4)
    trace = steps.forward(network, whole.batch(np.arange(4)))
    kept = np.flatnonzero(trace.tie == recipe.steps)
    recording = compile_network(network, rule, total_steps=1).record(whole.batch(kept), "VwI")
    layers = trace.layers
    wanted = {
        ("hidden0", "V"): layers["hidden0"].states["V"],
        ("hidden0", "w"): layers["hidden0"].states["w"],
        ("hidden0", "I"): layers["hidden0"].drive + network.populations["hidden0"].bias,
        ("output", "V"): layers["output"].after,
        ("output", "I"): layers["output"].drive + network.populations["output"].bias,
    }
    assert set(recording.variables) == set(wanted)
    for key, value in wanted.items():
        right = value[kept].transpose(0, 2, 1)
        assert np.abs(right).max() > 0.05
        assert np.abs(recording.variables[key] - right).max() < 2e-5, key
    assert np.allclose(recording.variables["output", "V"], recording.voltage, atol=1e-6)


def test_unknown_variables_are_refused() -> None:
    recipe = StepRecipe(751, sizes=(9, 11, 3), neuron="AdaptiveLIF")
    compiled = compile_network(nets.step_network(recipe), SurrogateBPTT(), total_steps=1)
    with pytest.raises(InputError, match="variables must be of V, w, I, got 'v'"):
        compiled.record(nets.step_data(recipe, 1).batch(np.arange(1)), ["v"])
