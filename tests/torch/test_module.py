"""`DelayNetwork` as a module among others: gradients, training, modes, saving, refusals."""

import copy
import io
import pickle
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlgenn_delays import (
    LIF,
    CurrentInput,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    SpikeInput,
    Trainer,
    Uniform,
    compile_network,
    initialise_weights,
    load_dataset,
)
from mlgenn_delays.data.types import SpikeBatch
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.learning import Adam, EventProp, Gaussian, Rule, SurrogateBPTT, Triangle
from mlgenn_delays.neurons.declare import READOUTS
from tests.engines.helpers import relative
from tests.engines.test_differentiable import CURRENTS, NORMALISED, SPIKES, flat, learned
from tests.needs import need
from tests.reference import nets
from tests.reference.forward import stimulus
from tests.reference.nets import StepRecipe

need("torch")

import torch  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from mlgenn_delays.torch import DelayNetwork, Outputs  # noqa: E402


def module(recipe: StepRecipe = SPIKES, rule: Rule | None = None, **options: Any) -> DelayNetwork:
    return DelayNetwork(nets.step_network(recipe), rule, threads=1, **options)


def batch_of(recipe: StepRecipe, n: int = 4) -> Any:
    return nets.step_data(recipe, n).batch(np.arange(n))


def raster(batch: Any) -> Any:
    """Return a batch as a tensor (B, T, C)."""
    rows = np.stack([stimulus(batch, b) for b in range(len(batch))])
    return torch.tensor(rows, dtype=torch.float32)


def labels(batch: Any) -> Any:
    return torch.from_numpy(batch.labels)


def gradients(net: DelayNetwork) -> dict[str, np.ndarray]:
    return {name: p.grad.numpy() for name, p in net.named_parameters() if p.grad is not None}


def same(got: dict[str, np.ndarray], wanted: dict[str, np.ndarray], close: float = 1e-5) -> None:
    assert got.keys() == wanted.keys()
    for key, each in wanted.items():
        assert relative(got[key], each) < close, key


@pytest.mark.parametrize(
    ("recipe", "rule"),
    [
        (SPIKES, EventProp()),
        (CURRENTS, EventProp()),
        (SPIKES, SurrogateBPTT(surrogate=Triangle())),
        (NORMALISED, SurrogateBPTT(kernel=Gaussian(3.0, 0.23, epochs=4))),
    ],
    ids=["spikes", "currents", "triangle", "gaussian"],
)
def test_gradients_are_those_of_the_trainer(recipe: StepRecipe, rule: Rule) -> None:
    network, batch = nets.step_network(recipe), batch_of(recipe)
    if not (recipe.normalised or recipe.current):
        network = learned(network)
    wanted = compile_network(network, rule, total_steps=1).gradients(batch, epoch=2)
    net = DelayNetwork(network, rule)
    net.set_epoch(2)
    loss = cross_entropy(net(batch), labels(batch))
    loss.backward()
    assert loss.item() == pytest.approx(wanted.loss, rel=1e-5)
    same(gradients(net), flat(wanted))


@pytest.mark.parametrize("readout", READOUTS)
def test_every_readout_and_its_gradients(readout: str) -> None:
    recipe = replace(SPIKES, readout=readout)
    network, batch = nets.step_network(recipe), batch_of(recipe)
    learner = compile_network(network, EventProp(), total_steps=1, threads=1)
    net = DelayNetwork(network)
    logits = net(batch)
    np.testing.assert_allclose(
        logits.detach().numpy(), learner.evaluate([batch]).logits, rtol=3e-7, atol=1e-9
    )
    cross_entropy(logits, labels(batch)).backward()
    same(gradients(net), flat(learner.gradients(batch)))


@pytest.mark.parametrize("kind", ["spikes", "currents"])
def test_tensors_are_batches_as_well(kind: str) -> None:
    recipe = SPIKES if kind == "spikes" else CURRENTS
    net, batch = module(recipe), batch_of(recipe)
    given = raster(batch) if kind == "spikes" else torch.from_numpy(batch.values)
    wanted = net(batch)
    assert wanted.abs().sum() > 0
    for tensor in (given, given.bool()) if kind == "spikes" else (given,):
        assert torch.equal(net(tensor), wanted)
    some = nets.step_data(recipe, 4).batch(np.array([3, 1]))  # which shares what all spike
    assert torch.equal(net(some), wanted[[3, 1]])


