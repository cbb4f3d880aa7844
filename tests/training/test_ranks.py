"""Several processes that train one network, here threads."""

import sys

import pytest

from mlgenn_delays.engines.ranks import Ranks
from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.training.callbacks import EarlyStopping
from tests.fake_mpi import FakeWorld

N = 3


@pytest.fixture
def world(monkeypatch):
    """Three ranks, whether GeNN is installed or not."""
    monkeypatch.setattr("mlgenn_delays.engines.genn.checks.available_backends", list)
    return FakeWorld(N)


def test_one_alone_leads_and_waits_for_nobody():
    alone = Ranks(None)
    assert alone.leads and not alone.several
    alone.wait()
    alone.agree(1)
    alone.end_all(1)


def test_rank_0_leads(world):
    assert world.on_all(lambda rank: Ranks("mpi").leads) == [True, False, False]
    assert world.on_all(lambda rank: Ranks("mpi").several) == [True] * N


def test_all_wait_for_all(world):
    order = []

    def work(rank):
        order.append("before")
        Ranks("mpi").wait()
        order.append("after")

    world.on_all(work)
    assert order == ["before"] * N + ["after"] * N


def test_one_ends_all(world, monkeypatch):
    left = []
    monkeypatch.setattr("os._exit", left.append)
    world.on_all(lambda rank: rank == 1 and Ranks("mpi").end_all(2))
    assert world.aborted == left == [2]


def test_only_one_writes_and_speaks_and_all_decide_alike(fake, make, world, tmp_path, capsys):
    fake.script = {"accuracy": {1: 0.2, 2: 0.9, 3: 0.4, 4: 0.5, 5: 0.6}}
    run = make.run(tmp_path / "run")

    def train(rank):
        trainer = make.trainer(
            run if rank == 0 else None, engine="genn", communicator="mpi", epochs=8,
            callbacks=[EarlyStopping(2)], progress="plain",
        )  # fmt: skip
        trainer.check(make.data(), make.data(4))
        history = trainer.fit(make.data(), make.data(4))
        return len(history), history.best_epoch, history.stopped_early, to_bytes(trainer.network)

    found = world.on_all(train)
    assert found[0][:3] == (4, 2, True)
    assert found == [found[0]] * N
    assert run.network_path("best").read_bytes() == found[0][3]
    assert capsys.readouterr().err.count(" 3/8 ") == 1
    assert {each.options["communicator"] for each in fake.made} == {"mpi"}


def test_all_resume_from_the_same_checkpoint(fake, make, world, tmp_path):
    fake.script = {"accuracy": {1: 0.2, 2: 0.9, 3: 0.4, 4: 0.5}}
    run = make.interrupted_run(tmp_path / "run")
    run.network_path("best").unlink()  # the one that leads makes it again, and the others wait

    def train(rank):
        trainer = make.trainer(run, engine="genn", communicator="mpi")
        history = trainer.fit(make.data(), make.data(4), resume=True)
        return len(history), history.best_epoch, to_bytes(trainer.network)

    found = world.on_all(train)
    assert found == [found[0]] * N
    other = make.run(tmp_path / "other")
    make.trainer(other).fit(make.data(), make.data(4))
    assert make.final_files(run.path) == make.final_files(other.path)


def test_an_unknown_communicator(make):
    with pytest.raises(InputError, match="communicator must be one of mpi, got 'mpo'.*'mpi'"):
        make.trainer(communicator="mpo")


def test_mpi4py_is_missing(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(InputError, match=r"mpi4py.*delaysnn\[mpi\].*mpiexec"):
        make.trainer(communicator="mpi")


def test_networks_that_part_end_the_training(fake, make, world, tmp_path, monkeypatch):
    """Which another processor, that rounds otherwise, may bring about."""
    run = make.run(tmp_path / "run")

    def checked(network):
        return to_bytes(network) + bytes([world.Get_rank() == 2])

    def train(rank):
        trainer = make.trainer(run if rank == 0 else None, communicator="mpi", epochs=2)
        with pytest.raises(WorkError, match="all ranks must have learned the same network"):
            trainer.fit(make.data(), make.data(4))
        return len(trainer.history)

    monkeypatch.setattr("mlgenn_delays.training.trainer.checked", checked)
    assert world.on_all(train) == [0] * N
    assert not run.has_checkpoint


def test_what_differs_is_refused_by_all(world):
    def agree(rank, value):
        try:
            Ranks("mpi").agree(value)
        except InputError as error:
            return str(error)
        return ""

    assert world.on_all(lambda rank: agree(rank, 7)) == [""] * N
    for said in world.on_all(lambda rank: agree(rank, int(rank == 1))):
        assert "the same data, got different ones" in said
