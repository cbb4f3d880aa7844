"""The memory that a process can have: what is free now, and what there is at most.

The limits of control groups (containers, batch systems), which psutil does not know, count as well.
"""

from pathlib import Path

from mlgenn_delays.errors import InputError

_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def available_memory() -> int:
    """Return the memory that can be had [bytes]."""
    import psutil

    return min([psutil.virtual_memory().available, *(max(0, n - used) for n, used in _cgroups())])


def total_memory() -> int:
    """Return the memory that there is, used or not [bytes]."""
    import psutil

    return min([psutil.virtual_memory().total, *(limit for limit, _ in _cgroups())])


def resident(pid: int) -> int:
    """Return the memory that a process has now [bytes], 0 if it has ended or is not ours to see."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def check_memory(what: str, got: str, needed: float, remedy: str) -> None:
    """Reject what this machine's memory cannot hold.

    Arguments:
        what: What must fit, in words.
        got: What was asked for, in words, after which the message tells ``needed``.
        needed: Estimate of what it takes [bytes].
        remedy: What to do.

    Raises:
        InputError: As said.
    """
    there = total_memory()
    if needed > there:
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