def test_training_is_that_of_the_trainer() -> None:
    # The same optimiser steps on the same batches, in the same order.
    recipe = replace(SPIKES, signs="synapse", density=0.5)
    network, data = nets.step_network(recipe), nets.step_data(recipe, 6)
    rule = EventProp(weights=Adam(0.05), delays=Adam(0.4))
    learner = compile_network(network, rule, total_steps=20, threads=1)
    net = DelayNetwork(network, rule)
    optimiser = torch.optim.Adam(net.parameter_groups(weights=0.05, delays=0.4))
    batches = [data.batch(np.arange(k, k + 3)) for k in (0, 3)]
    for epoch in range(1, 11):
        learner.train_epoch(batches, epoch=epoch)
        for batch in batches:
            optimiser.zero_grad()
            cross_entropy(net(batch), labels(batch)).backward()
            optimiser.step()
    trained, wanted = net.to_network(), learner.pull()
    for name, p in wanted.projections.items():
        got, before = trained.projections[name], nets.step_network(recipe).projections[name]
        assert relative(before.weight, p.weight) > 0.1  # it learned
        assert relative(got.weight, p.weight) < 1e-3
        assert relative(got.delay, p.delay) < 1e-3
        assert got.delay.min() >= 0.0 and got.delay.max() <= p.max_delay
        assert (got.delay == 0.0).any() or (got.delay == p.max_delay).any()
        assert (got.weight * got.sign >= 0.0).all()


def test_parameters_are_moved_back_into_their_range() -> None:
    net = module()
    delay = net.get_parameter("input->hidden0/delay")
    with torch.no_grad():
        delay[0], delay[1], delay[2] = -3.0, 1e6, 2.25
    with torch.no_grad():
        net(batch_of(SPIKES))
    assert delay[:3].tolist() == [0.0, 8.0, 2.25]  # steps of 1 ms, max_delay 8 ms


def test_only_synapses_that_exist_are_parameters() -> None:
    net, network = module(), nets.step_network(SPIKES)
    sizes = {name: p.numel() for name, p in net.named_parameters()}
    for name, p in network.projections.items():
        pairs = network.populations[p.source].n * network.populations[p.target].n
        assert sizes[f"{name}/weight"] == sizes[f"{name}/delay"] == p.n_synapses <= pairs
    assert sizes["input->hidden0/weight"] < 9 * 8


def test_between_layers_of_pytorch() -> None:
    # A linear layer before, another after, and a loss of both logits and voltages.
    rng = torch.Generator().manual_seed(3)
    x, wanted = torch.rand(4, CURRENTS.steps, 5, generator=rng), torch.tensor([0, 1, 1, 0])
    torch.manual_seed(0)
    before, after = torch.nn.Linear(5, 9), torch.nn.Linear(3, 2)
    network = nets.step_network(CURRENTS)
    for name in ("hidden0", "hidden1"):  # nothing spikes: all is smooth
        network.populations[name].model = replace(network.populations[name].model, v_thresh=1e6)
    network.connect("input", "output", Exponential(5.0), weight=Normal(0.0, 0.2), delay=2.0)
    net = DelayNetwork(network, output="all")

    def loss() -> Any:
        out = net(before(x))
        assert isinstance(out, Outputs)
        return cross_entropy(after(out.logits), wanted) + out.voltage.square().mean()

    loss().backward()
    for parameter in before.parameters():
        got, flat_view = parameter.grad.clone().reshape(-1), parameter.data.reshape(-1)
        for k in (0, len(flat_view) - 1):
            flat_view[k] += 0.05
            up = loss().item()
            flat_view[k] -= 0.1
            down = loss().item()
            flat_view[k] += 0.05
            assert float(got[k]) == pytest.approx((up - down) / 0.1, rel=0.02, abs=1e-5)


def test_gradients_reach_layers_that_spike() -> None:
    given = raster(batch_of(SPIKES)).requires_grad_()
    net = module()
    cross_entropy(net(given), labels(batch_of(SPIKES))).backward()
    assert given.grad.shape == given.shape
    assert (given.grad[:, :-1] != 0).any(dim=2).all(dim=0)[:40].all()
    assert not given.grad[:, -1].any()


