"""The one home of compiler flags and of the kernel cache: every kernel is made by `kernel`.

Plain ``fastmath=True`` would let the compiler assume that no NaN or infinity occurs, so that
checks for them vanish; these flags allow reordering and fused operations only. A compiled sum is
still the same sum in every call, whichever thread makes it.

Numba's cache knows when a kernel's own file changes, not when that of a kernel it calls does. So
the engine's kernels are cached in a folder named after the content of all of its files.
"""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba

from mlgenn_delays.files import cache_folder
from mlgenn_delays.network import models

FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}


@cache
def kernel_cache() -> Path | None:
    """Return the folder of compiled kernels, or None where none can be written."""
    files = [*sorted(Path(__file__).parent.glob("*.py")), Path(models.__file__)]
    digest = sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]
    base = Path(numba.config.CACHE_DIR) if numba.config.CACHE_DIR else cache_folder() / "kernels"
    folder = base / digest
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError:
        return None
    return folder


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel: cached between runs, and outside the GIL so that threads run it."""
    folder = kernel_cache()
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder) if folder else before
    try:
        make = numba.njit(
            cache=folder is not None, nogil=True, fastmath=FAST, error_model="numpy"
        )
        return make(function)
    finally:
        numba.config.CACHE_DIR = before
