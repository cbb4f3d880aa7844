"""delaysnn train: what it leaves and says, and what it refuses."""

import json
import re
import sys

import pytest

from mlgenn_delays.cli import options
from mlgenn_delays.engines import compile as engines
from mlgenn_delays.engines.genn import checks as genn_checks
from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Network
from mlgenn_delays.recipe import load_recipe, parse_recipe
from mlgenn_delays.training import checks
from tests.cli.helpers import (
    REWIRED,
    SMALL,
    call,
    metrics,
    parsed,
    refused,
    write_words,
)
from tests.needs import needs


def test_a_run_is_complete(trained):
    recipe = parse_recipe((trained / "recipe.toml").read_text(), "run")
    assert recipe.learning.epochs == 2
    assert recipe.network.layers[0].size == 4
    assert len((trained / "metrics.csv").read_text().splitlines()) == 3
    assert Network.load(trained / "network.safetensors").populations["hidden1"].n == 4
    noted = json.loads((trained / "environment.json").read_text())
    assert noted["seed"] == recipe.seed
    assert not {"data", "init"} & set(noted)


def test_results_on_stdout_progress_on_stderr(tmp_path):
    result = call("train", *SMALL, "--epochs", 1, "--out", tmp_path / "r")
    assert result.exit_code == 0
    for word in ("validation", "test", "%", f"run:  {tmp_path / 'r'}", "delaysnn evaluate"):
        assert word in result.stdout
    assert " 1/1 " in result.stderr
    assert " 1/1 " not in result.stdout


