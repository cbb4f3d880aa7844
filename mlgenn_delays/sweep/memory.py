"""How many trainings fit: the cores that this process may use, and the memory that is free."""

import os
from collections.abc import Iterable
from pathlib import Path

# What a training is taken to need before the first one has been measured [bytes].
FIRST_GUESS = 3 << 29
# What is left to everything else: a share of the free memory, and of what was measured.
_USABLE, _MARGIN = 0.9, 1.15
_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Return the memory that can be had [bytes], None where the system does not say.

    The limits of control groups (containers, batch systems) count as well.
    """
    found = [_meminfo(), *_cgroup_rooms()]
    known = [each for each in found if each is not None]
    return min(known) if known else None


def _meminfo() -> int | None:
    """Return what the system as a whole has free."""
    try:
        for line in (_PROC / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        # All there is: better than nothing where what is free is not told.
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _cgroup_rooms() -> list[int]:
    """Return what the control groups of this process (version 2) leave, from inside out."""
    try:
        lines = (_PROC / "self" / "cgroup").read_text().splitlines()
        name = next(line[3:] for line in lines if line.startswith("0::"))
    except (OSError, StopIteration):
        return []
    rooms = []
    group = _CGROUPS / name.strip("/")
    for folder in (group, *group.parents):
        if folder != _CGROUPS and _CGROUPS not in folder.parents:
            break
        try:
            limit = int((folder / "memory.max").read_text())
            rooms.append(max(0, limit - int((folder / "memory.current").read_text())))
        except (OSError, ValueError):  # "max": no limit
            continue
    return rooms


def resident(pid: int) -> int:
    """Return the memory that a process has now [bytes], 0 where the system does not say."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


class Room:
    """Decides whether one more training may start.

    Arguments:
        workers: How many may run at once, whatever their memory; None for as many as fit.
        measured: The most memory of trainings of this sweep so far [bytes].
    """

    def __init__(self, workers: int | None = None, measured: Iterable[int] = ()) -> None:
        from mlgenn_delays.engines.cpu.workers import available_cores

        self._given = workers is not None
        self.most = workers if workers is not None else available_cores()
        self._measured = max(measured, default=0)

    @property
    def need(self) -> float:
        """What a training is expected to need [bytes]."""
        return self._measured * _MARGIN or FIRST_GUESS

    def measure(self, peak: int | None) -> None:
        """Take in the most memory that a training had."""
        self._measured = max(self._measured, peak or 0)

    def for_one_more(self, pids: list[int]) -> bool:
        """Return whether one more may start.

        Arguments:
            pids: Processes of those that run, which may still grow to what one needs.
        """
        if not pids or len(pids) >= self.most:
            return not pids
        free = available_memory()
        if self._given or free is None:
            return True
        growth = sum(max(0.0, self.need - resident(pid)) for pid in pids)
        return _USABLE * free - growth >= self.need
