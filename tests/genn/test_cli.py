"""The command line with --engine genn: training, evaluating, resuming on the other engine."""

import json
import subprocess
import sys

import numpy as np
import pytest

from mlgenn_delays.cli import doctor, probe
from mlgenn_delays.engines.learner import Learner
from mlgenn_delays.errors import WorkError
from mlgenn_delays.kernels import kernel_cache
from mlgenn_delays.learning import EventProp, SurrogateBPTT, Triangle
from mlgenn_delays.network import Network
from mlgenn_delays.recipe import load_recipe, recipe_names
from mlgenn_delays.runs.checkpoint import Checkpoint
from mlgenn_delays.training.trainer import Trainer
from tests.backend import BACKEND
from tests.cli.helpers import (
    REPORTED,
    call,
    metrics,
    parsed,
    refused,
    write_rawhd,
    write_words,
)
from tests.data import own_helpers
from tests.data.shd_helpers import write_shd, write_ssc
from tests.engines.helpers import relative
from tests.needs import GENN, need
from tests.processes import mpiexec

need(*GENN)

pytestmark = pytest.mark.slow
GENN = ["--engine", "genn", "--backend", BACKEND]
ENGINES = {"cpu": ["--engine", "cpu"], "genn": GENN}
KERNELS = kernel_cache()
# Learns within seconds; no dropout, which would be other code. Few steps of the optimiser: spikes
# that fall by rounding make the engines part, by a factor with each. Starting weights with which
# so few epochs end at much the same accuracy, whatever is rounded.
SETTINGS = (
    "network.layers.0.size=24", "network.layers.0.dropout=0", "learning.batch_size=180",
    "learning.learning_rate=0.02", "network.dt=2", "network.layers.0.weight_mean=0.05",
    "network.layers.0.weight_sd=0.12", "network.readout.weight_sd=1",
)  # fmt: skip
SMALL = [word for each in SETTINGS for word in ("--set", each)]
EPOCHS = 3


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """One cache for the tests here, so that the same code is built once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DELAYSNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        if KERNELS is not None:
            patch.setenv("NUMBA_CACHE_DIR", str(KERNELS.parent))
        yield


def training(run, *options):
    """Return the words of a command."""
    words = ["train", "digits", *SMALL, "--epochs", EPOCHS, "--out", run, *options, "--json"]
    return [*map(str, words)]


def train(run, *options):
    return parsed(call(*training(run, *options)))


@pytest.fixture(scope="module")
def runs(tmp_path_factory, own_cache):
    """The same training on each engine: its run, and what it printed."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: (folder / name, train(folder / name, *engine)) for name, engine in ENGINES.items()
    }


def test_both_engines_learn_the_same(runs):
    splits = {engine: found["splits"] for engine, (_, found) in runs.items()}
    assert splits["cpu"]["test"]["accuracy"] > 0.5
    for name in ("validation", "test"):
        difference = splits["cpu"][name]["accuracy"] - splits["genn"][name]["accuracy"]
        assert abs(difference) < 0.02
    for one, other in zip(*(metrics(path) for path, _ in runs.values()), strict=True):
        assert float(one["train_loss"]) == pytest.approx(float(other["train_loss"]), rel=0.02)


LEARNED = 'network.layers.0.learn=["tau_mem", "tau_adapt", "adapt_v", "tau_syn"]'
ADAPTIVE = ("network.layers.0.model=AdaptiveLIF", LEARNED)


@pytest.mark.parametrize(
    "given", [(), ("learning.pipelined=true",), ADAPTIVE], ids=["plain", "pipelined", "adaptive"]
)
def test_an_epoch_leaves_the_same_network(tmp_path, given):
    nets = []
    for name, engine in ENGINES.items():
        small = [word for each in given for word in ("--set", each)]
        small += [*SMALL, "--set", "learning.learning_rate=0.002"]
        command = ["train", "digits", *small, "--epochs", 1, "--out", tmp_path / name]
        assert call(*command, *engine).exit_code == 0
        nets.append(Network.load(tmp_path / name / "checkpoints/last/network.safetensors"))
    for one, other in zip(*(net.projections.values() for net in nets), strict=True):
        # Adam makes much of what is rounded where gradients are near 0: 1e-4 is a 20th of a step.
        close = 1e-4 if given == ADAPTIVE else 1e-5
        np.testing.assert_allclose(other.weight, one.weight, rtol=0, atol=close)
        np.testing.assert_allclose(other.delay, one.delay, rtol=0, atol=1e-2)
        differs = given == ADAPTIVE and one.source == "input"
        assert np.shape(one.synapse.tau_syn) == ((24,) if differs else ())
        np.testing.assert_allclose(other.synapse.tau_syn, one.synapse.tau_syn, rtol=1e-4)
    for name, population in nets[0].populations.items():
        for key in population.learn:
            one, other = (np.array(getattr(net.populations[name].model, key)) for net in nets)
            assert np.ptp(one) > 0
            np.testing.assert_allclose(other, one, rtol=1e-3)  # a 10th of a step


