"""Reading a recording as mono float32 at a given sample rate, or saying plainly why not.

What libsndfile reads is a recording: WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF and more.
"""

import io
import math
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np

from mlgenn_delays.data.arrays import LARGEST_VALUE
from mlgenn_delays.data.encode.wav import with_lengths
from mlgenn_delays.errors import DamagedError, unreadable
from mlgenn_delays.settings import Count, Unit, check

MOST_SAMPLES = 2**24  # of a recording: half an hour at 8000 Hz, whose spectrum takes 0.4 GB
# Names of formats that libsndfile has under another one.
_ALSO = {"AIFF": ("aif", "aifc"), "OGG": ("oga", "opus")}
# A header says nothing of the rate in the first; the second are arrays of another program.
_NO_RECORDINGS = {"RAW", "MAT4", "MAT5"}
_MP3_FRAME = 1152  # samples, of which the first and last may be missing
_SHOWN = ("wav", "flac", "ogg", "mp3")


@cache
def suffixes() -> tuple[str, ...]:
    """Return what the names of recordings end with, in lower case, the best known first."""
    import soundfile

    formats = set(soundfile.available_formats()) - _NO_RECORDINGS
    found = {name.lower() for name in formats}
    found |= {also for name in formats for also in _ALSO.get(name, ())}
    best = [each for each in _SHOWN if each in found]
    return tuple(f".{each}" for each in [*best, *sorted(found - set(best))])


def is_recording(name: str) -> bool:
    """Return whether a file's name is that of a recording."""
    return name.lower().endswith(suffixes())


def formats_in_words() -> str:
    """Return the best known suffixes of recordings, for messages."""
    best = [each for each in suffixes() if each[1:] in _SHOWN]
    return f"{', '.join(best)} or another format of libsndfile"


def read_recording(path: Path | str, sample_rate: int) -> np.ndarray:
    """Return a recording as mono samples.

    Arguments:
        path: A WAV, FLAC, OGG, MP3 or another file that libsndfile reads; channels are averaged.
        sample_rate: Rate of the result [Hz]; other rates are resampled.

    Returns:
        (n,) float32 samples, full scale at 1.

    Raises:
        InputError: The file is missing, unreadable, truncated, empty, too long or not finite.

    Example:
        >>> from mlgenn_delays.data import read_recording
        >>> import numpy as np, soundfile
        >>> soundfile.write("silence.flac", np.zeros((16000, 2)), 16000)
        >>> read_recording("silence.flac", 8000).shape
        (8000,)
    """
    check("sample_rate", sample_rate, Annotated[Count, Unit("Hz")])
    return decode_recording(read_bytes(path), path, sample_rate)


def read_bytes(path: Path | str) -> bytes:
    """Read a file, with a plain error if that is not possible."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def recording_length(path: Path | str) -> float:
    """Return how long a recording is [ms], by its header."""
    content = with_lengths(read_bytes(path), path)
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            return 1000.0 * file.frames / file.samplerate
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise _unreadable(content, path, error) from error


def decode_recording(content: bytes, path: Path | str, sample_rate: int) -> np.ndarray:
    """Decode the content of a recording as `read_recording` does; `path` is for messages."""
    import soundfile

    content = with_lengths(content, path)
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            promised, rate, kind = file.frames, file.samplerate, file.format
            _check_length(path, promised, file.channels, rate, sample_rate)
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise _unreadable(content, path, error) from error
    if not len(samples):
        raise DamagedError(f"{path} has a {kind} header but 0 samples; replace or remove it")
    if promised - len(samples) > (2 * _MP3_FRAME if kind == "MP3" else 0):
        raise DamagedError(
            f"{path} is truncated: its header promises {promised} samples, got {len(samples)}; "
            "copy the file again or remove it"
        )
    bad = np.count_nonzero(~np.isfinite(samples))
    if bad:
        raise DamagedError(
            f"{path} must have finite samples, got {bad} NaN or infinite of {samples.size}; "
            "replace or remove it"
        )
    mono = samples.mean(axis=1, dtype=np.float32) if samples.shape[1] > 1 else samples[:, 0]
    check_samples(str(path), mono)
    return _resample(np.ascontiguousarray(mono), rate, sample_rate)


def _unreadable(content: bytes, path: Path | str, error: Exception) -> DamagedError:
    # The whole text begins with the object read from, which says nothing to a reader.
    reason = str(getattr(error, "error_string", error)).rstrip(".")
    return DamagedError(
        f"{path} is no readable recording ({len(content)} bytes: {reason}); "
        "convert it to WAV or FLAC, or remove it"
    )


def _check_length(
    path: Path | str, n_samples: int, n_channels: int, rate: int, target: int
) -> None:
    """Reject recordings whose samples would not fit into memory, or whose rate is none."""
    n = n_samples * max(1.0, target / max(1, rate))
    if n > MOST_SAMPLES or n_samples * n_channels > 8 * MOST_SAMPLES:
        raise DamagedError(
            f"{path} must have at most {MOST_SAMPLES} samples at {target} Hz, got {n_samples} of "
            f"{n_channels} channels at {rate} Hz; cut it into shorter recordings"
        )


def check_samples(where: str, samples: np.ndarray) -> None:
    """Reject samples (n,) that are not finite, or so large that their energy would not be."""
    wrong = ~(np.abs(samples) < LARGEST_VALUE)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise DamagedError(
            f"{where} must have finite samples below {LARGEST_VALUE:g} in size (full scale is 1), "
            f"got {samples[place]} at sample {place}; replace or remove it"
        )


def _resample(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    if rate == target:
        return samples
    import soxr

    found = soxr.resample(samples, rate, target, quality="HQ")
    resampled = np.zeros(math.ceil(len(samples) * (target / rate)), np.float32)
    kept = found[: len(resampled)]
    resampled[: len(kept)] = kept
    return resampled
