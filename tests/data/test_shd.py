"""SHD and SSC: what is made of their files, and what is kept of that."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mlgenn_delays.data import blocks
from mlgenn_delays.data.registry import load_dataset, parse_options
from mlgenn_delays.data.sets import shd, shd_files
from mlgenn_delays.data.sets.shd import load_shd
from mlgenn_delays.data.sets.ssc import load_ssc
from mlgenn_delays.errors import InputError
from tests.data.shd_helpers import Events, events, naive, write_file, write_shd, write_ssc
from tests.data.spike_helpers import counts, spikes


def rows(data: Any) -> list[int]:
    """Return the places of examples in their file."""
    return [int(name) for name in data.names]


@pytest.mark.parametrize(("channels", "dt"), [(700, 1.0), (140, 1.0), (70, 2.5), (1, 0.1)])
def test_files_become_spikes(tmp_path: Path, channels: int, dt: float) -> None:
    data = load_shd(write_shd(tmp_path), channels=channels, dt=dt)
    assert counts(data) == {"train": 180, "validation": 20, "test": 40}
    for split, each in data.items():
        assert (each.n_channels, each.n_steps, each.dt) == (channels, round(1000 / dt), dt)
        assert each.time.dtype == np.int32 and each.label_names[19] == "w19"
        assert rows(each) == sorted(rows(each)) and each.labels.tolist() == [
            row % 20 for row in rows(each)
        ]
        original = events(40, seed=1) if split == "test" else events(200)
        for place, row in enumerate(rows(each)):
            expected = naive(*original[row], dt=dt, n_steps=each.n_steps, channels=channels)
            assert spikes(each, place) == expected
    assert sorted(rows(data["train"]) + rows(data["validation"])) == list(range(200))
    assert data["train"].time is data["validation"].time


def test_ssc_has_three_files_and_35_words(tmp_path: Path) -> None:
    data = load_ssc(write_ssc(tmp_path), duration=300.0, stream=False)
    assert counts(data) == {"train": 70, "validation": 35, "test": 36}
    assert data["train"].label_names == tuple(map(str, range(35)))
    for seed, each in enumerate(data.values()):
        original = events(len(each), seed, kind=np.float32)
        for row in range(len(each)):
            expected = naive(*original[row], dt=1.0, n_steps=300, channels=700)
            assert spikes(each, row) == expected


# Times


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_times_are_scaled_in_float64(tmp_path: Path, kind: type) -> None:
    # In float16, 0.3 s is 300.05 ms, 70 s times 1000 is inf, and steps of 0.1 ms need 5 digits.
    times = np.array([0.3, 0.7, 70.0, 0.001, 0.0], kind)
    write_shd(tmp_path, n_test=20)
    write_file(
        tmp_path / "shd_test.h5",
        [(np.array([7, 6, 5, 4, 3], np.uint16), times)] * 20,
        kinds=(np.uint16, kind),
    )
    data = load_shd(tmp_path, duration=80_000.0, dt=0.1)["test"]
    steps = [int(float(time) * 1e4 + 1e-6) for time in times]
    assert spikes(data, 19) == set(zip([7, 6, 5, 4, 3], steps, strict=True))
    if kind is np.float16:
        assert steps[:2] == [3000, 7001]


EXAMPLE = st.lists(st.tuples(st.integers(0, 699), st.floats(0, 2, width=16)), max_size=20)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    drawn=st.lists(EXAMPLE, min_size=1, max_size=6),
    dt=st.sampled_from([0.1, 0.5, 1.0, 7.0]),
    channels=st.sampled_from([1, 35, 140, 700]),
    duration=st.floats(10, 3000),
)
@example(drawn=[[(699, 0.5), (699, 0.5), (698, 0.5)]], dt=1.0, channels=140, duration=501.0)
def test_no_event_is_lost_or_moved(
    tmp_path: Path, drawn: list, dt: float, channels: int, duration: float
) -> None:
    given: Events = [
        (
            np.array([unit for unit, _ in each], np.uint16),
            np.array([time for _, time in each], np.float16),
        )
        for each in drawn
    ]
    files = {part: write_file(tmp_path / f"shd_{part}.h5", given) for part in ("train", "test")}
    assert len(files) == 2
    data = load_shd(
        tmp_path, duration=duration, dt=dt, channels=channels, validation=0.0, cache=False
    )
    assert list(data) == ["train", "test"]
    for row, (units, times) in enumerate(given):
        expected = naive(units, times, dt=dt, n_steps=data["test"].n_steps, channels=channels)
        assert spikes(data["test"], row) == spikes(data["train"], row) == expected


def test_blocks_and_reads_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_shd(write_shd(tmp_path), cache=False)
    monkeypatch.setattr(blocks, "BLOCK", 7)
    monkeypatch.setattr(shd, "_READ", 3)
    for cache in (True, True, False):
        for split, each in load_shd(tmp_path, cache=cache).items():
            np.testing.assert_array_equal(each.start, whole[split].start)
            np.testing.assert_array_equal(each.time, whole[split].time)


# Validation


def test_validation_has_every_class_and_speaker(tmp_path: Path) -> None:
    n = 20 * 10 * 4
    speakers = np.arange(n) // 20 % 10
    folder = write_shd(tmp_path, n, speakers=speakers)
    data = load_shd(folder, validation=0.25)
    for split, times in (("train", 3), ("validation", 1)):
        pairs = data[split].labels * 10 + speakers[rows(data[split])]
        assert np.bincount(pairs).tolist() == [times] * 200
    again = load_shd(folder, validation=0.25, channels=70, duration=50.0)
    assert again["validation"].names == data["validation"].names


@pytest.mark.parametrize("speakers", [None, np.arange(200)])
def test_validation_by_class_where_speakers_are_no_help(tmp_path: Path, speakers: Any) -> None:
    data = load_shd(write_shd(tmp_path, speakers=speakers))
    assert np.bincount(data["validation"].labels).tolist() == [1] * 20


def test_no_validation(tmp_path: Path) -> None:
    data = load_shd(write_shd(tmp_path, n_train=3), validation=0.0)
    assert list(data) == ["train", "test"] and len(data["train"]) == 3
    with pytest.raises(InputError, match=r"shd_train.h5: cannot split .* set data.validation to"):
        load_shd(tmp_path)


# The cache


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each reading of events adds the first example."""
    found: list[int] = []
    whole: Callable[..., Any] = shd_files.EventFile.examples

    def examples(file: shd_files.EventFile, first: int, end: int) -> Events:
        found.append(first)
        return whole(file, first, end)

    monkeypatch.setattr(shd_files.EventFile, "examples", examples)
    return found


