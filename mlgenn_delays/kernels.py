"""The one home of compiler flags and of the kernel cache: every kernel is made here.

`kernel` is for arithmetic that may be reordered and fused. Plain ``fastmath=True`` would also let
the compiler assume that no NaN or infinity occurs, so that checks for them vanish. A compiled sum
is still the same sum in every call, whichever thread makes it. `exact_kernel` is for data, which
have to be the same on every machine.

Numba's cache knows when a kernel's own file changes, not when that of a kernel it calls does. So
kernels are cached in a folder named after the content of all files that matter to any of them.
"""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba

from mlgenn_delays.files import cache_folder

_CONFIG: Any = numba.config

FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}

_PACKAGE = Path(__file__).parent
_FILES = ("kernels.py", "network/models.py", "data/*_kernel.py", "engines/cpu/*.py")
# NUMBA_CACHE_DIR may be shared with other packages, whose folders are not ours to remove.
_PREFIX = "delaysnn-"
_KEPT = 30 * 24 * 3600.0


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
        _remove_unused(base)
    return folder


def _remove_unused(base: Path) -> None:
    """Remove the folders of other versions that were not used for long, as far as one may."""
    limit = time.time() - _KEPT
    with suppress(OSError):
        for folder in list(base.glob(f"{_PREFIX}*")):
            with suppress(OSError):
                if folder.stat().st_mtime < limit:
                    shutil.rmtree(folder, ignore_errors=True)


_FOLDER = kernel_cache()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel: cached between runs, and outside the GIL so that threads run it."""
    return _compile(function, FAST)


def exact_kernel(function: Callable[..., Any]) -> Any:
    """Do that without reordering or fusing operations, so that results are those of NumPy."""
    return _compile(function, False)


def _compile(function: Callable[..., Any], fastmath: set[str] | bool) -> Any:
    """Compile a kernel into the folder, or without a cache where there is none."""
    before = _CONFIG.CACHE_DIR
    _CONFIG.CACHE_DIR = str(_FOLDER) if _FOLDER else before
    try:
        cached = _FOLDER is not None
        make = numba.njit(cache=cached, nogil=True, fastmath=fastmath, error_model="numpy")
        return make(function)
    finally:
        _CONFIG.CACHE_DIR = before