def test_batches_that_go_back_late_and_again() -> None:
    net, one, other = module(), batch_of(SPIKES, 4), batch_of(replace(SPIKES, seed=77), 3)
    wanted = []
    for batch in (one, other):
        net.zero_grad()
        cross_entropy(net(batch), labels(batch)).backward()
        wanted.append({key: each.copy() for key, each in gradients(net).items()})
    first, second = cross_entropy(net(one), labels(one)), cross_entropy(net(other), labels(other))
    net.zero_grad()
    first.backward(retain_graph=True)
    same(gradients(net), wanted[0], 1e-12)
    first.backward()  # of the same graph
    same(gradients(net), {key: 2 * each for key, each in wanted[0].items()}, 1e-12)
    net.zero_grad()
    second.backward()
    same(gradients(net), wanted[1], 1e-12)


def test_what_runs_in_between_changes_no_gradient() -> None:
    net, batch = module(), batch_of(SPIKES)
    cross_entropy(net(batch), labels(batch)).backward()
    wanted = {key: each.copy() for key, each in gradients(net).items()}
    net.zero_grad()
    loss = cross_entropy(net(batch), labels(batch))
    net.to_network()
    loss.backward()
    same(gradients(net), wanted, 1e-12)
    given = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters()}
    cross_entropy(torch.func.functional_call(net, given, (batch,)), labels(batch)).backward()
    same({name: p.grad.numpy() for name, p in given.items()}, wanted, 1e-12)


