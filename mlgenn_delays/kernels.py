"""The one home of compiler flags: every kernel is made here.

There is no fast-math. A kernel is compiled once on its own and once within each kernel that calls
it; if operations may be reordered or fused, those copies round differently, and which of them runs
depends on whether it came from the cache: a resumed run would differ from an uninterrupted one.

Numba's cache knows when a kernel's own file changes, not when that of a kernel it calls does, or
of a constant it uses. So the kernels of a part of the package are cached (`kernel_store`) in a
folder named after the content of all files that matter to any of them.
"""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba

from mlgenn_delays.kernel_store import make_store, store_folders, stored_in

_PACKAGE = Path(__file__).parent
_MARK = b"@kernel"
# Part -> where its kernels are, and the other files that these take functions and constants from.
PARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "analysis": ("analysis/*_kernel.py", ()),
    "data": ("data/*/*_kernel.py", ()),
    "engines": (
        "engines/*/*.py",
        (
            "engines/shared/plan.py",
            "engines/cpu/store.py",
            "engines/shared/vector.py",
            "network/models.py",
        ),
    ),
}


def kernel_files(part: str) -> list[Path]:
    """Return the files that the kernels of a part depend on, in a fixed order.

    Arguments:
        part: A folder of the package that has kernels.
    """
    pattern, others = PARTS[part]
    found = [file for file in _PACKAGE.glob(pattern) if _MARK in file.read_bytes()]
    return sorted({_PACKAGE / "kernels.py", *found, *(_PACKAGE / name for name in others)})


def kernel_folders(part: str = "engines") -> tuple[Path, ...]:
    """Return the folders that are searched for a part's compiled kernels, best first.

    Arguments:
        part: See `kernel_files`.
    """
    digest = sha256()
    for file in kernel_files(part):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(_PACKAGE).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return store_folders(f"{part}-{digest.hexdigest()[:16]}")


def kernel_cache(part: str = "engines") -> Path | None:
    """Return the folder in which a part's compiled kernels are stored, None if there is none.

    Arguments:
        part: See `kernel_files`.
    """
    for folder in kernel_folders(part):
        try:
            make_store(folder)
            probe = folder / ".writable"
            probe.touch()
            probe.unlink(missing_ok=True)
            return folder
        except OSError:
            continue
    return None


_folders = cache(kernel_folders)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel: cached between runs, and outside the GIL so that threads run it."""
    part = function.__module__.split(".")[1]
    with stored_in(_folders(part)) as stored:
        return numba.njit(cache=stored, nogil=True, error_model="numpy")(function)
