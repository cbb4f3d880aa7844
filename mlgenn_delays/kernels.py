"""The one home of compiler flags and of the kernel cache: every kernel is made here.

There is no fast-math. A kernel is compiled once on its own and once within each kernel that calls
it; if operations may be reordered or fused, those copies round differently, and which of them runs
depends on whether it came from the cache: a resumed run would differ from an uninterrupted one.

Numba's cache knows when a kernel's own file changes, not when that of a kernel it calls does. So
kernels are cached in a folder named after the content of all files that matter to any of them.
"""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba

from mlgenn_delays.files import cache_folder, remove_unused

_CONFIG: Any = numba.config

_PACKAGE = Path(__file__).parent
_FILES = (
    "kernels.py",
    "network/models.py",
    "analysis/*_kernel.py",
    "data/*_kernel.py",
    "engines/cpu/*.py",
)
# NUMBA_CACHE_DIR may be shared with other packages, whose folders are not ours to remove.
_PREFIX = "delaysnn-"


def kernel_cache() -> Path | None:
    """Return the folder of compiled kernels, or None where none can be written.

    It lies in NUMBA_CACHE_DIR, or else in the package's cache folder. Those of other versions go
    once they were not used for 30 days.
    """
    files = [file for pattern in _FILES for file in sorted(_PACKAGE.glob(pattern))]
    digest = sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    base = Path(chosen) if chosen else cache_folder() / "kernels"
    folder = base / f"{_PREFIX}{digest}"
    try:
        new = not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        # This also renews the folder's time, which says when it was last used.
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError:
        return None
    if new:
        remove_unused(base, f"{_PREFIX}*")
    return folder


_FOLDER = kernel_cache()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel: cached between runs, and outside the GIL so that threads run it."""
    before = _CONFIG.CACHE_DIR
    _CONFIG.CACHE_DIR = str(_FOLDER) if _FOLDER else before
    try:
        make = numba.njit(cache=_FOLDER is not None, nogil=True, error_model="numpy")
        return make(function)
    finally:
        _CONFIG.CACHE_DIR = before
