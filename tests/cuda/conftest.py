"""Tests marked `device` run on a GPU where there is one, else on the emulator in a process of theirs."""

import ctypes
import importlib.util
import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from mlgenn_delays.files import cache_folder
from tests.cuda import emulator
from tests.cuda.relay import Child

_INSIDE = "EMULATOR"  # set in a process that runs on the emulator
_children: dict[str, Child] = {}


def _driver() -> bool:
    """Return whether NVIDIA's driver is there, with a GPU."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
        count = ctypes.c_int(0)
        return (
            not library.cuInit(0)
            and not library.cuDeviceGetCount(ctypes.byref(count))
            and count.value > 0
        )
    except (OSError, AttributeError):
        return False


def _backend() -> Path | None:
    """Return the file of pygenn's CUDA backend."""
    found = importlib.util.find_spec("pygenn")
    folders = found.submodule_search_locations if found else None
    return next(
        (file for each in folders or () for file in Path(each).glob("cuda_backend*.so")), None
    )


def _lacks() -> str:
    """Return what the emulator needs and this machine lacks, or an empty text."""
    if importlib.util.find_spec("pygenn") is None or importlib.util.find_spec("ml_genn") is None:
        return "pygenn or ml_genn is not installed"
    if _backend() is None:
        return "pygenn was built without its CUDA backend"
    missing = [each for each in ("g++", "make") if shutil.which(each) is None]
    if missing:
        return f"{' and '.join(missing)} not found"
    return ""


@cache
def _toolkit() -> dict[str, str]:
    """Build the emulator once a session, and return the environment to use it."""
    backend = _backend()
    assert backend is not None
    folder = Path(mkdtemp(prefix="emulator-"))
    environment = emulator.build(folder / "cuda", emulator.runtime_version(backend))
    # Code that this compiler built is nobody else's; Numba's kernels are the same for all.
    caches = {"DELAYSNN_CACHE": str(folder / "cache")}
    caches["NUMBA_CACHE_DIR"] = os.environ.get("NUMBA_CACHE_DIR", str(cache_folder() / "kernels"))
    return environment | caches | {_INSIDE: "1"}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Have a test for a device run where there is one."""
    if item.get_closest_marker("device") is None or _INSIDE in os.environ or _driver():
        return None
    if _lacks():
        item.add_marker(pytest.mark.skip(reason=_lacks()))
        return None
    name = str(item.path)
    if name not in _children:
        own = [each.nodeid for each in item.session.items if str(each.path) == name]
        _children[name] = Child(item.config, item.config.rootpath, own, _toolkit())
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _children[name].reports(item.nodeid):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_sessionfinish() -> None:
    """End what still runs, and remove the emulator."""
    for child in _children.values():
        child.end()
    if _toolkit.cache_info().currsize:
        shutil.rmtree(Path(_toolkit()["CUDA_PATH"]).parent, ignore_errors=True)
