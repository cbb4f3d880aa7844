"""Small data in the layouts that tonic reads, and networks that are not there."""

import struct
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.data.own_helpers import sizes
from tests.data.shd_helpers import events, write_file


def no_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every download fail; return a list of what was asked for."""
    import requests

    asked: list[str] = []

    def refuse(what: Any, *_: Any, **__: Any) -> None:
        asked.append(getattr(what, "full_url", what))
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(requests, "get", refuse)
    return asked


def write_nmnist(folder: Path, n: int = 12) -> dict[str, np.ndarray]:
    """Write n events files a digit and part as NMNIST has them; return the events, by path."""
    rng = np.random.default_rng(0)
    written = {}
    for part in ("Train", "Test"):
        for digit in range(10):
            for number in range(n):
                path = folder / "NMNIST" / part / str(digit) / f"{number:05d}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                size = int(rng.integers(5, 30))
                x, y, p = (rng.integers(0, most, size) for most in (34, 34, 2))
                t = np.sort(rng.integers(0, 300_000, size))
                content = np.stack([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255], axis=1)
                path.write_bytes(content.astype(np.uint8).tobytes())
                written[str(path)] = np.stack([x, y, p, t], axis=1)
    return written


def write_shd(folder: Path, n: int = 200) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Write the files of SHD without their archives; return the units and times by part."""
    keys = [f"w{label}".encode() for label in range(20)]
    written = {}
    for seed, part in enumerate(("train", "test")):
        written[part] = events(n, seed)
        path = folder / "SHD" / f"shd_{part}.h5"
        write_file(path, written[part], speakers=np.arange(n) // 20, keys=keys)
    return written


def write_smnist(folder: Path, n: int = 100) -> None:
    """Write images and labels of both parts as SMNIST has them."""
    from tonic.datasets import SMNIST

    rng = np.random.default_rng(1)
    (folder / "smnist").mkdir(parents=True)
    for part in ("train", "test"):
        images = rng.integers(0, 256, (n, 784), dtype=np.uint8)
        head = struct.pack(">IIII", 2051, n, 28, 28)
        name = getattr(SMNIST, f"{part}_images_file")
        (folder / "smnist" / name).write_bytes(head + images.tobytes())
        labels = (np.arange(n) % 10).astype(np.uint8)
        name = getattr(SMNIST, f"{part}_labels_file")
        (folder / "smnist" / name).write_bytes(struct.pack(">II", 2049, n) + labels.tobytes())


def write_gestures(folder: Path, users: int = 10) -> None:
    """Write recordings as tonic's DVSGesture has them: columns x, y, p and t [ms]."""
    rng = np.random.default_rng(2)
    for part, count in (("Train", users), ("Test", 2)):
        for user in range(count):
            for label in range(11):
                where = f"ibmGesture{part}/user{user + 1:02d}_fluorescent/{label}.npy"
                path = folder / "DVSGesture" / where
                path.parent.mkdir(parents=True, exist_ok=True)
                columns = [rng.integers(0, most, 40) for most in (128, 128, 2, 900)]
                np.save(path, np.stack(columns, axis=1))


def write_tidigits(folder: Path) -> None:
    """Write the file of NTIDIGITS18: single digits, and sequences of them."""
    rng = np.random.default_rng(3)
    path = folder / "NTIDIGITS18" / "n-tidigits.hdf5"
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        for part in ("train", "test"):
            names = [f"man-{n}-{digit}" for n in range(12) for digit in "o123456789z"]
            names += ["man-0-12z"]
            file[f"{part}_labels"] = np.array([name.encode() for name in names])
            for name in names:
                file[f"{part}_addresses/{name}"] = rng.integers(0, 64, 30)
                file[f"{part}_timestamps/{name}"] = np.sort(rng.random(30))


def fake(monkeypatch: pytest.MonkeyPatch, name: str, **parts: Any) -> Any:
    """Give tonic a class without files: ``samples`` (events, target), and what else it has."""
    import tonic

    samples = parts.pop("samples")

    def made(self: Any, save_to: str) -> None:
        tonic.Dataset.__init__(self, save_to)

    def item(self: Any, index: int) -> Any:
        return samples[index]

    own = {"__init__": made, "__getitem__": item, "__len__": lambda self: len(samples)} | parts
    found = type(name, (tonic.Dataset,), own)
    monkeypatch.setattr(tonic.datasets, name, found, raising=False)
    return found


def recording(size: int = 20, seed: int = 0, most: int = 90_000, **fields: Any) -> np.ndarray:
    """Return events as a structured array: t [us], x in 0..7, and the fields given."""
    rng = np.random.default_rng(seed)
    columns = {"t": rng.integers(0, most, size), "x": rng.integers(0, 8, size)} | fields
    kinds = [(name, np.asarray(column).dtype) for name, column in columns.items()]
    found = np.empty(size, kinds)
    for name, column in columns.items():
        found[name] = column
    return found


def nmnist_sizes() -> dict[str, int]:
    """Return the sizes of what `write_nmnist` writes."""
    names = [f"Train/{digit}/{number:05d}.bin" for digit in range(10) for number in range(12)]
    return sizes(names, np.repeat(range(10), 12), test=0.0) | {"test": 120}


def row_sizes(labels: Any, test: float = 0.0, **groups: Any) -> dict[str, int]:
    """Return the sizes of splits of examples that have numbers for names."""
    return sizes(list(map(str, range(len(labels)))), labels, test, **groups)
