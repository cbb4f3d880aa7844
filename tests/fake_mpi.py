"""Ranks of an MPI program that are threads of one process: what `engines.ranks` uses of mpi4py."""

import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any
from unittest.mock import patch

import numpy as np

TIMEOUT = 60.0  # seconds; a rank that waits alone fails


class FakeWorld:
    """So many ranks; each thread is one of them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.aborted: list[int] = []
        self._thread = threading.local()
        self._barrier = threading.Barrier(number)
        self._said: dict[int, Any] = {}
        self._mail: dict[tuple[int, int], SimpleQueue[np.ndarray]] = defaultdict(SimpleQueue)

    def Get_rank(self) -> int:  # noqa: N802
        return getattr(self._thread, "rank", 0)

    def Get_size(self) -> int:  # noqa: N802
        return self.number

    def Barrier(self) -> None:  # noqa: N802
        self._barrier.wait(TIMEOUT)

    def Abort(self, code: int) -> None:  # noqa: N802
        self.aborted.append(code)

    def allgather(self, value: Any) -> list[Any]:
        self._said[self.Get_rank()] = value
        self.Barrier()
        found = [self._said[rank] for rank in range(self.number)]
        self.Barrier()
        return found

    def Allgatherv(self, own: np.ndarray, into: Any) -> None:  # noqa: N802
        rows, (counts, starts) = into
        assert own.size == counts[self.Get_rank()] and rows.flags.c_contiguous
        flat = rows.reshape(-1)
        for part, n, start in zip(self.allgather(own), counts, starts, strict=True):
            flat[start : start + n] = part.reshape(-1)
        self.Barrier()

    def Bcast(self, values: np.ndarray, root: int) -> None:  # noqa: N802
        assert values.flags.c_contiguous
        values[:] = self.allgather(values)[root].copy()
        self.Barrier()

    def Isend(self, values: np.ndarray, dest: int) -> "FakeWorld":  # noqa: N802
        self._mail[self.Get_rank(), dest].put(values.copy())
        return self

    def Wait(self) -> None:  # noqa: N802
        pass

    def Recv(self, values: np.ndarray, source: int) -> None:  # noqa: N802
        values[:] = self._mail[source, self.Get_rank()].get(timeout=TIMEOUT)

    def on_all(self, work: Callable[[int], Any]) -> list[Any]:
        """Call work(rank) in a thread per rank, in which `Ranks` are these."""

        def one(rank: int) -> Any:
            self._thread.rank = rank
            try:
                return work(rank)
            except BaseException:
                self._barrier.abort()  # the others would wait for this one
                raise

        with (
            patch("mlgenn_delays.engines.ranks._world", lambda name: self),
            ThreadPoolExecutor(self.number) as pool,
        ):
            futures = [pool.submit(one, rank) for rank in range(self.number)]
            return [future.result() for future in futures]
