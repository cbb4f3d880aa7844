"""Files and folders of inputs, damaged and hostile ones too."""

import os
import struct
import tracemalloc
import warnings
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.inputs import items
from mlgenn_delays.export.inputs import reader as reading
from tests.export.readers import RATE, analogue, events_of, reader, recording
from tests.fuzz.mutate import blind

# Files and folders


def test_folders(tmp_path: Path) -> None:
    for name in ("b/2.npy", "a.NPZ", "b/1.npy", ".hidden.npy", ".git/x.npy", "c.wav", "d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = [tmp_path / name for name in ("a.NPZ", "b/1.npy", "b/2.npy")]
    assert reader().files([tmp_path]) == found
    assert reader("fsdd").files([str(tmp_path)]) == [*found, tmp_path / "c.wav"]
    assert reader().files([found[2], tmp_path / "b"]) == [found[2], *found[1:]]


@pytest.mark.parametrize(
    "given_path, message",
    [
        ("nothing.npy", "cannot read .*nothing.npy: No such file"),
        ("empty", "empty must have files ending with .npy, .npz, .h5, .hdf5 for this .* got none"),
        ("wavs", "got only .txt, .wav; give a folder of the kind of data"),
        ("wavs/x.wav", r"x.wav must end with .npy, .npz, .h5, .hdf5 for this model, got '.wav'"),
        ("bare", "bare must end with .* got 'no suffix'"),
        ("a\x00b.npy", "cannot read .*: embedded null"),
    ],
)
def test_files_that_cannot_be(tmp_path: Path, given_path: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "wavs").mkdir()
    for name in ("wavs/x.wav", "wavs/x.txt", "bare"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=message):
        reader().files([tmp_path / given_path])
    with pytest.raises(InputError):
        reader().of(tmp_path / given_path)


def test_no_files_and_no_plain_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one file or folder, got none"):
        reader().files([])
    (tmp_path / "x.npy").mkdir()
    with pytest.raises(InputError, match="must be a file, got a folder or a device"):
        reader().read(tmp_path / "x.npy")
    os.mkfifo(tmp_path / "y.npy")
    (tmp_path / "z.wav").symlink_to("/dev/zero")
    (tmp_path / "empty.npz").write_bytes(b"")
    for name, message in (("y.npy", "a device"), ("z.wav", "device"), ("empty.npz", "0 bytes")):
        with pytest.raises(InputError, match=message):
            reader("fsdd").read(tmp_path / name)


# HDF5


def hdf5(monkeypatch: pytest.MonkeyPatch, tree: Any) -> None:
    """Let every HDF5 file hold a tree."""
    monkeypatch.setattr("mlgenn_delays.hdf5.read_hdf5", lambda path, only: tree)


def test_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "shd.h5"
    seconds = [np.array([0.5, 0.25, 70.0], np.float16), np.array([], np.float16)]
    units = [np.array([3, 1, 2], np.uint16), np.array([], np.uint16)]
    with h5py.File(path, "w") as file:
        for name, rows in (("times", seconds), ("units", units)):
            kind = h5py.vlen_dtype(rows[0].dtype)
            file.create_dataset(f"spikes/{name}", (2,), dtype=kind)[:] = rows
        file["labels"] = [1, 2]
        file["extra/keys"] = ["a", "b"]
    one = reader(steps=80_000)
    items = one.read(path)
    assert [item.name for item in items] == [f"{path}[0]", f"{path}[1]"]
    batch = one.as_batch(items)
    # 70 s are more milliseconds than float16 can hold.
    assert events_of(batch) == [(1, 250), (2, 70_000), (3, 500)] and not events_of(batch, 1)
    with pytest.raises(InputError, match=r"must end with .npy, .npz for this model, got '.h5'"):
        analogue().read(path)


@pytest.mark.parametrize(
    "tree, message",
    [
        ({}, "got none at /spikes/times; give events as .npz"),
        ({"spikes": 3}, "got none at /spikes/times"),
        ({"spikes": {"times": np.zeros(3), "units": np.zeros(3)}}, "one array per example"),
        ({"spikes": {"times": [np.zeros(3)], "units": []}}, "same examples, .* got 1 and 0"),
        ({"spikes": {"times": [], "units": []}}, "at least one, got 0 and 0"),
        ({"spikes": {"times": [np.zeros(3)], "units": [np.full(3, 0.5)]}}, "numbers as channels"),
    ],
)
def test_hdf5_of_another_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: Any, message: str
) -> None:
    (tmp_path / "x.hdf5").write_bytes(b"x")
    hdf5(monkeypatch, tree)
    with pytest.raises(InputError, match=message):
        reader().read(tmp_path / "x.hdf5")


# Hostile files


def npy(header: str, body: bytes = b"", version: int = 1) -> bytes:
    text = header.encode("latin1").ljust(118)
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + body


