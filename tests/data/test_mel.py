"""Mel frames: equal to plain sums, range, shape, silence, and settings that check themselves."""

import math
import warnings

import numpy as np
import pytest

from mlgenn_delays.data.encode.mel import MelSettings, mel_transform


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


def plain_frames(samples: np.ndarray, settings: MelSettings) -> np.ndarray:
    """Return mel frames by sums, one frequency of one frame after the other."""

    def mel(hertz: float) -> float:
        return 15 + 27 * math.log(hertz / 1000, 6.4) if hertz >= 1000 else 3 * hertz / 200

    def hertz(mel: float) -> float:
        return 1000 * 6.4 ** ((mel - 15) / 27) if mel >= 15 else 200 * mel / 3

    size, n_fft, rate = settings.window_length, settings.n_fft, settings.sample_rate
    low, high = mel(settings.f_min), mel(rate / 2)
    edges = [hertz(low + (high - low) * k / (settings.n_bands + 1)) for k in range(99)]
    energy = np.zeros((1 + len(samples) // settings.hop_length, settings.n_bands))
    at = np.arange(size) - (size + 1) // 2
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    for i in range(len(energy)):
        where = i * settings.hop_length + at
        there = (where >= 0) & (where < len(samples))
        heard = np.where(there, samples[np.clip(where, 0, len(samples) - 1)], 0.0) * window
        for f in range(n_fft // 2 + 1):
            power = abs((heard * np.exp(-2j * np.pi * f * at / n_fft)).sum()) ** 2
            frequency = f * rate / n_fft
            for b in range(settings.n_bands):
                first, middle, last = edges[b : b + 3]
                up, down = (
                    (frequency - first) / (middle - first),
                    (last - frequency) / (last - middle),
                )
                energy[i, b] += max(0.0, min(up, down)) * 2 / (last - first) * power
    ratio = np.maximum(energy / energy.max(), 1e-20)
    return np.clip(1 + 10 * np.log10(ratio) / settings.range_db, 0, 1)


@pytest.mark.parametrize(
    ("settings", "n"),
    [
        (MelSettings(n_bands=12), 700),
        (MelSettings(n_bands=5, sample_rate=4000, window=16.0, hop=4.0, f_min=300.0), 200),
        (MelSettings(n_bands=3, sample_rate=1000, window=9.0, hop=20.0, range_db=30.0), 41),
    ],
)
def test_frames_equal_plain_sums(settings: MelSettings, n: int) -> None:
    samples = np.random.default_rng(n).normal(0, 0.1, n).astype(np.float32)
    got = mel_transform(settings)(samples)
    np.testing.assert_allclose(got, plain_frames(samples, settings), atol=1e-5)
