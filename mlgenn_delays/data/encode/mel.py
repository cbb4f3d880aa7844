"""Recordings as mel frames.

``frame = clip(1 + 10 log10(energy / peak) / range_db, 0, 1)``: the loudest band and frame of the
recording is 1, and what is ``range_db`` below it, or silent, is 0.

Windows, transforms and filters (Slaney's scale, each filter of unit area) are those of librosa, and
so are the frames, bit for bit; importing librosa alone takes longer than a thousand recordings.
"""

import math
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated

import numpy as np
from pydantic import Field

from mlgenn_delays.machine import one_blas_thread
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
    filters, taps = mel_filters(settings), _window(settings.window_length)
    n_fft, hop = settings.n_fft, settings.hop_length
    # The window lies in the middle of a transform, which is centred on its frame.
    before = (n_fft - len(taps)) // 2
    inner, lead = slice(before, before + len(taps)), n_fft // 2

    def transform(samples: np.ndarray) -> np.ndarray:
        n_frames = 1 + len(samples) // hop
        padded = np.zeros((n_frames - 1) * hop + n_fft, np.float32)
        kept = samples[: len(padded) - lead]
        padded[lead : lead + len(kept)] = kept
        frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
        windowed = np.zeros((n_frames, n_fft))
        np.multiply(taps, frames[:, inner], out=windowed[:, inner])
        power = np.abs(np.fft.rfft(windowed).astype(np.complex64)) ** 2
        # On a busy machine, BLAS threads wait for each other far longer than one alone computes.
        with one_blas_thread():
            energy = filters @ power.T
        return _scale(energy.T, settings.range_db)

    return transform


def mel_filters(settings: MelSettings) -> np.ndarray:
    """Return the triangular filters (n_bands, n_fft // 2 + 1) float32, evenly spaced in mel."""
    return _filters(settings.sample_rate, settings.n_fft, settings.n_bands, settings.f_min)


# Slaney's scale: linear up to 1 kHz, logarithmic above.
_LINEAR, _KNEE, _OCTAVES = 200.0 / 3, 1000.0, np.log(6.4) / 27.0


@lru_cache(maxsize=8)
def _filters(sample_rate: int, n_fft: int, n_bands: int, f_min: float) -> np.ndarray:
    lowest, highest = _mel(np.array([f_min, sample_rate / 2]))
    edges = _hertz(np.linspace(lowest, highest, n_bands + 2))
    ramps = np.subtract.outer(edges, np.fft.rfftfreq(n_fft, 1.0 / sample_rate))
    width = np.diff(edges)[:, None]
    up, down = -ramps[:-2] / width[:-1], ramps[2:] / width[1:]
    filters = np.maximum(0, np.minimum(up, down)).astype(np.float32)
    filters *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    empty = np.count_nonzero((edges[:-2] != 0) & (filters.max(axis=1) == 0))
    if empty:
        warnings.warn(
            f"{empty} of {n_bands} mel bands are empty: they are narrower than the transform of "
            "the window resolves; take fewer bands, a longer window or a higher f_min",
            stacklevel=2,
        )
    filters.flags.writeable = False
    return filters


def _mel(hertz: np.ndarray) -> np.ndarray:
    knee = _KNEE / _LINEAR
    above = knee + np.log(np.maximum(hertz, _KNEE) / _KNEE) / _OCTAVES
    return np.where(hertz >= _KNEE, above, hertz / _LINEAR)


def _hertz(mel: np.ndarray) -> np.ndarray:
    knee = _KNEE / _LINEAR
    above = _KNEE * np.exp(_OCTAVES * (np.maximum(mel, knee) - knee))
    return np.where(mel >= knee, above, _LINEAR * mel)


@lru_cache(maxsize=8)
def _window(size: int) -> np.ndarray:
    """Return the taps of a periodic Hann window."""
    taps = 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, size + 1)[:-1])
    return np.ones(1) if size == 1 else taps


def _scale(energy: np.ndarray, range_db: float) -> np.ndarray:
    """Return energy as decibels below its peak, scaled to 0..1."""
    peak = energy.max(initial=0.0)
    if peak <= _SILENCE:
        return np.zeros(energy.shape, np.float32)
    decibels = 10.0 * np.log10(np.maximum(energy / peak, _SILENCE))
    return np.clip(1.0 + decibels / range_db, 0.0, 1.0).astype(np.float32)
