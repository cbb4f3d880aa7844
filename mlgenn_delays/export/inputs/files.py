"""Files as they are found: folders, recordings and arrays, none of which may do harm.

What a file says of its size is checked before any memory is taken for it, and nothing in a file
is ever run: arrays of objects are refused.
"""

import stat
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from mlgenn_delays import npy
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.inputs.arrays import MOST_SAMPLES
from mlgenn_delays.listing import list_files

MOST_BYTES = 2**28  # of a recording, or of an array of a .npz


def expand(paths: Sequence[Path | str], suffixes: Sequence[str]) -> list[Path]:
    """List files, and in place of each folder those in it and in its folders, sorted.

    Files of a folder whose names end with none of the suffixes (in lower case) are left out, and
    so are hidden files and folders; a file given itself must end with one.
    """
    if not paths:
        raise InputError("inputs must have at least one file or folder, got none")
    found: list[Path] = []
    for path in map(Path, paths):
        found += (
            _folder(path, suffixes) if _mode(path, stat.S_ISDIR) else [check_suffix(path, suffixes)]
        )
    return found


def check_file(path: Path) -> int:
    """The size of a file [bytes], which must be there and not empty."""
    if not _mode(path, stat.S_ISREG):
        raise InputError(f"{path} must be a file, got a folder or a device; give a file")
    size = path.stat().st_size
    if not size:
        raise InputError(f"{path} is empty (0 bytes); replace or remove it")
    return size


def read_recording(path: Path, sample_rate: int) -> np.ndarray:
    """Read a WAV as (n,) float32 samples at a rate, see `mlgenn_delays.data.read_wav`."""
    from mlgenn_delays.data.encode.wav import decode_wav, read_bytes, with_lengths

    size = check_file(path)
    if size > MOST_BYTES:
        raise InputError(
            f"{path} must have at most {MOST_BYTES} bytes, got {size}; "
            "cut it into shorter recordings"
        )
    content = with_lengths(read_bytes(path), path)
    _check_length(content, path, sample_rate)
    return decode_wav(content, path, sample_rate)


def map_npy(path: Path) -> np.ndarray:
    """The array of a .npy, mapped into memory."""
    check_file(path)
    try:
        return npy.map_npy(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def read_npz(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Those arrays of a .npz that have one of the given names."""
    check_file(path)
    return npy.read_npz(path, names, most=MOST_BYTES)


def _check_length(content: bytes, path: Path, sample_rate: int) -> None:
    """Reject recordings whose samples would not fit into memory."""
    import soundfile

    try:
        info = soundfile.info(BytesIO(content))
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        return  # `decode_wav` says what is wrong
    n = info.frames * max(1.0, sample_rate / max(1, info.samplerate))
    if n > MOST_SAMPLES or info.frames * info.channels > 8 * MOST_SAMPLES:
        raise InputError(
            f"{path} must have at most {MOST_SAMPLES} samples at {sample_rate} Hz, got "
            f"{info.frames} of {info.channels} channels at {info.samplerate} Hz; "
            "cut it into shorter recordings"
        )


def _mode(path: Path, is_kind: object) -> bool:
    try:
        return is_kind(path.stat().st_mode)  # type: ignore[operator]
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def check_suffix(path: Path, suffixes: Sequence[str]) -> Path:
    """Reject a file that was named outright and that the model cannot read."""
    if not path.name.lower().endswith(tuple(suffixes)):
        raise InputError(
            f"{path} must end with {', '.join(suffixes)} for this model, got "
            f"{path.suffix or 'no suffix'!r}; convert it, or give data of the kind that the model "
            "was trained on"
        )
    return path


def _folder(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    there = list_files(folder)
    found = [each for each in there if each.name.lower().endswith(tuple(suffixes))]
    if not found:
        others = sorted({each.suffix or each.name for each in there})
        got = f"only {', '.join(others[:5])}" if others else "none"
        raise InputError(
            f"{folder} must have files ending with {', '.join(suffixes)} for this model, "
            f"got {got}; give a folder of the kind of data that the model was trained on"
        )
    return found


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or error
    return InputError(f"cannot read {path}: {reason}; check the path and its permissions")
