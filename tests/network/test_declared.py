"""Neurons that a file declares, where the module that did so is not there."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
from safetensors.numpy import load

from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Exponential, LeakyIntegrator, Network, SpikeInput
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.neurons.declare import NEURONS, SpikingNeuron, TauMem, TauRefrac, neuron
from mlgenn_delays.neurons.stored import MOST_TEXT, declarations, from_declaration
from mlgenn_delays.settings import Count, OpenShare, says
from mlgenn_delays.tensors import pack
from tests.export.neurons import Hostile, Squashed, hostile_network
from tests.network.test_storage import assert_same, metadata, refused
from tests.reference.nets import StepRecipe

PLAIN = "V = V + I\nspike = V >= 1\nif spike: V = 0"


@neuron
class Declared(SpikingNeuron):
    """n neurons with a parameter of every kind."""

    steps: Annotated[Count, says("A whole number.")]
    share: Annotated[OpenShare, says("A share.")]
    tau_mem: TauMem = 15.0
    rest: TauRefrac = 3.0

    step: ClassVar[str] = """
        alpha = share * exp(-dt / tau_mem)  # a comment
        V = alpha * V + I / steps
        spike = V > 1
        if spike: V = 0
    """
    refractory: ClassVar[str] = "rest"
    synapses: ClassVar[tuple[str, ...]] = ("Exponential",)
    shortest: ClassVar[float] = 2.0


def network() -> Network:
    net = Network(seed=3)
    net.add("input", SpikeInput(3))
    net.add("hidden", Declared(4, steps=2, share=np.array([0.1, 0.2, 0.3, 0.4])))
    net.add("output", LeakyIntegrator(2))
    net.connect("input", "hidden", Exponential(), weight=1.0)
    net.connect("hidden", "output", Exponential(), weight=1.0)
    return net


def forget(monkeypatch: pytest.MonkeyPatch, *models: type) -> None:
    for model in models:
        monkeypatch.delitem(NEURONS, model.__name__)


def test_a_network_is_read_where_its_neurons_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network().save(tmp_path / "n")
    forget(monkeypatch, Declared)
    found = Network.load(tmp_path / "n")
    model: Any = found.populations["hidden"].model
    kind = type(model)
    assert kind is not Declared and kind.__name__ == "Declared" not in NEURONS
    assert kind.equations.states == ("V",) and kind.equations.strict
    assert (model.steps, model.tau_mem, model.refractory_steps(0.5)) == (2, 15.0, 6)
    own = network().populations["hidden"].model
    for name, value in own.constants(1.0).items():
        np.testing.assert_array_equal(model.constants(1.0)[name], value)
    for wrong, words in (
        ({"steps": 0}, "steps must be a whole number >= 1"), ({"share": 1.0}, r"in \(0, 1\)"),
        ({"tau_mem": 0.0}, "tau_mem must be a number > 0 ms"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            kind(**({"n": 1, "steps": 1, "share": 0.5} | wrong))
    with pytest.raises(InputError, match="synapses onto the Declared 'x' must be Exponential"):
        from mlgenn_delays.network import Delta

        found.add("x", model)
        found.connect("input", "x", Delta(), weight=1.0)
    assert to_bytes(Network.load(tmp_path / "n")) == (tmp_path / "n").read_bytes()
    assert type(Network.load(tmp_path / "n").populations["hidden"].model) is kind


def test_the_known_model_is_taken_if_its_equations_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network().save(tmp_path / "n")
    assert_same(Network.load(tmp_path / "n"), network())

    forget(monkeypatch, Declared)

    @neuron
    class Other(SpikingNeuron):
        """Another with the name."""

        steps: Annotated[Count, says("A whole number.")] = 1
        share: Annotated[OpenShare, says("A share.")] = 0.5
        tau_mem: TauMem = 15.0
        rest: TauRefrac = 3.0
        step: ClassVar[str] = Declared.step.replace("> 1", "> 2")
        refractory: ClassVar[str] = "rest"
        synapses: ClassVar[tuple[str, ...]] = ("Exponential",)
        shortest: ClassVar[float] = 2.0

    del NEURONS["Other"]
    monkeypatch.setitem(NEURONS, "Declared", Other)
    found: Any = type(Network.load(tmp_path / "n").populations["hidden"].model)
    assert found is not Other and "V > 1" in found.step
    assert NEURONS["Declared"] is Other


def test_networks_of_the_packages_neurons_declare_nothing() -> None:
    net = network()
    net.populations.pop("hidden")
    net.projections.clear()
    assert "neurons" not in json.loads(metadata(to_bytes(net))["network"])


def test_every_kind_of_equation_and_readouts_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = hostile_network(StepRecipe(5, readout="max"))
    net.save(tmp_path / "n")
    forget(monkeypatch, Hostile, Squashed)
    found = Network.load(tmp_path / "n")
    for name, population in found.populations.items():
        model: Any = net.populations[name].model
        if name != "input":
            assert [*population.model.constants(0.5)] == [*model.constants(0.5)]
    assert found.output().model.readout == "max"


GOOD = {"spiking": True, "step": PLAIN}
WRONG: list[tuple[Any, str]] = [
    (3, "declaration of neuron N is wrong"),
    ({}, "declaration of neuron N is wrong: step: Field required"),
    (GOOD | {"odd": 1}, "odd: Extra inputs"),
    (GOOD | {"step": PLAIN + "\n" + "#" * MOST_TEXT}, "step: String should have at most"),
    (GOOD | {"step": "import os"}, r"N.step, line 1 \(import os\): must be NAME = EXPRESSION"),
    (GOOD | {"step": "V = V + __import__('os').getpid()" + PLAIN[9:]}, "cannot be differentiated"),
    (GOOD | {"step": "V = V + I.real" + PLAIN[9:]}, "cannot be differentiated"),
    (GOOD | {"step": "V = " + "-" * 5000 + "I" + PLAIN[9:]}, "nest at most 50"),
    (GOOD | {"step": "V = I" + " + I" * 60 + PLAIN[9:]}, "nest at most 50"),
    (GOOD | {"step": "V = V + 1e300 * I" + PLAIN[9:]}, "numbers must be less than 1e[+]30"),
    (GOOD | {"step": "V = V +\0 I" + PLAIN[9:]}, "null"),
    (GOOD | {"step": "("}, "not Python"),
    (GOOD | {"spiking": False}, "must have no threshold"),
    ({"spiking": False, "step": "U = U + I"}, "must set V"),
    (GOOD | {"refractory": "tau"}, "refractory must be the name of a parameter in ms"),
    (GOOD | {"shortest": float("nan")}, "shortest"),
    (GOOD | {"parameters": [{"name": "a"}] * 101}, "parameters: List should have at most"),
    (GOOD | {"parameters": [{"name": "V"}]}, "V"),
    (GOOD | {"parameters": [{"name": "gain"}]}, "parameter must not be called 'gain'"),
    (GOOD | {"parameters": [{"name": "constants"}]}, "parameter must not be called 'constants'"),
    (GOOD | {"parameters": [{"name": "__class__"}]}, "must begin with a letter, .*got '__class__'"),
    (GOOD | {"parameters": [{"name": "lambda"}]}, "parameters.0.name: .*must be a name of Python"),
    (GOOD | {"parameters": [{"name": "a=print()"}]}, "parameters.0.name: .*must be a name"),
    (GOOD | {"parameters": [{"name": "a", "default": 1.0}, {"name": "b"}]}, "non-default"),
    (GOOD | {"parameters": [{"name": "a", "unit": "mV"}]}, "unit"),
]


@pytest.mark.parametrize(("given", "words"), WRONG, ids=range(len(WRONG)))
def test_what_declares_no_neuron_is_refused(given: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        from_declaration("N", given)
    whole = to_bytes(network())
    text = json.loads(metadata(whole)["network"])
    text["neurons"]["N"] = given
    content = pack(load(whole), metadata(whole) | {"network": json.dumps(text)})
    refused(tmp_path / "n", content, "damaged: (?!.*checksum)")


@pytest.mark.parametrize("name", ["", "a b", "../x", "größe", "x" * 101, 3])
def test_names_that_no_class_has_are_refused(name: Any) -> None:
    with pytest.raises(InputError, match="must have a name of letters from A to Z"):
        from_declaration(name, GOOD)


def test_neurons_of_one_name_cannot_be_told_apart_in_a_file() -> None:
    other = from_declaration("Declared", GOOD)
    with pytest.raises(InputError, match="different names, got two called Declared"):
        declarations({Declared, other})


def test_what_is_not_finite_is_named() -> None:
    one = {"name": "a", "default": 0.0}
    divided = GOOD | {"step": PLAIN.replace("V + I", "V + I / a"), "parameters": [one]}
    rooted = GOOD | {
        "step": "b = sqrt(-1 - a)\n" + PLAIN.replace("V + I", "b * V + I"), "parameters": [one],
    }  # fmt: skip
    for given, words in (
        (divided, r"line 1 \(V = V \+ I / a\): V must be finite, got nan at rest"),
        (rooted, r"line 1 \(b = sqrt.*\): b must be finite, got nan at dt = 1 ms"),
    ):
        model = from_declaration("N", given)
        with pytest.raises(InputError, match=words):
            model(1).constants(1.0)
