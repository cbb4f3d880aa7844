"""Work done ahead in the background, so that the next batch is ready when it is wanted."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_END = object()


def prefetch(items: Iterator[T], depth: int = 2) -> Iterator[T]:
    """Yield items that a thread of its own makes, up to ``depth`` of them before they are wanted.

    Items, their order and their errors are those of the iterator. Nothing is made before the first
    is asked for, and no more once this iterator is closed or forgotten.

    Arguments:
        items: The iterator; used by one thread at a time.
        depth: Items in the making or made, at least 1; what is held in memory besides the one
            that was handed out.
    """
    waiting: deque[Future[T | object]] = deque()
    worker = ThreadPoolExecutor(1, "prefetch")
    try:
        waiting.extend(worker.submit(next, items, _END) for _ in range(depth))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(worker.submit(next, items, _END))
            yield item  # type: ignore[misc]
    finally:
        worker.shutdown(cancel_futures=True)