def test_a_run_says_what_computed_it(runs):
    for engine, (path, _) in runs.items():
        said = json.loads((path / "environment.json").read_text())
        assert said["engine"] == engine
        assert ("pygenn" in said, "ml_genn" in said, said.get("backend")) == (
            (True, True, BACKEND) if engine == "genn" else (False, False, None)
        )


@pytest.mark.parametrize("trained", ["cpu", "genn"])
def test_both_engines_answer_the_same(runs, trained):
    run, found = runs[trained]
    one, other = (parsed(call("evaluate", run, *engine, "--json")) for engine in ENGINES.values())
    assert abs(one["accuracy"] - other["accuracy"]) <= 1 / 360
    assert one["loss"] == pytest.approx(other["loss"], abs=1e-4)
    own = one if trained == "cpu" else other
    assert found["splits"]["test"]["loss"] == pytest.approx(own["loss"], abs=1e-6)


def stopped_after(monkeypatch, epochs, *arguments):
    """Train, interrupted in an epoch that is never finished."""
    learn = Trainer._learn

    def stop(self, compiled, epoch, *others):
        if epoch > epochs:
            raise KeyboardInterrupt
        return learn(self, compiled, epoch, *others)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_learn", stop)
        result = call("train", "digits", *SMALL, "--epochs", EPOCHS, *arguments)
    assert result.exit_code == 130
    return result.stderr.splitlines()[-1]


@pytest.mark.parametrize(("first", "second"), [("cpu", "genn"), ("genn", "cpu")])
def test_a_run_goes_on_with_the_other_engine(runs, tmp_path, monkeypatch, first, second):
    run = tmp_path / "run"
    hint = stopped_after(monkeypatch, 2, *ENGINES[first], "--out", run)
    assert ("--engine genn" in hint) == (first == "genn")
    before = Checkpoint.load(run / "checkpoints" / "last" / "state.safetensors")
    result = call("train", "--resume", *ENGINES[second], "--out", run, "--json")
    found, whole = parsed(result), runs[first][1]
    assert " 2/3 " not in result.stderr and " 3/3 " in result.stderr
    state = [run, runs[first][0]]
    after, expected = (
        Checkpoint.load(each / "checkpoints" / "last" / "state.safetensors") for each in state
    )
    assert {k: (v.shape, v.dtype) for k, v in before.state.items()} == {
        k: (v.shape, v.dtype) for k, v in after.state.items()
    }
    assert after.epoch == EPOCHS
    assert abs(found["splits"]["test"]["accuracy"] - whole["splits"]["test"]["accuracy"]) < 0.02
    one, other = (Network.load(each / "checkpoints/last/network.safetensors") for each in state)
    for name, projection in one.projections.items():
        expected_too = other.projections[name]
        assert relative(projection.weight, expected_too.weight) < 3e-2
        assert relative(projection.delay, expected_too.delay) < 1e-2
    assert set(after.state) == set(expected.state)