def test_a_parameter_that_changed_in_between_is_told() -> None:
    net, batch = module(), batch_of(SPIKES)
    loss = cross_entropy(net(batch), labels(batch))
    with torch.no_grad():
        net.get_parameter("input->hidden0/weight").add_(0.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_normalisation_by_the_batch_and_by_what_ran() -> None:
    rule = SurrogateBPTT(surrogate=Triangle())
    network, batch = nets.step_network(NORMALISED), batch_of(NORMALISED)
    learner = compile_network(network, rule, total_steps=4, threads=1)
    net = DelayNetwork(network, rule)
    groups = net.parameter_groups(weights=1e-3, delays=0.1)
    optimiser = torch.optim.Adam(groups)
    assert "hidden0/normalisation/mean" in dict(net.named_buffers())
    for _ in range(3):
        cross_entropy(net(batch), labels(batch)).backward()
        optimiser.step()
        optimiser.zero_grad()
    learner.train_epoch([batch] * 3, epoch=1)
    wanted = learner.evaluate([batch]).logits
    net.eval()
    with torch.no_grad():
        assert relative(net(batch).numpy(), wanted) < 1e-4
    kept = net.get_buffer("hidden0/normalisation/mean").clone()
    logits = net(batch)  # which changes no statistics
    assert torch.equal(kept, net.get_buffer("hidden0/normalisation/mean"))
    with pytest.raises(InputError, match="must be taken in training mode, got .* call train()"):
        logits.sum().backward()
    norm = net.to_network().populations["hidden0"].normalisation
    assert norm is not None
    np.testing.assert_array_equal(norm.mean, kept.numpy())


def test_dropout_in_training_alone() -> None:
    net, batch = module(rule=EventProp(dropout={"hidden0": 0.5})), batch_of(SPIKES)
    torch.manual_seed(1)
    one, other = net(batch), net(batch)
    torch.manual_seed(1)
    assert torch.equal(net(batch), one)
    assert not torch.equal(one, other)
    net.eval()
    assert torch.equal(net(batch), module()(batch))


def test_delays_learn_in_evaluation_too() -> None:
    # As in fine-tuning with dropout off: the kernel is one step wide there.
    rule, batch = SurrogateBPTT(kernel=Gaussian(3.0, 3.0)), batch_of(SPIKES)
    net, dirac = module(rule=rule).eval(), module(rule=SurrogateBPTT())
    for each in (net, dirac):
        cross_entropy(each(batch), labels(batch)).backward()
    same(gradients(net), gradients(dirac), 1e-12)
    assert gradients(net)["input->hidden0/delay"].any()
    assert not torch.equal(net(batch), net.train()(batch))


def test_spike_counts_can_be_part_of_a_loss() -> None:
    net, batch = module(output="all"), batch_of(SPIKES)
    recording = compile_network(nets.step_network(SPIKES), EventProp(), total_steps=1).record(batch)
    spikes = net(batch).spikes["hidden0"]
    mean = np.diff(recording.start["hidden0"], axis=1).mean(0)
    np.testing.assert_allclose(spikes.detach().numpy(), mean, rtol=1e-6)
    (spikes - 30.0).square().sum().backward()  # neurons shall spike more
    assert gradients(net)["input->hidden0/weight"].mean() < 0.0


def test_states_are_saved_and_loaded(tmp_path: Any) -> None:
    net, batch = module(), batch_of(SPIKES)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(0.9)
    net.set_epoch(7)
    torch.save(net.state_dict(), tmp_path / "state.pt")
    other = module()
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(other(batch), net(batch))
    assert int(other.epoch) == 7
    assert not torch.equal(module()(batch), net(batch))
    else_where = module(replace(SPIKES, seed=5))  # as many synapses, others
    pattern = "^the state must be of a network with the same synapses, got one with others"
    with pytest.raises(InputError, match=pattern):
        else_where.load_state_dict(net.state_dict())


def test_copies_are_independent() -> None:
    net, batch = module(), batch_of(SPIKES)
    before = net(batch).detach()
    copies = [copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    buffer = io.BytesIO()
    torch.save(net, buffer)
    buffer.seek(0)
    copies.append(torch.load(buffer, weights_only=False))
    with torch.no_grad():
        net.get_parameter("input->hidden0/weight").mul_(2.0)
    for each in copies:
        assert torch.equal(each(batch), before)
    assert not torch.equal(net(batch), before)


def test_the_network_comes_back() -> None:
    network = nets.step_network(SPIKES)
    net, batch = DelayNetwork(network), batch_of(SPIKES)
    again = net.to_network()
    for name, p in network.projections.items():
        np.testing.assert_array_equal(again.projections[name].weight, p.weight)
        np.testing.assert_allclose(again.projections[name].delay, p.delay, rtol=1e-6)
    with torch.no_grad():
        net.get_parameter("hidden0->output/weight").mul_(-1.5)
    logits = compile_network(net.to_network(), EventProp(), total_steps=1).evaluate([batch]).logits
    np.testing.assert_allclose(net(batch).detach().numpy(), logits, rtol=1e-6)
    np.testing.assert_array_equal(
        network.projections["hidden0->output"].weight,
        nets.step_network(SPIKES).projections["hidden0->output"].weight,
    )


def test_frozen_projections_and_fixed_delays() -> None:
    network = nets.step_network(replace(SPIKES, granularity="fixed"))
    network.projections["hidden0->output"].frozen = True
    net = DelayNetwork(network)
    learn = {name: p.requires_grad for name, p in net.named_parameters()}
    assert learn.pop("hidden0->output/weight") is False
    assert all(learn.values()) and not any(name.endswith("/delay") for name in learn)
    (group,) = net.parameter_groups()
    assert len(group["params"]) == len(learn)


def test_names_may_have_dots() -> None:
    network = Network()
    network.add("in.put", SpikeInput(3)), network.add("out", LeakyIntegrator(2))
    network.connect("in.put", "out", Exponential(), weight=0.5, delay=1.0, max_delay=4.0)
    net = DelayNetwork(network)
    net(torch.ones(2, 9, 3)).sum().backward()
    assert list(gradients(net)) == ["in//put->out/weight", "in//put->out/delay"]
    assert net.to_network().projections["in.put->out"].n_synapses == 6


def test_a_layer_before_gives_the_currents() -> None:
    network = Network(dt=1.0, seed=0)
    network.add("input", CurrentInput(4)), network.add("output", LeakyIntegrator(2))
    network.connect("input", "output", Exponential(), weight=Normal(0, 1), delay=Uniform(0, 5))
    torch.manual_seed(0)
    both = torch.nn.Sequential(torch.nn.Linear(3, 4), DelayNetwork(network))
    both(torch.rand(2, 20, 3)).sum().backward()
    assert all(p.grad.any() for p in both.parameters())


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_no_bit(threads: int) -> None:
    net, batch = DelayNetwork(nets.step_network(SPIKES), threads=threads), batch_of(SPIKES)
    cross_entropy(net(batch), labels(batch)).backward()
    other = module()
    cross_entropy(other(batch), labels(batch)).backward()
    same(gradients(net), gradients(other), 1e-30)


def test_parametrizations_of_pytorch_work() -> None:
    network, batch = learned(nets.step_network(SPIKES)), batch_of(SPIKES)
    net, plain = DelayNetwork(network), DelayNetwork(network)

    class Log(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x.exp()

        def right_inverse(self, tau: Any) -> Any:
            return tau.log()

    torch.nn.utils.parametrize.register_parametrization(net, "hidden0/tau_mem", Log())
    for each in (net, plain):
        cross_entropy(each(batch), labels(batch)).backward()
    tau = plain.get_parameter("hidden0/tau_mem")
    log = net.parametrizations["hidden0/tau_mem"].original
    assert relative(log.grad.numpy(), (tau.grad * tau).detach().numpy()) < 1e-4


T, C = SPIKES.steps, SPIKES.sizes[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(2, T, C, dtype=torch.float64), "the input must be float32 or .*, got float64"),
        (torch.zeros(2, T, C, device="meta"), "the input must be on the CPU, got meta; move it"),
        (torch.zeros(T, C), re.escape(f"shape (batch, steps, channels), got ({T}, {C})")),
        (torch.zeros(0, T, C), "the input must have shape"),
        (torch.zeros(2, T, C + 1), f"must have {C} channels, got {C + 1}"),
        (torch.full((2, T, C), 0.5), "the input must have spikes as 0 and 1, got 0.5 at"),
        (torch.full((2, T, C), float("nan")), "the input must have spikes as 0 and 1, got nan at"),
        (np.zeros((2, T, C)), "the input must be a tensor .*, got ndarray; torch.as_tensor"),
        (nets.step_data(SPIKES), "or a batch such as data.batch.*, got SpikeData"),
        (batch_of(CURRENTS), "the data must be spikes for the SpikeInput 'input', got currents"),
        (
            SpikeBatch(np.array([[0] * C + [1]]), np.array([T]), *[np.array([0])] * 2, T),
            f"spike times must be in 0..{T - 1} steps, got {T}..{T}",
        ),
    ],
)
def test_inputs_that_are_refused(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        module()(given)


def test_currents_that_are_refused() -> None:
    net, broken = module(CURRENTS), torch.zeros(2, 9, 9)
    broken[1, 2, 3] = float("inf")
    with pytest.raises(InputError, match="values must be"):
        net(broken)
    with pytest.raises(InputError, match="the input must be float32, got bool"):
        net(broken.bool())


def test_modules_that_are_refused() -> None:
    with pytest.raises(InputError, match="parameter 'input->hidden0/weight' must be float32, got"):
        module().double()(batch_of(SPIKES))
    with pytest.raises(InputError, match="must be on the CPU, got meta"):
        module().to("meta")(batch_of(SPIKES))
    net = module()
    with torch.no_grad():
        net.get_parameter("input->hidden0/weight")[0] = float("nan")
    with pytest.raises(DivergedError, match="^input->hidden0/weight is not finite$"):
        net(batch_of(SPIKES))
    network = nets.step_network(SPIKES)
    with pytest.raises(InputError, match="output must be one of logits, voltage, all, got 'spike'"):
        DelayNetwork(network, output="spike")
    with pytest.raises(InputError, match="network must be a Network, got str"):
        DelayNetwork("digits")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="rule must be EventProp"):
        DelayNetwork(network, "eventprop")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="epoch must be"):
        module().set_epoch(0)


