"""A network that another program differentiates: its gradients are those of training."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.data.types import Batch, CurrentBatch, SpikeBatch
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.cpu.differentiable import DifferentiableNetwork
from mlgenn_delays.engines.results import Gradients
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.learning import (
    Atan,
    EventProp,
    Gaussian,
    Rule,
    SpikeCount,
    SurrogateBPTT,
    Triangle,
)
from mlgenn_delays.network import Exponential, Network
from tests.engines.helpers import relative
from tests.reference import eventprop, nets, steps
from tests.reference import surrogate as twin
from tests.reference.forward import softmax
from tests.reference.nets import StepRecipe

WIDE = SurrogateBPTT(kernel=Gaussian(3.0, 0.23, epochs=4))
RULES: dict[str, Rule] = {
    "eventprop": EventProp(),
    "atan": SurrogateBPTT(),
    "triangle": SurrogateBPTT(surrogate=Triangle()),
    "gaussian": WIDE,
}
SPIKES = StepRecipe(901, recurrent=True, density=0.6)
CURRENTS = StepRecipe(902, current=True, granularity="axon", sizes=(9, 8, 7, 3))
NORMALISED = StepRecipe(903, normalised="all", sizes=(9, 8, 7, 3))
EPOCH = 2


def by_voltage(network: Network, voltage: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return dL/dV of the mean cross-entropy, by the twin."""
    model: Any = network.output().model
    out = np.zeros(voltage.shape)
    for b, label in enumerate(labels):
        v = voltage[b].T.astype(np.float64)
        by_logit = softmax(v.mean(0))
        by_logit[label] -= 1.0
        out[b] = eventprop.readout_gradient(v, model.readout, by_logit).T
    return out / len(labels)


