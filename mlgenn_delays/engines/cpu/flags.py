"""The one home of compiler flags and of the kernel cache: every kernel is made by `kernel`.

Plain ``fastmath=True`` would let the compiler assume that no NaN or infinity occurs, so that
checks for them vanish; these flags allow reordering and fused operations only. A compiled sum is
still the same sum in every call, whichever thread makes it.

Numba's cache knows when a kernel's own file changes, not when that of a kernel it calls does. So
the engine's kernels are cached in a folder named after the content of all of its files.
"""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
import numpy as np

from mlgenn_delays.files import cache_folder
from mlgenn_delays.network import models

_CONFIG: Any = numba.config

FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}


def kernel_cache() -> Path | None:
    """Return the folder of compiled kernels, or None where none can be written.

    It lies in NUMBA_CACHE_DIR, or else in the package's cache folder.
    """
    files = [*sorted(Path(__file__).parent.glob("*.py")), Path(models.__file__)]
    digest = sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    base = Path(chosen) if chosen else cache_folder() / "kernels"
    folder = base / digest
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError:
        return None
    return folder


_FOLDER = kernel_cache()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel: cached between runs, and outside the GIL so that threads run it."""
    before = _CONFIG.CACHE_DIR
    _CONFIG.CACHE_DIR = str(_FOLDER) if _FOLDER else before
    try:
        make = numba.njit(cache=_FOLDER is not None, nogil=True, fastmath=FAST, error_model="numpy")
        return make(function)
    finally:
        _CONFIG.CACHE_DIR = before


# Decaying values below NOTHING count as 0: arithmetic on subnormal numbers is tens of times
# slower, and a silent stretch is enough to get there. Looking every SETTLE steps costs nothing.
NOTHING = np.float32(1e-30)
SETTLE = 64


@kernel
def settle(x: Any) -> Any:
    """Return x, or 0 once it has decayed to nothing."""
    return x if abs(x) > NOTHING else np.float32(0.0)


@kernel
def settle_all(values: Any) -> None:
    """Do that for an array (n,)."""
    for k in range(len(values)):
        values[k] = settle(values[k])
