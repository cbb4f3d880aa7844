"""Work that is shared among threads comes in order, and BLAS starts none of its own."""

from contextlib import nullcontext

import numpy  # noqa: F401, with its BLAS
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mlgenn_delays.machine import in_threads, one_blas_thread


def blas_threads() -> list[int]:
    return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]


@pytest.mark.parametrize("end", ["all", "closed", "failed"])
def test_blas_has_one_thread_until_the_last_is_taken(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr("mlgenn_delays.machine.available_cores", lambda: 2)

    def work(k: int) -> list[int]:
        with one_blas_thread():
            within = blas_threads()
        if end == "failed" and k == 30:
            raise KeyError
        return within + blas_threads()

    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        assert set(before) == {2}
        made = in_threads(work, range(40), 2)
        assert next(made) == [1] * (2 * len(before))
        if end == "closed":
            made.close()
        else:
            with nullcontext() if end == "all" else pytest.raises(KeyError):
                assert {each for some in made for each in some} == {1}
        assert blas_threads() == before


@pytest.mark.parametrize("cores", [1, 2])
def test_what_threads_make_comes_in_order(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    monkeypatch.setattr("mlgenn_delays.machine.available_cores", lambda: cores)
    for n, at_once in ((0, 1), (1, 4), (5, 4), (300, 1), (300, 2)):
        assert list(in_threads(lambda k: k * k, range(n), at_once)) == [k * k for k in range(n)]

    def fail(k: int) -> int:
        return 1 // (k - 7)

    with pytest.raises(ZeroDivisionError):
        list(in_threads(fail, range(20), 2))
