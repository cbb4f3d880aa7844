"""The recipe `words` on a folder of recordings: trained, resumed and swept with what it chose."""

from pathlib import Path

import pytest

from mlgenn_delays.recipe import load_recipe
from mlgenn_delays.recipe.left_to_data import EPOCHS
from tests.cli.helpers import call, parsed, refused
from tests.data.own_helpers import word_sizes, write_words

SETTINGS = (
    "data.duration=120",
    "network.layers.0.size=16",
    "learning.steps=20",
    "data.group_by='^([^_]+)_'",
)
SMALL = [word for each in SETTINGS for word in ("--set", each)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_words(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "run"
    result = call("train", "words", "--data", data, "--out", path, *SMALL)
    train = word_sizes(data, speakers=True)["train"]
    assert f"{EPOCHS[0]} epochs of {-(-train // 16)} batches of 16" in result.stderr
    assert result.exit_code == 0
    return path


def test_a_run_holds_the_numbers_used(run: Path) -> None:
    learning = load_recipe(run / "recipe.toml").learning
    assert (learning.epochs, learning.batch_size, learning.steps) == (EPOCHS[0], 16, 20)
    assert len((run / "metrics.csv").read_text().splitlines()) == 1 + EPOCHS[0]
    assert parsed(call("evaluate", run, "--split", "all", "--json"))["splits"]["test"]["n"] > 0


def test_a_run_is_resumed_by_the_recipe_it_was_made_of(run: Path) -> None:
    result = call("train", "words", *SMALL, "--resume", "--out", run)
    assert result.exit_code == 0, result.output
    fewer = [*SMALL[:4], *SMALL[6:]]  # without learning.steps
    text = refused("train", "words", *fewer, "--epochs", 3, "--resume", "--out", run)
    assert f"learning.epochs: {EPOCHS[0]}, 3;" in text
    others = [each.replace("steps=20", "steps=30") for each in SMALL]
    text = refused("train", "words", *others, "--resume", "--out", run)
    assert f"learning.steps has no effect with learning.epochs = {EPOCHS[0]}" in text


def test_a_sweep_chooses_for_every_point_and_goes_on(data: Path, tmp_path: Path) -> None:
    words = ["sweep", "words", "--data", data, "--out", tmp_path / "sweep", *SMALL]
    words += ["--grid", "learning.batch_size=0,32", "--json"]
    first = parsed(call(*words))
    rows = (tmp_path / "sweep" / "results.csv").read_text().splitlines()
    assert len(rows) == 3
    again = parsed(call(*words))
    assert again == first
    assert (tmp_path / "sweep" / "results.csv").read_text().splitlines() == rows
