"""Spikes from events, rasters and recordings of tonic, and back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.errors import InputError

KIND = [("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)]


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int32, np.float32, list])
def test_rasters_of_any_type(kind: Any) -> None:
    raster = np.eye(3, dtype=int)[None]
    given_ = raster.tolist() if kind is list else raster.astype(kind)
    data = SpikeData.from_raster(given_, [0], dt=1.0)
    assert np.array_equal(data.to_raster(), raster > 0) and data.label_names == ("0",)


def test_a_mask_takes_examples() -> None:
    raster = np.random.default_rng(0).random((6, 5, 3)) < 0.5
    data = SpikeData.from_raster(raster, [0, 1, 0, 1, 0, 1], dt=1.0)
    assert np.array_equal(data.take(data.labels == 1).to_raster(), raster[1::2])
    assert data.batch(data.labels == 0).index.tolist() == [0, 2, 4]


def test_one_example_and_other_labels_are_told() -> None:
    with pytest.raises(InputError, match=r"of shape \(3, 2\); one example is raster\[None\]"):
        SpikeData.from_raster(np.zeros((3, 2)), [0], dt=1.0)
    with pytest.raises(InputError, match="labels must be one for each of 2 examples of the raster"):
        SpikeData.from_raster(np.zeros((2, 2, 2)), [0], dt=1.0)


class Recordings:
    """A data set as tonic has them: items of events and label."""

    sensor_size = (4, 3, 2)
    classes = ("left", "right")

    def __init__(self, events: list[np.ndarray]) -> None:
        self.events = events

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, row: int) -> tuple[np.ndarray, int]:
        return self.events[row], row % 2


event = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 9999), st.booleans())


@given(st.lists(st.lists(event, max_size=20), min_size=1, max_size=3))
def test_recordings_are_spikes_of_pixels(recordings: list[list[tuple]]) -> None:
    found = Recordings([np.array(each, KIND) for each in recordings])
    expected = np.zeros((len(recordings), 8, 24), bool)
    for row, events in enumerate(recordings):
        for x, y, t, p in events:
            if t < 8000:
                expected[row, t // 1000, (p * 3 + y) * 4 + x] = True
    data = SpikeData.from_tonic(found, n_steps=8, dt=1.0)
    assert np.array_equal(data.to_raster(), expected)
    assert data.label_names == ("left", "right")
    assert data.labels.tolist() == [row % 2 for row in range(len(recordings))]
    alone = SpikeData.from_tonic(
        found.events, data.labels, n_steps=8, dt=1.0, sensor_size=Recordings.sensor_size
    )
    assert np.array_equal(alone.to_raster(), expected)


def test_a_real_data_set_of_tonic(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.data.tonic_helpers import fake, recording

    samples = [(recording(seed=seed), seed % 3) for seed in range(6)]
    made = fake(monkeypatch, "Made", samples=samples, sensor_size=(8, 1, 1))(save_to=".")
    data = SpikeData.from_tonic(made, n_steps=100, dt=1.0)
    assert data.labels.tolist() == [0, 1, 2, 0, 1, 2] and data.n_channels == 8
    steps, columns = np.nonzero(data.to_raster()[4])
    events = samples[4][0]
    assert set(zip(steps, columns, strict=True)) == set(
        zip(events["t"] // 1000, events["x"], strict=True)
    )


EVENTS = np.array([(1, 0, 2500, 1)], KIND)


@pytest.mark.parametrize(
    ("recordings", "settings", "message"),
    [
        ([EVENTS], {}, "labels must be given with events alone, got none for 1 recordings"),
        ([EVENTS], {"labels": [0], "sensor_size": None}, "sensor_size must be columns, .*got None"),
        ([EVENTS], {"labels": [0], "sensor_size": (4, 3)}, r"sensor_size .*got \(4, 3\)"),
        ([EVENTS], {"labels": [0], "sensor_size": (1, 3, 2)}, r"x in 0..0, got 1..1; set data.se"),
        ([np.zeros(3)], {"labels": [0]}, "recording 0 must have events with the fields t and x"),
        ([EVENTS], {"labels": [0, 1]}, "one for each of 1 examples of recordings"),
        ([EVENTS], {"labels": [0], "time_unit": 0}, "time_unit must be a number > 0"),
        (EVENTS, {"labels": [0]}, "recordings must be .*a list of its arrays .* got ndarray"),
        (3, {"labels": [0]}, "recordings must be .* got int"),
    ],
)
def test_other_recordings_are_refused(recordings: Any, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SpikeData.from_tonic(
            recordings, **{"n_steps": 5, "dt": 1.0, "sensor_size": (4, 3, 2)} | settings
        )


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.uint8])
def test_whole_numbers_of_events_may_have_any_type(kind: type) -> None:
    pair = np.array([0, 1], kind), np.array([2, 5], kind)
    data = SpikeData.from_events([pair], np.array([1], kind), n_channels=2, n_steps=9, dt=1.0)
    assert data.time.tolist() == [2, 5] and data.labels.tolist() == [1]
    assert data.label_names == ("0", "1")


def test_names_may_be_lists_or_arrays_but_no_text() -> None:
    values = np.zeros((2, 3, 1))
    for kind in (list, tuple, np.array):
        data = CurrentData(values, [0, 1], 1.0, kind(["yes", "no"]))
        assert data.label_names == ("yes", "no")
    with pytest.raises(InputError, match="label_names must be a list of texts, got 'ab'"):
        CurrentData(values, [0, 1], 1.0, "ab")
    with pytest.raises(InputError, match="names must be a list of texts, got 3"):
        CurrentData(values, [0, 1], 1.0, ("yes", "no"), 3)


def test_a_split_fits_a_line() -> None:
    data = SpikeData.from_raster(np.zeros((1200, 5, 3), bool), np.zeros(1200), dt=0.1)
    assert repr(data) == "SpikeData(1,200 examples, 3 channels, 5 steps of 0.1 ms, 1 classes)"
    series = CurrentData(np.zeros((2, 5, 3)), [0, 0], 1.0, ("a",), targets=np.zeros((2, 1, 5)))
    assert repr(series) == "CurrentData(2 examples, 3 channels, 5 steps of 1 ms, 1 series)"
