"""Data are the same on every file system, whatever order it lists folders in."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.data.registry import load_dataset
from mlgenn_delays.runs.record import Fingerprint, fingerprint
from tests.cli.helpers import write_words as write_digits
from tests.data.backwards import backwards
from tests.data.own_helpers import examples, write_events, write_words
from tests.data.tonic_helpers import fake, write_gestures, write_nmnist

SHORT: dict[str, Any] = {"duration": 120.0, "encoder": {"kind": "level", "levels": [0.4, 0.7]}}
PIXELS: dict[str, Any] = {"downsample": 16, "polarity": "merged"}


def write_arrays(folder: Path) -> None:
    """Write one file of arrays."""
    write_events(folder / "data.npz", *examples(30))


WRITERS: dict[str, tuple[str, Callable[[Path], Any], dict[str, Any]]] = {
    "folder": ("folder", write_words, SHORT),
    "currents": ("folder", write_words, {"encoding": "currents", "duration": 120.0}),
    "fsdd": ("fsdd", lambda folder: write_digits(folder / "recordings", [0, 5, 10, 11]), SHORT),
    "npz": ("npz", write_arrays, {}),
    "gestures": ("tonic:DVSGesture", write_gestures, PIXELS),
    "users": ("tonic:DVSGesture", write_gestures, PIXELS | {"group_by": "users"}),
    "nmnist": ("tonic:NMNIST", lambda folder: write_nmnist(folder, 5), PIXELS | {"test": 0.2}),
}


def prints(name: str, folder: Path, options: dict[str, Any], **how: bool) -> dict[str, Fingerprint]:
    """Return the fingerprints of the splits of a data set."""
    data = load_dataset(name, folder, options, dt=2.0, **how)
    return {split: fingerprint(each) for split, each in data.items()}


def same(one: dict[str, Fingerprint], other: dict[str, Fingerprint]) -> bool:
    """Return whether splits have the same names, labels and contents in the same order."""
    return list(one) == list(other) and all(
        a.names == b.names and a.digest == b.digest
        for a, b in zip(one.values(), other.values(), strict=True)
    )


@pytest.mark.filterwarnings("ignore:tonic takes its")
@pytest.mark.parametrize("kind", WRITERS)
def test_another_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    name, write, options = WRITERS[kind]
    home = tmp_path / "home"
    home.mkdir()
    write(home)
    whole = prints(name, home, options)
    assert len({*whole["train"].content.tolist()}) > 1
    # A copy with the same names, sizes and times finds what the cache has of the first.
    copy = Path(shutil.copytree(home, tmp_path / "copy"))
    with backwards(monkeypatch):
        assert same(whole, prints(name, copy, options))
        assert same(whole, prints(name, copy, options, cache=False))


def test_rows_labels_and_groups_of_tonic_stay_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tonic has them in the order of the file system; here they are sorted by path."""
    (tmp_path / "home").mkdir()
    write_gestures(tmp_path / "home")
    with backwards(monkeypatch), pytest.warns(UserWarning, match="tonic takes its"):
        data = load_dataset("tonic:DVSGesture", tmp_path / "home", PIXELS | {"group_by": "users"})
    who = {}
    for split, each in data.items():
        assert list(each.names) == sorted(each.names)
        for name, label in zip(each.names, each.labels, strict=True):
            part, user, file = name.split("/")
            assert int(file.removesuffix(".npy")) == label
            assert (part == "ibmGestureTest") == (split == "test")
            who.setdefault(split, set()).add(user)
            columns = np.load(tmp_path / "home" / "DVSGesture" / name)
            row = each.names.index(name)
            batch = each.batch(np.array([row]))
            steps = {int(step) for step in batch.time[batch.start[0, 0] : batch.start[0, -1]]}
            assert steps == {int(t) for t in columns[:, 3] if t < 1000}
    assert not who["train"] & who["validation"]


def test_recordings_in_folders_that_are_links(tmp_path: Path) -> None:
    store, home = write_words(tmp_path / "store"), tmp_path / "home"
    (home / "yes").mkdir(parents=True)
    (home / "no").symlink_to(store / "no")
    (home / "yes" / "more").symlink_to(store / "yes")
    data = load_dataset("folder", home, SHORT, dt=2.0)
    names = sorted(name for each in data.values() for name in each.names)
    assert len(names) == 40 and names[0] == "no/ann_0.wav" and names[20] == "yes/more/ann_0.wav"


@pytest.mark.filterwarnings("ignore:tonic takes its")
def test_what_tonic_leaves_out_is_said(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    write_nmnist(home, 4)
    (home / "NMNIST" / "Train" / "3").rename(tmp_path / "three")
    (home / "NMNIST" / "Train" / "3").symlink_to(tmp_path / "three")
    text = "tonic does not follow links to folders: 4 files such as .*Train/3/00000.bin are left"
    with pytest.warns(UserWarning, match=text):
        load_dataset("tonic:NMNIST", home, PIXELS)


@pytest.mark.filterwarnings("ignore:tonic takes its")
@pytest.mark.parametrize("called", ["nmnist", "NMNIST", "mine"])
def test_the_folder_of_a_set_of_tonic_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: str
) -> None:
    from tests.data.tonic_helpers import no_network

    asked = no_network(monkeypatch)
    (tmp_path / "home").mkdir()
    write_nmnist(tmp_path / "home", 4)
    whole = prints("tonic:NMNIST", tmp_path / "home", PIXELS)
    place = (tmp_path / "home" / "NMNIST").rename(tmp_path / "home" / called)
    assert same(whole, prints("tonic:NMNIST", place, PIXELS)) and not asked
    monkeypatch.chdir(place)
    assert same(whole, prints("tonic:NMNIST", Path("."), PIXELS)) and not asked
    inner = place.parent / "outer" / "nmnist"
    inner.mkdir(parents=True)
    shutil.copytree(place, inner / "NMNIST")
    assert same(whole, prints("tonic:NMNIST", inner, PIXELS)) and not asked


def test_downloads_go_into_the_folder_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tonic

    asked = []

    def download(self: Any) -> None:
        asked.append(self.location_on_system)
        raise OSError("no network")

    monkeypatch.setattr(tonic.datasets.NMNIST, "download", download)
    (tmp_path / "nmnist").mkdir()
    with (
        pytest.warns(UserWarning, match="it tries to download them"),
        pytest.raises(Exception, match="no network"),
    ):
        load_dataset("tonic:NMNIST", tmp_path / "nmnist", PIXELS)
    assert asked == [str(tmp_path / "nmnist" / "NMNIST")]


def test_a_set_without_files_keeps_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.data.tonic_helpers import recording

    samples = [(recording(seed=i), i % 3) for i in range(30)]
    fake(monkeypatch, "Plain", samples=samples, sensor_size=(8, 1, 1))
    data = load_dataset("tonic:Plain", tmp_path, {"duration": 100.0})
    for each in data.values():
        assert [int(name) % 3 for name in each.names] == each.labels.tolist()
