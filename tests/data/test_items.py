"""Every example one by one: the same as loading gives, and all problems, not just the first."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mlgenn_delays.data.dataset import Item
from mlgenn_delays.data.registry import DATASETS, data_items, load_dataset
from mlgenn_delays.data.types import CurrentBatch
from mlgenn_delays.errors import InputError
from tests.cli.helpers import write_rawhd
from tests.data.own_helpers import examples, write_events, write_words
from tests.data.shd_helpers import events, write_file, write_shd, write_ssc


def folder_of(name: str, tmp_path: Path, make_wavs: Callable[..., Path]) -> Path | None:
    """Return a small folder of a data set, None if it needs none."""
    if name == "fsdd":
        return make_wavs(*(f"{digit}_al_{take}.wav" for digit in (3, 1) for take in (12, 7, 2, 10)))
    if name == "rawhd":
        return write_rawhd(tmp_path / "rawhd")
    if name == "shd":
        return write_shd(tmp_path / "shd")
    if name == "folder":
        return write_words(tmp_path / "words")
    if name == "npz":
        return write_events(tmp_path / "npz" / "data.npz", *examples(60)).parent
    return write_ssc(tmp_path / "ssc") if name == "ssc" else None


CASES = [
    *((name, {}) for name in DATASETS if name != "rawhd"),
    ("rawhd", {"validation": 0.25, "duration": 15.0}),
    ("fsdd", {"encoding": "currents", "scale": 3.0, "duration": 90.0}),
    ("shd", {"encoding": "currents", "channels": 7, "duration": 90.0}),
    ("shd", {"channels": 70, "validation": 0.0}),
    ("folder", {"encoding": "currents", "scale": 3.0, "duration": 90.0}),
    ("folder", {"group_by": "(.+)_", "validation": 0.2, "test": 0.2}),
    ("ssc", {"encoding": "currents", "channels": 7, "stream": False, "duration": 50.0}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_items_are_what_loading_gives(name, options, tmp_path, make_wavs) -> None:
    """Names, labels and every spike or value."""
    folder = folder_of(name, tmp_path, make_wavs)
    splits = load_dataset(name, folder, options, dt=2.0)
    found: dict[tuple[str, str], Item] = {}
    for item in data_items(name, folder, options, dt=2.0):
        assert item.problem == "" and (item.split, item.name) not in found
        found[item.split, item.name] = item
    assert len(found) == sum(len(data) for data in splits.values())
    for split, data in splits.items():
        names = data.names or [str(row) for row in range(len(data))]
        for row in range(0, len(data), 7):
            item, batch = found[split, names[row]], data.batch(np.array([row]))
            assert item.label == data.labels[row]
            assert item.label_name == data.label_names[item.label]
            if isinstance(batch, CurrentBatch):
                np.testing.assert_array_equal(item.batch.values, batch.values)
                continue
            first, own = batch.start[0, 0], item.batch.start[0]
            assert item.batch.n_steps == batch.n_steps
            np.testing.assert_array_equal(own - own[0], batch.start[0] - first)
            np.testing.assert_array_equal(
                item.batch.time[own[0] : own[-1]], batch.time[first : batch.start[0, -1]]
            )


def test_durations_are_those_before_the_cut(tmp_path, make_wavs) -> None:
    wavs = make_wavs("1_al_20.wav")
    (item,) = data_items("fsdd", wavs, {"duration": 50.0})
    assert item.losses.lengths[0] == 120.0 and item.batch.n_steps == 50
    folder = write_shd(tmp_path / "shd")
    given = events(200)
    items = [item for item in data_items("shd", folder) if item.split != "test"]
    for item in items[:5]:
        times = given[int(item.name)][1]
        assert item.losses.lengths[0] == (1000 * float(times.max()) if len(times) else 0.0)
    rawhd = write_rawhd(tmp_path / "r")
    assert next(data_items("rawhd", rawhd, {"validation": 0.0}, dt=3.0)).losses.lengths[0] == 60.0


def problems(*arguments, **options) -> dict[str, str]:
    """Return the problem of each damaged item by name."""
    return {item.name: item.problem for item in data_items(*arguments, **options) if item.problem}


def test_every_damaged_example_of_a_file_is_found(tmp_path) -> None:
    some = [list(each) for each in events(240)]
    some[7][1] = np.full(len(some[7][1]), np.nan, np.float16)
    some[9][0] = np.full(len(some[9][0]), 700, np.uint16)
    some[120][1] = some[120][1][:-1]
    labels = np.arange(240) % 20
    labels[200] = 20
    folder = write_shd(tmp_path)
    write_file(folder / "shd_train.h5", [tuple(each) for each in some], labels=labels)
    found = problems("shd", folder)
    assert list(found) == ["7", "9", "120", "200"]
    assert "must have finite times >= 0, got nan" in found["7"]
    assert "must have units in 0..699, got 700..700" in found["9"]
    assert "must have as many times as units" in found["120"]
    assert "must have a label in 0..19, got 20" in found["200"]
    assert sum(item.problem == "" for item in data_items("shd", folder)) == 236 + 40


def test_a_damaged_file_does_not_hide_the_others(tmp_path) -> None:
    folder = write_ssc(tmp_path)
    path = folder / "ssc_train.h5"
    path.write_bytes(path.read_bytes()[:2000])
    with h5py.File(folder / "ssc_valid.h5", "r+") as file:
        del file["spikes/units"]
    found = problems("ssc", folder)
    assert "is damaged, or no HDF5 file" in found["ssc_train.h5"]
    assert "got no array /spikes/units" in found["ssc_valid.h5"]
    assert sum(item.problem == "" for item in data_items("ssc", folder)) == 36


def test_every_damaged_recording_of_a_folder_is_found(tmp_path) -> None:
    folder = write_words(tmp_path / "words")
    for name in ("yes/ann_0.wav", "no/bob_1.wav"):
        (folder / name).write_bytes(b"RIFF")
    found = problems("folder", folder)
    assert sorted(found) == ["no/bob_1.wav", "yes/ann_0.wav"]
    assert sum(item.problem == "" for item in data_items("folder", folder)) == 38


@pytest.mark.parametrize("name", ["shd", "rawhd"])
def test_too_few_examples_to_split_are_a_problem_and_shown(name, tmp_path) -> None:
    folder = write_shd(tmp_path, n_train=40) if name == "shd" else write_rawhd(tmp_path / "r", 40)
    items = list(data_items(name, folder))
    (item,) = [item for item in items if item.problem]
    assert item.split == "train" and "or set data.validation to another share" in item.problem
    assert len(items) == 81 and not any(item.split == "validation" for item in items)


def test_every_damaged_recording_is_found(make_wavs) -> None:
    folder = make_wavs("1_al_20.wav", "2_al_21.wav", "3_al_0.wav", "4_al_7.wav", "5_al_9.wav")
    (folder / "5_al_9.wav").rename(folder / "five.wav")
    (folder / "3_al_0.wav").write_bytes((folder / "3_al_0.wav").read_bytes()[:900])
    (folder / "04_al_7.wav").write_bytes((folder / "4_al_7.wav").read_bytes())
    (folder / "17_al_7.wav").write_bytes(b"")
    found = problems("fsdd", folder)
    assert "five.wav must be named {digit}_{speaker}_{take}.wav" in found["five.wav"]
    assert "must be named" in found["17_al_7.wav"]
    assert "is truncated" in found["3_al_0.wav"]
    for name in ("4_al_7.wav", "04_al_7.wav"):
        assert "must have a digit, speaker and take of its own" in found[name]
    assert len(found) == 5
    assert sum(item.problem == "" for item in data_items("fsdd", folder)) == 2


def test_every_damaged_example_of_rawhd_is_found(tmp_path) -> None:
    folder = write_rawhd(tmp_path / "r")
    values, labels = (np.load(folder / f"training_{kind}_data.npy") for kind in "xy")
    values[3, 4, 5], values[66, 0, 0], labels[70] = np.inf, 1e300, -1
    np.save(folder / "training_x_data.npy", values)
    np.save(folder / "training_y_data.npy", labels)
    found = problems("rawhd", folder, {"validation": 0.25})
    assert list(found) == ["3", "66", "70"]
    assert "got inf in example 3 (step 4, channel 5)" in found["3"]
    assert "in example 66" in found["66"]
    assert "got -1 for example 70" in found["70"]
    np.save(folder / "testing_x_data.npy", np.zeros((40, 20, 9)))
    assert (
        "must have the steps and channels of training_x_data"
        in problems("rawhd", folder, {"validation": 0.25})["testing_x_data.npy"]
    )
    np.save(folder / "training_x_data.npy", values[:-1])
    assert "one label for each example" in problems("rawhd", folder)["training_x_data.npy"]


def test_without_items_the_first_problem_of_loading_is_found(tmp_path, monkeypatch) -> None:
    from dataclasses import replace

    folder = write_rawhd(tmp_path / "r")
    entry = replace(DATASETS["rawhd"], items=None)
    monkeypatch.setitem(DATASETS, "rawhd", entry)
    assert len(list(data_items("rawhd", folder, {"validation": 0.25}))) == 120
    (folder / "testing_x_data.npy").write_bytes(b"?")
    (item,) = data_items("rawhd", folder)
    assert (item.split, item.name) == ("", "rawhd") and "one whole array of numbers" in item.problem
    with pytest.raises(InputError, match="does not exist"):
        next(data_items("rawhd", tmp_path / "nothing"))


def test_without_items_a_stream_shows_every_damaged_example(tmp_path, monkeypatch) -> None:
    from dataclasses import replace

    given = events(200)
    given[8] = (given[8][0], -given[8][1] - 1)
    given[9] = (given[9][0] + 700, given[9][1])
    folder = write_shd(tmp_path)
    write_file(folder / "shd_train.h5", given)
    monkeypatch.setitem(DATASETS, "shd", replace(DATASETS["shd"], items=None))
    found = problems("shd", folder, {"stream": True, "channels": 70})
    assert sorted(found) == ["8", "9"] and "units in 0..699" in found["9"]
    assert list(problems("shd", folder, {"channels": 70, "stream": False})) == ["shd"]


@pytest.mark.parametrize("name", [name for name, entry in DATASETS.items() if entry.needs_folder])
def test_nothing_to_look_at_is_bad_input(name, tmp_path) -> None:
    with pytest.raises(InputError, match="needs a folder of data, got none; give DIR"):
        data_items(name)
    with pytest.raises(InputError, match="does not exist"):
        next(data_items(name, tmp_path / "nothing"))
    with pytest.raises(InputError, match="must have"):
        next(data_items(name, tmp_path))
    with pytest.raises(InputError, match=r"\[data\] key must be"):
        data_items(name, tmp_path, {"duratoin": 1})
