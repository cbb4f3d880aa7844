"""Where tests run CUDA code: emulators, built once a session."""

import os
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import MappingProxyType

from mlgenn_delays.files import cache_folder
from tests.backend import VARIABLE
from tests.cuda import emulator
from tests.needs import cuda_backend, lack

ON_CUDA = MappingProxyType({VARIABLE: "cuda"})  # in the environment of processes that tests run in


def in_child() -> bool:
    """Return whether this process is one that tests of CUDA code run in."""
    return VARIABLE in os.environ


def has_gpu() -> bool:
    return not lack("cuda")


@cache
def _folder() -> Path:
    """Return a folder that is there until `remove`, with the emulator's libraries."""
    backend = cuda_backend()
    assert backend is not None
    folder = Path(mkdtemp(prefix="emulator-"))
    emulator.build_libraries(folder / "lib", emulator.runtime_version(backend))
    return folder


@cache
def emulated(flags: str = emulator.QUICK) -> Mapping[str, str]:
    """Return the environment of processes that run on an emulator.

    Arguments:
        flags: With which it compiles kernels.
    """
    toolkit = Path(mkdtemp(prefix="toolkit-", dir=_folder()))
    environment = emulator.build(toolkit / "cuda", _folder() / "lib", flags)
    # Code that this compiler built is nobody else's; Numba's kernels are the same for all.
    kernels = os.environ.get("NUMBA_CACHE_DIR", str(cache_folder() / "kernels"))
    environment |= {"DELAYSNN_CACHE": str(toolkit / "cache"), "NUMBA_CACHE_DIR": kernels}
    return MappingProxyType(environment | ON_CUDA)  # shared, so nobody may change it


def remove() -> None:
    if _folder.cache_info().currsize:
        shutil.rmtree(_folder(), ignore_errors=True)
