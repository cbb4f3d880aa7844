"""One training shared among the ranks of an MPI program, on GeNN's CPU backend."""

import sys
from functools import cache

import numpy as np
import pytest

from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import EventProp
from tests.needs import GENN, need
from tests.processes import mpiexec, printed
from tests.reference.nets import Recipe, network

need(*GENN)
pytestmark = pytest.mark.slow


def answers(command: list[str]) -> list[list[dict]]:
    """Return how each training ended, by rank."""
    return printed(
        [*command, sys.executable, "-m", "tests.genn.ranks_child", *(["mpi"] * bool(command))]
    )


@cache
def of_one() -> list[dict]:
    """Return how each training ends that nobody shares; it is not to be changed."""
    (wanted,) = answers([])
    return wanted


def agree(ranks: int) -> None:
    """Reject a training by several ranks that is not that of one."""
    wanted = of_one()
    assert all(sum(alone["grown"]) > 0 for alone in wanted)
    assert wanted[0]["weight"] != wanted[1]["weight"]
    assert len(set(wanted[2]["parameter"]["tau_mem"])) > 1
    together = answers([mpiexec(), "-n", str(ranks)])
    assert len(together) == ranks
    for each in together:
        assert each == together[0], "all ranks hold the same network"
    for each, alone in zip(together[0], wanted, strict=True):
        assert each["grown"] == alone["grown"]
        assert each["post"] == alone["post"]
        assert each["spikes"] == alone["spikes"]
        np.testing.assert_allclose(each["logits"], alone["logits"], atol=2e-4)
        for key in ("weight", "delay", "parameter"):
            for name, values in each[key].items():
                np.testing.assert_allclose(values, alone[key][name], atol=2e-4)
        assert each["train"] == pytest.approx(alone["train"], rel=1e-4)


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_train_as_one(ranks: int) -> None:
    agree(ranks)


def test_a_communicator_has_a_known_name():
    net = network(Recipe())
    with pytest.raises(InputError, match="communicator must be one of mpi, got 'mpl'.*'mpi'"):
        compile_network(net, EventProp(), total_steps=1, engine="genn", communicator="mpl")


def test_mpi4py_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(InputError, match=r"mpi4py.*delaysnn\[mpi\].*mpiexec"):
        compile_network(
            network(Recipe()), EventProp(), total_steps=1, engine="genn", communicator="mpi"
        )
