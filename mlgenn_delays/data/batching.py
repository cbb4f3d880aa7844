"""Batches of an epoch, in an order that depends only on seed and epoch; the next is made ahead."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, overload

import numpy as np

from mlgenn_delays.data.augment.augment import Augment, blending, check_kind
from mlgenn_delays.data.augment.augment import augment as augment_batch
from mlgenn_delays.data.types import (
    Batch,
    CurrentBatch,
    CurrentData,
    Data,
    SpikeBatch,
    SpikeData,
    StreamedSpikes,
)
from mlgenn_delays.rng import generator
from mlgenn_delays.settings import Count, check

T = TypeVar("T")

_END = object()


def prefetch(items: Iterator[T], depth: int = 2) -> Iterator[T]:
    """Yield items that a thread of its own makes, up to ``depth`` of them before they are wanted.

    Items, their order and their errors are those of the iterator. Nothing is made before the first
    is asked for, and no more once this iterator is closed or forgotten.
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


def epoch_order(n: int, *, seed: int, epoch: int, shuffle: bool = True) -> np.ndarray:
    """Return the order of the examples in an epoch.

    Arguments:
        n: Number of examples.
        seed: Seed of the run.
        epoch: Number of the epoch.
        shuffle: Whether to shuffle; else 0, 1, 2 ...

    Returns:
        (n,) int64, a permutation.
    """
    if not shuffle:
        return np.arange(n)
    return generator(seed, "shuffle", epoch).permutation(n)


@overload
def epoch_batches(
    data: SpikeData | StreamedSpikes,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    shuffle: bool = ...,
    augment: Augment | None = ...,
) -> Iterator[SpikeBatch]: ...


@overload
def epoch_batches(
    data: CurrentData,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    shuffle: bool = ...,
    augment: Augment | None = ...,
) -> Iterator[CurrentBatch]: ...


def epoch_batches(
    data: Data,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    shuffle: bool = True,
    augment: Augment | None = None,
) -> Iterator[Batch]:
    """Return the batches of an epoch: every example once, the last batch maybe smaller.

    Batches that must be read or augmented are prefetched, in a thread in the background.

    Arguments:
        data: The split, of spikes or of currents; the order is the same for both.
        batch_size: Examples per batch, at least 1.
        seed: Seed of the run.
        epoch: Number of the epoch.
        shuffle: Whether to shuffle.
        augment: Random changes to the examples, if any.

    Raises:
        InputError: The batch size is no whole number of 1 or more, or the augmentation is none
            for this kind of data.
    """
    if augment is not None:
        check_kind(augment, data)
    check("batch_size", batch_size, Count)
    order = epoch_order(len(data), seed=seed, epoch=epoch, shuffle=shuffle)
    batches = _batches(data, order, batch_size, augment, seed, epoch)
    works = isinstance(data, StreamedSpikes) or augment is not None
    return prefetch(batches) if works else batches


def _batches(
    data: Data,
    order: np.ndarray,
    size: int,
    settings: Augment | None,
    seed: int,
    epoch: int,
) -> Iterator[Batch]:
    """Yield the batches; apart from `epoch_batches`, so that its checks come at once."""
    blend = blending(data, settings, seed, epoch)
    for first in range(0, len(order), size):
        batch = blend(data.batch(order[first : first + size]))
        yield augment_batch(batch, settings, data.dt, seed, epoch) if settings else batch
