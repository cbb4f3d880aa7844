"""Sound as spikes of an inner ear: the 700 channels of SHD and SSC, of any recording.

The equations are those with which Cramer, Stradmann, Schemmel and Zenke (2022, The Heidelberg
Spiking Data Sets for the Systematic Evaluation of Spiking Neural Networks, IEEE TNNLS 33(7)) made
these data sets, with their constants, in the form of their program `lauscher` 1.0.1:

1. The recording is scaled to a root mean square of 0.3 and faded in and out by half a Hann window
   each, over its whole length.
2. It moves the basilar membrane, whose stiffness falls exponentially from the base to the apex:
   shallow water, solved by the WKB method (Sieroka, Dosch and Rupp 2006, JASA 120:297).
3. At each place a hair cell releases transmitter (Meddis 1986, JASA 79:702; 1988, JASA 83:1056),
   which makes 40 nerve fibres spike at random.
4. They drive a bushy cell, a leaky integrate-and-fire neuron; its spikes are those of the channel.

Channel 0 is at the base, which high tones move most (22 kHz), channel 699 at the apex (100 Hz). The
phases of the membrane are those of `lauscher`, in which deep tones come up to 30 ms early.

Random numbers are keyed by the samples and the channel, so a recording always has the same spikes.

Shapes: C channels, S samples of the membrane (one for every two of the recording), F frequencies.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from mlgenn_delays.machine import in_threads
from mlgenn_delays.rng import generator

N_CHANNELS = 700
SAMPLE_RATE = 48_000  # Hz, that of the recordings of SHD
MEMBRANE_RATE = SAMPLE_RATE // 2  # Hz
COCHLEA_VERSION = 1  # of the spikes: raise it when they change, so caches are left

_RMS = 0.3
# The membrane, in cm, g and s.
_LENGTH, _STIFFNESS, _OFFSET, _SLOPE = 3.5, 1e9, 3500.0, 3.0
_MASS, _DAMPING, _DENSITY, _HEIGHT = 0.05, 0.15 * math.sqrt(1e9 * 0.05), 1.0, 0.1
# The hair cell [1/s], and A and B of its permeability.
_LEAK, _RELEASE, _LOSS, _RECOVERY, _REUPTAKE = 5.05, 2000.0, 2500.0, 66.3, 6580.0
_PERMEABILITY, _FIRING = (5.0, 300.0), 50_000.0
# Fibres and the bushy cell, times in s.
_N_FIBRES, _REFRACTORY, _TAU_MEM, _TAU_SYN, _WEIGHT = 40, 1e-3, 1e-3, 5e-4, 13e3

_KNOTS = 1024  # frequencies at which the membrane is computed; between them it is interpolated
_TOGETHER = 25  # channels
_NOTHING = 30.0  # log of the gain below a channel's greatest, from which on it is 0
_ONE = Lock()  # several threads would make the same
_VALUES = 2**22  # of channels and samples that are worked on at once


def cochlea_spikes(
    samples: np.ndarray, *, duration: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the spikes that a recording makes in the ear of SHD and SSC.

    Arguments:
        samples: (n,) samples at 48 kHz, as ``read_recording(path, 48000)`` gives them, of any
            loudness.
        duration: Time up to which spikes are wanted [ms]; all by default. Loudness and fading are
            of the whole recording all the same.

    Returns:
        ``channels`` (E,) int64 in 0..699, ascending, and ``times`` (E,) float64 [s], ascending
        within each, as the files of SHD have them: whole numbers of 1/24000 s. None if all samples
        are 0.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays.data import cochlea_spikes
        >>> tone = np.sin(2 * np.pi * 1000 * np.arange(4800) / 48000)
        >>> channels, times = cochlea_spikes(tone.astype(np.float32))
        >>> bool(350 < np.median(channels) < 450)
        True
    """
    samples = np.ascontiguousarray(samples, np.float32)
    n = len(samples) // 2 + 1
    if duration is not None:
        n = min(n, math.ceil(duration * (MEMBRANE_RATE / 1000)))
    if not samples.any():
        return np.zeros(0, np.int64), np.zeros(0)
    key = int.from_bytes(blake2b(samples.tobytes(), digest_size=8).digest(), "little")
    found = [_spikes(first, part[:, :n], key) for first, part in membrane(prepared(samples))]
    channels, at = (np.concatenate(each) for each in zip(*found, strict=True))
    return channels, at / MEMBRANE_RATE


