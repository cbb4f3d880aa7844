"""Inputs that do not fit a model: one sentence that names them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.data.types import CurrentBatch, CurrentData, SpikeBatch
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.inputs import Reader
from tests.export.readers import analogue, reader
from tests.reference.nets import Recipe, data


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((20, 5)), r"must have \(steps, 6\) or .* spikes as 0 and 1, got .*\(20, 5\)"),
        (np.zeros(6), r"got shape \(6,\)"),
        (np.zeros((1, 1, 1, 6)), r"got shape \(1, 1, 1, 6\)"),
        (np.float32(3), r"got shape \(\)"),
        (np.zeros((0, 6)), r"got shape \(0, 6\) without any value; remove it"),
        (np.full((3, 6), 0.5), "spikes as 0 and 1, got 0.5 at step 0, channel 0; the network"),
        (np.full((2, 3, 6), np.nan), "got nan at example 0, step 0, channel 0"),
        (np.zeros((3, 6), complex), r"real numbers, got type complex128; save them with .astype"),
        (np.full((3, 6), "1"), "real numbers, got type <U1"),
        (np.full((3, 6), None), "real numbers, got type object"),
    ],
)
def test_arrays_that_are_no_spikes(array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=f"^(values of )?input .*{message}"):
        reader().of(array)


@pytest.mark.parametrize(
    "one, x, message",
    [
        (analogue(), np.full((2, 6), np.inf), "finite and below .*, got inf at step 0"),
        (analogue(), np.full((2, 6), 1e39), "below 1e.15 in size, got 1e.39 at step"),
        (analogue(), np.ones((2, 6), bool), "currents of .* must be numbers, got type bool"),
        (analogue(), ([1], [1.0]), "input has events, but the model takes currents; give an array"),
        (analogue(), data(Recipe(steps=9)), "currents of 6 channels, dt = 1 ms, got spikes of 12"),
        (reader(), data(Recipe(steps=9, dt=2.0)), "dt = 1 ms, got spikes of 12 channels, dt = 2"),
        (reader(), CurrentData(np.ones((1, 2, 6)), [0], 1.0, ("a",)), "must have spikes .* got cu"),
        (analogue(), CurrentBatch(np.full((1, 2, 6), np.nan), np.zeros(1), np.zeros(1)), "finite"),
        (
            reader(),
            SpikeBatch(np.full((1, 7), 9), np.zeros(2, np.int32), np.zeros(1), np.zeros(1), 20),
            "start must have places in 0..2",
        ),
        (reader(), ([6], [1.0]), r"channels in 0\.\.5, got 6 at event 0; number them"),
        (reader(), ([-1], [1.0]), "got -1 at event 0"),
        (reader(), ([1], [-0.5]), "finite times >= 0, got -0.5 at event 0"),
        (reader(), ([1, 1], [1, np.nan]), "finite times >= 0, got nan at event 1"),
        (reader(), ([1], [np.inf]), "got inf"),
        (reader(), ([1, 2], [1.0]), "as many times as channels, got 1 times and 2 channels"),
        (reader(), ([1.5], [1.0]), "whole numbers as channels, got 1.5 at event 0"),
        (reader(), ([[1]], [[1.0]]), r"channels of one dimension, got shape \(1, 1\)"),
        (reader(), ([[1], [2, 3]], [1.0]), "channels of input must be numbers in an array, got"),
        (reader(), (["a"], [1.0]), "whole numbers as channels"),
        (reader(), ([1], ["a"]), "real numbers as times"),
        (reader(), [], "an empty list"),
        (reader(), 3, "must be a path, an array.* got int; make numbers an array"),
        (reader(), [[1, 2]], r"input\[0\] must be a path, .* got list"),
        (reader(), (1, 2, 3), "got tuple"),
        (reader("fsdd"), np.zeros(5, np.int64), "PCM of type int8, uint8, int16, int32, got int64"),
        (reader("fsdd"), np.array([0, np.nan]), "finite samples below .*, got nan at sample 1"),
        (reader("fsdd"), np.zeros(2**24 + 1, np.int8), "at most 16777216 samples, got 16777217"),
        (reader("fsdd"), np.zeros((9, 2)), r"\(n,\) samples at 8000 Hz, or .* got shape \(9, 2\)"),
        (reader("digits"), np.full((8, 8), 255), r"brightness 0..16, got 255 in image 0 \(pixel 0"),
        (reader("digits"), np.full((2, 64), np.nan), "brightness 0..16, got nan"),
        (reader("digits"), np.ones((8, 8), bool), r"got type bool; .*'float32'\) \* 16"),
        (reader("digits"), np.ones((28, 28)), r"\(8, 8\), \(64,\), .* got shape \(28, 28\)"),
        (
            reader("rawhd", scale=1e6),
            np.full((2, 6), 1e33),
            "below 1e.09 .1e.15 over the scale 1e.06. in size, got 1e.33",
        ),
    ],
)
def test_objects_that_do_not_fit(one: Reader, x: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        one.of(x)


@pytest.mark.parametrize("data", ["fsdd", "folder"])
def test_a_model_that_contradicts_itself(data: str) -> None:
    about = reader(data).about
    for other in (Reader(about, 7, 1.0, False), Reader(about, 200, 1.0, True)):
        with pytest.raises(InputError, match="input cannot be encoded: .* spikes of 200 channels"):
            other.of(np.zeros(100, np.float32))
    with pytest.raises(InputError, match="n_inputs must be a whole number >= 1"):
        Reader(about, 0, 1.0, False)
    with pytest.raises(InputError, match="items must have at least one"):
        reader().as_batch([])


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"x": [1]}, "times and channels, or values, or raster, got none of these"),
        ({"times": [1]}, "got times"),
        ({"channels": [1], "raster": [[1]]}, "got raster, channels"),
        ({"times": [1], "channels": [1], "raster": [[1]]}, "got times, raster, channels"),
        ({"times": [1], "channels": 1, "start": [0, 1]}, r"got \(1,\) and \(\)"),
        ({"times": 1, "channels": 1, "start": [0, 1]}, "of one shape"),
        ({"times": 1, "channels": 1}, "channels of one dimension"),
        ({"times": [1], "channels": [1], "start": [0]}, "from 0 to the 1 events"),
        ({"times": [1, 2], "channels": [1, 2], "start": [1, 2]}, "start .*got 1..2;"),
        ({"values": np.full((1, 2, 6), 0.5)}, "0 and 1, got 0.5 at example 0, step 0, channel 0"),
        ({"times": [1, 2], "channels": [1, 2], "start": [0, 1]}, "start .*got 0..1;"),
        ({"times": [1], "channels": [1], "start": [0, 2, 1]}, "ascending"),
        ({"times": [1], "channels": [1], "start": [0.0, 1.0]}, "got float64"),
        ({"times": [1], "channels": np.array([1], object)}, "channels.* must have numbers, got"),
    ],
)
def test_npz_that_do_not_fit(tmp_path: Path, arrays: dict, message: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=f"x.npz.*{message}"):
        reader().read(tmp_path / "x.npz")