@pytest.mark.slow
def test_digits_are_learned_as_by_the_trainer() -> None:
    data = load_dataset("digits", options={"duration": 60.0, "window": 30.0, "both": True}, dt=1.0)
    train, test = data["train"], data["test"]
    network = Network(dt=1.0, seed=0)
    network.add("input", SpikeInput(train.n_channels))
    network.add("hidden", LIF(128, tau_mem=10.0))
    network.add("output", LeakyIntegrator(10, tau_mem=20.0, readout="expweighted"))
    delays: Any = {"weight": 0.0, "delay": Uniform(0.0, 20.0), "max_delay": 30.0}
    network.connect("input", "hidden", Exponential(20.0), **delays)
    network.connect("hidden", "output", Exponential(10.0), **delays)
    initialise_weights(network, train)
    rule = EventProp(weights=5e-3, delays=0.1)
    trainer = Trainer(network, rule, epochs=12, batch_size=16, progress="none")
    trainer.fit(train)

    net = DelayNetwork(network, rule)
    optimiser = torch.optim.Adam(net.parameter_groups(weights=5e-3, delays=0.1))
    rng = torch.Generator().manual_seed(0)
    loader = torch.utils.data.DataLoader(
        range(len(train)), 16, shuffle=True, collate_fn=train.batch, generator=rng
    )
    for _ in range(12):
        for batch in loader:
            optimiser.zero_grad()
            cross_entropy(net(batch), labels(batch)).backward()
            optimiser.step()
    whole = test.batch(np.arange(len(test)))
    with torch.no_grad():
        accuracy = float((net.eval()(whole).argmax(1) == labels(whole)).float().mean())
    wanted = trainer.evaluate(test).accuracy
    assert wanted > 0.93
    assert abs(accuracy - wanted) <= 0.01
