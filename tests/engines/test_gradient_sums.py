"""Sums of the gradients of chunks do not depend on who is done first."""

from typing import Any

import numpy as np
import pytest

from mlgenn_delays.engines.cpu.gradient_sums import GradientSums
from mlgenn_delays.engines.ranks import ALONE, make_share


def in_turn(parts: np.ndarray) -> np.ndarray:
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


@pytest.mark.parametrize("order", [range(5), range(4, -1, -1), [2, 0, 4, 3, 1]])
def test_order_of_the_chunks_counts(order: Any) -> None:
    parts = np.random.default_rng(0).normal(size=(5, 2, 100)).astype(np.float32)
    parts *= 10.0 ** np.arange(5, dtype=np.float32)[:, None, None]  # sums differ by their order
    assert not np.array_equal(in_turn(parts), in_turn(parts[::-1]))
    total, spare = np.full((2, 100), np.nan, np.float32), list[np.ndarray]()
    sums = GradientSums(make_share(ALONE, 10), total, spare)
    for k in order:
        own = np.empty_like(total)
        own[:] = parts[k]
        sums.give(k, own)
    sums.finish()
    np.testing.assert_array_equal(total, in_turn(parts))


def test_one_array_is_enough_for_chunks_in_turn() -> None:
    total, spare = np.zeros((2, 3), np.float32), list[np.ndarray]()
    sums = GradientSums(make_share(ALONE, 10), total, spare)
    for k in range(5):
        own = sums.take()
        own[:] = k
        sums.give(k, own)
    sums.finish()
    assert len(spare) == 1
    np.testing.assert_array_equal(total, np.full((2, 3), 10.0))
