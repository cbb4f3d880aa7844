"""[neurons.NAME]: neurons that a recipe declares."""

import re
import tomllib
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.neurons.declare import neuron_models
from mlgenn_delays.recipe import build_network, dump, load_recipe, parse_recipe, settings
from mlgenn_delays.recipe.explain import explain

FATIGUED = '''
name = "own"

[data]
dataset = "sequence"

[neurons.Fatigued]
step = """
    a = exp(-dt / tau_mem)
    V = a * V + (1 - a) * (I - w)
    w = exp(-dt / tau_w) * w
    spike = V >= 1
    if spike: V = 0
    if spike: w = w + jump
"""
refractory = "rest"

[neurons.Fatigued.parameters]
tau_mem = { default = 20, unit = "ms", above = 0, meaning = "Membrane time constant." }
tau_w = { default = 100, unit = "ms", minimum = 1, maximum = 500 }
jump = { minimum = 0 }
rest = { default = 0, unit = "ms", minimum = 0 }

[neurons.Late]
spiking = false
step = "V = exp(-dt / tau) * V + I / kept"

[neurons.Late.parameters]
kept = { whole = true, default = 2, minimum = 1 }
tau = { default = 20, unit = "ms", above = 0 }

[network]

[[network.layers]]
size = 8
model = "Fatigued"
parameters = { tau_mem = { normal = [10, 1] }, jump = 0.5 }
learn = ["tau_w"]

[network.readout]
model = "Late"
parameters = { kept = 4 }
kind = "max"

[delays]
max = 10.0

[learning]
rule = "surrogate"
epochs = 1
'''


def recipe(*overrides: str) -> Any:
    return parse_recipe(FATIGUED, "own", overrides)


def network(*overrides: str) -> Any:
    return build_network(recipe(*overrides), 2, 2, 0)


def test_layers_and_the_readout_have_the_neurons_declared() -> None:
    populations = network().populations
    hidden, output = populations["hidden1"].model, populations["output"].model
    assert hidden.equations.states == ("V", "w") and hidden.jump == 0.5
    assert np.std(hidden.tau_mem) > 0 and np.all(np.asarray(hidden.tau_w) == 100)
    assert hidden.refractory_steps(1.0) == 0
    assert (output.readout, output.kept, output.tau) == ("max", 4, 20.0)
    other = network("network.layers.0.parameters.rest=3", "network.layers.0.parameters.jump=1")
    assert other.populations["hidden1"].model.refractory_steps(1.0) == 3
    assert not {"Fatigued", "Late"} & neuron_models().keys()


def test_the_declaration_is_kept_with_the_settings() -> None:
    own = recipe("network.layers.0.parameters.tau_w=50")
    again = parse_recipe(dump(own), "again")
    assert again == own and dump(again) == dump(own)
    assert "\n    V = a * V" in dump(own)  # in lines of its own
    assert again.neuron(again.network.layers[0]) is own.neuron(own.network.layers[0])
    flat = settings(own)
    assert flat["neurons.Fatigued.parameters.tau_w.maximum"] == "500.0"
    assert flat["network.layers.0.parameters.tau_w"] == "50.0"
    assert "\n[neurons" not in dump(load_recipe("digits")) + dump(load_recipe("fsdd-currents"))


LAYER, OWN = "network.layers.0", "neurons.Fatigued"


def test_linear_neurons_learn_by_eventprop() -> None:
    late = ("network.readout.model=LeakyIntegrator",)
    recipe("learning.rule=eventprop", *late)
    squared = "w = w + tau_mem / tau_w\nV = V + I * V * jump\nspike = V > 1\nif spike: V = 0"
    with pytest.raises(InputError, match="or another that is linear .*line 2"):
        recipe("learning.rule=eventprop", *late, f"{OWN}.step={squared}")
    load_recipe("digits", ["network.layers.0.model=AdaptiveLIF"])


