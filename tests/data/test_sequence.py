"""Sequences: order, gaps, the solution by delays, and what is refused."""

import numpy as np
import pytest

from mlgenn_delays.data.registry import dataset_shape, load_dataset
from mlgenn_delays.data.types import SpikeData
from mlgenn_delays.errors import InputError

SMALL = {"train": 400, "validation": 100, "test": 101}


def times(data: SpikeData, channels: int) -> np.ndarray:
    """Return (N, 2, channels) steps, of data with one spike a channel."""
    np.testing.assert_array_equal(np.diff(data.start), 1)
    return data.time.reshape(len(data), 2, channels)


def test_the_class_is_the_order() -> None:
    data = load_dataset("sequence", options=SMALL, dt=0.1)
    for split, n in SMALL.items():
        first, second = times(data[split], 1)[:, :, 0].T
        labels = data[split].labels
        assert len(labels) == n and np.abs(np.diff(np.bincount(labels))) <= 1
        np.testing.assert_array_equal(labels, second < first)
    gap = np.abs(second - first)
    assert gap.min() >= 20 and gap.max() <= 200 and gap.min() < 40 and gap.max() > 180
    assert data["test"].time.max() <= 400 and data["test"].n_steps == 600


def test_delays_alone_solve_it() -> None:
    data = load_dataset("sequence", options=SMALL, dt=0.1)["train"]
    first, second = times(data, 1)[:, :, 0].T * 0.1
    apart = np.abs(first + (2 + 20) / 2 - second)  # at a neuron that delays group 0 by 11 ms
    assert apart[data.labels == 0].max() <= 9.2 and apart[data.labels == 1].min() >= 12.8


def test_groups_and_jitter() -> None:
    options = SMALL | {"channels": 3, "jitter": 0.9}
    data = load_dataset("sequence", options=options, dt=0.1)["train"]
    assert dataset_shape("sequence", options) == (data.n_channels, data.n_classes) == (6, 2)
    steps = times(data, 3)
    assert 0 < (steps.max(2) - steps.min(2)).max() <= 18
    before = steps[np.arange(len(data)), data.labels]
    after = steps[np.arange(len(data)), 1 - data.labels]
    assert (before.max(1) < after.min(1)).all()


def test_the_order_survives_the_longest_step() -> None:
    options = SMALL | {"gap_min": 2.0, "gap_max": 2.5, "jitter": 0.5}
    data = load_dataset("sequence", options=options, dt=1.0)["train"]
    first, second = times(data, 1)[:, :, 0].T
    np.testing.assert_array_equal(data.labels, second < first)
    assert (first != second).all()


def test_no_time_alone_tells() -> None:
    data = load_dataset("sequence", options=SMALL, dt=0.1)["train"]
    for group in times(data, 1)[:, :, 0].T:
        low, high = np.quantile(group, [0.4, 0.6])
        some = data.labels[(group > low) & (group < high)]
        assert 0.2 < some.mean() < 0.8


def test_seeds() -> None:
    one, same, other = (
        load_dataset("sequence", options=SMALL | {"seed": seed})["train"] for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one.time, same.time)
    assert not np.array_equal(one.time, other.time)


def test_a_step_that_could_lose_the_order() -> None:
    with pytest.raises(InputError, match="dt must be.* got 1.5"):
        load_dataset("sequence", options={"jitter": 0.5}, dt=1.5)
