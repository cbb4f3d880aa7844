"""Work done ahead: the same items, errors where they belong, and no thread left behind."""

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.data.batching import prefetch


def running() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("prefetch")]


@settings(max_examples=30, deadline=None)
@given(items=st.lists(st.none() | st.integers(), max_size=9), depth=st.integers(1, 12))
def test_same_items_in_order(items: list, depth: int) -> None:
    assert list(prefetch(iter(items), depth)) == items
    assert not running()


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("third")

    found = []
    with pytest.raises(ValueError, match="third"):
        for item in prefetch(items(), 3):
            found.append(item)
    assert found == [1, 2] and not running()


def test_made_while_the_last_is_used_and_no_more_than_asked_for() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    found = prefetch(items(), 3)
    assert made == []
    assert next(found) == 0
    limit = time.monotonic() + 60
    while len(made) < 4 and time.monotonic() < limit:
        time.sleep(0.001)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]
    found.close()
    assert not running()


def test_a_thread_of_its_own_makes_them() -> None:
    names = set(prefetch(threading.current_thread().name for _ in range(5)))
    assert len(names) == 1 and names != {threading.current_thread().name}
