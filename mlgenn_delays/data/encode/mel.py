"""Mel frames of a recording, scaled to 0..1.

``frame = clip(1 + 10 log10(energy / peak) / range_db, 0, 1)``: the loudest band and frame of the
recording is 1, and what is ``range_db`` below it, or silent, is 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mlgenn_delays.data.option_checks import check_number
from mlgenn_delays.errors import InputError
from mlgenn_delays.libraries import import_librosa

_SILENCE = 1e-20


@dataclass(frozen=True)
class MelSettings:
    """How a recording becomes mel frames.

    Attributes:
        n_bands: Number of mel bands.
        sample_rate: Rate that recordings are brought to [Hz].
        window: Length of the analysis window [ms].
        hop: Time between frames [ms].
        range_db: Range below the recording's peak that is kept [dB].
        f_min: Lower edge of the lowest band [Hz].
    """

    n_bands: int = 40
    sample_rate: int = 8000
    window: float = 32.0
    hop: float = 10.0
    range_db: float = 60.0
    f_min: float = 0.0

    def __post_init__(self) -> None:
        check_number("n_bands", self.n_bands, 1, 512, integer=True)
        check_number("sample_rate", self.sample_rate, 100, 1e6, integer=True, unit="Hz")
        check_number("window", self.window, 0.0, 1e4, open_low=True, unit="ms")
        check_number("hop", self.hop, 0.0, 1e4, open_low=True, unit="ms")
        check_number("range_db", self.range_db, 0.0, 200.0, open_low=True, unit="dB")
        check_number("f_min", self.f_min, 0.0, unit="Hz")
        if self.f_min >= self.sample_rate / 2:
            raise InputError(
                f"f_min must have less than half of sample_rate ({self.sample_rate / 2:g} Hz), "
                f"got {self.f_min:g}"
            )
        for name in ("window", "hop"):
            samples = getattr(self, name) * self.sample_rate / 1000
            if samples < 1 or abs(samples - round(samples)) > 1e-6:
                raise InputError(
                    f"{name} must have a whole number of samples at {self.sample_rate} Hz, "
                    f"got {getattr(self, name):g} ms = {samples:g} samples"
                )

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

    Arguments:
        settings: See `MelSettings`.

    Returns:
        A function of (n,) samples that gives (frames, n_bands) float32 in 0..1, where frame i is
        centred on ``i * hop`` ms and there are ``1 + n // hop_length`` of them.
    """
    from threadpoolctl import ThreadpoolController

    librosa = import_librosa()
    blas = ThreadpoolController()
    filters = librosa.filters.mel(
        sr=settings.sample_rate,
        n_fft=settings.n_fft,
        n_mels=settings.n_bands,
        fmin=settings.f_min,
    )

    def transform(samples: np.ndarray) -> np.ndarray:
        n_frames = 1 + len(samples) // settings.hop_length
        # Less than one transform of samples makes librosa warn; silence behind changes nothing.
        missing = max(0, settings.n_fft - len(samples))
        spectrum = librosa.stft(
            np.pad(samples, (0, missing)),
            n_fft=settings.n_fft,
            hop_length=settings.hop_length,
            win_length=settings.window_length,
        )[:, :n_frames]
        # On a busy machine, BLAS threads wait for each other far longer than one alone computes.
        with blas.limit(limits=1, user_api="blas"):
            energy = filters @ np.abs(spectrum) ** 2
        return _scale(energy.T, settings.range_db)

    return transform


def mel_frames(samples: np.ndarray, settings: MelSettings | None = None) -> np.ndarray:
    """Return the mel frames of one recording.

    Arguments:
        samples: (n,) float32 at ``settings.sample_rate``.
        settings: See `MelSettings`; the defaults if none.

    Returns:
        (frames, n_bands) float32 in 0..1; a silent recording gives zeros.
    """
    return mel_transform(settings or MelSettings())(samples)


def _scale(energy: np.ndarray, range_db: float) -> np.ndarray:
    """Return energy as decibels below its peak, scaled to 0..1."""
    peak = energy.max(initial=0.0)
    if peak <= _SILENCE:
        return np.zeros(energy.shape, np.float32)
    decibels = 10.0 * np.log10(np.maximum(energy / peak, _SILENCE))
    return np.clip(1.0 + decibels / range_db, 0.0, 1.0).astype(np.float32)
