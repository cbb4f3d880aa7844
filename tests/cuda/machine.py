"""Where tests run CUDA code: emulators, built once a session."""

import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from mlgenn_delays.files import cache_folder
from tests.backend import VARIABLE
from tests.cuda import emulator
from tests.needs import cuda_backend, lack

ON_CUDA = {VARIABLE: "cuda"}  # in the environment of processes that tests run in
_folders: list[Path] = []


def in_child() -> bool:
    """Return whether this process is one that tests of CUDA code run in."""
    return VARIABLE in os.environ


def has_gpu() -> bool:
    """Return whether there is a GPU."""
    return not lack("cuda")


@cache
def emulated(flags: str = emulator.FAST) -> dict[str, str]:
    """Return the environment of processes that run on an emulator.

    Arguments:
        flags: With which it compiles kernels.
    """
    backend = cuda_backend()
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