def prepared(samples: np.ndarray) -> np.ndarray:
    """Return a recording, not silent, at its standard loudness and faded in and out, (n,)."""
    loud = samples.astype(np.float64)
    loud *= _RMS / np.sqrt(np.mean(loud**2))
    half = len(loud) // 2
    fade = np.hanning(2 * half)
    loud[:half] *= fade[:half]
    loud[len(loud) - half :] *= fade[half:]
    return loud


def membrane(samples: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the velocity of the membrane, some channels at a time.

    Arguments:
        samples: (n,) as `prepared` gives them.

    Returns:
        The first channel of some, and their velocities (channels, S) float32. S is ``1 + n / 2``,
        or a little more, of which the transform is fast: that of some silence behind.
    """
    from scipy import fft

    n = fft.next_fast_len((len(samples) + 1) // 2 + 1)
    # Of as many samples as frequencies, which is what halves the rate.
    spectrum = fft.rfft(samples, 2 * (n - 1)).astype(np.complex64)
    at = np.log(np.linspace(1.0, MEMBRANE_RATE, n))
    for part in _responses():
        size = len(part.response.c[0, 0])
        step = max(1, _VALUES // n)
        used = int(np.searchsorted(at, part.highest))
        gain = np.zeros((size, n), np.complex64)
        response = part.response(at[:used]).T.astype(np.complex64)
        size_of, phase = np.exp(response.real), response.imag
        # Far faster than the exponential of complex numbers.
        gain.real[:, :used], gain.imag[:, :used] = size_of * np.cos(phase), size_of * np.sin(phase)
        gain *= spectrum
        for first in range(0, size, step):
            moved = fft.ifft(gain[first : first + step], axis=1, overwrite_x=True)
            yield part.first + first, moved.real


def _spikes(first: int, velocity: np.ndarray, key: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the spikes of channels from the first on: channels and samples of the membrane."""
    from mlgenn_delays.data.encode.cochlea_kernel import bushy_cells, nerve_fibres

    probability = firing_probability(velocity)
    uniform = np.empty(probability.shape, np.float32)
    for channel, row in enumerate(uniform, first):
        generator(0, "cochlea", key, channel).random(out=row, dtype=np.float32)
    counts = np.empty(probability.shape, np.uint8)
    refractory = round(_REFRACTORY * MEMBRANE_RATE)
    nerve_fibres(probability, uniform, _N_FIBRES, refractory, counts)
    spiked = np.zeros(counts.shape, np.bool_)
    bushy_cells(counts, *bushy_constants(), refractory, spiked)
    channels, at = np.nonzero(spiked)
    return channels + first, at


def firing_probability(velocity: np.ndarray) -> np.ndarray:
    """Return the chance of a spike per fibre and sample, (C, S) float32."""
    from mlgenn_delays.data.encode.cochlea_kernel import hair_cells

    probability = np.empty(velocity.shape, np.float32)
    rates = (each / MEMBRANE_RATE for each in (_LEAK, _RELEASE, _LOSS, _RECOVERY, _REUPTAKE))
    velocity = np.ascontiguousarray(velocity, np.float32)
    hair_cells(velocity, *rates, _PERMEABILITY, _FIRING / MEMBRANE_RATE, probability)
    return probability


def bushy_constants() -> tuple[float, float, float]:
    """Return the decays of voltage and current of a bushy cell per sample, and its weight."""
    step = 1.0 / MEMBRANE_RATE
    weight = _WEIGHT / _N_FIBRES * step
    return math.exp(-step / _TAU_MEM), math.exp(-step / _TAU_SYN), weight


class Response(NamedTuple):
    """How the membrane at some channels follows a tone."""

    first: int
    response: Any  # cubic spline: log of the frequency [Hz] -> log of the gain, one per channel
    highest: float  # log of the frequency from which on the gain is 0


def _responses() -> list[Response]:
    """Return how all channels follow a tone; the first call takes a second or two."""
    with _ONE:
        return _make_responses()


@lru_cache(maxsize=1)
def _make_responses() -> list[Response]:
    from scipy.interpolate import CubicSpline

    # The highest is not below the last of any recording.
    frequency = np.geomspace(1.0, MEMBRANE_RATE + 1.0, _KNOTS)
    at = np.log(frequency)
    places = np.linspace(0.0, _LENGTH, N_CHANNELS)

    def respond(first: int) -> Response:
        some = places[first : first + _TOGETHER]
        gain = np.array([membrane_gain(2 * np.pi * frequency, place) for place in some])
        size = np.log(np.abs(gain))
        heard = (size > size.max(axis=1, keepdims=True) - _NOTHING).any(axis=0)
        highest = at[np.flatnonzero(heard)[-1]]
        log_gain = size + 1j * np.unwrap(np.angle(gain), axis=1)
        return Response(first, CubicSpline(at, log_gain.T), highest)

    return list(in_threads(respond, range(0, N_CHANNELS, _TOGETHER)))


def membrane_gain(omega: np.ndarray, place: float) -> np.ndarray:
    """Return the velocity of the membrane that a tone of size 1 makes, complex, (F,).

    Arguments:
        omega: (F,) angular frequencies [1/s], above 0.
        place: Distance from the base [cm], 0..3.5.
    """
    from scipy.special import hankel2

    kappa = 2.0 * omega / _SLOPE * math.sqrt(2.0 / (_HEIGHT * _STIFFNESS))
    entrance = 1j * math.sqrt(2.0 * _STIFFNESS / _HEIGHT) * hankel2(0, kappa) / hankel2(1, kappa)
    pressure = _pressure(omega, place) / _pressure(omega, 0.0)
    return 2.0 * omega / _impedance(omega, place) * pressure * entrance


def _impedance(omega: np.ndarray, place: float) -> np.ndarray:
    """Return stiffness, mass and damping of the membrane as one complex number, (F,)."""
    stiffness = _STIFFNESS * math.exp(-_SLOPE * place) - _OFFSET
    damping = _DAMPING * math.exp(-_SLOPE * place / 2.0)
    return stiffness - _MASS * omega**2 - 1j * omega * damping


def _wave_number(omega: np.ndarray, place: float) -> np.ndarray:
    """Return the wave number of the travelling wave at a place [1/cm], (F,)."""
    return omega * np.sqrt(_DENSITY / (_HEIGHT * _impedance(omega, place)))


def _pressure(omega: np.ndarray, place: float) -> np.ndarray:
    """Return the pressure of the wave at a place, but for a factor that is that of all places.

    Its phase is the integral of the wave number from the base on, plus ``2 / slope`` times that at
    the base. With ``u = exp(slope x / 2)`` and ``a = offset + mass omega^2`` the integrand is
    ``2 omega / (slope sqrt(height)) / sqrt(stiffness - i omega damping u - a u^2)``.
    """
    from scipy.special import hankel1

    a = _OFFSET + _MASS * omega**2
    damped = 1j * omega * _DAMPING

    def inner(u: float) -> np.ndarray:
        root = np.sqrt(_STIFFNESS - damped * u - a * u**2)
        return root - 0.5j * (2.0 * a * u + damped) / np.sqrt(a)

    ratio = inner(1.0) / inner(math.exp(_SLOPE * place / 2.0))
    travelled = -2j * omega / (_SLOPE * np.sqrt(_HEIGHT * a)) * np.log(ratio)
    phase = 2.0 / _SLOPE * _wave_number(omega, 0.0) + travelled
    return np.sqrt(phase / _wave_number(omega, place)) * hankel1(0, phase)
