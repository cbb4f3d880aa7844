"""The cache: hits, what invalidates, and that it can never fail a run."""

import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from mlgenn_delays.data.cache import (
    _remove_unused,
    cache_folder,
    cache_key,
    files_hash,
    load_arrays,
    store_arrays,
)
from mlgenn_delays.data.encode import recordings
from mlgenn_delays.data.encode.level import LevelEncoder
from mlgenn_delays.data.sets import fsdd
from mlgenn_delays.data.types import SpikeData

MakeWavs = Callable[..., Path]
SHORT = {"duration": 150.0, "encoder": LevelEncoder(levels=(0.4, 0.7))}


def load(folder: Path, **changes: object) -> SpikeData:
    """Load the test split, with every warning an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return fsdd.load_fsdd(folder, **{**SHORT, **changes})["test"]


def same(a: SpikeData, b: SpikeData) -> bool:
    """Return whether all arrays are equal."""
    return np.array_equal(a.start, b.start) and np.array_equal(a.time, b.time)


@pytest.fixture
def count_encodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with every encoding."""
    calls: list[int] = []
    encode = recordings.encode_frames
    monkeypatch.setattr(
        recordings, "encode_frames", lambda *args, **keys: calls.append(1) or encode(*args, **keys)
    )
    return calls


def test_hit_gives_the_same(make_wavs: MakeWavs, count_encodings: list[int]) -> None:
    folder = make_wavs("1_al_0.wav", "2_al_1.wav")
    cold, warm = load(folder), load(folder)
    assert len(count_encodings) == 1
    assert same(cold, warm) and warm.time.flags.writeable
    assert warm.start.dtype == np.int64 and warm.time.dtype == np.int32
    assert same(cold, load(folder, cache=False))
    assert len(count_encodings) == 2


@pytest.mark.parametrize(
    "change", [{"duration": 140.0}, {"dt": 0.5}, {"encoder": LevelEncoder(levels=(0.4, 0.8))}]
)
def test_other_settings_miss(make_wavs: MakeWavs, count_encodings: list[int], change: dict) -> None:
    folder = make_wavs("1_al_0.wav")
    load(folder)
    load(folder, **change)
    assert len(count_encodings) == 2


def test_other_files_miss(make_wavs: MakeWavs, count_encodings: list[int]) -> None:
    folder = make_wavs("1_al_0.wav")
    load(folder)
    path = folder / "1_al_0.wav"
    content = bytearray(path.read_bytes())
    content[100] ^= 64
    path.write_bytes(content)
    load(folder)
    path.rename(folder / "1_al_1.wav")
    load(folder)
    assert len(count_encodings) == 3


def test_no_cache_writes_nothing(make_wavs: MakeWavs, cache_dir: Path) -> None:
    load(make_wavs("1_al_0.wav"), cache=False)
    assert not cache_dir.exists()


@pytest.mark.filterwarnings("ignore:cannot store cache file")
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text", "folder"])
def test_damaged_file_is_recomputed(make_wavs: MakeWavs, cache_dir: Path, damage: str) -> None:
    folder = make_wavs("1_al_0.wav")
    good = load(folder)
    for path in cache_dir.iterdir():
        content = bytearray(path.read_bytes())
        content[-3] ^= 255
        path.unlink()
        if damage == "folder":
            path.mkdir()
        else:
            whole = bytes(content)
            path.write_bytes(
                {"cut": whole[:-9], "flip": whole, "empty": b"", "text": b"x" * 500}[damage]
            )
    with pytest.warns(UserWarning, match="cache file .* (unusable|damaged).*recomputing"):
        again = fsdd.load_fsdd(folder, **SHORT)["test"]
    assert same(good, again)
    if damage != "folder":
        assert same(good, load(folder))


def test_unwritable_folder_is_left_alone(make_wavs: MakeWavs, cache_dir: Path) -> None:
    folder = make_wavs("1_al_0.wav")
    cache_dir.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="cannot store cache file .*Set DELAYSNN_CACHE"):
        data = fsdd.load_fsdd(folder, **SHORT)["test"]
    assert same(data, load(folder, cache=False))


def test_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("DELAYSNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "delaysnn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    before = tmp_path / "home" / ".cache" / "delaysnn"
    assert cache_folder() == before
    # Where the system has another place, what an earlier version left is not lost.
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *name, **k: tmp_path / "Caches")
    assert cache_folder() == tmp_path / "Caches"
    before.mkdir(parents=True)
    assert cache_folder() == before


def test_unexpected_arrays_are_damage() -> None:
    key = cache_key("x", a=1)
    assert key != cache_key("x", a=2) and load_arrays(key, ["a"]) is None
    store_arrays(key, {"a": np.arange(3)})
    np.testing.assert_array_equal(load_arrays(key, ["a"])["a"], np.arange(3))
    with pytest.warns(UserWarning, match="damaged"):
        assert load_arrays(key, ["a", "b"]) is None


def test_files_of_others_are_damage(cache_dir: Path) -> None:
    key = cache_key("x", a=1)
    cache_dir.mkdir()
    (cache_dir / key).write_bytes(save({"a": np.arange(3)}))
    with pytest.warns(UserWarning, match="unusable .*checksum"):
        assert load_arrays(key, ["a"]) is None


def test_hash_tells_names_from_contents() -> None:
    assert files_hash([("a", b"b")]) != files_hash([("ab", b"")])
    assert files_hash([("a", b""), ("b", b"")]) != files_hash([("b", b""), ("a", b"")])


def test_what_was_not_used_for_long_goes(cache_dir: Path) -> None:
    old = time.time() - 31 * 24 * 3600
    for name in ("lost", "kept"):
        store_arrays(cache_key(name), {"a": np.arange(3)})
        os.utime(cache_dir / cache_key(name), (old, old))
    for name in ("notes.txt", "own.safetensors"):
        (cache_dir / name).write_text("not of the cache")
        os.utime(cache_dir / name, (old, old))
    assert load_arrays(cache_key("kept"), ["a"]) is not None
    _remove_unused.cache_clear()
    store_arrays(cache_key("new"), {"a": np.arange(3)})
    assert sorted(path.name.split("-")[0] for path in cache_dir.iterdir()) == [
        "kept", "new", "notes.txt", "own.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_nothing_computes_are_computed_anew(value: float) -> None:
    store_arrays("own.safetensors", {"a": np.array([1.0, value])})
    with pytest.warns(UserWarning, match="is damaged; recomputing"):
        assert load_arrays("own.safetensors", ["a"]) is None
