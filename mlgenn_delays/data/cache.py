"""A cache of computed arrays in the user's cache folder, which can never fail a run.

A file is named by the hash of all it was computed from. A damaged file is recomputed, a folder
that cannot be written is left alone; both with a warning.
"""

import hashlib
import json
import os
import warnings
import zlib
from collections.abc import Iterable

import numpy as np

from mlgenn_delays.errors import WorkError
from mlgenn_delays.files import cache_folder, write_atomic

_CHECKSUM = "checksum"


def files_hash(files: Iterable[tuple[str, bytes]]) -> str:
    """Return a hash of the names, sizes and contents of files.

    Arguments:
        files: (name, content) of each, in a fixed order.
    """
    total = hashlib.blake2b(digest_size=20)
    for name, content in files:
        encoded = os.fsencode(name)
        total.update(f"{len(encoded)},{len(content)}:".encode())
        total.update(encoded)
        total.update(hashlib.blake2b(content, digest_size=20).digest())
    return total.hexdigest()


def cache_key(name: str, **parts: object) -> str:
    """Return a file name that stands for everything the arrays depend on.

    Arguments:
        name: What is cached, the beginning of the file name.
        parts: Settings, hashes and versions; anything JSON can hold.
    """
    text = json.dumps(parts, sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{name}-{digest}.safetensors"


def load_arrays(key: str, names: Iterable[str]) -> dict[str, np.ndarray] | None:
    """Return the cached arrays, or None if there are none or they are damaged.

    Arguments:
        key: See `cache_key`.
        names: The arrays that must be there, no more and no fewer.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = cache_folder() / key
    try:
        arrays = load(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        warnings.warn(f"cache file {path} is unusable ({error}); recomputing", stacklevel=2)
        return None
    checksum = arrays.pop(_CHECKSUM, None)
    if set(arrays) != set(names) or checksum is None or _checksum(arrays) != int(checksum[0]):
        warnings.warn(f"cache file {path} is damaged; recomputing", stacklevel=2)
        return None
    # Copies, because those given are read-only and may be misaligned, which Numba cares about.
    return {name: np.array(array) for name, array in arrays.items()}


def store_arrays(key: str, arrays: dict[str, np.ndarray]) -> None:
    """Store arrays for `load_arrays`; warn if that is not possible.

    Arguments:
        key: See `cache_key`.
        arrays: Arrays by name.
    """
    from safetensors.numpy import save

    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    whole[_CHECKSUM] = np.array([_checksum(arrays)], np.int64)
    path = cache_folder() / key
    try:
        write_atomic(path, save(whole))
    except (WorkError, OSError) as error:
        reason = error.__cause__ or error
        warnings.warn(
            f"cannot store cache file {path} ({reason}); going on without. "
            "Set DELAYSNN_CACHE to a folder that can be written",
            stacklevel=2,
        )


def _checksum(arrays: dict[str, np.ndarray]) -> int:
    """Return a checksum over names, types, shapes and contents."""
    total = 0
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total = zlib.crc32(f"{name}{array.dtype}{array.shape}".encode(), total)
        total = zlib.crc32(array.tobytes(), total)
    return total
