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


# That numbers and words are in the range of their declaration is in tests/test_settings.py.
BAD = [
    ("fsd", {}, r"one of digits, fsdd, rawhd, .*, got 'fsd'; did you mean 'fsdd'\?"),
    ("fsdd", {"duratoin": 1}, r"\[data\] key must be .* did you mean 'duration'\?"),
    ("fsdd", {"encoder": {"kind": "levl"}}, r"\[data.encoder\] kind .* mean 'level'\?"),
    ("fsdd", {"encoder": {"levels": [0.5]}}, r"\[data.encoder\] key must be one of thr"),
    ("fsdd", {"encoder": {"gain": 0}}, "gain must be"),
    ("fsdd", {"encoder": {"thresholds": [0.5, 0.2]}}, "thresholds must be.* ascending"),
    *(
        ("fsdd", {"encoder": {"kind": "level", "levels": levels}}, "levels must be")
        for levels in ([], [0.5, 0.5], [0.0, 0.5], [0.5, 1.5])
    ),
    ("fsdd", {"encoder": "level"}, "encoder must be"),
    ("fsdd", {"encoder": {"kind": ["level"]}}, "kind must be one of rate, level"),
    ("fsdd", {"mel": {"hops": 1}}, r"\[data.mel\] key .* did you mean 'hop'\?"),
    ("fsdd", {"mel": {"hop": 10.03}}, "hop must be"),
    ("fsdd", {"mel": {"window": 0.01}}, "window must be"),
    ("fsdd", {"mel": {"f_min": 4000.0}}, "f_min must be"),
    ("fsdd", {"scale": 20.0}, "scale must be.* got 20.0"),
    ("digits", {"window": 99.0}, "window must be.* got 99.0"),
    ("digits", [1], r"data must be a table of options"),
    ("sequence", {"window": 61.0}, "window must be"),
    ("sequence", {"gap_max": 41.0}, "gap_max must be"),
    ("sequence", {"gap_max": 39.0, "jitter": 0.6}, "jitter must be"),
    ("sequence", {"jitter": 1.5}, "jitter must be.* got 1.5"),
    ("yin-yang", {"late": 61.0}, "late must be.* got 61.0"),
    ("yin-yang", {"early": 40.0}, "early must be.* got 40.0"),
    ("yin-yang", {"bias": 60.5}, "bias must be"),
    ("coincidence", {"delay_max": 50.0}, "duration must be.* got 60"),
    ("shd", {"channels": 3}, "channels must be.* got 3"),
    ("ssc", {"validation": 0.1}, r"\[data\] key must be one of encoding, duration, channels"),
    ("folder", {"group_by": "("}, "group_by must be"),
    ("folder", {"group_by": "abc"}, "group_by must be"),
    ("folder", {"classes": ["no"]}, "classes must be"),
    ("folder", {"classes": ["no", "no"]}, "classes must be"),
    ("folder", {"validation": 0.5, "test": 0.5}, "validation must be.* 0.9 .*test"),
    ("folder", {"stream": True, "encoding": "currents"}, "stream must be"),
    ("npz", {"validation": 0.8, "test": 0.2}, "validation must be.* 0.9 .*test"),
    ("npz", {"scale": 2.0}, "key must be one of encoding, duration"),
    ("tonic:NMNIST", {"sensor_size": [34, 34]}, "sensor_size must be"),
    ("tonic:NMNIST", {"sensor_size": [34, 34, 0]}, "sensor_size must be"),
    ("tonic:NMNIST", {"arguments": {"a": [1]}}, "arguments must be"),
]


@pytest.mark.parametrize(("name", "options", "message"), BAD)
def test_bad_options(name: str, options: dict, message: str) -> None:
    for use in (parse_options, dataset_shape, dataset_encoding):
        with pytest.raises(InputError, match=message):
            use(name, options)


@pytest.mark.parametrize("name", [name for name, each in DATASETS.items() if each.needs_folder])
def test_folders_that_are_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"'{name}' needs a folder of data, got none; give --data"):
        load_dataset(name)
    with pytest.raises(InputError, match=f"{tmp_path / 'no'} does not exist; give"):
        load_dataset(name, tmp_path / "no")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=f"{tmp_path / 'file'}"):
        load_dataset(name, tmp_path / "file")
    with pytest.raises(InputError, match=f"{tmp_path} must have"):
        load_dataset(name, tmp_path)


@pytest.mark.parametrize("name", [name for name, each in DATASETS.items() if not each.needs_folder])
def test_sets_that_need_no_folder_take_none(name: str) -> None:
    with pytest.raises(InputError, match="got 'words'"):
        load_dataset(name, "words")


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
        ("shd", None, (700, 20)),
        ("ssc", {"channels": 70}, (70, 35)),
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


def test_public_names_load_lazily() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing
    code = (
        "import sys, mlgenn_delays.data as d; d.DATASETS, d.load_fsdd, d.Augment, "
        "d.read_recording, d.load_digits_data, d.epoch_batches, "
        "d.load_rawhd, d.CurrentBatch, d.check_kind; "
        "[d.dataset_shape(name) for name in d.DATASETS]; "
        "print({'numba', 'librosa', 'sklearn', 'soundfile', 'scipy'} & set(sys.modules))"
    )
    root = Path(package.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout.strip() == "set()"
