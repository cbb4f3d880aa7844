"""Small files in the layout of SHD and SSC."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

Events = list[tuple[np.ndarray, np.ndarray]]


def events(n: int, seed: int = 0, length: float = 1.2, kind: type = np.float16) -> Events:
    """Return the units and the times [s] of n examples of 0..200 events, one of them silent."""
    random = np.random.default_rng(seed)
    sizes = [0, *random.integers(1, 200, n - 1)]
    return [
        (
            random.integers(0, 700, size).astype(np.uint16),
            (random.random(size) * length).astype(kind),
        )
        for size in sizes
    ]


def write_file(
    path: Path,
    given: Events,
    *,
    labels: Any = None,
    speakers: Any = None,
    keys: Any = None,
    times: str = "spikes/times",
    kinds: tuple[Any, Any] = (np.uint16, np.float16),
    **more: Any,
) -> Path:
    """Write examples as a file; ``more`` are further arrays, or others in place of those."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, place, kind in (("spikes/units", 0, kinds[0]), (times, 1, kinds[1])):
            array = file.create_dataset(name, (len(given),), h5py.vlen_dtype(kind))
            for row, each in enumerate(given):
                array[row] = each[place]
        file["labels"] = np.arange(len(given)) % 20 if labels is None else labels
        if speakers is not None:
            file["extra/speaker"] = speakers
        if keys is not None:
            file["extra/keys"] = np.array(keys)
        file.require_group("extra/meta_info")["gender"] = np.array([b"f", b"m"])
        for name, value in more.items():
            name = name.replace("__", "/")
            if name in file:
                del file[name]
            if value is not None:
                file[name] = value
    return path


def write_shd(folder: Path, n_train: int = 200, n_test: int = 40, **more: Any) -> Path:
    """Write both files of SHD into a folder, with ten speakers; return the folder."""
    speakers = np.arange(n_train) // 20 % 10
    given = {"speakers": speakers, "keys": [f"w{label}".encode() for label in range(20)]} | more
    write_file(folder / "shd_train.h5", events(n_train), **given)
    write_file(folder / "shd_test.h5", events(n_test, seed=1))
    return folder


def write_ssc(folder: Path, **more: Any) -> Path:
    """Write the three files of SSC into a folder; return the folder."""
    for seed, (part, n) in enumerate({"train": 70, "valid": 35, "test": 36}.items()):
        labels = np.arange(n) % 35
        write_file(
            folder / f"ssc_{part}.h5",
            events(n, seed, kind=np.float32),
            labels=labels,
            speakers=labels,
            kinds=(np.uint16, np.float32),
            **more,
        )
    return folder


def naive(
    units: np.ndarray, times: np.ndarray, *, dt: float, n_steps: int, channels: int
) -> set[tuple[int, int]]:
    """Return what an example's spikes must be, event by event, in exact fractions."""
    from fractions import Fraction

    found = set()
    for unit, time in zip(units.tolist(), times.tolist(), strict=True):
        place = Fraction(time) * 1000 / Fraction(dt) + Fraction(1, 10**6)
        step = place.numerator // place.denominator
        if step < n_steps:
            found.add((unit * channels // 700, step))
    return found
