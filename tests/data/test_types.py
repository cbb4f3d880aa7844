"""Spikes as plain arrays: what is converted and what is refused."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgenn_delays.data.types import CurrentBatch, SpikeData, checked
from mlgenn_delays.errors import InputError

# Example 0 spikes in channel 0 at 3 and 5 and in channel 1 at 1, example 1 in channel 1 at 4.
START, TIME, LABELS = [[0, 2, 3], [3, 3, 4]], [3, 5, 1, 4], [1, 0]


def make(start: object = START, time: object = TIME, labels: object = LABELS) -> SpikeData:
    """Return the data from arrays or lists."""
    return SpikeData(start, time, labels, 9, 1.0, ("a", "b"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "convert",
    [
        list,
        lambda x: np.array(x, np.int64),
        lambda x: np.array(x, np.int16),
        lambda x: np.array(x, np.uint64),
        lambda x: np.array(x, ">i4"),
        lambda x: np.array(x, np.float32),
        lambda x: np.asfortranarray(x, np.int64),
        lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    ],
)
def test_whole_numbers_of_any_type_are_converted(convert: Callable) -> None:
    data = make(convert(START), convert(TIME), convert(LABELS))
    for array, dtype, expected in (
        (data.start, np.int64, START),
        (data.time, np.int32, TIME),
        (data.labels, np.int64, LABELS),
    ):
        assert array.dtype == np.dtype(dtype) and array.dtype.isnative
        assert array.flags.c_contiguous and array.tolist() == expected


def test_arrays_that_fit_are_kept() -> None:
    data = make()
    again = replace(data, dt=2.0)
    assert again.start is data.start and again.time is data.time and again.labels is data.labels


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"start": np.array(START) + 0.5}, r"start must be whole numbers \(int64\), got 0.5 at"),
        ({"time": np.array(TIME) * 2.0**60}, r"time must be whole numbers .*float64"),
        ({"labels": np.array(LABELS, bool)}, "labels must be whole numbers .*bool"),
        ({"labels": ["a", "b"]}, "labels must be whole numbers .*<U1"),
        ({"time": [[1], [2, 3]]}, "time must be whole numbers in an array"),
        ({"time": [3, 5, 1, 2**40]}, "time must be numbers that fit int32, got 1..1099511627776"),
        ({"time": [[3, 5, 1, 4]]}, r"time must have one dimension, got shape \(1, 4\)"),
        ({"labels": [[1], [0]]}, r"labels must have one dimension, got shape \(2, 1\)"),
        ({"labels": 1}, r"labels must have one dimension, got shape \(\)"),
        ({"labels": [1, 2]}, r"labels must be in 0\.\.1, one of 2 label_names, got 2 in example 1"),
        ({"labels": [1]}, r"start must have shape \(N, C\+1\) with N = 1"),
        ({"start": [0, 2]}, r"start must have shape \(N, C\+1\)"),
        ({"start": np.zeros((2, 0), int)}, r"start must have shape \(N, C\+1\)"),
        ({"start": [[0, 2, 3], [3, 3, 5]]}, r"start must have places in 0\.\.4 spikes, got 0\.\.5"),
        ({"start": [[-1, 2, 3], [3, 3, 4]]}, r"places in 0\.\.4 spikes, got -1\.\.4"),
        (
            {"start": [[0, 2, 3], [3, 4, 3]]},
            "ascending rows, got 4 before 3 in example 1, chan.* 1",
        ),
        ({"time": [3, 5, 1, 9]}, r"spike times must be in 0\.\.8 steps, got 1\.\.9"),
        ({"time": [5, 3, 1, 4]}, "without repeats within a channel, got 3 after 5 at place 1"),
        ({"time": [3, 3, 1, 4]}, "without repeats within a channel, got 3 after 3 at place 1"),
    ],
)
def test_other_arrays_are_refused(arrays: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(**arrays)


def test_spikes_of_no_example_do_not_matter() -> None:
    time = [8, 7, 3, 5, 1, 6, 6, 2, 4, 0]
    assert len(make([[2, 4, 5], [7, 7, 9]], time)) == 2
    assert len(make([[7, 7, 9], [2, 4, 5]], time)) == 2
    with pytest.raises(InputError, match="got 6 after 6 at place 6"):
        make([[2, 4, 5], [5, 5, 9]], time)


def test_empty_data() -> None:
    none = np.zeros(0, np.int64)
    assert len(make(np.zeros((0, 3), np.int64), none, none)) == 0
    assert make(np.zeros((2, 3), np.int64), none).time.dtype == np.int32


def from_events(
    events: object = (([0, 1], [3, 4]), ([1], [2])), labels: object = LABELS, **more: object
) -> SpikeData:
    """Return the data from events."""
    settings = {"n_channels": 2, "n_steps": 9, "dt": 1.0, "label_names": ("a", "b")} | more
    return SpikeData.from_events(events, labels, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (([0], [1.5]), "have whole numbers as steps, got 1.5 at event 0; give the step .* floor"),
        (([0, 1.7], [1, 1]), "have whole numbers as channels, got 1.7 at event 1; number the"),
        (([0, 1], np.array([1, np.nan])), "whole numbers as steps, got nan at event 1"),
        (([0], ["a"]), "have whole numbers as steps, got type <U1; save"),
        (([True], [1]), "have whole numbers as channels, got type bool; save"),
        (([0, 1], [1]), "have as many steps as channels, got 1 steps and 2 channels; give one"),
        (([[0]], [[1]]), r"have channels of one dimension, got shape \(1, 1\); give one number"),
        (([0, [1]], [1, 1]), "must be numbers in an array"),
        (([0, 2], [1, 1]), r"have channels in 0\.\.1, got 2 at event 1"),
        (([-1], [1]), r"have channels in 0\.\.1, got -1 at event 0"),
        (([0], [-1]), "have finite steps >= 0, got -1 at event 0; count from"),
        (([0], [1], [2]), "must be a pair of channels and steps, got tuple"),
        (3, "must be a pair of channels and steps, got int"),
    ],
)
def test_events_are_not_rounded(events: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        from_events([([0], [1]), events])
    assert "events of example 1" in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0.1], "labels must be whole numbers .*, got 0.1 at example 1; round"),
        ([0], r"labels must be one for each of 2 examples of events, got shape \(1,\)"),
        ([0, 5], "labels must be in 0..1, one of 2 label_names, got 5 in example 1"),
    ],
)
def test_labels_of_events_are_not_rounded(labels: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_events(labels=labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_steps": 2.5}, "n_steps must be"),
        ({"n_steps": 0}, "n_steps must be"),
        ({"n_channels": 1.5}, "n_channels must be"),
        ({"dt": float("nan")}, "dt must be"),
        ({"names": ("one",)}, "names must be one for each of 2 examples, or none at all, got 1"),
    ],
)
def test_settings_of_events(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_events(**settings)


def test_events_are_counted() -> None:
    data = from_events([([0, 1, 1, 0], [3, 4, 4, 9]), ([], [])])
    assert data.losses is not None
    assert data.losses.table.tolist() == [[4, 1, 1, 9.0, 2], [0, 0, 0, 0, 0]]
    assert data.take(np.array([1])).losses.table.tolist() == [[0, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([0.7], "index must be whole numbers .*, got 0.7 at place 0"),
        ([True], r"index must be true or false for each of 2 examples, got shape \(1,\)"),
        ([2], r"index must be numbers of examples in 0\.\.1 in one dimension, got 2\.\.2"),
        ([-1], r"got -1\.\.-1"),
        (0, r"got shape \(\)"),
    ],
)
def test_numbers_of_examples(index: object, message: str) -> None:
    for act in (make().batch, make().take):
        with pytest.raises(InputError, match=message):
            act(index)  # type: ignore[arg-type]


def test_a_batch_of_a_user_is_checked() -> None:
    batch = make().batch(np.array([0, 1]))
    assert checked(replace(batch, time=batch.time.astype(np.int64))).time.dtype == np.int32
    with pytest.raises(InputError, match="time must be whole numbers .* got 1.5 at place 0"):
        checked(replace(batch, time=batch.time + 0.5 - 2))
    with pytest.raises(InputError, match="spike times must be in"):
        checked(replace(batch, n_steps=4))
    values = np.full((1, 2, 3), 1e20)
    with pytest.raises(InputError, match="values must be finite and below 1e.15 in size, got 1e"):
        checked(CurrentBatch(values, np.zeros(1), np.zeros(1)))


@given(st.data())
def test_rasters_come_back(draw: st.DataObject) -> None:
    shape = draw.draw(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5)))
    kind = draw.draw(st.sampled_from([bool, np.uint8, np.int64, np.float32]))
    n = int(np.prod(shape))
    raster = np.array(draw.draw(st.lists(st.booleans(), min_size=n, max_size=n))).reshape(shape)
    labels = np.arange(shape[0]) % 2
    data = SpikeData.from_raster(raster.astype(kind), labels, dt=2.0, label_names=("a", "b"))
    assert (data.n_steps, data.n_channels, data.dt) == (shape[1], shape[2], 2.0)
    np.testing.assert_array_equal(data.to_raster(), raster)
    order = np.arange(shape[0])[::-1]
    np.testing.assert_array_equal(data.take(order).to_raster(), raster[order])
    events = [np.nonzero(each)[::-1] for each in raster]
    sizes = {"n_channels": shape[2], "n_steps": shape[1], "dt": 2.0, "label_names": ("a", "b")}
    again = SpikeData.from_events(events, labels, **sizes)
    np.testing.assert_array_equal(again.start, data.start)
    np.testing.assert_array_equal(again.time, data.time)


@pytest.mark.parametrize(
    ("raster", "message"),
    [
        (np.full((1, 3, 2), 2), "must have spikes as 0 and 1, got 2 at .* raster > 0"),
        (np.full((1, 3, 2), 0.5), "must have spikes as 0 and 1, got 0.5"),
        (np.full((1, 3, 2), np.nan), "must have spikes as 0 and 1, got nan"),
        (np.zeros((3, 2)), r"shape \(examples, steps, channels\), got float64 of shape \(3, 2\)"),
        (np.zeros((0, 3, 2)), r"got float64 of shape \(0, 3, 2\)"),
        ([["a"]], "raster must be numbers"),
    ],
)
def test_other_rasters_are_refused(raster: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SpikeData.from_raster(raster, [0], dt=1.0, label_names=("a",))
