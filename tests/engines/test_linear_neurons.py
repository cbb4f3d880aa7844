"""EventProp of any neuron that is linear between spikes, and of parameters that are learned."""

from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.data.types import SpikeData
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.cpu import linear_matrices
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import Atan, EventProp, SpikeCount, SurrogateBPTT
from mlgenn_delays.network import (
    LIF,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    SpikeInput,
    Uniform,
)
from mlgenn_delays.neurons.declare import (
    Neuron,
    Readout,
    ReadoutNeuron,
    SpikingNeuron,
    TauMem,
    make_model,
)
from mlgenn_delays.neurons.models.adaptive_lif import AdaptiveLIF
from mlgenn_delays.neurons.models.balanced_resonator import BalancedResonator
from mlgenn_delays.neurons.models.two_compartment_lif import TwoCompartmentLIF
from tests.engines.helpers import relative
from tests.reference import linear_variants, nets
from tests.reference.variants import as_batch

# By kind of `linear_variants`: our neuron, and our names of its parameters.
SAME: dict[str, tuple[Any, dict[str, str]]] = {
    "LIF": (LIF, {"tau_mem": "tau_mem", "theta": "v_thresh"}),
    "adaptive LIF": (
        AdaptiveLIF,
        {
            "tau_mem": "tau_mem", "theta": "v_thresh", "tau_w": "tau_adapt", "a": "adapt_v",
            "beta": "adapt_spike",
        },
    ),
}  # fmt: skip
SEEDS = 10


@lru_cache
def errors(kind: str, dt: float) -> dict[str, float]:
    """Median over seeds of the relative error against the exact simulator, by what it is of."""
    model, names = SAME[kind]
    found: list[dict[str, float]] = []
    for seed in range(SEEDS):
        right, counts = linear_variants.wanted(kind, seed)
        circuit = linear_variants.circuit(kind, seed, dt)
        given = circuit.kinds["hidden"].parameters
        network = circuit.network
        hidden = network.populations["hidden"]
        hidden.model = model(4, **{own: given[name] for name, own in names.items()})
        hidden.learn = tuple(names.values())
        compiled = compile_network(network, EventProp(), total_steps=1)
        batch = as_batch(linear_variants.events(seed), dt, 0)
        if list(np.diff(compiled.record(batch).start["hidden"][0])) != counts:
            continue
        got = compiled.gradients(batch)
        each = {f"W {n}": relative(got.weight[n], right.weight[n]) for n in right.weight}
        each |= {f"D {n}": relative(got.delay[n] / dt, right.delay[n]) for n in right.delay}
        for name, own in names.items():
            each[own] = relative(got.parameter["hidden", own], right.parameter["hidden", name])
        found.append(each)
    assert len(found) >= SEEDS // 2
    return {name: float(np.median([each[name] for each in found])) for name in found[0]}


@pytest.mark.parametrize("kind", SAME)
def test_errors_fall_with_dt(kind: str) -> None:
    coarse, fine = errors(kind, 0.2), errors(kind, 0.02)
    for name, error in fine.items():
        assert error < 0.04, (name, error)
        assert error < coarse[name] / 3, (name, error, coarse[name])


def everywhere(context: Any, name: str) -> Neuron | None:
    model = context.network.populations[name].model
    return model if isinstance(model, Neuron) else None


