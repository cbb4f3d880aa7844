"""Threads that run kernels; the kernels release the GIL.

On the CPU a batch is cut into chunks by its size alone. Each chunk's examples are run in order and
its gradients summed in order, then the chunks' in order: so no result depends on the threads.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from mlgenn_delays.errors import InputError


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def chunks(n: int, most: int) -> list[tuple[int, int]]:
    """Cut range(n) into at most `most` even parts, depending on nothing but the two numbers."""
    parts = max(1, min(n, most))
    bounds = [n * k // parts for k in range(parts + 1)]
    return list(zip(bounds[:-1], bounds[1:], strict=True))


class Workers:
    """A fixed number of threads.

    Arguments:
        threads: How many, all available cores if None.

    Raises:
        InputError: Not a whole number from 1 on.
    """

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


CHUNKS = 16  # of a batch: enough for 16 cores, few enough that their gradients fit in memory


CHUNK_BYTES = 2**28  # for the gradients of all chunks together
