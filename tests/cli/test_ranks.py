"""delaysnn train as one of several processes: who makes the run, who speaks, who ends whom."""

import pytest

from mlgenn_delays.cli import train
from mlgenn_delays.engines import compile as engines
from mlgenn_delays.errors import DivergedError, WorkError
from mlgenn_delays.progress import compiling
from mlgenn_delays.training.trainer import Trainer
from tests.cli.helpers import SMALL, call, parsed

MPI = ["--communicator", "mpi"]


class FakeRanks:
    """One of two processes, the other of which is never there."""

    leads = True
    several = True
    ended: list[int] = []

    def __init__(self, communicator):
        assert communicator == "mpi"

    def agree(self, value):
        pass

    def agree_on_network(self, value):
        pass

    def any(self, value):
        return value

    def wait(self):
        pass

    def end_all(self, code):
        FakeRanks.ended.append(code)


@pytest.fixture
def ranks(monkeypatch):
    """Those processes, of which each runs whole batches."""

    def compile_network(*arguments, **options):
        assert options.pop("communicator") == "mpi"
        return engines.compile_network(*arguments, **options)

    monkeypatch.setattr("mlgenn_delays.training.trainer.compile_network", compile_network)
    for module in ("engines.ranks", "training.trainer"):
        monkeypatch.setattr(f"mlgenn_delays.{module}.Ranks", FakeRanks)
    monkeypatch.setattr(FakeRanks, "leads", True)
    monkeypatch.setattr(FakeRanks, "ended", [])
    return FakeRanks


def test_the_first_does_all_that_one_alone_does(ranks, tmp_path):
    found = parsed(call("train", *SMALL, *MPI, "--epochs", 1, "--out", tmp_path / "r", "--json"))
    assert found["run"] == str(tmp_path / "r")
    assert (tmp_path / "r" / "network.safetensors").is_file()
    assert ranks.ended == []


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_others_write_and_say_nothing(ranks, tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ranks, "leads", False)
    result = call("train", *SMALL, *MPI, "--epochs", 1, *form)
    assert (result.exit_code, result.output) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_the_others_read_what_they_resume(ranks, trained, monkeypatch):
    monkeypatch.setattr(ranks, "leads", False)
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    result = call("train", *MPI, "--resume", "--out", trained)
    assert (result.exit_code, result.output) == (0, "")
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


@pytest.mark.parametrize("leads", [True, False])
def test_one_says_that_kernels_are_compiled(ranks, tmp_path, monkeypatch, leads):
    initialise = train._initialise

    def initialise_cold(job):
        compiling()
        return initialise(job)

    monkeypatch.setattr(train, "_initialise", initialise_cold)
    monkeypatch.setattr(ranks, "leads", leads)
    result = call("train", *SMALL, *MPI, "--epochs", 1, "--out", tmp_path / "r")
    assert (result.exit_code, result.stderr.count(train.COMPILING)) == (0, int(leads))


@pytest.mark.parametrize("leads", [True, False])
def test_one_that_cannot_begin_ends_all(ranks, monkeypatch, leads):
    """The others wait for it from the start of MPI on."""
    monkeypatch.setattr(ranks, "leads", leads)
    result = call("train", "nosuch", *MPI)
    assert result.exit_code == 2 and "there is no recipe 'nosuch'" in result.stderr
    assert ranks.ended == [2]


def failing(monkeypatch, error):
    def fit(*_, **__):
        raise error

    monkeypatch.setattr(Trainer, "fit", fit)


@pytest.mark.parametrize("leads", [True, False])
def test_what_comes_to_all_is_said_once(ranks, tmp_path, monkeypatch, leads):
    failing(monkeypatch, DivergedError("it diverged"))
    monkeypatch.setattr(ranks, "leads", leads)
    result = call("train", *SMALL, *MPI, "--out", tmp_path / "r")
    assert result.exit_code == 1
    assert (result.stderr.count("it diverged"), result.stdout) == (int(leads), "")
    assert leads or result.stderr == ""
    assert ranks.ended == []


@pytest.mark.parametrize("leads", [True, False])
def test_one_that_is_interrupted_ends_all(ranks, tmp_path, monkeypatch, leads):
    """Those that wait for it within MPI would never see that they are interrupted."""
    failing(monkeypatch, KeyboardInterrupt())
    monkeypatch.setattr(train, "GRACE", 0.0)
    monkeypatch.setattr(ranks, "leads", leads)
    result = call("train", *SMALL, *MPI, "--out", tmp_path / "r")
    assert result.exit_code == 130
    assert ranks.ended == [130]
    again = f"--communicator mpi --resume --out {tmp_path / 'r'}"
    assert f"continue under MPI with: delaysnn train {again}\n" in result.stderr


def test_one_that_is_interrupted_while_it_checks(ranks, tmp_path, monkeypatch):
    def check(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "check", check)
    assert call("train", *SMALL, *MPI, "--out", tmp_path / "r").exit_code == 130
    assert ranks.ended == [130]


@pytest.mark.parametrize("leads", [True, False])
def test_one_that_fails_alone_ends_all(ranks, tmp_path, monkeypatch, leads):
    failing(monkeypatch, WorkError("the disk is full"))
    monkeypatch.setattr(ranks, "leads", leads)
    result = call("train", *SMALL, *MPI, "--out", tmp_path / "r")
    assert result.exit_code == 1
    assert "error: the disk is full" in result.stderr
    assert ranks.ended == [1]
