"""Recipes as text: nothing is lost, and differences are found."""

import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlgenn_delays.recipe import differences, dump, load_recipe, parse_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_dump_reads_back(name):
    recipe = load_recipe(name)
    assert parse_recipe(dump(recipe), "text") == recipe


@example('\x7f\x00"\\\n\u2028', 0.0, 0.0, 0, False)
@given(
    summary=st.text(st.characters(exclude_categories=["Cs"])),
    rate=st.floats(0, 1e300),
    sparsity=st.floats(0, 0.999),  # 2 of 2560 synapses are left
    seed=st.integers(0, 2**31 - 1),
    recurrent=st.booleans(),
)
def test_dump_reads_back_whatever_the_values(summary, rate, sparsity, seed, recurrent):
    base = load_recipe("digits")
    layer = base.network.layers[0].model_copy(update={"recurrent": recurrent})
    network = base.network.model_copy(update={"layers": (layer, layer), "sparsity": sparsity})
    learning = base.learning.model_copy(update={"learning_rate": rate})
    recipe = base.model_copy(
        update={"summary": summary, "seed": seed, "network": network, "learning": learning}
    )
    assert parse_recipe(dump(recipe), "text") == recipe


def test_dump_writes_every_setting():
    table = tomllib.loads(dump(load_recipe("digits")))
    assert table["learning"]["beta2"] == 0.999
    assert table["network"]["layers"][0]["tau_refrac"] == 0.0
    assert table["data"]["window"] == 30.0
    assert table["rewiring"]["rule"] == "none"
    assert table["rewiring"]["every"] == -1
    assert table["data"]["encoding"] == "spikes"
    assert table["network"]["synapses"] == []


def test_differences_name_key_and_both_values():
    a = load_recipe("digits", ["seed=1"])
    b = load_recipe("digits", ["seed=2", "network.layers.0.size=3", "data.window=20"])
    size = a.network.layers[0].size
    assert differences(a, b) == [
        "seed: 1, 2",
        "data.window: 30.0, 20.0",
        f"network.layers.0.size: {size}, 3",
    ]


def test_settings_of_rewiring_and_lists_read_back():
    overrides = ["network.synapses=[160, 40]", "rewiring.rule=rigl", "network.dale=true"]
    recipe = load_recipe("fsdd-currents", [*overrides, "learning.surrogate_options.slope=2"])
    again = parse_recipe(dump(recipe), "text")
    assert again == recipe
    assert again.network.synapses == (160, 40)
    assert differences(load_recipe("fsdd-currents"), recipe) == [
        "network.synapses: [], [160, 40]",
        "network.dale: false, true",
        "learning.surrogate_options: {}, absent",
        'rewiring.rule: "none", "rigl"',
        "learning.surrogate_options.slope: absent, 2.0",
    ]


def test_differences_where_a_key_is_absent():
    a = load_recipe("digits", ["learning.schedule=cosine"])
    b = load_recipe("digits", ["learning.schedule=cosine", "learning.schedule_options.last=0.1"])
    assert any(
        "learning.schedule_options" in line and "absent" in line for line in differences(a, b)
    )


def test_notes_are_no_differences():
    a = load_recipe("digits")
    b = load_recipe("digits", ["summary=other", "expected.accuracy=0.5"])
    assert a != b
    assert differences(a, b) == []
