"""The registry: options from tables, and everything that is refused."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays import data as package
from mlgenn_delays.data.encode.level import LevelEncoder
from mlgenn_delays.data.encode.rate import RateEncoder
from mlgenn_delays.data.registry import (
    DATASETS,
    dataset,
    dataset_encoding,
    dataset_shape,
    load_dataset,
    options_table,
    parse_options,
)
from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.errors import InputError

CURRENTS = {"encoding": "currents"}


@pytest.mark.parametrize("name", [*sorted(DATASETS), "tonic:NMNIST"])
def test_defaults_make_a_round_trip(name: str) -> None:
    options = parse_options(name)
    assert options == dataset(name).options()
    assert parse_options(name, options_table(options)) == options
    assert options_table(dataset(name).options) == options_table(options)
    assert options.group >= 0 and dataset(name).summary


def test_nested_options() -> None:
    table = {"encoder": {"kind": "level", "levels": [0.2, 0.4]}, "mel": {"n_bands": 20}}
    options = parse_options("fsdd", table)
    assert options.encoder == LevelEncoder(levels=(0.2, 0.4)) and options.group == 20
    assert parse_options("fsdd", {"encoder": {"gain": 2.0}}).encoder == RateEncoder(gain=2.0)
    assert options_table(options)["encoder"] == {
        "kind": "level",
        "levels": [0.2, 0.4],
        "down": True,
    }


def test_load_digits() -> None:
    data = load_dataset("digits", options={"duration": 40.0, "both": True}, dt=2.0)
    assert data["train"].n_steps == 20 and data["train"].n_channels == 128
    with pytest.raises(InputError, match="got 'words'; it comes with scikit-learn: leave --data"):
        load_dataset("digits", "words")


def test_load_fsdd(make_wavs: Callable[..., Path]) -> None:
    folder = make_wavs("1_al_0.wav")
    table = {"duration": 150.0, "encoder": {"kind": "level"}}
    spikes = load_dataset("fsdd", folder, table, dt=0.5)["test"]
    assert isinstance(spikes, SpikeData) and spikes.n_steps == 300
    assert spikes.n_channels == LevelEncoder().n_channels(40)
    currents = load_dataset("fsdd", str(folder), {**table, "encoding": "currents"}, dt=5.0)["test"]
    assert isinstance(currents, CurrentData) and currents.values.shape == (1, 30, 40)
    scaled = load_dataset("fsdd", folder, {**CURRENTS, "duration": 150.0, "scale": 20.0}, dt=5.0)
    np.testing.assert_array_equal(scaled["test"].values, currents.values * np.float32(20.0))
    again = load_dataset("fsdd", folder, parse_options("fsdd", table), dt=0.5)["test"]
    np.testing.assert_array_equal(again.time, spikes.time)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("fsd", {}, r"one of digits, fsdd, rawhd, .*, got 'fsd'; did you mean 'fsdd'\?"),
        ("fsdd", {"duratoin": 1}, r"\[data\] key must be .* did you mean 'duration'\?"),
        ("fsdd", {"encoder": {"kind": "levl"}}, r"\[data.encoder\] kind .* mean 'level'\?"),
        ("fsdd", {"encoder": {"levels": [0.5]}}, r"\[data.encoder\] key must be one of thr"),
        ("fsdd", {"encoder": "level"}, "encoder must be"),
        ("fsdd", {"encoder": {"kind": ["level"]}}, "kind must be one of rate, level"),
        ("fsdd", {"mel": {"hops": 1}}, r"\[data.mel\] key .* did you mean 'hop'\?"),
        ("fsdd", {"mel": {"hop": 0}}, "hop must be"),
        ("fsdd", {"encoding": "spike"}, "encoding must be"),
        ("fsdd", {"duration": "long"}, "duration must be.* got 'long'"),
        ("fsdd", {"scale": 20.0}, "scale must be.* got 20.0"),
        ("fsdd", {**CURRENTS, "scale": 0.0}, "scale must be"),
        ("rawhd", {"encoding": "spikes"}, "encoding must be.* got 'spikes'"),
        ("rawhd", {"validation": 1.0}, "validation must be.* got 1.0"),
        ("rawhd", {"scal": 1.0}, "did you mean 'scale'"),
        ("digits", {"encoding": "currents"}, "encoding must be.* got 'currents'"),
        ("digits", {"both": 1}, "both must be"),
        ("digits", {"window": 99.0}, "window must be.* got 99.0"),
        ("digits", [1], r"data must be a table of options"),
    ],
)
def test_bad_options(name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_options(name, options)


LEVELS = {"encoder": {"kind": "level", "levels": [0.2, 0.4, 0.6], "down": False}}


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("digits", None, (64, 10)),
        ("digits", {"both": True}, (128, 10)),
        ("fsdd", None, (RateEncoder().n_channels(40), 10)),
        ("fsdd", LEVELS, (120, 10)),
        ("fsdd", CURRENTS, (40, 10)),
        ("fsdd", {**LEVELS, **CURRENTS, "mel": {"n_bands": 13}}, (13, 10)),
        ("rawhd", None, (40, 20)),
    ],
)
def test_shape_and_encoding_without_loading(name: str, options: dict, shape: tuple) -> None:
    assert dataset_shape(name, options) == shape
    assert dataset_shape(name, parse_options(name, options)) == shape
    currents = name == "rawhd" or CURRENTS.items() <= (options or {}).items()
    assert dataset_encoding(name, options) == ("currents" if currents else "spikes")


@pytest.mark.parametrize("options", [{}, {"both": True}])
def test_shape_is_that_of_the_digits(options: dict) -> None:
    data = load_dataset("digits", options=options)["test"]
    assert dataset_shape("digits", options) == (data.n_channels, data.n_classes)


@pytest.mark.parametrize("options", [{}, LEVELS, CURRENTS, {**CURRENTS, "mel": {"n_bands": 13}}])
def test_shape_is_that_of_the_recordings(make_wavs: Callable[..., Path], options: dict) -> None:
    data = load_dataset("fsdd", make_wavs("1_al_0.wav"), {**options, "duration": 50.0})["test"]
    assert dataset_shape("fsdd", options) == (data.n_channels, data.n_classes)
    assert isinstance(data, CurrentData) == (dataset_encoding("fsdd", options) == "currents")


def test_shape_of_what_is_not_there() -> None:
    with pytest.raises(InputError, match="did you mean 'fsdd'"):
        dataset_shape("fsd")
    with pytest.raises(InputError, match="did you mean 'mel'"):
        dataset_encoding("fsdd", {"mell": {}})


def test_missing_folder() -> None:
    with pytest.raises(InputError, match="'fsdd' needs a folder of data, got none; give --data"):
        load_dataset("fsdd")
    with pytest.raises(InputError, match="got 'digit'; did you mean 'digits'"):
        dataset("digit")


def test_public_names_load_lazily() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing
    code = (
        "import sys, mlgenn_delays.data as d; d.DATASETS, d.load_fsdd, d.Augment, d.read_wav, "
        "d.load_digits_data, d.epoch_batches, d.load_rawhd, d.CurrentBatch, d.check_kind; "
        "[d.dataset_shape(name) for name in d.DATASETS]; "
        "print({'numba', 'librosa', 'sklearn', 'soundfile', 'scipy'} & set(sys.modules))"
    )
    root = Path(package.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout.strip() == "set()"
