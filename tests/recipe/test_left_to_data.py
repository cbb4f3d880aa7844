"""Epochs and batch size that a recipe leaves to the data."""

import math
import re

import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.recipe import (
    build_rule,
    differences,
    dump,
    fitted,
    fitted_like,
    load_recipe,
    parse_recipe,
)
from mlgenn_delays.recipe.left_to_data import BATCH, EPOCHS, batch_size_for, epochs_for
from tests.docs_commands.pages import DOCS
from tests.recipe.plain import plain

PAGE = DOCS / "recipes" / "words.md"
SIZES = [1, 2, 15, 16, 200, 420, 1023, 1024, 2400, 8191, 8192, 100_000, 2**31]


@pytest.mark.parametrize("examples", SIZES)
def test_batches_are_the_largest_power_of_two_in_bounds(examples: int) -> None:
    allowed = [2**k for k in range(32) if BATCH[0] <= 2**k <= BATCH[1]]
    fits = [each for each in allowed if 64 * each <= examples]
    assert batch_size_for(examples) == max(fits, default=BATCH[0])


@pytest.mark.parametrize("examples", SIZES)
@pytest.mark.parametrize("steps", [1, 500, 2000, 10_000])
def test_epochs_are_the_fewest_that_make_the_steps(examples: int, steps: int) -> None:
    batches = math.ceil(examples / 32)
    allowed = range(EPOCHS[0], EPOCHS[1] + 1)
    enough = [epochs for epochs in allowed if epochs * batches >= steps]
    assert epochs_for(steps, examples, 32) == min(enough, default=EPOCHS[1])


def test_numbers_that_a_recipe_gives_are_kept() -> None:
    numbers = ["learning.epochs=7", "learning.batch_size=5", "data.duration=700"]
    given = load_recipe("words", numbers)
    assert fitted(given, 400, 640.0) == given
    batch = fitted(load_recipe("words", ["learning.epochs=7"]), 400, 640.0).learning
    assert (batch.epochs, batch.batch_size) == (7, batch_size_for(400))
    epochs = fitted(load_recipe("words", ["learning.batch_size=5"]), 400, 640.0).learning
    assert (epochs.epochs, epochs.batch_size) == (epochs_for(epochs.steps, 400, 5), 5)


def test_a_fitted_recipe_differs_in_these_numbers_alone() -> None:
    recipe = load_recipe("words")
    run = fitted(recipe, 420, 640.0)
    keys = [each.partition(":")[0] for each in differences(recipe, run)]
    assert keys == ["data.duration", "learning.epochs", "learning.batch_size"]
    assert differences(run, fitted_like(recipe, run)) == []
    other = load_recipe("words", ["learning.epochs=3"])
    assert differences(run, fitted_like(other, run)) == [
        f"learning.epochs: {run.learning.epochs}, 3"
    ]
    assert parse_recipe(dump(run), "a run") == run


def test_steps_have_no_effect_beside_epochs() -> None:
    with pytest.raises(InputError, match=r"learning\.steps has no effect with learning\.epochs = "):
        plain("learning.steps=50")
    assert load_recipe("words", ["learning.steps=50"]).learning.steps == 50


def test_sigma_needs_the_epochs_of_which_it_takes_a_quarter() -> None:
    recipe = load_recipe("words")
    with pytest.raises(InputError, match=r"learning\.epochs must be known .* got 0; take fitted"):
        build_rule(recipe)
    epochs = fitted(recipe, 420, 640.0).learning.epochs
    assert build_rule(fitted(recipe, 420, 640.0)).kernel.epochs == epochs / 4
    assert build_rule(load_recipe("words", ["delays.sigma_epochs=3"])).kernel.epochs == 3


WORDS = """name = "words"
[data]
dataset = "folder"
[[network.layers]]
size = 3
[delays]
max = 5
[learning]
epochs = 2
"""


def test_a_duration_that_data_decide_is_written_into_a_recipe() -> None:
    left, given = parse_recipe(WORDS, "words"), parse_recipe(WORDS, "words", ["data.duration=70"])
    known = fitted(left, 100, 0.1 * 8507)
    assert known.data.parsed.duration == known.data.options["duration"] == 850.7
    assert differences(left, known) == ["data.duration: 0.0, 850.7"]
    assert differences(known, fitted_like(left, known)) == []
    assert parse_recipe(dump(known), "a run") == known
    for recipe in (given, load_recipe("fsdd"), load_recipe("yin-yang")):
        assert fitted(recipe, 100, 850.7) == recipe


def test_the_page_says_how_long_they_train() -> None:
    rows = re.findall(r"^\| ([\d,]+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE.read_text(), re.M)
    assert len(rows) == 6
    for row in rows:
        examples, batch_size, *epochs = (int(each.replace(",", "")) for each in row)
        lengths = [
            fitted(load_recipe(name), examples, 1000.0).learning
            for name in ("words", "words-spikes")
        ]
        assert [each.epochs for each in lengths] == epochs
        assert {each.batch_size for each in lengths} == {batch_size}
