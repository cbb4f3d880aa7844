"""What this machine gives: memory, cores, and threads for kernels, which release the GIL.

The limits of control groups (containers, batch systems), which psutil does not know, count as well.
A batch is cut into chunks by its size alone. Each chunk's examples are run in order and its
gradients summed in order, then the chunks' in order: so no result depends on the threads.

Libraries that keep files of their own are imported here, so that these have a place: where neither
the user's folder nor the library's can be written, as in containers and on cluster nodes, librosa
cannot even be imported, and matplotlib makes its list of fonts at every start.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from mlgenn_delays.errors import InputError
from mlgenn_delays.files import cache_folders, check_writable


def librosa_filters() -> Any:
    """Import librosa's filters, with their compiled functions cached as those of the package are.

    Nothing else of librosa is imported: that would compile for 14 s on a fresh machine.
    """
    from mlgenn_delays.kernels import store_folders, stored_in

    try:
        name = f"librosa-{version('librosa')}"
    except PackageNotFoundError:
        name = "librosa"
    with stored_in(store_folders(name)):
        return import_module("librosa.filters")


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


def one_blas_thread() -> AbstractContextManager[Any]:
    """Let BLAS compute in the thread that calls it, in the whole process."""
    return _blas().limit(limits=1, user_api="blas")


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


Given = TypeVar("Given")
Made = TypeVar("Made")
_AHEAD = 3  # tasks per core that are begun before the result of the first is taken


def in_threads(
    function: Callable[[Given], Made], items: Sequence[Given], at_once: int = 1
) -> Iterator[Made]:
    """Yield what a function makes of items, in their order, made on all cores, some ahead.

    A thread takes `at_once` of them; the function must release the GIL where it takes long. BLAS
    has one thread until the last is taken: to set and lift that often costs more than the work.
    """
    if len(items) <= at_once:
        yield from map(function, items)
        return

    def task(first: int) -> list[Made]:
        return [function(each) for each in items[first : first + at_once]]

    cores = available_cores()
    begun: deque[Future[list[Made]]] = deque()
    with one_blas_thread():
        pool = ThreadPoolExecutor(cores)
        try:
            for first in range(0, len(items), at_once):
                begun.append(pool.submit(task, first))
                if len(begun) > _AHEAD * cores:
                    yield from begun.popleft().result()
            while begun:
                yield from begun.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
