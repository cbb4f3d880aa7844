"""The GPUs of this machine, asked of NVIDIA's driver.

GeNN ends the process where CUDA fails, so what can be known before is asked here.
"""

import ctypes
import ctypes.util
from functools import cache

_MAJOR, _MINOR = 75, 76  # of cuDeviceGetAttribute: the compute capability


@cache
def _driver() -> ctypes.CDLL | None:
    """Return the driver's library, ready to be asked, or None."""
    try:
        library = ctypes.CDLL(ctypes.util.find_library("cuda") or "libcuda.so.1")
        return library if library.cuInit(0) == 0 else None
    except (OSError, AttributeError):
        return None


def count() -> int:
    """Return how many GPUs can be used."""
    driver, found = _driver(), ctypes.c_int(0)
    if driver is None or driver.cuDeviceGetCount(ctypes.byref(found)):
        return 0
    return found.value


def free_memory(number: int | None = None) -> int | None:
    """Return the free memory of a GPU, or the most that any has [bytes]; None if unknown."""
    driver, found = _driver(), []
    for each in range(count()) if number is None else [number]:
        handle, context = ctypes.c_int(0), ctypes.c_void_p()
        free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
        if driver is None or driver.cuDeviceGet(ctypes.byref(handle), each):
            continue
        # The context that GeNN's code will use as well.
        if driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), handle):
            continue
        driver.cuCtxPushCurrent_v2(context)
        if not driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)):
            found.append(free.value)
        driver.cuCtxPopCurrent_v2(ctypes.byref(context))
        driver.cuDevicePrimaryCtxRelease_v2(handle)
    return max(found, default=None)


def device(number: int) -> tuple[int, int] | None:
    """Return the compute capability of a GPU, None if there is none of this number."""
    driver = _driver()
    if driver is None or number >= count():
        return None
    handle, found = ctypes.c_int(0), (ctypes.c_int(0), ctypes.c_int(0))
    driver.cuDeviceGet(ctypes.byref(handle), number)
    for value, attribute in zip(found, (_MAJOR, _MINOR), strict=True):
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, handle)
    return found[0].value, found[1].value