def gone_back(
    network: Network, rule: Rule, batch: Batch, **options: Any
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Return what a pass of a batch, forwards and back, gives."""
    own = DifferentiableNetwork(network, rule, threads=1)
    outputs = own.forward(own.parameters(), batch, width=own.width(EPOCH), **options)
    return own.backward(by_voltage(network, outputs.voltage, batch.labels))


def flat(wanted: Gradients) -> dict[str, np.ndarray]:
    """Return the gradients of a learner by the keys of parameters."""
    out = {f"{name}/weight": each for name, each in wanted.weight.items()}
    out |= {f"{name}/delay": each for name, each in wanted.delay.items()}
    for field in ("gain", "offset"):
        own = getattr(wanted, field).items()
        out |= {f"{name}/normalisation/{field}": each for name, each in own}
    return out | {"/".join(key): each for key, each in wanted.parameter.items()}


def learned(network: Network) -> Network:
    """Return a network whose time constants are learned too."""
    out = Network(dt=network.dt)
    for p in network.populations.values():
        learn = ("tau_mem",) if p is not network.input() else ()
        out.add(p.name, p.model, p.bias, learn=learn)
    for q in network.projections.values():
        out.projections[q.name] = replace(
            q, synapse=Exponential([5.0] * network.populations[q.target].n, learn=True)
        )
    return out


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("recipe", [SPIKES, CURRENTS, NORMALISED], ids=lambda r: str(r.seed))
def test_gradients_are_those_of_training(rule: Rule, recipe: StepRecipe) -> None:
    if isinstance(rule, EventProp):
        # Of tau_syn onto which currents come, it has no gradients.
        recipe = replace(recipe, normalised="", current=False)
    network = nets.step_network(recipe)
    if not (recipe.normalised or recipe.recurrent):
        network = learned(network)
    batch = nets.step_data(recipe).batch(np.arange(4))
    learner = compile_network(network, rule, total_steps=1, threads=1)
    wanted = flat(learner.gradients(batch, epoch=EPOCH))
    got, by_input = gone_back(network, rule, batch)
    assert by_input is None
    assert got.keys() == wanted.keys()
    for key, each in wanted.items():
        assert each.any(), key
        assert relative(got[key], each) < 1e-5, key


def test_frozen_projections_have_gradients_and_fixed_delays_none() -> None:
    network = nets.step_network(replace(SPIKES, granularity="fixed"))
    free, _ = gone_back(network, EventProp(), nets.step_data(SPIKES).batch(np.arange(4)))
    for projection in network.projections.values():
        projection.frozen = True
    got, _ = gone_back(network, EventProp(), nets.step_data(SPIKES).batch(np.arange(4)))
    assert list(got) == [f"{name}/weight" for name in network.projections]
    for key, each in free.items():
        np.testing.assert_array_equal(got[key], each)


@pytest.mark.parametrize("width", [0.0, 3.0])
@pytest.mark.parametrize("recipe", [SPIKES, CURRENTS, NORMALISED], ids=lambda r: str(r.seed))
def test_gradients_by_the_input_equal_the_twin(recipe: StepRecipe, width: float) -> None:
    network, batch = nets.step_network(recipe), nets.step_data(recipe).batch(np.arange(4))
    kernel = {"kernel": Gaussian(width - 0.27, width - 0.27)} if width else {}
    _, got = gone_back(network, SurrogateBPTT(surrogate=Atan(), **kernel), batch, inputs=True)
    trace = twin.forward(network, batch, kernel_width=width)
    assert trace.sent("hidden0").any()
    arrived, *_ = twin.backward(network, trace, batch.labels, Atan())
    wanted = np.zeros((len(batch), batch.n_steps, batch.n_channels))
    for p in network.projections.values():
        if p.source == network.input().name:
            weights = steps.kernel(p, network.dt, width)
            for t in range(batch.n_steps):
                wanted[:, t] += twin.pull_back(weights, arrived[p.name], t)
    assert got is not None and wanted.any()
    assert relative(got, wanted / len(batch)) < 1e-4


def with_probes(network: Network) -> Network:
    """Return a network with as many more input channels: copies with weights of 0."""
    out = network.copy()
    source = out.input()
    n = source.n
    source.model = replace(source.model, n=2 * n)
    source.bias = np.zeros(2 * n, np.float32)
    for p in out.projections.values():
        if p.source == source.name:
            p.indptr = np.concatenate([p.indptr, p.indptr[1:] + p.n_synapses])
            p.post, p.weight = np.tile(p.post, 2), np.concatenate([p.weight, 0 * p.weight])
            p.delay = np.tile(p.delay, 2) if p.granularity != "fixed" else p.delay
    return out


def with_impulses(batch: Batch, step: int) -> Batch:
    """Return a batch in which each probe sends 1 in one step."""
    size, n, whole = len(batch), batch.n_channels, np.arange(batch.n_channels)
    if isinstance(batch, CurrentBatch):
        probes = np.zeros_like(batch.values)
        probes[:, step] = 1.0
        return replace(batch, values=np.concatenate([batch.values, probes], axis=2))
    assert isinstance(batch, SpikeBatch)
    times, starts = [], []
    for start in batch.start:
        own = batch.time[start[0] : start[-1]]
        first = sum(map(len, times))
        starts.append(np.concatenate([start - start[0] + first, first + len(own) + 1 + whole]))
        times += [own, np.full(n, step, np.int32)]
    return replace(batch, start=np.array(starts).reshape(size, -1), time=np.concatenate(times))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("recipe", [SPIKES, CURRENTS], ids=lambda r: str(r.seed))
def test_gradients_by_the_input_are_those_of_synapses_that_bring_it(
    rule: Rule, recipe: StepRecipe
) -> None:
    # dL/dx_i[t] = sum of w dL/dw' over copies of i's synapses, of weight w' = 0, that carry only
    # an impulse in step t.
    network, data = nets.step_network(recipe), nets.step_data(recipe, 1)
    batch, n = data.batch(np.arange(1)), network.input().n
    _, got = gone_back(network, rule, batch, inputs=True)
    assert got is not None
    for step in (0, 9, 17):
        by_key, _ = gone_back(with_probes(network), rule, with_impulses(batch, step))
        wanted = np.zeros(n)
        for p in network.projections.values():
            if p.source == network.input().name:
                of_probes = by_key[f"{p.name}/weight"][p.n_synapses :]
                np.add.at(wanted, p.pre(), p.weight * of_probes)
        assert wanted.any()
        assert relative(got[0, step], wanted) < 1e-4
    assert not got[0, -1].any()  # would arrive after the trial


def test_spike_counts_pull_as_their_regularisation_does() -> None:
    network, batch = nets.step_network(SPIKES), nets.step_data(SPIKES).batch(np.arange(4))
    rule = EventProp(spike_count=SpikeCount(target=2.0, strength=0.05))
    learner = compile_network(network, rule, total_steps=1, threads=1)
    wanted = flat(learner.gradients(batch))
    own = DifferentiableNetwork(network, EventProp(), threads=1)
    voltage, spikes = own.forward(own.parameters(), batch, width=0.0)
    pull = np.zeros_like(spikes)
    pull[own.neurons["hidden0"]] = 0.05 * (spikes[own.neurons["hidden0"]] - 2.0)
    got, _ = own.backward(by_voltage(network, voltage, batch.labels), pull)
    for key, each in wanted.items():
        assert relative(got[key], each) < 1e-5, key


def test_values_are_kept_in_their_range() -> None:
    network = learned(nets.step_network(replace(CURRENTS, signs="synapse")))
    own = DifferentiableNetwork(network, SurrogateBPTT(), threads=1)
    for key, value in own.parameters().items():
        same = value.copy()
        own.clip(key, same)
        np.testing.assert_array_equal(same, value)
        low, high = np.full_like(value, -1e4), np.full_like(value, 1e4)
        for moved in (low, high):
            own.clip(key, moved)
        if key.endswith("/delay"):
            assert (low == 0.0).all() and (high == np.float32(8.0)).all()
        elif "tau" in key:
            assert (low >= 0.5).all() and (high == 1e4).all()
        else:
            sign = network.projections[key.removesuffix("/weight")].sign
            np.testing.assert_array_equal(low, np.where(sign > 0, 0.0, -1e4))
            np.testing.assert_array_equal(high, np.where(sign > 0, 1e4, 0.0))


def test_values_and_rules_that_are_refused() -> None:
    network, batch = nets.step_network(SPIKES), nets.step_data(SPIKES).batch(np.arange(4))
    own = DifferentiableNetwork(network, EventProp(), threads=1)
    broken = own.parameters()
    broken["input->hidden0/delay"][3] = np.nan
    with pytest.raises(DivergedError, match="^input->hidden0/delay is not finite$"):
        own.forward(broken, batch, width=None)
    count = SpikeCount(strength=1.0)
    for rule, name in (
        (EventProp(l1=0.1), "l1"),
        (EventProp(revive=0.1), "revive"),
        (EventProp(operations=0.1), "operations"),
        (SurrogateBPTT(pipelined=True), "pipelined"),
        (SurrogateBPTT(spike_count=count), "spike_count"),
    ):
        with pytest.raises(InputError, match=f"must be without {name}, got .*; leave it out"):
            DifferentiableNetwork(network, rule)
    with pytest.raises(InputError, match="^EventProp must have populations without normalisation"):
        DifferentiableNetwork(nets.step_network(NORMALISED), EventProp())
