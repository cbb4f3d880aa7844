"""What docs/how-to/own-data.md shows, from the data to an answer, and what is refused."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.cli.options import FEW_STEPS
from mlgenn_delays.recipe import dump, load_recipe, parse_recipe
from mlgenn_delays.runs.run import Run
from tests.cli.helpers import call, parsed, refused
from tests.data.own_helpers import (
    examples,
    sizes,
    word_sizes,
    write_events,
    write_wav,
    write_words,
)
from tests.data.tonic_helpers import no_network, write_nmnist
from tests.docs_commands.pages import ROOT, blocks, recipes

PAGE = ROOT / "docs" / "how-to" / "own-data.md"
SPEAKERS = "data.group_by='^([^_]+)_'"
SHIPPED = dump(load_recipe("words-spikes", ["name=words", SPEAKERS, "learning.epochs=20"]))
RECIPES = recipes(PAGE) | {"words": SHIPPED}


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be downloaded."""
    no_network(monkeypatch)


def write_recipe(folder: Path, name: str, size: int = 6) -> Path:
    """Write a recipe of the page with a smaller layer."""
    recipe = parse_recipe(RECIPES[name], "page")
    path = folder / f"{name}.toml"
    path.write_text(
        RECIPES[name].replace(f"size = {recipe.network.layers[0].size}", f"size = {size}")
    )
    return path


def train(recipe: Path, data: Path, run: Path, *more: object) -> dict[str, Any]:
    """Train two epochs."""
    return parsed(
        call("train", recipe, "--data", data, "--out", run, "--epochs", 2, "--json", *more)
    )


def measured_sizes(result: dict[str, Any]) -> dict[str, int]:
    """Return how many examples a training measured, by split."""
    return {split: each["n"] for split, each in result["splits"].items()}


def held_out(counts: dict[str, int]) -> dict[str, int]:
    """Return the sizes of the splits that are not trained on."""
    return {split: n for split, n in counts.items() if split != "train"}


def infer(folder: Path, run: Path, file: Path) -> list[dict[str, Any]]:
    """Answer a file with the bundle of a run."""
    bundle = folder / "bundle.safetensors"
    assert call("export", run, "--format", "bundle", "--out", bundle).exit_code == 0
    return parsed(call("infer", bundle, file, "--json"))["predictions"]


def test_the_page_has_a_recipe_for_each() -> None:
    assert set(RECIPES) == {"words", "mine", "braille", "nmnist"}
    for name, text in RECIPES.items():
        recipe = parse_recipe(text, name)
        assert recipe.learning.epochs >= 20


def test_words_are_learned_and_told_apart(tmp_path: Path) -> None:
    data, run = write_words(tmp_path / "data"), tmp_path / "run"
    recipe = write_recipe(tmp_path, "words", 16)
    settings = ["data.duration=120", "learning.batch_size=4", "learning.learning_rate=0.01"]
    settings += ["delays.initial_max=20"]
    options = [word for each in settings for word in ("--set", each)]
    result = call("train", recipe, "--data", data, "--out", run, "--epochs", 6, "--json", *options)
    assert measured_sizes(parsed(result)) == held_out(word_sizes(data, speakers=True))
    measured = parsed(call("evaluate", run, "--split", "all", "--json"))
    assert measured["n"] == 40 == np.sum(measured["confusion"])
    assert measured["splits"]["test"]["accuracy"] == 1.0
    for pitch, word in ((310, "no"), (1215, "yes")):
        (answer,) = infer(tmp_path, run, write_wav(tmp_path / f"{word}.wav", pitch))
        assert answer["label"] == word and len(answer["probabilities"]) == 2
        (tmp_path / "bundle.safetensors").unlink()


def test_a_duration_that_was_chosen_stays_that_of_the_run(tmp_path: Path) -> None:
    """Whatever the lengths of other data: in evaluation, inference and where training resumes."""
    data, run = write_words(tmp_path / "data", takes=1), tmp_path / "run"
    recipe = write_recipe(tmp_path, "words")
    recipe.write_text(recipe.read_text().replace("duration = 1000.0", ""))
    result = call("train", recipe, "--data", data, "--out", run, "--epochs", 1)
    assert "data: trials last 100 ms, so that 95 % of the training recordings" in result.stderr
    kept = Run(run)
    assert kept.recipe.data.options["duration"] == 100 and kept.task().n_steps == 100
    long = write_words(tmp_path / "long", takes=1)
    for path in long.rglob("*.wav"):
        write_wav(path, 500, 0.3)
    found = parsed(call("evaluate", run, "--data", long, "--json"))
    assert found["lost"]["test"]["cut"] == pytest.approx(2 / 3)
    (answer,) = infer(tmp_path, run, write_wav(tmp_path / "new.wav", 310, 0.4))
    assert answer["cut"] == 0.75
    resumed = call("train", recipe, "--data", data, "--out", run, "--epochs", 1, "--resume")
    assert resumed.exit_code == 0, resumed.output
    longer = ["--set", "data.duration=110", "--epochs", 1]
    text = refused("train", recipe, "--data", data, "--out", run, "--resume", *longer)
    assert "data.duration: 100.0, 110" in text


