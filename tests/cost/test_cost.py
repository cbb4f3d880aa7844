"""What a network costs, against a count in plain loops."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.cost import Cost, about_of, cost_of, measure_cost
from mlgenn_delays.data.types import CurrentData
from mlgenn_delays.engines.checks import inference_rule
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About, Artifact, to_bytes
from mlgenn_delays.export.c import quantise, write_c
from mlgenn_delays.export.model import CPURunner, Model
from mlgenn_delays.network import Network
from tests.reference import cost as twin
from tests.reference import nets
from tests.reference.nets import StepRecipe

CASES = [
    StepRecipe(2000, density=0.5, recurrent=True, granularity="axon"),
    StepRecipe(2001, sizes=(9, 8, 7, 3), tau_refrac=1.0, steps=70, recurrent=True),
    StepRecipe(2002, current=True, seed_models=True, density=0.6),
    StepRecipe(2003, delta=True, max_delay=0.0, recurrent=True, dt=0.5),
    StepRecipe(2004, current=True, seed_models=True, normalised="hidden", granularity="fixed"),
    StepRecipe(2005, neuron="BalancedResonator", density=0.7),
]
every_case = pytest.mark.parametrize("recipe", CASES, ids=lambda each: str(each.seed))


def example(recipe: StepRecipe) -> tuple[Network, Any]:
    """Return a network, some synapses of which are of weight 0, and data with samples of 0."""
    network, data = nets.step_network(recipe), nets.step_data(recipe)
    for p in network.projections.values():
        p.weight[::7] = 0.0
    if isinstance(data, CurrentData):
        values = np.where(np.abs(data.values) < 0.5, np.float32(0.0), data.values)
        data = replace(data, values=values)
    return network, data


def rasters(network: Network, data: Any, recording: Recording) -> dict[str, np.ndarray]:
    """Return what each neuron sent in each step, (B, T, n) by population, in plain loops."""
    batch = data.batch(np.arange(len(data)))
    name = network.input().name
    if isinstance(data, CurrentData):
        found = {name: (batch.values != 0).astype(int)}
        trains = dict(recording.start), dict(recording.time)
    else:
        found = {}
        trains = {name: batch.start} | recording.start, {name: batch.time} | recording.time
    for population, start in trains[0].items():
        n = network.populations[population].n
        out = np.zeros((len(data), data.n_steps, n), int)
        for b in range(len(data)):
            for j in range(n):
                for t in trains[1][population][start[b, j] : start[b, j + 1]]:
                    out[b, t, j] = 1
        found[population] = out
    return found


def recorded(network: Network, data: Any) -> Recording:
    compiled = compile_network(
        network, inference_rule(network), total_steps=1, threads=1, learns=False
    )
    names = [s for p in (*network.spiking(), network.output()) for s in p.model.equations.states]
    return compiled.record(data.batch(np.arange(len(data))), names)


@every_case
def test_counts_are_those_of_plain_loops(recipe: StepRecipe) -> None:
    network, data = example(recipe)
    recording = recorded(network, data)
    sent = rasters(network, data, recording)
    assert all(each.any() for each in sent.values())
    cost = measure_cost(network, data, threads=1)
    wanted = twin.operations(network, sent)
    for name, found in cost.operations.items():
        assert (found.dense, found.effective) == pytest.approx(wanted[name])
        assert found.multiplies == (recipe.current and name.startswith("input"))
    assert cost.connection_sparsity == pytest.approx(twin.connection_sparsity(network))
    hidden = [p.name for p in network.spiking()]
    wanted_sparsity = twin.activation_sparsity([sent[name] for name in hidden])
    assert cost.activation_sparsity == pytest.approx(wanted_sparsity)
    for name in hidden:
        assert cost.spikes[name] == sent[name].sum() / len(data)
    assert cost.delays is not None
    assert (cost.delays.mean, cost.delays.most) == pytest.approx(twin.in_flight(network, sent))
    assert cost.membrane_updates is not None
    if not recipe.neuron:
        for name, updates in cost.membrane_updates.items():
            voltage = recording.variables[name, "V"]
            assert updates == twin.membrane_updates(voltage.tolist())
    assert cost.examples == len(data) and cost.steps == recipe.steps


@every_case
def test_an_evaluation_counts_the_same(recipe: StepRecipe) -> None:
    network, data = example(recipe)
    compiled = compile_network(
        network, inference_rule(network), total_steps=1, threads=1, learns=False
    )
    found = compiled.evaluate([data.batch(np.arange(3)), data.batch(np.arange(3, 4))])
    cheap = cost_of(network, found, about_of(data))
    whole = measure_cost(network, data, threads=1)
    assert cheap.updates is None and cheap.delays is None
    assert cheap == replace(whole, membrane_updates=None, delays=None)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    density=st.sampled_from([0.3, 0.6, 1.0]), recurrent=st.booleans(), current=st.booleans(),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_laws(density: float, recurrent: bool, current: bool, seed: int) -> None:
    recipe = StepRecipe(seed, density=density, recurrent=recurrent, current=current, steps=20)
    network, data = nets.step_network(recipe), nets.step_data(recipe, 2)
    cost = measure_cost(network, data, threads=1)
    assert 0 <= cost.effective <= cost.dense * (1 - cost.connection_sparsity) + 1e-9
    assert cost.macs == (0 if not current else cost.operations["input->hidden0"].effective)
    assert 0 <= cost.connection_sparsity < 1 and 0 <= cost.activation_sparsity <= 1
    neurons = sum(cost.neurons.values())
    assert neurons <= cost.updates <= neurons * cost.steps
    assert cost.delays.mean <= cost.delays.most
    # Each event is on its way for one step at least, and for one more than the longest delay.
    longest = 1 + recipe.max_delay / recipe.dt
    assert cost.effective <= cost.delays.mean * cost.steps + 1e-6
    assert cost.delays.mean * cost.steps <= cost.effective * longest + 1e-6
    per_step = cost.as_dict()["per_step"]
    assert per_step["effective"] * cost.steps == pytest.approx(cost.effective)


def test_bytes_are_those_of_the_exports(tmp_path: Any) -> None:
    network, data = example(CASES[0])
    cost = measure_cost(network, data, threads=1)
    artifact = Artifact.of(network, About(n_steps=data.n_steps, labels=data.label_names))
    assert cost.footprint["bundle"].total == len(to_bytes(artifact))
    small, quantised = quantise(artifact.network)
    for name, of, weights in (
        ("c", artifact, None),
        ("c_int8", replace(artifact, network=small), quantised),
    ):
        made = write_c(of, tmp_path / name, quantised=weights, examples=False)
        size = cost.footprint[name]
        assert (size.stored, size.state) == (made.constant_bytes, made.state_bytes)
    # Weights, and what says where they are, are nearly all that is stored.
    assert cost.footprint["genn"].stored > 4 * artifact.network.n_synapses()


def test_rings_and_histories_follow_from_the_longest_delays() -> None:
    network, data = example(StepRecipe(2010, max_delay=9.0, sizes=(9, 8, 3)))
    for p, longest in zip(network.projections.values(), (5.0, 7.0), strict=True):
        p.delay[:] = 0.0
        p.delay[1] = longest  # the first synapse is of weight 0
    delays = measure_cost(network, data, threads=1).delays
    assert delays is not None
    assert delays.rings == 4 * (8 * 6 + 3 * 8)
    assert delays.histories == -(-9 * 6 // 8) + -(-8 * 8 // 8)


def test_a_model_counts_its_own_network() -> None:
    network, data = example(CASES[0])
    artifact = Artifact.of(network, About(n_steps=data.n_steps, labels=data.label_names))
    wanted = measure_cost(artifact, data, threads=1)
    assert measure_cost(Model(CPURunner(artifact, 1)), data, threads=1) == wanted
    assert isinstance(wanted, Cost) and wanted.footprint == measure_cost(network, data).footprint


def test_what_cannot_be_exported_has_no_bytes_but_a_cost() -> None:
    network, data = example(CASES[0])
    wanted = measure_cost(network, data, threads=1)
    network.populations["output"].bias[:] = np.inf
    cost = measure_cost(network, data, threads=1)
    assert wanted.footprint and cost.footprint == {}
    assert cost.operations == wanted.operations


def test_what_cannot_be_counted_is_refused() -> None:
    network, data = example(CASES[0])
    with pytest.raises(InputError, match="^the data must have examples to count on, got none$"):
        measure_cost(network, nets.step_data(CASES[0], 0))
    with pytest.raises(InputError, match="channels"):
        measure_cost(network, nets.step_data(StepRecipe(1, sizes=(4, 8, 3))))
    model = Model(CPURunner(Artifact.of(network, About(n_steps=50, labels=data.label_names))))
    del model._runner.artifact  # as a folder of GeNN's code has none
    with pytest.raises(InputError, match="^a model must hold its network .*; load the run"):
        measure_cost(model, data)
