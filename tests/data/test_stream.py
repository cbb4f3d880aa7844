"""Spikes that stay on disk: the same numbers as in memory, from any state of the cache."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.data import Augment, epoch_batches, load_dataset
from mlgenn_delays.data import blocks as blocks_module
from mlgenn_delays.data.blocks import Blocks
from mlgenn_delays.data.cache import load_arrays, store_arrays
from mlgenn_delays.data.events import Spikes
from mlgenn_delays.data.losses import Losses
from mlgenn_delays.data.sets.shd import load_shd
from mlgenn_delays.data.sets.ssc import load_ssc
from mlgenn_delays.data.types import SpikeData, StreamedSpikes
from mlgenn_delays.tensors import pack, places
from tests.data.shd_helpers import write_shd, write_ssc


def plain(batch: Any) -> list[tuple[list[int], list[int]]]:
    """Return the spikes a channel and the times of every example of a batch."""
    return [
        (np.diff(start).tolist(), batch.time[start[0] : start[-1]].tolist())
        for start in batch.start
    ]


def random_blocks(n: int, channels: int, steps: int, seed: int, **more: Any) -> Blocks:
    """Return blocks of n random examples, each drawn by its own number."""

    def example(row: int) -> tuple[np.ndarray, np.ndarray]:
        spiked = np.random.default_rng([seed, row]).random((channels, steps)) < 0.2
        return np.cumsum([0, *spiked.sum(1)]), spiked.nonzero()[1]

    def encode(first: int, end: int) -> Spikes:
        starts, times = zip(*(example(row) for row in range(first, end)), strict=True)
        before = np.cumsum([0, *(len(time) for time in times)])[:-1]
        start = np.stack(starts) + before[:, None]
        lost = Losses.of_lengths(np.full(end - first, float(steps)), np.diff(start)[:, 0])
        return Spikes(start, np.concatenate(times), lost)

    return Blocks(n, channels, steps, encode, "test", **more)


def split(blocks: Blocks, *, stream: bool) -> Any:
    labels = np.arange(blocks.n) % 3
    return blocks.split(labels, dt=1.0, label_names=("a", "b", "c"), stream=stream)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 25),
    channels=st.integers(1, 6),
    steps=st.integers(1, 30),
    cached=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_streamed_is_loaded(n: int, channels: int, steps: int, cached: bool, seed: int) -> None:
    whole = blocks_module.BLOCK
    blocks_module.BLOCK = 4
    try:
        depends = {"seed": seed} if cached else None
        blocks = random_blocks(n, channels, steps, seed, depends=depends)
        loaded, streamed = split(blocks, stream=False), split(blocks, stream=True)
        assert isinstance(loaded, SpikeData) and isinstance(streamed, StreamedSpikes)
        assert streamed.n_channels == loaded.n_channels == channels
        index = np.random.default_rng(seed).integers(0, n, 7)
        one, other = loaded.batch(index), streamed.batch(index)
        assert plain(one) == plain(other)
        assert other.start.dtype == np.int64 and other.time.dtype == np.int32
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.index, other.index)
        part = streamed.take(index)
        assert plain(part.batch(np.arange(7))) == plain(other)
        assert plain(part.load().batch(np.arange(7))) == plain(other)
    finally:
        blocks_module.BLOCK = whole


def test_long_trials_keep_their_times() -> None:
    lost = Losses.of_events(2, 0, 0, 69_999.0)
    spikes = Spikes(np.array([[0, 2]]), np.array([3, 69_999]), lost)
    blocks = Blocks(1, 1, 70_000, lambda a, b: spikes, "long")
    for depends in (None, {"a": 1}):
        made = Blocks(**{**blocks.__dict__, "depends": depends})
        assert split(made, stream=True).batch(np.zeros(1, int)).time.tolist() == [3, 69_999]


def test_no_example_is_read_for_a_batch_of_none() -> None:
    batch = split(random_blocks(3, 2, 5, 0), stream=True).batch(np.zeros(0, int))
    assert batch.start.shape == (0, 3) and len(batch.time) == 0


def test_ssc_streams_and_shd_on_request(tmp_path: Path) -> None:
    streamed, loaded = load_ssc(write_ssc(tmp_path)), load_ssc(tmp_path, stream=False)
    assert all(isinstance(each, StreamedSpikes) for each in streamed.values())
    for name, each in loaded.items():
        index = np.arange(len(each))[::-1]
        assert plain(each.batch(index)) == plain(streamed[name].batch(index))
        assert streamed[name].names == each.names
    folder = write_shd(tmp_path / "shd")
    options = {"stream": True, "channels": 140}
    streamed, loaded = load_dataset("shd", folder, options), load_shd(folder, channels=140)
    for name in ("train", "validation", "test"):
        index = np.arange(len(loaded[name]))
        assert plain(loaded[name].batch(index)) == plain(streamed[name].batch(index))


@pytest.mark.parametrize("harm", ["lost", "cut", "emptied", "folder"])
def test_a_block_lost_meanwhile_is_encoded_again(
    tmp_path: Path, cache_dir: Path, harm: str
) -> None:
    data = load_ssc(write_ssc(tmp_path))["train"]
    before = plain(data.batch(np.arange(20)))
    files = list(cache_dir.glob("shd-*"))
    assert len(files) == 3
    for file in files:
        if harm == "lost" or harm == "folder":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:100] if harm == "cut" else b"")
    if harm == "folder":
        cache_dir.rmdir()
    assert plain(data.batch(np.arange(20))) == before


def test_a_damaged_block_is_made_anew_at_the_start(tmp_path: Path, cache_dir: Path) -> None:
    data = load_ssc(write_ssc(tmp_path))["train"]
    before = plain(data.batch(np.arange(70)))
    for file in cache_dir.glob("shd-*"):
        content = bytearray(file.read_bytes())
        content[-5] ^= 1
        file.write_bytes(bytes(content))
    with pytest.warns(UserWarning, match="recomputing"):
        data = load_ssc(tmp_path)["train"]
    assert plain(data.batch(np.arange(70))) == before


def test_without_a_cache_each_example_is_encoded_when_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_dir: Path
) -> None:
    write_ssc(tmp_path)
    whole = plain(load_ssc(tmp_path)["test"].batch(np.arange(36)))
    assert plain(load_ssc(tmp_path, cache=False)["test"].batch(np.arange(36))) == whole
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("DELAYSNN_CACHE", str(blocked))
    with pytest.warns(UserWarning, match="going on without"):
        data = load_ssc(tmp_path)["test"]
    assert plain(data.batch(np.arange(36))) == whole


def test_an_epoch_of_a_stream_is_that_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "BLOCK", 8)
    blocks = random_blocks(40, 5, 30, 3)
    augment = Augment(shift=1, jitter=2.0, drop=0.1)
    epochs: list[Any] = []
    for stream in (False, True):
        data = split(blocks, stream=stream)
        batches = list(epoch_batches(data, 7, seed=1, epoch=2, augment=augment))
        epochs.append([(plain(batch), batch.labels.tolist()) for batch in batches])
    assert epochs[0] == epochs[1]


def test_changed_bits_of_a_block_change_no_number(tmp_path: Path, cache_dir: Path) -> None:
    """Damage while a training runs: each of 120 is noticed when the examples are read."""
    blocks = random_blocks(40, 6, 30, 7, depends={"a": 1})
    data = split(blocks, stream=True)
    before = plain(data.batch(np.arange(40)))
    (file,) = cache_dir.iterdir()
    whole, random = file.read_bytes(), np.random.default_rng(3)
    header, made_anew = 8 + int.from_bytes(whole[:8], "little"), 0
    for number in range(120):
        # Half of them where the header and the bounds of channels are.
        end = (header + 40 * 7 * 4) if number % 2 else len(whole)
        damaged = bytearray(whole)
        for place in random.integers(0, end, 1 + number % 3):
            damaged[place] ^= 1 << int(random.integers(8))
        opened = split(blocks, stream=True)
        if number % 4 == 0:
            opened.batch(np.arange(2))  # the header has been read before
        file.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert plain(opened.batch(np.arange(40))) == before, number
        made_anew += file.read_bytes() == whole
        file.write_bytes(whole)
    assert made_anew > 50  # the rest are in what nobody reads


@pytest.mark.parametrize(
    ("name", "value"),
    [("time", 30), ("time", -1), ("start", 2**31), ("start", 0), ("shape", 0), ("type", 0)],
)
def test_a_block_that_holds_no_spikes_is_encoded_again(name: str, value: int) -> None:
    """A right checksum does not make spikes of what are none."""
    blocks = random_blocks(40, 6, 30, 7, depends={"a": 1})
    key = blocks._key(0, 40)
    assert key is not None
    before = plain(split(blocks, stream=True).batch(np.arange(40)))
    arrays = load_arrays(key, ("start", "time", "losses"))
    assert arrays is not None
    arrays["time"] = arrays["time"].astype(np.int32)
    if name == "shape":
        arrays["start"] = arrays["start"][:, :-1]
    elif name == "type":
        arrays["start"] = arrays["start"].astype(np.float32)
    else:
        arrays[name].flat[50] = value
    store_arrays(key, arrays)
    for stream in (True, False):
        store_arrays(key, arrays)
        with pytest.warns(UserWarning, match="damaged; recomputing"):
            data = split(blocks, stream=stream)
        assert plain(data.batch(np.arange(40))) == before


def test_a_block_that_cannot_be_stored_again_is_encoded_by_example(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = random_blocks(40, 6, 30, 7, depends={"a": 1})
    data = split(blocks, stream=True)
    before = plain(data.batch(np.arange(40)))
    for file in cache_dir.iterdir():
        file.unlink()
    monkeypatch.setattr(blocks_module, "store_arrays", lambda key, arrays: None)
    assert plain(data.batch(np.arange(40))) == before


def test_places_of_a_damaged_header(tmp_path: Path) -> None:
    path = tmp_path / "some"
    whole = pack({"a": np.arange(6, dtype=np.uint16).reshape(2, 3)}, {})
    for old, new in [
        (b"[0,12]", b"[0,99]"), (b"[2,3]", b"[2,9]"), (b"[2,3]", b"[1e1]"), (b'"U16"', b'"U32"'),
        (b"[0,12]", b'["0","1"]'), (b'"a":{', b'"a":[['), (b"[0,12]", b"[-9,3]"), (b"{", b"["),
    ]:  # fmt: skip
        changed = whole.replace(old, new, 1)
        length = int.from_bytes(whole[:8], "little") + len(changed) - len(whole)
        path.write_bytes(length.to_bytes(8, "little") + changed[8:])
        with pytest.raises(ValueError):
            places(path)
    path.write_bytes((2**20).to_bytes(8, "little") + b"[" * 2**20)
    with pytest.raises(ValueError):
        places(path)
    path.write_bytes(whole)
    with open(path, "rb", buffering=0) as file, pytest.raises(ValueError, match="no values"):
        places(path)["a"].part(file, 4, -2)