def test_a_picture_of_the_results(drawn, tmp_path):
    run = tmp_path / "r"
    result = call("train", *SMALL, "--epochs", 1, "--out", run)
    assert f"plot: {run / 'results.png'}" in result.stdout
    first = (run / "results.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    (run / "results.png").unlink()
    assert call("train", "--resume", "--out", run).exit_code == 0
    assert (run / "results.png").read_bytes() == first


def test_json_is_one_object_and_names_the_default_run_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = parsed(call("train", *SMALL, "--epochs", 1, "--json"))
    assert re.fullmatch(r"runs/digits-\d{8}-\d{6}", found["run"])
    assert (tmp_path / found["run"] / "recipe.toml").is_file()
    keys = {"run", "recipe", "epochs", "best_epoch", "splits", "baseline", "lost", "cost"}
    assert set(found) == keys and found["baseline"] is None
    assert {name: part["n"] for name, part in found["splits"].items()} == {
        "validation": 180,
        "test": 360,
    }


def test_the_start_says_what_is_trained(tmp_path):
    result = call("train", *SMALL, "--epochs", 1, "--threads", 1, "--out", tmp_path / "r")
    said = {line.split()[0]: line for line in result.stderr.splitlines() if line.split()[1:]}
    assert "1,257 train, 180 validation, 360 test; 10 classes, 128 channels" in said["examples"]
    assert "hidden1 4 LIF" in said["network"]
    assert "552 (input->hidden1 512, hidden1->output 40); 552 learned" in said["synapses"]
    assert "EventProp, 1 epoch of 5 batches of 256, seed 0" in said["training"]
    assert said["engine"].split() == ["engine", "cpu,", "1", "thread"]
    assert str(tmp_path / "r") in said["run"]


def test_shorts_are_settings(tmp_path):
    shorts = ["--lr", 1e-5, "--batch-size", 300, "--epochs", 1, "--seed", 3]
    assert call("train", *SMALL, *shorts, "--out", tmp_path / "r").exit_code == 0
    recipe = parse_recipe((tmp_path / "r" / "recipe.toml").read_text(), "run")
    learning = recipe.learning
    assert (learning.learning_rate, learning.batch_size, recipe.seed) == (1e-5, 300, 3)
    assert "--lr" in refused("train", "--lr", -1)
    assert "--batch-size" in refused("train", "--batch-size", 0)


def test_a_dry_run_prints_the_recipe_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("train", "digits", "--lr", 0.5, "--set", "delays.max=40", "--dry-run")
    assert result.exit_code == 0
    changes = ["learning.learning_rate=0.5", "delays.max=40"]
    assert parse_recipe(result.stdout, "printed") == load_recipe("digits", changes)
    assert "1,257 train" in result.stderr and "nothing was trained or written" in result.stderr
    result = call("train", "shd", "--dry-run")  # whose data are not there
    assert parse_recipe(result.stdout, "printed") == load_recipe("shd")
    assert "with --data it says" in result.stderr
    assert "'epochs'?" in refused("train", "--set", "learning.epoch=1", "--dry-run")
    assert "must come without --resume" in refused("train", "--resume", "--dry-run")
    assert "must come without --json" in refused("train", "--json", "--dry-run")
    assert list(tmp_path.iterdir()) == []


def test_an_engine_of_its_own_choice(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("mlgenn_delays.engines.genn.gpus.count", lambda: 0)
    out = tmp_path / "r"
    result = call("train", *SMALL, "--epochs", 1, "--engine", "auto", "--out", out)
    assert result.exit_code == 0
    assert "engine: cpu, since there is no GPU" in result.stderr
    assert json.loads((out / "environment.json").read_text())["engine"] == "cpu"
    assert "engine: cpu, since" in call("evaluate", trained, "--engine", "auto").stderr
    text = refused("train", "--engine", "auto", "--backend", "cuda", "--out", tmp_path / "s")
    assert "--backend must come with --engine genn, got --engine auto" in text
    text = refused("train", "--engine", "auto", "--communicator", "mpi")
    assert "--engine must be one of cpu, genn with --communicator" in text


def test_seed_and_threads(tmp_path):
    networks = {}
    for name, seed, threads in (("a", 1, 1), ("b", 1, 2), ("c", 2, 1)):
        out = tmp_path / name
        options = ["--seed", seed, "--threads", threads, "--out", out]
        assert call("train", *SMALL, "--epochs", 1, *options).exit_code == 0
        networks[name] = (out / "network.safetensors").read_bytes()
    assert networks["a"] == networks["b"]
    assert networks["a"] != networks["c"]


def test_threads_and_engine_reach_the_engine(tmp_path, monkeypatch):
    asked = []

    def compile_network(*arguments, **options):
        asked.append((options["threads"], options["engine"]))
        return engines.compile_network(*arguments, **options)

    monkeypatch.setattr("mlgenn_delays.training.trainer.compile_network", compile_network)
    options = ["--threads", 3, "--engine", "cpu", "--epochs", 1]
    assert call("train", *SMALL, *options, "--out", tmp_path / "r").exit_code == 0
    assert set(asked) == {(3, "cpu")}


def test_what_only_genn_has(tmp_path):
    out = tmp_path / "r"
    text = refused("train", "--backend", "cuda", "--out", out)
    assert "--backend must come with --engine genn, got --engine cpu; add --engine genn" in text
    assert "'metal'" in refused("train", "--engine", "genn", "--backend", "metal")
    assert not out.exists()


def test_names_of_engines_and_backends():
    assert options.ENGINES == engines.ENGINES
    assert options.BACKENDS == genn_checks.BACKENDS
    assert options.BACKENDS[0] == checks.BACKEND


@pytest.fixture
def no_genn(monkeypatch):
    for name in ("pygenn", "ml_genn", "mpi4py"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("more", [[], ["--backend", "cuda"], ["--communicator", "mpi"]])
def test_genn_that_is_not_installed(tmp_path, no_genn, more):
    text = refused("train", *SMALL, "--engine", "genn", *more, "--out", tmp_path / "r")
    assert "the engine 'genn' must have pygenn 5.4 and ml_genn 2.3.1 or later" in text
    assert "install them as https://genn-team.github.io says, or run with --engine cpu" in text
    assert list(tmp_path.iterdir()) == []


def test_all_else_works_without_genn(trained, tmp_path, no_genn):
    assert call("train", *SMALL, "--epochs", 1, "--out", tmp_path / "r").exit_code == 0
    assert call("train", "--resume", "--out", tmp_path / "r").exit_code == 0
    assert call("evaluate", trained).exit_code == 0
    assert call("recipes", "digits").exit_code == 0
    assert "install them as" in refused("evaluate", trained, "--engine", "genn")
    assert "--backend must come with" in refused("evaluate", trained, "--backend", "cuda")


def test_unknown_key_and_value_out_of_range(tmp_path):
    out = tmp_path / "r"
    assert "did you mean 'digits'?" in refused("train", "digit", "--out", out)
    known = ("learning.epoch=1", "'epochs'?"), ("learning.epochs=-1", ">= 0, got -1")
    for setting, said in known:
        assert said in refused("train", "--set", setting, "--out", out)
    assert not out.exists()


@pytest.mark.parametrize("option", ["--epochs", "--threads"])
def test_numbers_below_one(option):
    result = call("train", option, 0)
    assert result.exit_code == 2
    assert option in result.stderr


def test_data_that_are_not_there(tmp_path):
    out = tmp_path / "r"
    text = refused("train", "fsdd", "--out", out)
    assert "give --data DIR; delaysnn data prepare fsdd DIR downloads it to DIR" in text
    assert "prepare rawhd DIR says where to get it" in refused("train", "rawhd", "--out", out)
    text = refused("train", "words", "--out", out)
    assert "a folder of audio files for each class" in text and "prepare" not in text
    missing = tmp_path / "nothing"
    assert str(missing) in refused("train", "fsdd", "--data", missing, "--out", out)
    missing.mkdir()
    assert str(missing) in refused("train", "fsdd", "--data", missing, "--out", out)
    assert not out.exists()


def test_data_without_training_examples(tmp_path):
    folder = write_words(tmp_path / "words", [0, 5])
    text = refused("train", "fsdd", "--data", folder, "--out", tmp_path / "r")
    assert "'train'" in text
    assert "validation, test" in text
    assert "--data; takes from 10 on are the training split" in text
    assert "--split" not in text
    assert not (tmp_path / "r").exists()


def test_patience_without_validation_data(tmp_path):
    folder = write_words(tmp_path / "words", [0, 10, 11])
    small = [*SMALL, "--set", "data.duration=200", "--set", "data.mel.n_bands=8"]
    command = ["train", "fsdd", "--data", folder, *small, "--set", "learning.patience=2"]
    assert "patience needs validation" in refused(*command, "--out", tmp_path / "runs" / "r")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["words"]


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("network.sparsity=[0.999, 0]", "'input->hidden1' must have at least one synapse"),
        ("network.synapses=[321, 9]", "network.synapses must be in 1..320 for input->hidden1"),
        ("augmentation.group=3", "augmentation.group must be a divisor of the 8 channels"),
    ],
)
def test_what_only_the_data_show_is_refused_and_nothing_written(tmp_path, rawhd, setting, problem):
    settings = [setting, "network.layers.0.size=40", "augmentation.shift=1", "data.validation=0.25"]
    sets = [word for each in settings for word in ("--set", each)]
    assert problem in refused("train", "rawhd", "--data", rawhd, *sets, "--out", tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_engine_that_cannot_writes_nothing(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise InputError("this engine cannot")

    monkeypatch.setattr("mlgenn_delays.training.trainer.compile_network", refuse)
    assert "this engine cannot" in refused("train", *SMALL, "--out", tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


@needs("/proc")
def test_out_that_cannot_be_written_is_found_before_the_data(tmp_path):
    text = refused("train", "fsdd", "--data", tmp_path / "nothing", "--out", "/proc/no/run")
    assert "cannot write to the folder /proc/no/run" in text
    assert "choose another folder with --out" in text


def test_spoken_digits_and_no_test_split(tmp_path):
    folder = write_words(tmp_path / "words", [5, 10, 11])
    small = [*SMALL, "--set", "data.duration=200", "--set", "data.mel.n_bands=8"]
    command = ["train", "fsdd", "--data", folder, *small, "--epochs", 1, "--out", tmp_path / "r"]
    result = call(*command)
    assert result.exit_code == 0, result.output
    assert "--split validation" in result.stdout
    noted = json.loads((tmp_path / "r" / "environment.json").read_text())
    assert noted["data"] == str(folder.resolve())


def test_out_that_is_taken(trained, tmp_path):
    before = (trained / "metrics.csv").read_bytes()
    text = refused("train", "--out", trained)
    assert "holds a run" in text
    assert "--resume" in text
    assert (trained / "metrics.csv").read_bytes() == before
    (tmp_path / "file").write_text("dear")
    assert "another folder" in refused("train", "--out", tmp_path)
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        assert f"{tmp_path / 'file'} is a file" in refused("train", "--out", out)


def test_init_starts_from_a_network(trained, tmp_path):
    init = trained / "network.safetensors"
    out = tmp_path / "r"
    options = ["--epochs", 1, "--set", "learning.learning_rate=0", "--set", "delays.learn=false"]
    assert call("train", *SMALL, *options, "--init", init, "--out", out).exit_code == 0
    start, end = Network.load(init), Network.load(out / "network.safetensors")
    for name, projection in start.projections.items():
        assert projection.weight.tolist() == end.projections[name].weight.tolist()
        assert projection.delay.tolist() == pytest.approx(end.projections[name].delay.tolist())
    assert json.loads((out / "environment.json").read_text())["init"]["path"] == str(init)


def test_init_that_cannot_be_used(trained, tmp_path):
    def init(path):
        return refused("train", *SMALL, "--init", path, "--out", tmp_path / "r")

    good = (trained / "network.safetensors").read_bytes()
    file = tmp_path / "n.safetensors"
    assert "there is no delaysnn network file" in init(file)
    file.write_bytes(good[:200])
    assert "damaged" in init(file)
    newer = re.sub(rb'"version":"\d"', b'"version":"9"', good)
    assert newer != good
    file.write_bytes(newer)
    assert "newer delaysnn" in init(file)
    file.write_bytes(good)
    text = refused("train", "--init", file, "--out", tmp_path / "r")
    size = load_recipe("digits").network.layers[0].size
    assert "hidden1" in text
    assert "n=4" in text
    assert f"n={size}" in text
    assert not (tmp_path / "r").exists()


def test_structure_learned_on_currents(rewired, rawhd):
    start = load_recipe("rawhd", [each for each in REWIRED if each != "--set"])
    network = Network.load(rewired / "network.safetensors")
    assert type(network.input().model).__name__ == "CurrentInput"
    assert network.populations["hidden1"].normalisation is not None
    counts = start.network.counts(8, 20)
    assert counts == {"input->hidden1": 48, "hidden1->output": 120}
    for name, projection in network.projections.items():
        assert projection.n_synapses == counts[name]
        assert (projection.weight * projection.sign >= 0).all()
        for neuron in set(projection.pre()):  # Dale's law
            assert len(set(projection.sign[projection.pre() == neuron])) == 1
    rows = metrics(rewired)
    assert list(rows[0])[-2:] == ["grown", "seconds"]
    assert sum(int(row["grown"]) for row in rows) > 0


def test_currents_of_spoken_digits(tmp_path):
    folder = write_words(tmp_path / "words", [0, 5, 10, 11])
    small = ["--set", "network.layers.0.size=8", "--set", "data.duration=200"]
    small += ["--set", "data.mel.n_bands=8", "--set", "augmentation.noise=0.1"]
    run = tmp_path / "r"
    command = ["train", "fsdd-currents", "--data", folder, *small, "--epochs", 2, "--out", run]
    found = parsed(call(*command, "--json"))
    assert {name: part["n"] for name, part in found["splits"].items()} == {
        "validation": 2,
        "test": 2,
    }
    assert "grown" not in metrics(run)[0]
    measured = parsed(call("evaluate", run, "--split", "test", "--json"))
    assert measured["loss"] == found["splits"]["test"]["loss"]


@pytest.mark.parametrize("rule", ["eventprop", "surrogate"])
def test_spikes_and_exponential_synapses_with_either_rule(tmp_path, rule):
    out = tmp_path / "r"
    options = ["--set", f"learning.rule={rule}", "--epochs", 1, "--out", out]
    options += ["--set", "network.sparsity=0.9", "--set", "rewiring.rule=set"]
    assert call("train", *SMALL, *options, "--set", "rewiring.every=1").exit_code == 0
    assert int(metrics(out)[0]["grown"]) > 0


def test_init_with_and_without_signs_and_normalisation(rewired, rawhd, tmp_path):
    init = rewired / "network.safetensors"
    common = ["train", "rawhd", *REWIRED, "--data", rawhd, "--epochs", 1, "--init", init]
    assert call(*common, "--out", tmp_path / "r").exit_code == 0
    out = ["--out", tmp_path / "s"]
    text = refused(*common, "--set", "network.layers.0.normalise=false", *out)
    assert "hidden1 EulerLIF" in text and ", normalised, the recipe" in text
    text = refused(*common, "--set", "network.dale=false", "--set", "rewiring.rule=none", *out)
    assert "with signs, the recipe" in text


def test_init_with_other_synapses_or_settings_of_its_own(trained, tmp_path):
    """What the recipe says of synapses and starting values would have no effect."""
    common = ["train", *SMALL, "--init", trained / "network.safetensors", "--out", tmp_path / "r"]
    text = refused(*common, "--set", "network.sparsity=0.5")
    assert "has for input->hidden1 " in text and "synapses" in text
    assert "; give network.sparsity as it was trained with, or --set network.sparsity=0" in text
    for key in (
        "network.layers.0.weight_mean=2", "network.layers.0.weight_scale=2",
        "network.readout.weight_sd=2", "delays.initial=zero", "delays.initial_max=2",
    ):  # fmt: skip
        text = refused(*common, "--set", key)
        assert f"{key.partition('=')[0]} has no effect with --init, got --set {key}" in text
    text = refused(*common, "--set", "network.dale=true")
    assert "the recipe" in text and "with signs" in text
    assert not (tmp_path / "r").exists()


def test_options_without_effect_are_refused(trained, tmp_path):
    out = ["--out", tmp_path / "made"]
    assert "--weights int8" in refused("export", trained, "--format", "c", "--data", tmp_path, *out)
    assert "--batch has no effect" in refused("infer", trained, "--stream", "--batch", 2)
    text = refused("analyse", trained, "--without-data", "--split", "test", *out)
    assert "--split has no effect" in text
    assert not (tmp_path / "made").exists()


def test_divergence_exits_with_1(tmp_path):
    options = ["--set", "learning.learning_rate=1e30", "--epochs", 3, "--out", tmp_path / "r"]
    result = call("train", *SMALL, *options)
    assert result.exit_code == 1
    assert "diverged" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")
