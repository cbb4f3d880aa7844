"""EventProp of any neuron that is linear between spikes, and of parameters that are learned."""

from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.cpu import linear_matrices
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import EventProp, SpikeCount
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput
from mlgenn_delays.neurons.declare import Neuron
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
    {"sizes": (9, 12, 7, 3)},
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


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (BalancedResonator, "line 3 .X = V .* must|must be linear .* line 3 .X = V"),
        (TwoCompartmentLIF, "must change little in a short step"),
    ],
)
def test_what_eventprop_cannot_learn(model: Any, says: str) -> None:
    network = Network()
    network.add("in", SpikeInput(3))
    network.add("hidden", model(4))
    network.add("out", LeakyIntegrator(2))
    network.connect("in", "hidden", Exponential(), weight=1.0)
    network.connect("hidden", "out", Exponential(), weight=1.0)
    with pytest.raises(InputError, match=says):
        compile_network(network, EventProp(), total_steps=1)
