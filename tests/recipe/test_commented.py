"""Recipes as TOML with what each key may be."""

import re
import tomllib

import pytest

from mlgenn_delays.recipe import commented, load_recipe, parse_recipe, recipe_names
from mlgenn_delays.recipe.explain import TABLES, keys
from tests.recipe.test_neurons import FATIGUED


@pytest.mark.parametrize("name", recipe_names())
def test_reading_it_gives_the_same_recipe(name):
    recipe = load_recipe(name)
    text = commented(recipe)
    assert parse_recipe(text, name) == recipe
    # Lines with a value alone, such as the summary, may be longer.
    assert [line for line in text.splitlines() if "#" in line and len(line) > 80] == []


def test_every_key_that_is_no_text_has_its_range_and_unit():
    lines = commented(load_recipe("fsdd")).splitlines()
    bare = [line.split(" =")[0] for line in lines if " = " in line and "#" not in line]
    assert bare == ["name", "summary", "hold_out", "metric", "machine"]
    assert "tau = 10.0                  # a number > 0 ms" in lines
    assert "snapshots = 16.0            # a number >= 0 MB" in lines
    assert 'granularity = "synapse"     # one of synapse, axon, fixed' in lines
    ranges = {key.name: key.range for table in TABLES for key in keys(table)}
    assert ranges["learning.beta1"] == "a number in [0, 1)"
    assert "beta1 = 0.9                 # a number in [0, 1)" in lines


def test_options_lists_and_texts_of_several_lines():
    text = commented(load_recipe("coincidence"))
    assert "slope = 0.15                # a number" in text
    own = commented(load_recipe("coincidence", ['summary="a\\nb"', "delays.layers=['hidden1']"]))
    read = tomllib.loads(own)
    assert (read["summary"], read["delays"]["layers"]) == ("a\nb", ["hidden1"])


def test_neurons_of_ones_own():
    recipe = parse_recipe(FATIGUED, "own")
    text = commented(recipe)
    assert parse_recipe(text, "own") == recipe
    assert re.search(r'^step = """$', text, re.MULTILINE)  # no comment within the text
