"""Mel frames: range, shape, silence, and settings that check themselves."""

import warnings

import numpy as np
import pytest

from mlgenn_delays.data.encode.recordings import MelSettings, mel_transform


def tone(digit: int, seconds: float = 0.12) -> np.ndarray:
    """Return a tone with a little noise, the higher the digit the higher."""
    time = np.arange(int(8000 * seconds)) / 8000
    noise = np.random.default_rng(digit).normal(0, 0.01, len(time))
    return (0.5 * np.sin(2 * np.pi * (300 + 250 * digit) * time) + noise).astype(np.float32)


mel_frames = mel_transform(MelSettings())


def test_range_and_shape() -> None:
    frames = mel_frames(tone(3, seconds=0.2))
    assert frames.shape == (1 + 1600 // 80, 40) and frames.dtype == np.float32
    assert frames.min() >= 0.0 and frames.max() == 1.0


def test_higher_tone_in_a_higher_band() -> None:
    bands = [int(mel_frames(tone(digit)).mean(axis=0).argmax()) for digit in range(10)]
    assert bands == sorted(bands) and len(set(bands)) == 10


def test_volume_does_not_matter() -> None:
    samples = tone(2)
    np.testing.assert_allclose(mel_frames(samples), mel_frames(samples / 16), atol=1e-4)


@pytest.mark.parametrize("n", [1, 79, 80, 511, 1000])
def test_silence_and_short_recordings(n: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not mel_frames(np.zeros(n, np.float32)).any()
        assert mel_frames(np.ones(n, np.float32)).shape == (1 + n // 80, 40)
