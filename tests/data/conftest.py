"""Small recordings, and a cache folder of the test's own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8000


def tone(digit: int, take: int, seconds: float = 0.12) -> np.ndarray:
    """Return a tone with a little noise, different for each digit and take."""
    time = np.arange(int(RATE * seconds)) / RATE
    noise = np.random.default_rng([digit, take]).normal(0, 0.01, len(time))
    return (0.5 * np.sin(2 * np.pi * (300 + 250 * digit) * time) + noise).astype(np.float32)


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the cache of the test apart from the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("DELAYSNN_CACHE", str(folder))
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder apart from the cache."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def make_wavs(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes tones under the given names into a folder."""

    def make(*names: str) -> Path:
        folder = tmp_path / "wavs"
        folder.mkdir(exist_ok=True)
        for name in names:
            digit, take = name[0], name.removesuffix(".wav").rsplit("_", 1)[-1]
            samples = tone(int(digit), int(take) if take.isdigit() else 0)
            soundfile.write(folder / name, samples, RATE, format="WAV")
        return folder

    return make