@pytest.mark.parametrize("given", [
    {}, {"recurrent": True}, {"tau_refrac": 3.0}, {"recurrent": True, "tau_refrac": 2.0},
    {"sizes": (9, 12, 7, 3)}, {"sizes": (9, 40, 3), "recurrent": True},
])  # fmt: skip
def test_kernels_of_lif_compute_the_same(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = nets.Recipe(11, **({"sizes": (9, 12, 3)} | given))
    network, batch = nets.network(recipe), nets.batch(recipe, 4)
    rule = EventProp(spike_count=SpikeCount(14.0, 0.01))
    special = compile_network(network, rule, total_steps=1)
    monkeypatch.setattr(linear_matrices, "_model", everywhere)
    general = compile_network(network, rule, total_steps=1)
    one, other = special.gradients(batch), general.gradients(batch)
    first, second = special.record(batch), general.record(batch)
    for name in first.time:
        assert len(first.time[name]) > 10
        assert np.array_equal(first.time[name], second.time[name])
    for kind in ("weight", "delay"):
        for name, value in getattr(one, kind).items():
            assert relative(getattr(other, kind)[name], value) < 2e-5, (kind, name)


def own_neuron(step: str, base: Any = SpikingNeuron, **fields: Any) -> Any:
    """A neuron of `step`, leaky with `a`; unknown by its name."""
    kinds = {"__annotations__": {"tau_mem": TauMem} | dict.fromkeys(fields, Readout)}
    body = {"step": f"a = exp(-dt / tau_mem)\n{step}", "tau_mem": 20.0}
    return make_model(type("Own", (base,), kinds | body | fields))


def with_hidden(model: Any, readout: Any = None) -> Network:
    network = Network()
    network.add("in", SpikeInput(3))
    network.add("hidden", model)
    network.add("out", readout or LeakyIntegrator(2))
    network.connect("in", "hidden", Exponential(), weight=1.0)
    network.connect("hidden", "out", Exponential(), weight=Normal(0.0, 1.0))
    return network


MOVE = "V = a * V + (1 - a) * I"


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (BalancedResonator, "BalancedResonator of .hidden. must be linear .* line 3 .X = V"),
        (TwoCompartmentLIF, "TwoCompartmentLIF of .hidden. must change little in a short step"),
        (own_neuron(f"{MOVE} + 0.1\nspike = V >= 1\nif spike: V = 0"), "must change little in a"),
        (
            own_neuron(f"{MOVE}\nspike = V + I >= 1\nif spike: V = 0"),
            "the threshold of Own of .hidden. must be",
        ),
        (
            own_neuron(f"{MOVE}\nspike = V >= 1\nif spike: V = -I"),
            "the reset of Own of .hidden. must be of sta",
        ),
    ],
)
def test_what_eventprop_cannot_learn(model: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        compile_network(with_hidden(model(4)), EventProp(), total_steps=1)


def test_what_inherits_from_lif_is_no_lif() -> None:
    step = f"{MOVE}\nspike = V >= v_thresh\nif spike: V = V - v_thresh"
    heir = make_model(type("Heir", (LIF,), {"step": f"a = exp(-dt / tau_mem)\n{step}"}))
    found = []
    for model in (heir, own_neuron(step.replace("v_thresh", "1")), LIF):
        network = with_hidden(model(4))
        network.projections["in->hidden"].weight[:] = 40.0
        compiled = compile_network(network, EventProp(), total_steps=1)
        found.append(len(compiled.record(three_channels(2)).time["hidden"]))
    assert found[0] == found[1] != found[2]
    assert (heir.nir, LIF.nir, heir.former) == ("", "LIF", ())


def test_gradients_are_finite_where_nothing_drives_a_neuron_above_its_threshold() -> None:
    step = "V = V + dt / tau_mem * I\nspike = V >= 1\nif spike: V = V - 1"
    network = with_hidden(own_neuron(step.replace("dt", "(1 - a) * dt"))(4))
    network.projections["in->hidden"].weight[:] = 1e6
    compiled = compile_network(network, EventProp(), total_steps=1)
    batch = three_channels(2, 500)
    counts = np.diff(compiled.record(batch).start["hidden"], axis=1)
    assert counts.min() > 490  # it spikes on when its current has long decayed to 0
    for value in compiled.gradients(batch).weight.values():
        assert np.isfinite(value).all() and value.any()


def three_channels(size: int, steps: int = 9) -> Any:
    """A batch with a spike in channel 0."""
    settings: Any = {"n_channels": 3, "n_steps": steps, "dt": 1.0, "label_names": ("a", "b")}
    return SpikeData.from_events([([0], [2])] * size, [0] * size, **settings).batch(np.arange(size))


def test_a_readout_must_be_a_state() -> None:
    step = f"{MOVE.replace('V', 'x')}\nV = 2 * x"
    readout = own_neuron(step, ReadoutNeuron, readout="mean")(2)
    with pytest.raises(
        InputError, match="V of Own of .out. must be a state for EventProp, got .* from x"
    ):
        compile_network(with_hidden(LIF(4), readout), EventProp(), total_steps=1)


@pytest.mark.parametrize(("sign", "spikes"), [(">", 0), (">=", 20)])
def test_a_strict_threshold_is_one(sign: str, spikes: int) -> None:
    network = with_hidden(own_neuron(f"{MOVE}\nspike = V {sign} 0\nif spike: V = -1")(4))
    network.projections["in->hidden"].weight[:] = 0.0
    compiled = compile_network(network, EventProp(), total_steps=1)
    assert len(compiled.record(three_channels(5)).time["hidden"]) == spikes


def with_time_constants(recurrent: bool, dt: float, learn: bool) -> Network:
    """A net whose hidden neurons differ in tau_syn, and in that of their recurrent synapses."""
    network = Network(dt=dt, seed=3)
    network.add("in", SpikeInput(6))
    network.add("hidden", LIF(7, tau_mem=15.0), bias=0.2)
    network.add("out", LeakyIntegrator(3, tau_mem=20.0))
    delay: dict[str, Any] = {"delay": Uniform(0.0, 6.0), "max_delay": 6.0}
    first = Exponential(Normal(5.0, 1.0), learn=learn)
    network.connect("in", "hidden", first, weight=Normal(0.5, 0.2), **delay)
    if recurrent:
        second = Exponential(Normal(9.0, 1.0), learn=learn)
        network.connect("hidden", "hidden", second, weight=Normal(0.0, 0.1), **delay)
    network.connect(
        "hidden", "out", Exponential(7.0, learn=learn), weight=Normal(0.0, 0.5), **delay
    )
    return network


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("rule", [EventProp(), SurrogateBPTT(surrogate=Atan(1.0))])
def test_time_constants_of_synapses(rule: Any, recurrent: bool) -> None:
    """Their gradients at the output, which are those of the loss, against central differences."""
    network = with_time_constants(recurrent, 1.0, learn=True)
    data = nets.step_data(nets.StepRecipe(5, sizes=(6, 7, 3), steps=60), 4)
    batch = data.batch(np.arange(4))
    compiled = compile_network(network, rule, total_steps=1)
    assert np.diff(compiled.record(batch).start["hidden"]).sum() > 20
    got = compiled.gradients(batch)
    keys = {("hidden/synapse0", "tau_syn"), ("out/synapse0", "tau_syn")}
    assert set(got.parameter) == keys | ({("hidden/synapse1", "tau_syn")} if recurrent else set())
    assert all(np.abs(value).max() > 0 for value in got.parameter.values())

    def loss(tau: np.ndarray) -> float:
        moved = network.copy()
        moved.projections["hidden->out"].synapse = Exponential(tau)
        return compile_network(moved, rule, total_steps=1).gradients(batch).loss

    for j in range(3):
        step = 0.05 * (np.arange(3) == j)
        wanted = (loss(7.0 + step) - loss(7.0 - step)) / 0.1
        assert got.parameter["out/synapse0", "tau_syn"][j] == pytest.approx(wanted, rel=5e-3)


@pytest.mark.parametrize("recurrent", [False, True])
def test_time_constants_of_hidden_synapses_against_the_exact_simulator(recurrent: bool) -> None:
    errors = {}
    for dt in (0.2, 0.02):
        found = []
        for seed in range(8):
            circuit = linear_variants.circuit("LIF", seed, dt)
            network = circuit.network
            right, counts = linear_variants.wanted("LIF", seed)
            given = circuit.kinds["hidden"].parameters
            network.populations["hidden"].model = LIF(4, tau_mem=given["tau_mem"])
            for name in ("input->hidden", "hidden->hidden"):
                p = network.projections[name]
                p.synapse = Exponential([p.synapse.tau_syn + 1e-4 * (name[0] == "h")] * 4, True)
            compiled = compile_network(network, EventProp(), total_steps=1)
            batch = as_batch(linear_variants.events(seed), dt, 0)
            if list(np.diff(compiled.record(batch).start["hidden"][0])) != counts:
                continue
            got, name = compiled.gradients(batch), ("input->hidden", "hidden->hidden")[recurrent]
            wanted = right.parameter["hidden", f"tau_syn {name}"]
            found.append(
                relative(got.parameter[f"hidden/synapse{int(recurrent)}", "tau_syn"], wanted)
            )
        assert len(found) >= 4
        errors[dt] = np.median(found)
    assert errors[0.02] < 0.04 and errors[0.02] < errors[0.2] / 3, errors


def test_networks_keep_time_constants_of_synapses(tmp_path: Any) -> None:
    network = with_time_constants(True, 1.0, learn=True)
    batch = nets.step_data(nets.StepRecipe(5, sizes=(6, 7, 3), steps=60), 4).batch(np.arange(4))
    rule = EventProp(neurons=0.1)

    def trained(count: int, state: Any = None) -> tuple[Any, Network]:
        compiled = compile_network(network.copy(), rule, total_steps=9)
        if state is not None:
            compiled.load_state(state)
        compiled.train_epoch([batch] * count, epoch=1)
        return compiled.state(), compiled.pull()

    half, _ = trained(2)
    resumed, learned = trained(2, half)
    whole, _ = trained(4)
    assert all(np.array_equal(resumed[key], whole[key]) for key in whole)
    before = network.projections["in->hidden"].synapse
    after = learned.projections["in->hidden"].synapse
    assert isinstance(after, Exponential) and after != before
    assert np.abs(np.array(after.tau_syn) - np.array(before.tau_syn)).max() > 0.5
    learned.save(tmp_path / "network.safetensors")
    read = Network.load(tmp_path / "network.safetensors")
    assert read.projections["in->hidden"].synapse == after
    assert read.projections["hidden->out"].synapse == learned.projections["hidden->out"].synapse
