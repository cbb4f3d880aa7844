"""A cache of computed arrays in the user's cache folder, which can never fail a run.

A file is named by the hash of all it was computed from. A damaged file is recomputed, a folder
that cannot be written is left alone; both with a warning. Files not used for 30 days are removed
when others are stored.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from mlgenn_delays.errors import WorkError
from mlgenn_delays.files import cache_folder, remove_unused, write_atomic
from mlgenn_delays.tensors import not_finite, pack, read, verify

_DIGEST = 16  # bytes


def files_hash(files: Iterable[tuple[str, bytes]]) -> str:
    """Hash the names, sizes and contents of files, which come in a fixed order."""
    total = hashlib.blake2b(digest_size=20)
    for name, content in files:
        encoded = os.fsencode(name)
        total.update(f"{len(encoded)},{len(content)}:".encode())
        total.update(encoded)
        total.update(hashlib.blake2b(content, digest_size=20).digest())
    return total.hexdigest()


def cache_key(name: str, **parts: object) -> str:
    """Return a file name that stands for everything the arrays depend on, as JSON can hold it."""
    text = json.dumps(parts, sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=_DIGEST).hexdigest()
    return f"{name}-{digest}.safetensors"


def load_arrays(key: str, names: Iterable[str]) -> dict[str, np.ndarray] | None:
    """Return the cached arrays, of exactly these names, or None if they are not there whole."""
    path = cache_folder() / key
    try:
        arrays, metadata = read(path)
        verify(arrays, metadata)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        warnings.warn(f"cache file {path} is unusable ({error}); recomputing", stacklevel=2)
        return None
    if set(arrays) != set(names) or not_finite(arrays) is not None:
        warnings.warn(f"cache file {path} is damaged; recomputing", stacklevel=2)
        return None
    with suppress(OSError):
        os.utime(path)  # used today
    return arrays


def store_arrays(key: str, arrays: dict[str, np.ndarray]) -> None:
    """Store arrays for `load_arrays`; warn if that is not possible."""
    path = cache_folder() / key
    try:
        write_atomic(path, pack(arrays, {}))
    except (WorkError, OSError) as error:
        reason = error.__cause__ or error
        warnings.warn(
            f"cannot store cache file {path} ({reason}); going on without. "
            "Set DELAYSNN_CACHE to a folder that can be written",
            stacklevel=2,
        )
    _remove_unused(path.parent)


@cache
def _remove_unused(folder: Path) -> None:
    """Delete what was not used for long, once per process; only files named as `cache_key` does."""
    remove_unused(folder, f"*-{'[0-9a-f]' * 2 * _DIGEST}.safetensors")


def cached_arrays(
    key: str, names: list[str], compute: Callable[[], dict[str, np.ndarray]], *, cache: bool
) -> dict[str, np.ndarray]:
    """Return arrays from the cache, or computed and then stored."""
    arrays = load_arrays(key, names) if cache else None
    if arrays is None:
        arrays = compute()
        if cache:
            store_arrays(key, arrays)
    return arrays