def header(shape: str, descr: str = "'<f4'", fortran: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"


HEADERS = {
    "huge": header("(1152921504606846976, 6)"),
    "overflowing": header("(4294967296, 4294967296, 4294967296)"),
    "negative": header("(-1, 6)"),
    "twice negative": header("(-2, -6)"),
    "objects": header("(2, 6)", "'|O'"),
    "an object within": header("(2, 6)", "[('a', '|O')]"),
    "structure": header("(2, 6)", "[('a', '<f4')]"),
    "an array each": header("(2, 6)", "('<f4', (1048576, 1048576))"),
    "no size": header("(9223372036854775807, 6)", "'|V0'"),
    "text": header("(2, 6)", "'<U4'"),
    "wide text": header("(2, 6)", "'<U999999999'"),
    "date": header("(2, 6)", "'<M8[s]'"),
    "shape of text": header("'ab'"),
    "shape of floats": header("(2.0, 6.0)"),
    "many dimensions": header("(" + "1, " * 100 + ")"),
    "code": "__import__('os').system('true')",
    "deep": "(" * 4000,
    "no end": "{'descr': '<f4'",
    "order": header("(2, 6)", fortran="2"),
    "unknown type": header("(2, 6)", "'<f3'"),
}


@pytest.mark.parametrize("name", sorted(HEADERS))
@pytest.mark.parametrize("version", [1, 2])
def test_hostile_headers(tmp_path: Path, name: str, version: int) -> None:
    content = npy(HEADERS[name], bytes(48), version)
    (tmp_path / "x.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("raster.npy", content)
    for suffix in ("npy", "npz"):
        with pytest.raises(InputError, match=rf"x\.{suffix}"):
            reader().read(tmp_path / f"x.{suffix}")


def test_orders_and_types(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-9, 9, (2, 20, 6))
    for dtype in ("<f2", ">f4", "<f8", ">i2", "u1", "<i8", np.longdouble):
        for order in "CF":
            array = np.array(np.abs(values), dtype, order=order)
            np.save(tmp_path / "x.npy", array)
            np.savez(tmp_path / "x.npz", values=array)
            for name in ("x.npy", "x.npz"):
                got = analogue().as_batch(analogue().read(tmp_path / name)).values
                np.testing.assert_array_equal(got, np.abs(values))


def test_npz_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("raster.npy", npy(header("(65536, 6)", "'|u1'"), bytes(6 * 65536)))
    monkeypatch.setattr(reading, "MOST_BYTES", 2**18)
    with pytest.raises(InputError, match=r"x.npz \(raster\) must have at most 262144 bytes, got 3"):
        reader().read(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("raster.npy", npy(header("(1, 6)"), bytes(24)))
    with pytest.raises(InputError, match="stored or deflated"):
        reader().read(path)


def test_a_header_that_is_long(tmp_path: Path) -> None:
    long = header("(1, 6)") + " " * 2**15
    with (tmp_path / "x.npy").open("wb") as file:
        file.write(npy(long, bytes(24), 2))
        file.truncate(2**40)  # a hole, which takes no room
    with pytest.raises(InputError, match="x.npy must have an array .* header that cannot be read"):
        reader().read(tmp_path / "x.npy")


def test_what_is_packed_is_unpacked_only_as_far_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("raster.npy", bytes(2**26))
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", 200)
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="x.npz must have arrays"):
            reader().read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_too_many_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "MOST_EXAMPLES", 3)
    np.savez(tmp_path / "x.npz", times=[1.0], channels=[1], start=[0, 0, 0, 0, 1])
    for x in (np.zeros((4, 2, 6)), tmp_path / "x.npz"):
        with pytest.raises(InputError, match="at most 3 examples, got 4; split"):
            reader().of(x)
    assert len(reader().of(np.zeros((3, 2, 6)))) == 3


def test_too_long_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, np.zeros(40_000, np.int16), 1)
    with pytest.raises(InputError, match=r"at most 16777216 samples at 8000 Hz, got 40000 of 1"):
        reader("fsdd").read(path)
    monkeypatch.setattr(reading, "MOST_BYTES", 2**16)
    with pytest.raises(InputError, match=r"at most 65536 bytes, got 80044; cut"):
        reader("fsdd").read(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="x.wav is truncated"):
        reader("fsdd").read(path)


SOUND = ["wav", "flac", "ogg", "mp3"]


def whole(suffix: str) -> bytes:
    file = BytesIO()
    if suffix == "npy":
        np.save(file, np.ones((3, 6), np.float32))
    elif suffix in SOUND:
        soundfile.write(file, recording(0.05), RATE, format=suffix)
    else:
        np.savez_compressed(file, times=[1.0, 2.0, 3.0], channels=[0, 1, 2], start=[0, 1, 3])
    return file.getvalue()


@pytest.mark.parametrize("suffix", ["npy", "npz", *SOUND])
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_damaged_files(tmp_path_factory: pytest.TempPathFactory, suffix: str, seed: int) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    one = reader("fsdd", steps=60, duration=60.0)
    if suffix not in SOUND:
        one = reader()
    path.write_bytes(blind(whole(suffix), np.random.default_rng(seed)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            batch = one.as_batch(one.read(path))
        except InputError as error:
            assert str(path) in str(error)
        else:
            assert batch.n_channels == one.n_inputs