def test_a_baseline_stands_beside_the_result(tmp_path: Path) -> None:
    """The same of the check and the training, before and after it resumes, and in the report."""
    data, run = write_words(tmp_path / "data", takes=1), tmp_path / "run"
    recipe = write_recipe(tmp_path, "words")
    group_by = load_recipe(recipe).data.options["group_by"]
    options = ["--set", f"group_by='{group_by}'", "--set", "duration=100"]
    checked = call("data", "check", "folder", data, "--baseline", *options)
    text = "100.0 % of validation, 100.0 % of test (logistic regression on pooled mel frames)"
    assert f"baseline    {text}" in checked.stdout
    baseline = parsed(call("data", "check", "folder", data, "--baseline", "--json", *options))[
        "baseline"
    ]
    result = train(recipe, data, run, "--set", "data.duration=100")
    assert result["baseline"] == baseline == Run(run).noted("baseline")
    assert baseline["accuracy"] == {"validation": 1.0, "test": 1.0}
    assert baseline["examples"] == word_sizes(data, speakers=True)["train"]
    resumed = call("train", "--data", data, "--out", run, "--resume")
    assert f"baseline: {text}" in resumed.stdout
    page = tmp_path / "report.html"
    assert call("report", run, "--out", page).exit_code == 0
    assert page.read_text().count("baseline 100.00 %") == 2


def test_evaluate_shows_the_baseline_of_the_recordings_it_is_of(tmp_path: Path) -> None:
    data, run = write_words(tmp_path / "data", takes=1), tmp_path / "run"
    train(write_recipe(tmp_path, "words"), data, run, "--set", "data.duration=100")
    text = "baseline: 100.0 % of test (logistic regression on pooled mel frames)"
    assert text in call("evaluate", run).stdout.splitlines()
    both = parsed(call("evaluate", run, "--split", "all", "--json"))["baseline"]
    assert both == Run(run).noted("baseline")
    assert parsed(call("evaluate", run, "--split", "train", "--json"))["baseline"] is None
    other = write_words(tmp_path / "other", takes=2)
    changed = call("evaluate", run, "--data", other)
    assert "has changed: " in changed.stderr and "baseline" not in changed.stdout


def test_no_baseline(tmp_path: Path) -> None:
    text = refused("data", "check", "digits", "--baseline")
    assert "a baseline must be of recordings, such as those of dataset 'folder', got" in text
    words = write_words(tmp_path, takes=1)
    (words / "no" / "ann_0.wav").write_bytes(b"")
    found = call("data", "check", "folder", words, "--baseline", "--json")
    assert found.exit_code == 1 and '"baseline": null' in found.stdout
    found = call("data", "check", "folder", words, "--baseline")
    assert "baseline    none: it needs data without damage" in found.stdout
    (words / "no" / "ann_0.wav").unlink()
    options = ["--set", "validation=0", "--set", "test=0"]
    found = call("data", "check", "folder", words, "--baseline", *options)
    assert "baseline    none: it needs two classes to train on, and other" in found.stdout


