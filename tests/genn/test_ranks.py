"""One training shared among the ranks of an MPI program, on GeNN's CPU backend."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import EventProp
from tests.needs import GENN, PATH, need
from tests.reference.nets import Recipe, network

need(*GENN)
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def mpiexec() -> str:
    """Return the MPI launcher of mpi4py's library, or skip."""
    need("mpi")
    found = shutil.which("mpiexec", path=PATH)
    assert found is not None
    return found


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def answers(command: list[str]) -> list[list[dict]]:
    """Return what each rank printed: how each training ended."""
    done = run(
        [*command, sys.executable, "-m", "tests.genn.ranks_child", *(["mpi"] * bool(command))]
    )
    assert done.returncode == 0, done.stderr
    decoder, found, rest = json.JSONDecoder(), [], done.stdout.strip()
    while rest:  # ranks may print on one line
        each, end = decoder.raw_decode(rest)
        found.append(each)
        rest = rest[end:].strip()
    return found


def agree(ranks: int) -> None:
    """Reject a training by several ranks that is not that of one."""
    (wanted,) = answers([])
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


def test_a_communicator_needs_genn_and_a_known_name():
    net = network(Recipe())
    with pytest.raises(InputError, match="engine 'genn'.*threads"):
        compile_network(net, EventProp(), total_steps=1, communicator="mpi")
    with pytest.raises(InputError, match="communicator must be one of mpi, got 'mpl'.*'mpi'"):
        compile_network(net, EventProp(), total_steps=1, engine="genn", communicator="mpl")


def test_mpi4py_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(InputError, match=r"mpi4py.*delaysnn\[mpi\].*mpiexec"):
        compile_network(
            network(Recipe()), EventProp(), total_steps=1, engine="genn", communicator="mpi"
        )
