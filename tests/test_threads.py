"""Work that is shared among threads comes in order, and BLAS starts none of its own."""

from threading import Barrier, Thread

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from mlgenn_delays.machine import in_threads, one_blas_thread


def test_blas_has_one_thread_until_the_last_one_leaves() -> None:
    def limits() -> list[int]:
        return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]

    def work(first: bool) -> None:
        with one_blas_thread():
            both.wait()
            if first:
                left.wait()  # the other one has left
                seen.append(limits())
        if not first:
            left.wait()

    np.ones((2, 2)) @ np.ones((2, 2))
    before, seen = limits(), []
    both, left = Barrier(2), Barrier(2)
    threads = [Thread(target=work, args=(first,)) for first in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [[1] * len(before)] and limits() == before


@pytest.mark.parametrize("cores", [1, 2])
def test_what_threads_make_comes_in_order(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    monkeypatch.setattr("mlgenn_delays.machine.available_cores", lambda: cores)
    for n, at_once in ((0, 1), (1, 4), (5, 4), (300, 1), (300, 2)):
        assert list(in_threads(lambda k: k * k, range(n), at_once)) == [k * k for k in range(n)]

    def fail(k: int) -> int:
        return 1 // (k - 7)

    with pytest.raises(ZeroDivisionError):
        list(in_threads(fail, range(20), 2))
