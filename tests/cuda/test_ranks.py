"""A training shared among ranks with a device each."""

import sys

import pytest

from tests.genn.test_ranks import agree
from tests.processes import mpiexec, run

pytestmark = [pytest.mark.device(devices=2), pytest.mark.slow]


def test_two_ranks_train_as_one() -> None:
    agree(2)


def test_more_ranks_than_devices() -> None:
    done = run([mpiexec(), "-n", "3", sys.executable, "-m", "tests.genn.ranks_child", "mpi"])
    assert done.returncode != 0
    assert "must have a GPU per rank, got 3 ranks on a machine with 2" in done.stderr