WRONG = [
    (f"{LAYER}.parameters.tau_mem={{normal=[20]}}",
     f"{LAYER}.parameters.tau_mem: Normal needs sd, got none"),
    (f"{LAYER}.tau_syn={{uniform=[9,3]}}", f"{LAYER}.tau_syn: Uniform.low must be a number <= hi"),
    (f"{LAYER}.tau_syn=0.3", f"{LAYER}.tau_syn must be >= 0.5 network.dt (0.5 ms), got 0.3"),
    (f"{OWN}.step='V = V + x'", f"{OWN}.step, line 1 (V = V + x): x is unknown"),
    (f"{OWN}.step='V = V + I'", f"{OWN}.step must have a threshold"),
    (f"{OWN}.step=3", f"{OWN}.step must be text, got 3"),
    (f"{OWN}.spiking=false", f"{OWN}.step must have no threshold"),
    (f"{OWN}.refractory=jump", f"{OWN}.refractory must be the name of a parameter in ms"),
    (f"{OWN}.synapses=['Foo']", f"{OWN}.synapses.0 must be one of Exponential, Delta, got 'Foo'"),
    (f"{OWN}.shortest=-1", f"{OWN}.shortest must be a number >= 0 steps, got -1"),
    (f"{OWN}.stepp=1", f"there is no key '{OWN}.stepp'"),
    (f"{OWN}=1", f"{OWN} must be a table, got 1"),
    (f"{OWN}.parameters.tau_w.default=0",
     f"{OWN}.parameters.tau_w.default must be a number in [1, 500] ms, got 0.0"),
    (f"{OWN}.parameters.tau_w.unit=s", f"{OWN}.parameters.tau_w.unit must be one of 1, ms, 1/ms"),
    (f"{OWN}.parameters.gain.default=1", f"{OWN}: a parameter must not be called 'gain'"),
    (f"{OWN}.parameters.lambda.default=1", f"{OWN}.parameters.lambda must be a name of Python"),
    ("neurons.Late.parameters.kept.default=1.5",
     "neurons.Late.parameters.kept.default must be a whole number >= 1, got 1.5"),
    ("neurons.LIF.step='V = V + I'", "neurons.LIF must have another name: LIF comes with"),
    ("neurons.SeedLIF.step='V = V + I'", "neurons.SeedLIF must have another name"),
    ("neurons.SpikeInput.step='V = V + I'", "neurons.SpikeInput must have another name"),
    ("neurons.größe.step='V = I'", "größe must have a name of letters from A to Z"),
    (f"{LAYER}.model=Late", "neurons.Late.spiking must be true for a model of network.layers.0"),
    ("network.readout.model=Fatigued", "neurons.Fatigued.spiking must be false for a model of"),
    (f"{LAYER}.model=Fatiged", f"{LAYER}.model must be one of EulerLIF, LIF, .*'Fatigued'?"),
    (f"{LAYER}.model=Nothing", "got 'Nothing'; or declare it in [neurons.NAME]"),
    (f"{LAYER}.tau_mem=9", f"{LAYER}.tau_mem must be 20 .* got 9.0; give {LAYER}.parameters"),
    (f"{LAYER}.parameters={{}}", f"{LAYER}.parameters.jump must be given"),
    (f"{LAYER}.parameters.tau=1", f"there is no key '{LAYER}.parameters.tau' (Fatigued has jump"),
    (f"{LAYER}.parameters.jump=-1", f"{LAYER}.parameters.jump must be a number >= 0 .* got -1.0"),
    (f"{LAYER}.parameters.jump=true", f"{LAYER}.parameters.jump must be a number .* got true"),
    (f"{LAYER}.parameters.jump=[1, 2]", f"{LAYER}.parameters.jump must be a number or 8 of them"),
    (f"{LAYER}.parameters.tau_mem=0.3",
     f"{LAYER}.parameters.tau_mem must be >= 0.5 network.dt (0.5 ms)"),
    ("network.readout.parameters.kept=1.5", "network.readout.parameters.kept must be a whole"),
]  # fmt: skip


@pytest.mark.parametrize(("override", "words"), WRONG, ids=[each[0][:40] for each in WRONG])
def test_errors_name_the_key(override: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        recipe(override)
    pattern = ".*".join(re.escape(part) for part in words.split(".*"))
    assert re.match(f"own: .*{pattern}", str(caught.value)), caught.value


def test_what_another_model_would_read_has_no_effect() -> None:
    recipe(f"{LAYER}.model=LIF", f"{LAYER}.learn=[]")
    for overrides in (
        [f"{LAYER}.omega=9"],
        [f"{LAYER}.model=LIF", f"{LAYER}.learn=[]", f"{LAYER}.parameters.jump=2"],
    ):
        with pytest.raises(InputError, match=f"has no effect with {LAYER}.model = "):
            recipe(*overrides)


def test_a_neuron_that_is_not_used_has_no_effect() -> None:
    other = "neurons.Other.step=V = V + I\nspike = V > 1\nif spike: V = 0"
    with pytest.raises(InputError, match="step has no effect with network.layers.N.model"):
        recipe(other)
    recipe(other, f"{LAYER}.model=Other", f"{LAYER}.parameters={{}}", f"{LAYER}.learn=[]")


def test_keys_are_explained_by_any_name() -> None:
    (found,) = explain("neurons.Fatigued.parameters.jump.default")
    assert found.name == "neurons.NAME.parameters.NAME.default"
    assert {each.name for each in explain("neurons")} >= {"neurons.NAME.step"}


def test_a_table_lists_the_parameters_of_its_own_model() -> None:
    def listed(*overrides: str) -> dict[str, Any]:
        own = load_recipe("fsdd", overrides)
        assert parse_recipe(dump(own), "again") == own
        return tomllib.loads(dump(own))["network"]["layers"][0]

    plain = listed()
    assert {"tau_mem", "v_thresh", "tau_refrac"} <= plain.keys()
    assert not {"tau_adapt", "omega", "beta_1"} & plain.keys()
    adaptive = listed("network.layers.0.model=AdaptiveLIF")
    assert {"tau_mem", "tau_adapt"} <= adaptive.keys()
    assert not {"tau_refrac", "omega"} & adaptive.keys()
    # What a file says beside is kept: it counts once the model is another.
    text = dump(load_recipe("fsdd")).replace('model = "LIF"', 'model = "LIF"\ntau_adapt = 50.0')
    again = parse_recipe(text, "again")
    assert again.network.layers[0].tau_adapt == 50.0
    assert parse_recipe(dump(again), "again") == again
