"""The one home of compiler flags: every kernel of the engine is made by `kernel`.

Plain ``fastmath=True`` would let the compiler assume that no NaN or infinity occurs, so that
checks for them vanish; these flags allow reordering and fused operations only. A compiled sum is
still the same sum in every call, whichever thread makes it.
"""

from collections.abc import Callable
from typing import Any

from numba import njit

FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel: cached between runs, and outside the GIL so that threads run it."""
    return njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy", boundscheck=False)(
        function
    )
