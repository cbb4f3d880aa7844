"""Several processes that train one network, here threads."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.training.ranks import Ranks
from tests.needs import need

N = 3
TIMEOUT = 30.0  # seconds; a rank that waits alone fails
HERE = threading.local()


class FakeCommunicator:
    """What mlGeNN's has."""

    num_ranks = N
    barrier_of_all = threading.Barrier(N)
    said = {}  # by rank

    def __init__(self):
        self.rank = getattr(HERE, "rank", 0)
        self.comm = self
        self.aborted = []

    def barrier(self):
        self.barrier_of_all.wait(TIMEOUT)

    def allgather(self, value):
        self.said[self.rank] = value
        self.barrier()
        found = [self.said[rank] for rank in range(N)]
        self.barrier()
        return found

    def Abort(self, code):  # noqa: N802
        self.aborted.append(code)


@pytest.fixture
def ranks(monkeypatch):
    """mlGeNN's communicator in the place of MPI's, whether GeNN is installed or not."""
    module = ModuleType("mlgenn_delays.engines.genn.mpi")
    module.communicator = lambda name: FakeCommunicator()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("mlgenn_delays.engines.genn.mpi", module, raising=False)
    monkeypatch.setattr("mlgenn_delays.engines.genn.checks.available_backends", list)
    monkeypatch.setattr(FakeCommunicator, "barrier_of_all", threading.Barrier(N))


def on_all(work):
    def one(rank):
        HERE.rank = rank
        return work(rank)

    with ThreadPoolExecutor(N) as pool:
        return [future.result() for future in [pool.submit(one, rank) for rank in range(N)]]


def test_one_alone_leads_and_waits_for_nobody():
    alone = Ranks(None)
    assert alone.leads and not alone.several
    alone.wait()
    alone.agree(1)
    alone.end_all(1)


def test_rank_0_leads(ranks):
    assert on_all(lambda rank: Ranks("mpi").leads) == [True, False, False]
    assert Ranks("mpi").several


def test_all_wait_for_all(ranks):
    order = []

    def work(rank):
        order.append("before")
        Ranks("mpi").wait()
        order.append("after")

    on_all(work)
    assert order == ["before"] * N + ["after"] * N


def test_one_ends_all(ranks, monkeypatch):
    left = []
    monkeypatch.setattr("os._exit", left.append)
    found = Ranks("mpi")
    found.end_all(2)
    assert found._communicator.aborted == left == [2]


def test_only_one_writes_and_speaks_and_all_decide_alike(fake, make, ranks, tmp_path, capsys):
    fake.script = {"accuracy": {1: 0.2, 2: 0.9, 3: 0.4, 4: 0.5, 5: 0.6}}
    run = make.run(tmp_path / "run")

    def train(rank):
        trainer = make.trainer(
            run if rank == 0 else None, engine="genn", communicator="mpi", epochs=8, patience=2,
            progress="plain",
        )  # fmt: skip
        trainer.check(make.data(), make.data(4))
        history = trainer.fit(make.data(), make.data(4))
        return len(history), history.best_epoch, history.stopped_early, to_bytes(trainer.network)

    found = on_all(train)
    assert found[0][:3] == (4, 2, True)
    assert found == [found[0]] * N
    assert run.network_path("best").read_bytes() == found[0][3]
    assert capsys.readouterr().err.count("epoch 3/8") == 1
    assert {each.options["communicator"] for each in fake.made} == {"mpi"}


def test_all_resume_from_the_same_checkpoint(fake, make, ranks, tmp_path):
    fake.script = {"accuracy": {1: 0.2, 2: 0.9, 3: 0.4, 4: 0.5}}
    run = make.interrupted_run(tmp_path / "run")
    run.network_path("best").unlink()  # the one that leads makes it again, and the others wait

    def train(rank):
        trainer = make.trainer(run, engine="genn", communicator="mpi")
        history = trainer.fit(make.data(), make.data(4), resume=True)
        return len(history), history.best_epoch, to_bytes(trainer.network)

    found = on_all(train)
    assert found == [found[0]] * N
    other = make.run(tmp_path / "other")
    make.trainer(other).fit(make.data(), make.data(4))
    assert make.final_files(run.path) == make.final_files(other.path)


def test_an_unknown_communicator(make):
    need("genn")
    with pytest.raises(InputError, match="communicator must be one of mpi, got 'mpo'.*'mpi'"):
        make.trainer(engine="genn", communicator="mpo")


def test_what_differs_is_refused_by_all(ranks):
    def agree(rank, value):
        try:
            Ranks("mpi").agree(value)
        except InputError as error:
            return str(error)
        return ""

    assert on_all(lambda rank: agree(rank, 7)) == [""] * N
    for said in on_all(lambda rank: agree(rank, int(rank == 1))):
        assert "the same data, got different ones" in said
