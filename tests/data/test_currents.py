"""Currents as plain arrays: what is converted, what is refused, and batches of them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mlgenn_delays.data import Batch, Data
from mlgenn_delays.data.arrays import rows_at_once
from mlgenn_delays.data.types import CurrentBatch, CurrentData, SpikeData
from mlgenn_delays.errors import InputError

# Two examples of three steps and four channels.
VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 7
LABELS = [1, 0]


def make(values: object = VALUES, labels: object = LABELS, names: tuple = ()) -> CurrentData:
    """Return the data from arrays or lists."""
    return CurrentData(values, labels, 10.0, ("a", "b"), names)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.tolist(),
        lambda x: x.astype(np.float64),
        lambda x: x.astype(np.float16),
        lambda x: x.astype(np.int8),
        lambda x: x.astype(">f4"),
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=2)[..., ::2],
        lambda x: np.concatenate([x, x], axis=1)[:, :3],
    ],
)
def test_real_numbers_of_any_type_are_converted(convert: Callable) -> None:
    data = make(convert(VALUES))
    assert data.values.dtype == np.float32 and data.values.dtype.isnative
    assert data.values.flags.c_contiguous
    np.testing.assert_array_equal(data.values, VALUES)
    assert data.labels.dtype == np.int64 and data.labels.tolist() == LABELS


def test_shape_in_words() -> None:
    data = make(names=("x", "y"))
    assert (len(data), data.n_steps, data.n_channels, data.n_classes) == (2, 3, 4, 2)


def test_arrays_that_fit_are_kept() -> None:
    data = make()
    again = replace(data, dt=2.0)
    assert data.values is VALUES and again.values is VALUES and again.labels is data.labels


def changed(value: float, dtype: type = np.float32) -> np.ndarray:
    """Return the values with another one in example 1."""
    values = VALUES.astype(dtype)
    values[1, 2, 3] = value
    return values


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"values": VALUES > 0}, r"values must be real numbers \(float32\), got type bool"),
        ({"values": VALUES.astype(complex)}, "real numbers .* got type complex128"),
        ({"values": VALUES.astype(object)}, "real numbers .* got type object"),
        ({"values": VALUES.astype(str)}, "real numbers .* got type <U"),
        ({"values": [[[1.0], [2.0, 3.0]]]}, "values must be numbers in an array"),
        ({"values": None}, "real numbers .* got type object"),
        ({"values": VALUES[0]}, r"shape \(N, T, C\) with N = 2 labels .* got \(3, 4\)"),
        ({"values": VALUES[:1]}, r"with N = 2 labels .* got \(1, 3, 4\)"),
        ({"values": VALUES[:, :0]}, r"at least one step and channel, got \(2, 0, 4\)"),
        ({"values": VALUES[..., :0]}, r"at least one step and channel, got \(2, 3, 0\)"),
        ({"values": changed(np.nan)}, r"finite .* got nan in example 1 \(step 2, channel 3\)"),
        ({"values": changed(-np.inf)}, "got -inf in example 1"),
        ({"values": changed(1e39, np.float64)}, r"below 1e\+15 in size, got 1e\+39 in example 1"),
        ({"labels": [1, 2]}, r"labels must be in 0\.\.1, one of 2 label_names, got 2 in example 1"),
        ({"names": ("x",)}, "names must be one for each of 2 examples, or none at all, got 1"),
    ],
)
def test_other_arrays_are_refused(arrays: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(**arrays)


def test_the_first_example_is_named_among_many() -> None:
    values = np.zeros((40, 100, 1000), np.float32)
    assert rows_at_once(values.shape) < 37
    values[38, 0, 0] = values[37, 99, 999] = np.nan
    with pytest.raises(InputError, match=r"got nan in example 37 \(step 99, channel 999\)"):
        CurrentData(values, np.zeros(40, int), 1.0, ("a",))


def test_empty_split() -> None:
    data = make(VALUES[:0], np.zeros(0, int))
    assert len(data) == 0 and data.n_channels == 4
    assert data.batch(np.zeros(0, np.int64)).values.shape == (0, 3, 4)


@pytest.mark.parametrize("index", [[1], [1, 0], [0, 0, 1], []])
def test_batch(index: list[int]) -> None:
    data = make()
    batch = data.batch(np.array(index, np.int64))
    assert isinstance(batch, CurrentBatch) and len(batch) == len(index)
    assert (batch.n_steps, batch.n_channels) == (3, 4)
    assert batch.values.dtype == np.float32 and batch.values.flags.c_contiguous
    assert batch.index.dtype == batch.labels.dtype == np.int64
    np.testing.assert_array_equal(batch.values, VALUES[index])
    assert batch.labels.tolist() == [LABELS[i] for i in index] and batch.index.tolist() == index
    batch.values[:] = 0
    assert data.values[0, 0, 0] == -7


def test_both_kinds_have_one_name() -> None:
    currents = make()
    spikes = SpikeData(np.zeros((1, 2), int), np.zeros(0, int), [0], 1, 1.0, ("a",))
    for data in (currents, spikes):
        assert isinstance(data, Data) and not isinstance(data, Batch)
        batch = data.batch(np.arange(1))
        assert isinstance(batch, Batch) and not isinstance(batch, Data)
