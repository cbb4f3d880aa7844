"""Where tests run CUDA code: what this machine lacks for it, and emulators, built once a session."""

import importlib.util
import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from mlgenn_delays.files import cache_folder
from tests.backend import VARIABLE
from tests.cuda import emulator
from tests.needs import GENN, lack

ON_CUDA = {VARIABLE: "cuda"}  # in the environment of processes that tests run in
_folders: list[Path] = []


def _backend() -> Path | None:
    """Return the file of pygenn's CUDA backend."""
    found = importlib.util.find_spec("pygenn")
    folders = found.submodule_search_locations if found else None
    return next(
        (file for each in folders or () for file in Path(each).glob("cuda_backend*.so")), None
    )


def lacks() -> str:
    """Return what this machine lacks to run CUDA code in any way, or an empty text."""
    if reason := lack(*GENN):
        return reason
    return "" if _backend() else "pygenn was built without its CUDA backend"


def in_child() -> bool:
    """Return whether this process is one that tests of CUDA code run in."""
    return VARIABLE in os.environ


def has_gpu() -> bool:
    """Return whether there is a GPU."""
    return not lack("cuda")


@cache
def emulated(flags: str = emulator.FAST) -> dict[str, str]:
    """Return the environment of processes that run on an emulator whose kernels have these flags."""
    backend = _backend()
    assert backend is not None
    _folders.append(Path(mkdtemp(prefix="emulator-")))
    version = emulator.runtime_version(backend)
    environment = emulator.build(_folders[-1] / "cuda", version, flags)
    # Code that this compiler built is nobody else's; Numba's kernels are the same for all.
    kernels = os.environ.get("NUMBA_CACHE_DIR", str(cache_folder() / "kernels"))
    environment |= {"DELAYSNN_CACHE": str(_folders[-1] / "cache"), "NUMBA_CACHE_DIR": kernels}
    return environment | ON_CUDA


def remove() -> None:
    """Remove the emulators."""
    for folder in _folders:
        shutil.rmtree(folder, ignore_errors=True)
