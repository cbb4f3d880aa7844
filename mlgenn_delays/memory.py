"""The memory that a process can have: what is free now, and what there is at most.

The limits of control groups (containers, batch systems) count as well.
"""

import os
from pathlib import Path

from mlgenn_delays.errors import InputError

_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Return the memory that can be had [bytes], None where the system does not say."""
    free = _meminfo("MemAvailable")
    # All there is: better than nothing where what is free is not told.
    found = [_physical() if free is None else free]
    found += [max(0, limit - used) for limit, used in _cgroups()]
    return min((each for each in found if each is not None), default=None)


def total_memory() -> int | None:
    """Return the memory that there is, used or not [bytes], None where the system does not say."""
    found = [_physical(), *(limit for limit, _ in _cgroups())]
    return min((each for each in found if each is not None), default=None)


def resident(pid: int) -> int:
    """Return the memory that a process has now [bytes], 0 where the system does not say."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def check_memory(what: str, got: str, needed: float, remedy: str) -> None:
    """Refuse what this machine's memory cannot hold.

    Arguments:
        what: What must fit, in words.
        got: What was asked for, in words, after which the message tells ``needed``.
        needed: Estimate of what it takes [bytes].
        remedy: What to do.

    Raises:
        InputError: As said.
    """
    there = total_memory()
    if there is not None and needed > there:
        raise InputError(
            f"{what} must fit into the memory of {as_text(there)}, got {got} about "
            f"{as_text(needed)}; {remedy}"
        )


def as_text(size: float) -> str:
    """Return a number of bytes in words, such as ``"1.5 GB"``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000.0
    return f"{size:,.3g} TB" if size < 999.5 else f"{size:,.0f} TB"


def _meminfo(key: str) -> int | None:
    """Return an entry of what the system says of its memory [bytes]."""
    try:
        for line in (_PROC / "meminfo").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _physical() -> int | None:
    """Return the memory of the machine [bytes]."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _cgroups() -> list[tuple[int, int]]:
    """Return limit and use of the control groups of this process (version 2), from inside out."""
    try:
        lines = (_PROC / "self" / "cgroup").read_text().splitlines()
        name = next(line[3:] for line in lines if line.startswith("0::"))
    except (OSError, StopIteration):
        return []
    found = []
    group = _CGROUPS / name.strip("/")
    for folder in (group, *group.parents):
        if folder != _CGROUPS and _CGROUPS not in folder.parents:
            break
        try:
            limit = int((folder / "memory.max").read_text())
            found.append((limit, int((folder / "memory.current").read_text())))
        except (OSError, ValueError):  # "max": no limit
            continue
    return found
