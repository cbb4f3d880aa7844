"""Recordings as mel frames.

``frame = clip(1 + 10 log10(energy / peak) / range_db, 0, 1)``: the loudest band and frame of the
recording is 1, and what is ``range_db`` below it, or silent, is 0.

Frames are those of ``librosa.stft``, bit for bit, whose import takes longer than a thousand
recordings; filters and window are librosa's own.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated

import numpy as np
from pydantic import Field

from mlgenn_delays.machine import librosa_filters, one_blas_thread
from mlgenn_delays.settings import Integer, NonNegative, Number, Unit, refuse, says, settings

Short = Annotated[Number, Field(gt=0, le=1e4), Unit("ms")]

_SILENCE = 1e-20


@settings
class MelSettings:
    """How a recording becomes mel frames.

    Example:
        >>> from mlgenn_delays.data import MelSettings
        >>> MelSettings(n_bands=64, hop=8.0).hop
        8.0
    """

    n_bands: Annotated[Integer, Field(ge=1, le=512), says("Number of mel bands.")] = 40
    sample_rate: Annotated[
        Integer,
        Field(ge=100, le=1_000_000),
        Unit("Hz"),
        says("Rate that recordings are brought to."),
    ] = 8000
    window: Annotated[Short, says("Length of the analysis window.")] = 32.0
    hop: Annotated[Short, says("Time between frames.")] = 10.0
    range_db: Annotated[
        Number,
        Field(gt=0, le=200),
        Unit("dB"),
        says("Range below the recording's peak that is kept."),
    ] = 60.0
    f_min: Annotated[NonNegative, Unit("Hz"), says("Lower edge of the lowest band.")] = 0.0

    def __post_init__(self) -> None:
        if self.f_min >= self.sample_rate / 2:
            refuse(self, "f_min", f"less than half of sample_rate ({self.sample_rate / 2:g} Hz)")
        for name in ("window", "hop"):
            samples = getattr(self, name) * self.sample_rate / 1000
            if samples < 1 or abs(samples - round(samples)) > 1e-6:
                wanted = f"a whole number of samples at {self.sample_rate} Hz"
                refuse(self, name, wanted, f"it is {samples:g} samples")

    @property
    def hop_length(self) -> int:
        """Time between frames [samples]."""
        return round(self.hop * self.sample_rate / 1000)

    @property
    def window_length(self) -> int:
        """Length of the analysis window [samples]."""
        return round(self.window * self.sample_rate / 1000)

    @property
    def n_fft(self) -> int:
        """Length of the transform: at least twice the window, so that low bands are not empty."""
        return 2 ** math.ceil(math.log2(2 * self.window_length))


@lru_cache(maxsize=8)
def mel_transform(settings: MelSettings) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from samples to mel frames, with its filters computed once.

    It takes (n,) samples and gives (frames, n_bands) float32 in 0..1, where frame i is centred on
    ``i * hop`` ms and there are ``1 + n // hop_length`` of them; a silent recording gives zeros.
    """
    of_librosa, n_fft, hop = librosa_filters(), settings.n_fft, settings.hop_length
    filters = of_librosa.mel(
        sr=settings.sample_rate, n_fft=n_fft, n_mels=settings.n_bands, fmin=settings.f_min
    )
    window = of_librosa.get_window("hann", settings.window_length)
    # The window lies in the middle of a transform, which is centred on its frame.
    before, lead = (n_fft - len(window)) // 2, n_fft // 2
    inner = slice(before, before + len(window))

    def transform(samples: np.ndarray) -> np.ndarray:
        n_frames = 1 + len(samples) // hop
        padded = np.zeros((n_frames - 1) * hop + n_fft, np.float32)
        kept = samples[: len(padded) - lead]
        padded[lead : lead + len(kept)] = kept
        frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
        windowed = np.zeros(frames.shape)
        np.multiply(window, frames[:, inner], out=windowed[:, inner])
        power = np.abs(np.fft.rfft(windowed).astype(np.complex64)) ** 2
        # On a busy machine, BLAS threads wait for each other far longer than one alone computes.
        with one_blas_thread():
            energy = filters @ power.T
        return _scale(energy.T, settings.range_db)

    return transform


def _scale(energy: np.ndarray, range_db: float) -> np.ndarray:
    """Return energy as decibels below its peak, scaled to 0..1."""
    peak = energy.max(initial=0.0)
    if peak <= _SILENCE:
        return np.zeros(energy.shape, np.float32)
    decibels = 10.0 * np.log10(np.maximum(energy / peak, _SILENCE))
    return np.clip(1.0 + decibels / range_db, 0.0, 1.0).astype(np.float32)
