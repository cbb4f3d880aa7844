"""Reading a WAV as mono float32 at a given sample rate, or saying plainly why not."""

import io
from pathlib import Path

import numpy as np

from mlgenn_delays.data.checks import check_number
from mlgenn_delays.errors import InputError

# What recorders write as the length of data that they could not know in advance.
_UNKNOWN_LENGTH = (0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFE)


def read_wav(path: Path | str, sample_rate: int) -> np.ndarray:
    """Return a recording as mono samples.

    Arguments:
        path: A WAV of integer or floating-point PCM; channels are averaged.
        sample_rate: Rate of the result [Hz]; other rates are resampled.

    Returns:
        (n,) float32 samples, full scale at 1.

    Raises:
        InputError: The file is missing, unreadable, truncated, empty or not finite.
    """
    check_number("sample_rate", sample_rate, 1, integer=True, unit="Hz")
    return decode_wav(read_bytes(path), path, sample_rate)


def read_bytes(path: Path | str) -> bytes:
    """Return the content of a file.

    Raises:
        InputError: It is missing or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}; check the path and its permissions"
        ) from error


def decode_wav(content: bytes, path: Path | str, sample_rate: int) -> np.ndarray:
    """Do as `read_wav` with the content of a file already read.

    Arguments:
        content: What the file holds.
        path: Name of the file for messages.
        sample_rate: Rate of the result [Hz].

    Raises:
        InputError: As `read_wav`.
    """
    import soundfile

    check_complete(content, path)
    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        # The whole text begins with the object read from, which says nothing to a reader.
        reason = str(getattr(error, "error_string", error)).rstrip(".")
        raise InputError(
            f"{path} is no readable WAV ({len(content)} bytes: {reason}); "
            "convert it to PCM WAV or remove it"
        ) from error
    if not len(samples):
        raise InputError(f"{path} has a WAV header but 0 samples; replace or remove it")
    bad = np.count_nonzero(~np.isfinite(samples))
    if bad:
        raise InputError(
            f"{path} must have finite samples, got {bad} NaN or infinite of {samples.size}; "
            "replace or remove it"
        )
    mono = samples.mean(axis=1, dtype=np.float32) if samples.shape[1] > 1 else samples[:, 0]
    return _resample(np.ascontiguousarray(mono), rate, sample_rate)


def _resample(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Return the samples at the target rate [Hz], at least one of them."""
    if rate == target:
        return samples
    import librosa

    resampled = librosa.resample(samples, orig_sr=rate, target_sr=target, res_type="soxr_hq")
    if not len(resampled):
        return np.zeros(1, np.float32)
    return np.asarray(resampled, dtype=np.float32)


def check_complete(content: bytes, path: Path | str) -> None:
    """Require that the data chunk holds what its header promises; libsndfile gives less silently.

    Other containers (FLAC, RF64 and such) are left to libsndfile.

    Arguments:
        content: What the file holds.
        path: Name of the file for messages.

    Raises:
        InputError: The file is empty or truncated.
    """
    if not content:
        raise InputError(f"{path} is empty (0 bytes); replace or remove it")
    order = {b"RIFF": "little", b"RIFX": "big"}.get(content[:4])
    if order is None or content[8:12] != b"WAVE":
        return
    position = 12
    while position + 8 <= len(content):
        size = int.from_bytes(content[position + 4 : position + 8], order)  # type: ignore[arg-type]
        if content[position : position + 4] == b"data":
            found = len(content) - position - 8
            if size > found and size not in _UNKNOWN_LENGTH:
                raise InputError(
                    f"{path} is truncated: its header promises {size} bytes of samples, "
                    f"got {found}; copy the file again or remove it"
                )
            return
        position += 8 + size + size % 2
    raise InputError(
        f"{path} is truncated: it ends after {len(content)} bytes, before any samples; "
        "copy the file again or remove it"
    )