def test_what_was_encoded_is_kept(tmp_path: Path, reads: list[int]) -> None:
    first = load_shd(write_shd(tmp_path))
    assert reads == [0, 100, 0]
    second = load_shd(tmp_path)
    assert len(reads) == 3
    for split, each in second.items():
        np.testing.assert_array_equal(each.start, first[split].start)
        np.testing.assert_array_equal(each.time, first[split].time)
    load_shd(tmp_path, validation=0.3)
    assert len(reads) == 3
    for change in ({"dt": 2.0}, {"duration": 999.0}, {"channels": 350}, {"cache": False}):
        reads.clear()
        load_shd(tmp_path, **change)  # type: ignore[arg-type]
        assert len(reads) == 3


def test_another_file_is_encoded_anew(tmp_path: Path, reads: list[int]) -> None:
    folder = write_shd(tmp_path)
    load_shd(folder)
    reads.clear()
    path = folder / "shd_test.h5"
    state = path.stat()
    with h5py.File(path, "r+") as file:
        file["spikes/units"][5] = file["spikes/units"][5][::-1]
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    data = load_shd(folder)["test"]
    assert reads == [0]
    units, times = events(40, seed=1)[5]
    assert spikes(data, 5) == naive(units[::-1], times, dt=1.0, n_steps=1000, channels=700)


# Currents


@pytest.mark.parametrize(("channels", "dt"), [(140, 10.0), (700, 5.0), (1, 250.0)])
def test_currents_are_counts(tmp_path: Path, channels: int, dt: float) -> None:
    folder = write_shd(tmp_path)
    options = {"channels": channels, "encoding": "currents", "duration": 1100.0}
    data = load_dataset("shd", folder, options, dt=dt)
    whole = {split: events(40, seed=1) if split == "test" else events(200) for split in data}
    for split, each in data.items():
        assert each.values.shape[1:] == (int(1100 / dt + 0.5), channels)
        for place, row in list(enumerate(rows(each)))[::9]:
            expected = np.zeros(each.values.shape[1:])
            for unit, time in zip(*whole[split][row], strict=True):
                step = int(float(time) * 1000 / dt + 1e-6)
                if step < each.n_steps:
                    expected[step, int(unit) * channels // 700] += 1
            np.testing.assert_array_equal(each.values[place], expected)
    assert data["train"].values.max() > 1
    loaded = load_shd(folder)
    assert data["validation"].names == loaded["validation"].names


def test_currents_are_not_streamed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="stream must be"):
        parse_options("ssc", {"encoding": "currents"})
    options = {"encoding": "currents", "stream": False, "channels": 70}
    assert load_dataset("ssc", write_ssc(tmp_path), options, dt=10.0)["train"].values.ndim == 3


@pytest.mark.parametrize("options", [{}, {"encoding": "currents"}])
def test_models_read_files_as_they_were_trained_on(tmp_path: Path, options: dict) -> None:
    from tests.export.readers import reader

    folder, options = write_shd(tmp_path), {"channels": 140, **options}
    data = load_dataset("shd", folder, options, dt=10.0)["test"]
    one = reader("shd", steps=data.n_steps, dt=10.0, **options)
    batch = one.as_batch(list(one.items([folder / "shd_test.h5"])))
    wanted = data.batch(np.arange(len(data)))
    for name in ("values",) if options.get("encoding") else ("start", "time"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(wanted, name))
