"""What this machine gives: memory, cores, and threads for kernels, which release the GIL.

The limits of control groups (containers, batch systems), which psutil does not know, count as well.
A batch is cut into chunks by its size alone. Each chunk's examples are run in order and its
gradients summed in order, then the chunks' in order: so no result depends on the threads.

Where neither the user's folder nor matplotlib's can be written, as in containers and on cluster
nodes, matplotlib would make its list of fonts at every start: it is given a place here.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from mlgenn_delays.errors import InputError
from mlgenn_delays.files import cache_folders, check_writable

_blas_lock = Lock()
_blas_users: list[Any] = []


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS compute in the thread that calls it; threads may be within at the same time."""
    with _blas_lock:
        # The limit is one of the process: the first thread sets it, the last one lifts it.
        limit = _blas_users[0] if _blas_users else _blas().limit(limits=1, user_api="blas")
        _blas_users.append(limit)
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users.pop()
            if not _blas_users:
                limit.restore_original_limits()


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def prepare_matplotlib() -> None:
    """Give matplotlib a folder for its list of fonts if it has none; call before importing it."""
    if os.environ.get("MPLCONFIGDIR"):
        return
    home = Path(os.path.expanduser("~"))
    places = {"XDG_CONFIG_HOME": home / ".config", "XDG_CACHE_HOME": home / ".cache"}
    if all(_may_write(Path(os.environ.get(name) or usual)) for name, usual in places.items()):
        return
    for folder in cache_folders():
        with suppress(OSError):
            check_writable(folder / "matplotlib")
            os.environ["MPLCONFIGDIR"] = str(folder / "matplotlib")
            return


def _may_write(folder: Path) -> bool:
    """Whether files can be made in a folder, which need not be there yet."""
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    return there.is_dir() and os.access(there, os.W_OK)


CHUNKS = 16  # of a batch: enough for 16 cores, few enough that their gradients fit in memory
CHUNK_BYTES = 2**28  # for the gradients of all chunks together
_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def available_memory() -> int:
    """The memory that can be had [bytes]."""
    import psutil

    return min([psutil.virtual_memory().available, *(max(0, n - used) for n, used in _cgroups())])


def total_memory() -> int:
    """The memory that there is, used or not [bytes]."""
    import psutil

    return min([psutil.virtual_memory().total, *(limit for limit, _ in _cgroups())])


def resident(pid: int) -> int:
    """The memory that a process has now [bytes], 0 if it has ended or is not ours to see."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def check_memory(what: str, got: str, needed: float, remedy: str) -> None:
    """Reject what needs more than this machine's memory [bytes]; `got` comes before that number."""
    there = total_memory()
    if needed > there:
        raise InputError(
            f"{what} must fit into the memory of {as_text(there)}, got {got} about "
            f"{as_text(needed)}; {remedy}"
        )


def as_text(size: float) -> str:
    """A number of bytes in words, such as ``"1.5 GB"``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000.0
    return f"{size:,.3g} TB" if size < 999.5 else f"{size:,.0f} TB"


def _cgroups() -> list[tuple[int, int]]:
    """Limit and use of the control groups of this process (version 2), from inside out [bytes]."""
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


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def chunks(n: int, most: int) -> list[tuple[int, int]]:
    """Cut range(n) into at most `most` even parts, depending on nothing but the two numbers."""
    parts = max(1, min(n, most))
    bounds = [n * k // parts for k in range(parts + 1)]
    return list(zip(bounds[:-1], bounds[1:], strict=True))


class Workers:
    """A fixed number of threads, all available cores if None."""

    def __init__(self, threads: int | None = None) -> None:
        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise InputError(f"threads must be a whole number >= 1, got {threads!r}")
        self.threads = threads or available_cores()
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None

    def run(self, task: Callable[[int], None], n: int) -> None:
        """Call task(0) .. task(n-1), in any order, and wait; the first error is raised."""
        if self._pool is None or n == 1:
            for k in range(n):
                task(k)
            return
        for future in [self._pool.submit(task, k) for k in range(n)]:
            future.result()


Given = TypeVar("Given")
Made = TypeVar("Made")
_AHEAD = 32  # tasks per core that are done before any result is taken


def in_threads(
    function: Callable[[Given], Made], items: Sequence[Given], at_once: int = 1
) -> Iterator[Made]:
    """Yield what a function makes of items, in their order, made on all cores, some ahead.

    A thread takes `at_once` of them; the function must release the GIL where it takes long.
    """
    if len(items) <= at_once:
        yield from map(function, items)
        return
    workers = Workers()
    ahead = at_once * _AHEAD * workers.threads
    for first in range(0, len(items), ahead):
        some = items[first : first + ahead]
        made: list[list[Made]] = [[] for _ in range(0, len(some), at_once)]

        def task(k: int, some: Sequence[Given] = some, made: list[list[Made]] = made) -> None:
            made[k] = [function(each) for each in some[k * at_once : (k + 1) * at_once]]

        with one_blas_thread():  # set and lifted once, not around each product
            workers.run(task, len(made))
        for each in made:
            yield from each