def test_few_optimiser_steps_are_hinted_at(tmp_path: Path) -> None:
    data, recipe = write_words(tmp_path / "data", takes=1), write_recipe(tmp_path, "words")
    n, tested = (word_sizes(data, speakers=True)[split] for split in ("train", "test"))
    for epochs, hinted in ((1, True), (-(-FEW_STEPS // n), False)):
        options = ["--epochs", epochs, "--set", "learning.batch_size=1"]
        options += ["--set", "data.duration=20", "--out", tmp_path / str(epochs)]
        result = call("train", recipe, "--data", data, *options)
        text = f"hint: {n} optimiser steps (1 epoch of {n} batches) are few; a smaller "
        assert (text in result.stderr) == ("optimiser steps (" in result.stderr) == hinted
        assert f"hint: {tested} recordings to test on are few" in result.stderr


def test_words_through_the_cochlea(tmp_path: Path) -> None:
    speakers = ("ann", "bob", "cyd", "dan", "eve")
    data, run = write_words(tmp_path / "data", speakers=speakers), tmp_path / "run"
    checked = call("data", "check", "folder", data, "--set", "encoding=cochlea")
    assert "700 channels of spikes" in checked.stdout
    recipe = write_recipe(tmp_path, "words", 16)
    settings = ["data.encoding=cochlea", "data.duration=120", "learning.batch_size=4"]
    settings += ["learning.learning_rate=0.01", "delays.initial_max=20"]
    options = [word for each in settings for word in ("--set", each)]
    trained = train(recipe, data, run, *options, "--epochs", 4)
    assert measured_sizes(trained) == held_out(word_sizes(data, speakers=True))
    assert parsed(call("evaluate", run, "--json"))["splits"]["test"]["accuracy"] == 1.0
    for pitch, word in ((310, "no"), (1215, "yes")):
        (answer,) = infer(tmp_path, run, write_wav(tmp_path / f"{word}.wav", pitch))
        assert answer["label"] == word
        (tmp_path / "bundle.safetensors").unlink()
    error = refused("train", recipe, "--data", data, *options, "--set", "data.mel.n_bands=20")
    assert "data.mel" in error and "data.encoding = 'cochlea'" in error


def test_arrays(tmp_path: Path) -> None:
    events, labels = examples(60, channels=20)
    data = write_events(tmp_path / "data.npz", events, labels, label_names=np.array(list("abc")))
    recipe, run = write_recipe(tmp_path, "mine"), tmp_path / "run"
    expected = sizes(list(map(str, range(60))), labels)
    assert measured_sizes(train(recipe, data, run)) == held_out(expected)
    found = parsed(call("evaluate", run, "--split", "train", "--json"))
    assert found["n"] == expected["train"] == found["data"]["train"]["trained_on"]
    answers = infer(tmp_path, run, data)
    assert len(answers) == 60 and {each["label"] for each in answers} <= set("abc")


def test_arrays_of_currents(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    values = rng.random((40, 30, 5)) * (1 + labels[:, None, None])
    for name, part in (("train", slice(0, 30)), ("test", slice(30, 40))):
        np.savez(tmp_path / f"{name}.npz", values=values[part], labels=labels[part])
    recipe, run = write_recipe(tmp_path, "mine"), tmp_path / "run"
    settings = ["data.encoding=currents", "data.channels=0", "data.duration=0"]
    options = [word for each in settings for word in ("--set", each)]
    result = train(recipe, tmp_path, run, *options)
    expected = sizes(list(map(str, range(30))), labels[:30], test=0.0) | {"test": 10}
    assert measured_sizes(result) == held_out(expected)
    assert len(infer(tmp_path, run, tmp_path / "test.npz")) == 10


def test_braille(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    letters = ["Space", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]

    def trial() -> list[list[list[float]]]:
        return [
            [sorted(rng.random(int(rng.integers(0, 4))).tolist()) for _ in "ab"] for _ in range(12)
        ]

    trials = {"events": [trial() for _ in range(270)], "letter": letters * 10}
    pandas = ModuleType("pandas")
    pandas.read_pickle = lambda path: trials  # type: ignore[attr-defined]
    monkeypatch.chdir(tmp_path)
    code = next(text for _, text in blocks(PAGE, "python") if "read_pickle" in text)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "pandas", pandas)
        exec(compile(code, "own-data.md", "exec"), {})
    with np.load("braille.npz") as found:
        first = found["channels"][: found["start"][1]]
        flat = [
            (12 * k + t, 1000 * s)
            for t in range(12)
            for k in (0, 1)
            for s in trials["events"][0][t][k]
        ]
        assert first.tolist() == [channel for channel, _ in flat]
        assert found["times"][: len(flat)].tolist() == [time for _, time in flat]
    recipe = write_recipe(tmp_path, "braille")
    result = train(recipe, tmp_path / "braille.npz", tmp_path / "run")
    labels = [number % 27 for number in range(270)]
    expected = sizes(list(map(str, range(270))), labels, test=0.2)
    assert measured_sizes(result) == held_out(expected)


@pytest.mark.filterwarnings("ignore:tonic takes its")
def test_nmnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    write_nmnist(tmp_path / "data")
    recipe, run = write_recipe(tmp_path, "nmnist"), tmp_path / "run"
    result = train(recipe, tmp_path / "data", run)
    names = [f"Train/{digit}/{number:05d}.bin" for digit in range(10) for number in range(12)]
    expected = sizes(names, [int(name[6]) for name in names], test=0.0) | {"test": 120}
    assert measured_sizes(result) == held_out(expected)
    events = tmp_path / "one.npz"
    np.savez(events, times=np.array([1.0, 2.5]), channels=np.array([0, 2 * 17 * 17 - 1]))
    (answer,) = infer(tmp_path, run, events)
    assert answer["label"].split(" - ")[0].isdecimal()
    for module in ("tonic", "tonic.datasets"):  # answering and looking need none
        monkeypatch.setitem(sys.modules, module, None)
    again = parsed(call("infer", tmp_path / "bundle.safetensors", events, "--json"))["predictions"]
    assert again == [answer]
    (same,) = parsed(call("infer", run, events, "--json"))["predictions"]
    assert same["label"] == answer["label"]
    assert "synapses depend on the data" in call("recipes", recipe).stderr
    assert 'pip install "delaysnn[datasets]"' in refused("evaluate", run)


def test_tonic_without_data(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "nmnist")
    result = call("train", recipe, "--data", tmp_path, "--out", tmp_path / "run")
    assert result.exit_code == 2 and result.stdout == "" and not (tmp_path / "run").exists()
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ") and "import tonic; tonic.datasets.NMNIST(" in last


def test_recipes_without_data(tmp_path: Path) -> None:
    for name in ("words", "mine"):
        result = call("recipes", write_recipe(tmp_path, name))
        assert result.exit_code == 0
        assert f'name = "{name}"' in result.stdout
        assert "synapses depend on the data" in result.stderr
        assert "known:" not in result.output and "--data" not in result.output
    path = tmp_path / "deep.toml"
    path.write_text(RECIPES["mine"] + "\n[[network.layers]]\nsize = 8\nrecurrent = true\n")
    path.write_text(RECIPES["mine"].replace("size = 64", "size = 64\n[[network.layers]]\nsize = 8"))
    assert "known: hidden1->hidden2 512" in call("recipes", path).stderr
    result = call("recipes", write_recipe(tmp_path, "nmnist"))
    rows = [line.split() for line in result.stderr.splitlines()]
    assert ["input->hidden1", *[str(2 * 17 * 17 * 6)] * 2] in rows


def test_recipes_are_checked_without_data(tmp_path: Path) -> None:
    path = tmp_path / "typo.toml"
    for name, old, new, message in (
        ("words", '"^([^_]+)_"', '"("', "data.group_by must be a regular"),
        ("mine", '"npz"', '"npy"', "did you mean 'npz'?"),
        ("nmnist", "tonic:NMNIST", "tonic:NMINST", "did you mean 'NMNIST'?"),
        ("nmnist", "downsample", "downsampel", "did you mean 'downsample'?"),
        ("mine", "[network]", "[network]\nsynapses = [9999999, 9999999]", ""),
        ("mine", "[network]", "[network]\nsparsity = 0.999999\nallocation='erdos-renyi'", ""),
    ):
        path.write_text(RECIPES[name].replace(old, new))
        if message:
            assert message in refused("recipes", path)
        else:
            load_recipe(path)


@pytest.mark.slow
def test_a_sweep_checks_and_trains(tmp_path: Path) -> None:
    events, labels = examples(60, channels=20)
    data = write_events(tmp_path / "data.npz", events, labels)
    recipe = write_recipe(tmp_path, "mine")
    grid = ["--grid", "delays.learn=true,false", "--epochs", 1]
    assert "needs a folder of data" in refused("sweep", recipe, "--out", tmp_path / "no", *grid)
    options = ["--data", data, "--out", tmp_path / "sweep", "--workers", 1, "--json", *grid]
    assert call("sweep", recipe, *options).exit_code == 0
    rows = (tmp_path / "sweep" / "results.csv").read_text().splitlines()
    assert len(rows) == 3 and all(",done," in row for row in rows[1:])


def test_data_of_other_classes_are_refused(tmp_path: Path) -> None:
    data, run = write_words(tmp_path / "data"), tmp_path / "run"
    recipe = write_recipe(tmp_path, "words")
    train(recipe, data, run)
    other = write_words(tmp_path / "other", ("up", "yes"))
    text = refused("evaluate", run, "--data", other)
    assert "the classes of the training, no, yes, got up, yes; give data of the same" in text
    text = refused("train", "--resume", "--out", run, "--data", other)
    assert "the classes of the training, no, yes, got up, yes" in text
    same = write_words(tmp_path / "same" / "test", ("no", "yes"), takes=1)
    assert parsed(call("evaluate", run, "--data", same.parent, "--json"))["n"] == 20


def test_names_of_classes_reach_the_terminal_as_text(tmp_path: Path) -> None:
    data = write_words(tmp_path / "data")
    (data / "yes").rename(data / "ja – ゆ")
    (data / "no").rename(data / "no\x1b[31m")
    text = refused(
        "train", write_recipe(tmp_path, "words"), "--data", data, "--out", tmp_path / "r"
    )
    assert "classes with names that can be printed" in text and "\x1b" not in text
    (data / "no\x1b[31m").rename(data / "no")
    run = tmp_path / "run"
    train(write_recipe(tmp_path, "words"), data, run)
    assert "ja – ゆ" in call("evaluate", run).stdout
