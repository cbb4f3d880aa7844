"""What the pages say of neurons is what their declarations say."""

import re
from typing import Any

import pytest

import mlgenn_delays
from mlgenn_delays.errors import InputError
from mlgenn_delays.neurons.declare import is_built_in, make_model, model_of, neuron_models
from mlgenn_delays.recipe import parse_recipe
from mlgenn_delays.recipe.build import build_network
from tests.docs.pages import DOCS
from tests.needs import need

PAGE = (DOCS / "how-to" / "own-neuron.md").read_text()
CLASS = re.search(r"^@neuron\n(class .*?^    \"\"\"\n)", PAGE, re.MULTILINE | re.DOTALL)
ERRORS = re.findall(r"^\| `(.+)` \| `(.+)` \| `(.+)` \|$", PAGE, re.MULTILINE)


def declared(text: str) -> Any:
    names = vars(mlgenn_delays) | {
        name: getattr(mlgenn_delays, name) for name in dir(mlgenn_delays)
    }
    names["neuron"] = make_model
    exec(f"@neuron\n{text}", names)
    return names["Tiring"]


def test_the_neuron_of_the_page_has_ten_lines() -> None:
    assert CLASS is not None and len(CLASS[1].splitlines()) == 10
    assert declared(CLASS[1]).equations.states == ("V", "b")


@pytest.mark.parametrize(("piece", "instead", "says"), ERRORS)
def test_errors_are_those_of_the_page(piece: str, instead: str, says: str) -> None:
    assert CLASS is not None and CLASS[1].count(piece) == 1
    with pytest.raises(InputError, match=re.escape(says)) as error:
        declared(CLASS[1].replace(piece, instead))
    assert "\n" not in str(error.value) and "Tiring" in str(error.value)


def test_the_page_has_errors() -> None:
    assert len(ERRORS) > 12


def test_the_recipe_of_the_page_is_whole() -> None:
    (text,) = re.findall(r"^```toml\n(name = .*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    recipe = parse_recipe(text, "tiring.toml")
    network = build_network(recipe, 8, 2, 0)
    assert CLASS is not None
    step = declared(CLASS[1]).step
    assert network.populations["hidden1"].model.step.split() == step.split()


def test_all_neurons_are_printed_from_their_declarations() -> None:
    need("sphinx")
    import neurons

    page = (DOCS / "method" / "neurons.md").read_text()
    printed = re.findall(r"^```\{neuron\} (\w+)$", page, re.MULTILINE)
    assert sorted(printed) == sorted(n for n, m in neuron_models().items() if is_built_in(m))
    for name in printed:
        text = "\n".join(neurons.neuron_lines(name))
        assert all(f"| `{each}` | " in text for each in model_of(name).parameters())
    text = "\n".join(neurons.neuron_lines("LIF"))
    assert r"&&& V \leftarrow \alpha \, V + \left(1 - \alpha\right) \, I" in text
    assert r"& \mathit{spike}: && V \ge v_\mathrm{thresh}" in text
    assert "| `tau_mem` | 20 | > 0 ms | logarithm | Membrane time constant. |" in text
    assert "`EventProp` and `SurrogateBPTT`, node `LIF` of NIR" in text
    assert "EventProp" not in "\n".join(neurons.neuron_lines("BalancedResonator"))
