"""How many trainings fit."""

import os
from types import SimpleNamespace

import psutil
import pytest

from mlgenn_delays import machine
from mlgenn_delays.machine import available_cores, available_memory, resident, total_memory
from mlgenn_delays.sweep.executor import FIRST_GUESS, Room

GIB = 1 << 30
TOTAL = 1000 * GIB


@pytest.fixture
def this_machine(tmp_path, monkeypatch):
    """Return a function that sets free memory and what processes have."""
    monkeypatch.setattr(machine, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "cgroups")

    def write(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def set_up(free=None, processes=None, groups=None):
        if free is not None:
            told = SimpleNamespace(available=free, total=TOTAL)
            monkeypatch.setattr(psutil, "virtual_memory", lambda: told)

        def process(pid):
            if pid not in (processes or {}):
                raise psutil.NoSuchProcess(pid)
            return SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=processes[pid]))

        monkeypatch.setattr(psutil, "Process", process)
        if groups:
            write(tmp_path / "proc/self/cgroup", "0::/a/b\n")
        for name, (limit, used) in (groups or {}).items():
            write(tmp_path / "cgroups" / name / "memory.max", f"{limit}\n")
            write(tmp_path / "cgroups" / name / "memory.current", f"{used}\n")

    return set_up


def test_this_machine():
    assert available_memory() > 1 << 20
    assert resident(os.getpid()) > 1 << 20
    assert total_memory() >= available_memory()
    assert Room().most == available_cores()


def test_free_memory_and_limits_of_groups(this_machine):
    this_machine(free=8 * GIB)
    assert available_memory() == 8 * GIB
    this_machine(groups={"a/b": ("max", GIB), "a": (6 * GIB, GIB)})
    assert available_memory() == 5 * GIB
    assert total_memory() == 6 * GIB
    this_machine(groups={"a/b": (3 * GIB, GIB)})
    assert available_memory() == 2 * GIB
    this_machine(groups={"a/b": (3 * GIB, 4 * GIB)})
    assert available_memory() == 0


def test_one_always_runs(this_machine):
    this_machine(free=0)
    assert Room().for_one_more([])
    assert not Room(8).for_one_more(list(range(1, 9)))


def test_a_first_guess_then_what_was_measured(this_machine):
    room = Room()
    room.most = 64
    this_machine(free=2 * GIB, processes={7: FIRST_GUESS})
    assert room.for_one_more([7])  # 1.8 GiB for 1.5
    this_machine(free=2 * GIB, processes={7: 0})
    assert not room.for_one_more([7])  # it will still grow
    room.measure(GIB // 2)
    room.measure(GIB // 4)  # the most counts
    room.measure(None)
    assert GIB // 2 < room.need < GIB
    assert room.for_one_more([7])
    assert not room.for_one_more([7, 8, 9])
    room.measure(2 * GIB)
    assert not room.for_one_more([7])
    assert Room(measured=[1, 2 * GIB]).need > 2 * GIB


def test_cores_and_a_given_number(this_machine):
    this_machine(free=1000 * GIB)
    room = Room()
    assert not room.for_one_more(list(range(1, room.most + 1)))
    this_machine(free=0)
    assert Room(2).for_one_more([1])  # the user knows
    assert not Room(2).for_one_more([1, 2])