def test_stdout_has_json_alone_however_loud_the_build(runs, tmp_path):
    """In a process of its own: compilers print to the file descriptors."""
    network = ["--set", "network.layers.0.size=5", *GENN]
    command = [sys.executable, "-m", "delaysnn", "train", "digits", *SMALL, *network]
    command += ["--epochs", "1", "--out", str(tmp_path / "r"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["splits"]["test"]["n"] == 360
    assert done.stdout.count("\n") == 1
    said = [line for line in done.stderr.splitlines() if not line.startswith(REPORTED)]
    assert [line.split()[0] for line in said] == ["epoch", "1/1"]


def test_two_ranks_train_one_run(runs, tmp_path):
    command = [mpiexec(), "-n", "2", sys.executable, "-m", "delaysnn"]
    command += training(tmp_path / "r", *GENN, "--communicator", "mpi")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found, alone = json.loads(done.stdout), runs["genn"][1]
    assert found["run"] == str(tmp_path / "r")
    assert done.stderr.count(" 2/3 ") == 1
    difference = found["splits"]["test"]["accuracy"] - alone["splits"]["test"]["accuracy"]
    assert abs(difference) < 0.02
    assert call("evaluate", tmp_path / "r").exit_code == 0


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Small data for each data set that needs a folder."""
    base = tmp_path_factory.mktemp("data")
    return {
        "folder": own_helpers.write_words(base / "folder"),
        "fsdd": write_words(base / "words", [0, 5, 10, 11]),
        "rawhd": write_rawhd(base / "rawhd"),
        "shd": write_shd(base / "shd"),
        "ssc": write_ssc(base / "ssc"),
    }


def refusals(recipe):
    """Return what GeNN does not train, in its order: what the text names, what then works."""
    layers = range(len(recipe.network.layers))
    normalised = [k for k in layers if recipe.network.layers[k].normalise]
    if normalised:
        remedy = [f"network.layers.{k}.normalise=false" for k in normalised]
        yield "without normalisation", remedy
    if recipe.learning.rule == "surrogate":
        reason = 'surrogate of compact support, got Atan; take Triangle (surrogate = "triangle")'
        yield reason, ["learning.surrogate=triangle", "learning.surrogate_options={}"]


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_starts_or_is_refused_with_what_works(folders, tmp_path, monkeypatch, name):
    def fit(*_, **__):
        raise WorkError("it started")

    monkeypatch.setattr(Trainer, "fit", fit)
    monkeypatch.setattr(Learner, "evaluate", lambda self, batches: None)  # would build its code
    recipe, out = load_recipe(name), tmp_path / "r"
    command = ["train", name, *GENN, "--out", out]
    for number in range(len(recipe.network.layers)):
        command += ["--set", f"network.layers.{number}.size=8"]
    tables = {f"layers.{k}": layer for k, layer in enumerate(recipe.network.layers)}
    for where, table in {**tables, "readout": recipe.network.readout}.items():
        if table.weight_init == "auto":  # they would be found by evaluating
            command += ["--set", f"network.{where}.weight_init=normal"]
    command += ["--set", "data.validation=0.25"] * (recipe.data.dataset == "rawhd")
    if recipe.data.dataset in folders:
        command += ["--data", folders[recipe.data.dataset]]
    for reason, remedy in refusals(recipe):
        text = refused(*command)
        assert reason in text and "--engine cpu" in text
        assert not out.exists()
        for change in remedy:
            command += ["--set", change]
    result = call(*command)
    *before, error = result.stderr.splitlines()
    assert (result.exit_code, error) == (1, "error: it started")
    assert all(line.startswith(REPORTED) for line in before)


def test_normalised_networks_are_evaluated_folded(folders, tmp_path):
    run, data = tmp_path / "run", ["--data", folders["rawhd"]]
    small = ["--set", "network.layers.0.size=12", "--set", "learning.batch_size=32"]
    small += ["--set", "data.validation=0.25", "--epochs", 2]
    assert call("train", "rawhd", *small, *data, "--out", run).exit_code == 0
    one, other = (
        parsed(call("evaluate", run, "--split", "all", *engine, "--json"))
        for engine in ENGINES.values()
    )
    assert one["n"] == other["n"] == 120
    for name, part in one["splits"].items():
        assert abs(part["accuracy"] - other["splits"][name]["accuracy"]) <= 1 / part["n"]
        assert part["loss"] == pytest.approx(other["splits"][name]["loss"], rel=1e-3)
    text = refused("train", "--resume", *GENN, "--out", run)
    assert "normalisation to learn" in text


def test_currents_learn_the_same_with_a_compact_surrogate(folders, tmp_path):
    options = ["--data", folders["fsdd"], "--epochs", 2, "--json"]
    for change in (
        "network.layers.0.size=16", "network.layers.0.normalise=false", "network.dt=20",
        "learning.surrogate=triangle", "learning.surrogate_options={}", "learning.batch_size=8",
    ):  # fmt: skip
        options += ["--set", change]
    for name, engine in ENGINES.items():
        parsed(call("train", "fsdd-currents", *options, "--out", tmp_path / name, *engine))
    rows = [metrics(tmp_path / name) for name in ENGINES]
    for one, other in zip(*rows, strict=True):
        assert float(one["train_loss"]) == pytest.approx(float(other["train_loss"]), rel=1e-3)
        assert float(one["spikes_hidden1"]) > 0.1


def test_a_compiler_that_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "false")
    network = ["--set", "network.layers.0.size=6"]  # whose code is not there yet
    text = refused("train", "digits", *SMALL, *network, *GENN, "--out", tmp_path / "r")
    assert "build.log" in text and "--engine cpu" in text
    assert list(tmp_path.iterdir()) == []


def test_doctor():
    found = parsed(call("doctor", "--json"))["genn"]
    assert found["installed"] is True
    assert all(found["versions"].values())
    works = found["backends"]["single_threaded_cpu"]
    assert works["works"] is True, works
    assert 0 < works["seconds"] < 300
    assert found["backends"]["cuda"]["works"] or found["backends"]["cuda"]["reason"]


def test_doctor_of_a_compiler_that_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("CXX", "false")
    (found,) = doctor.try_backends(("single_threaded_cpu",)).values()
    assert found["works"] is False
    (kept,) = tmp_path.iterdir()
    assert f"(all of its output: {kept}/" in found["reason"]


def test_doctor_finds_what_is_computed_wrongly(monkeypatch):
    real = probe._gradients

    def gradients(network, rule, batch, **engine):
        found = real(network, rule, batch)  # of the CPU engine, in both cases
        if engine:
            found["the delays' gradient of hidden->output"][:] *= 1.01
        return found

    monkeypatch.setattr(probe, "_gradients", gradients)
    found = probe.probe("cuda")
    assert found["works"] is False
    assert (
        "something else: EventProp, the delays' gradient of hidden->output is off by"
        in found["reason"]
    )
    for rule in (EventProp(), SurrogateBPTT(surrogate=Triangle())):
        expected = real(probe._network(), rule, probe._batch())
        assert all(np.abs(each).max() > 0 for each in expected.values())
