"""One training shared among ranks on the CPU engine has the bits of one process."""

import functools
import json
import sys

import numpy as np
import pytest

from mlgenn_delays.engines import ranks
from mlgenn_delays.engines.cpu import frequency_domain
from mlgenn_delays.engines.shared import spectra
from tests.engines.shared_training import CASES, hashes, outcome
from tests.fake_mpi import FakeWorld
from tests.processes import mpiexec, printed

alone = functools.cache(outcome)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("number", [2, 3, 7])
def test_ranks_have_the_bits_of_one_process(name, number):
    wanted = alone(name)
    if name.endswith("rigl"):
        assert wanted["grown"].sum() > 0
    assert sum(len(each) for key, each in wanted.items() if key.startswith("spikes")) > 0
    threads = 2 if number == 2 else 1
    for found in FakeWorld(number).on_all(lambda rank: outcome(name, "mpi", threads)):
        assert found.keys() == wanted.keys()
        for key, each in wanted.items():
            assert found[key].tobytes() == each.tobytes(), key


def test_chunks_that_memory_joins_are_run_whole(monkeypatch):
    """Groups of chunks, which memory decides, are not divided among ranks."""
    monkeypatch.setattr("mlgenn_delays.engines.cpu.timestep_simulation.CHUNK_BYTES", 700)
    wanted = outcome("normalised_rigl")
    for found in FakeWorld(2).on_all(lambda rank: outcome("normalised_rigl", "mpi")):
        assert all(found[key].tobytes() == each.tobytes() for key, each in wanted.items())


@pytest.mark.parametrize("room", [2**27, 2000])
def test_ranks_add_spectra_in_their_order(room, monkeypatch):
    monkeypatch.setattr(spectra, "SHIFTED", 1e9)
    monkeypatch.setattr(frequency_domain, "RANKS_BYTES", room)
    wanted = outcome("normalised_rigl")
    assert any((wanted[key] != each).any() for key, each in alone("normalised_rigl").items())
    for found in FakeWorld(3).on_all(lambda rank: outcome("normalised_rigl", "mpi")):
        assert all(found[key].tobytes() == each.tobytes() for key, each in wanted.items())


def test_a_share():
    class Second:
        rank, number, shares = 1, 2, ranks.Ranks.shares

    share = ranks.make_share(Second(), 11)  # type: ignore[arg-type]
    assert share.chunks == share.groups == [(0, 1), (1, 3), (3, 5), (5, 7), (7, 9), (9, 11)]
    assert share.examples_of == [(0, 5), (5, 11)] and share.own == (5, 11)
    assert share.own_chunks() == [(3, 5, 7), (4, 7, 9), (5, 9, 11)]
    joined = ranks.make_share(Second(), 11, most=3)
    assert joined.groups == [(0, 3), (3, 7), (7, 11)]
    assert joined.examples_of == [(0, 3), (3, 11)] and joined.chunks_of == [(0, 2), (2, 6)]
    assert joined.own_groups() == [(1, 3, 7), (2, 7, 11)]
    few = ranks.make_share(Second(), 2)
    assert few.examples_of == [(0, 2), (2, 2)] and few.own_chunks() == []


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_fold_adds_in_the_order_of_the_ranks(number):
    """In another order than 1e8 + 1 - 1e8 + 1 + 1, float32 sums to something else."""
    values = np.tile(np.float32([[1e8], [1.0], [-1e8], [1.0], [1.0]]), (1, 37))

    def work(rank):
        total, among = np.zeros(37, np.float32), ranks.Ranks("mpi")
        shares = among.shares(5)

        def add(low, high):
            for row in range(*shares[rank]):
                total[low:high] += values[row, low:high]

        among.fold(total, add, shares)
        return total

    for total in FakeWorld(number).on_all(work):
        assert total.tolist() == [2.0] * 37


def test_threads_are_shared_by_the_ranks_of_a_machine(monkeypatch):
    monkeypatch.setattr(ranks, "available_cores", lambda: 8)
    monkeypatch.setattr(ranks, "_cores", lambda: set(range(8)))
    assert FakeWorld(3).on_all(lambda rank: ranks.Ranks("mpi").threads()) == [2, 2, 2]
    assert FakeWorld(3).on_all(lambda rank: ranks.Ranks("mpi").here()) == [(0, 3), (1, 3), (2, 3)]
    world = FakeWorld(2)
    monkeypatch.setattr(ranks, "_cores", lambda: {world.Get_rank()})  # bound to a core each
    monkeypatch.setattr(ranks, "available_cores", lambda: 1)
    assert world.on_all(lambda rank: ranks.Ranks("mpi").threads()) == [1, 1]
    assert ranks.Ranks().threads() == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 3])
def test_processes_have_the_bits_of_one(number):
    command = [mpiexec(), "-n", str(number), sys.executable, "-m", "tests.engines.shared_training"]
    found = printed([*command, "mpi"])
    assert found == [json.loads(json.dumps(hashes(None)))] * number
