"""What tests need of the machine, which are the only reasons for which one is skipped.

`@needs("gcc")` marks a test, `need("gcc")` skips from within one, from a fixture or at the head of
a file. Neither speaks of this package, nor of what its extra `test` brings (nir, tonic,
dask.distributed and so on): these are imported, and where they are missing, tests fail.
"""

import ctypes.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

# Where commands of the documentation look for programs: in this environment first.
PATH = os.pathsep.join(
    dict.fromkeys(
        [str(Path(sys.executable).parent), str(Path(sys.base_prefix) / "bin")]
        + os.environ.get("PATH", os.defpath).split(os.pathsep)
    )
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def program(name: str) -> Callable[[], str]:
    """Return what says whether a program is missing."""
    return lambda: "" if shutil.which(name, path=PATH) else f"there is no program {name}"


def modules(what: str, *names: str) -> Callable[[], str]:
    """Return what says whether modules are missing."""
    return lambda: "" if all(map(find_spec, names)) else f"{what} is not installed"


@cache
def _mpi() -> str:
    if reason := modules("mpi4py", "mpi4py")() or program("mpiexec")():
        return reason
    code = "from mpi4py import MPI; print(MPI.COMM_WORLD.Get_size())"
    command = ["mpiexec", "-n", "2", sys.executable, "-c", code]
    try:
        done = subprocess.run(
            command, env=os.environ | {"PATH": PATH}, capture_output=True, text=True, timeout=60
        )
    except subprocess.TimeoutExpired:
        return "mpiexec does not end on this machine"
    fits = done.stdout.split() in (["2", "2"], ["22"])  # ranks may print on one line
    return "" if fits else f"mpiexec and mpi4py do not fit together: {done.stderr[-200:]!r}"


def _path(name: str) -> Callable[[], str]:
    return lambda: "" if os.path.exists(name) else f"there is no {name} on this system"


def _posix() -> str:
    return "this is no POSIX system" if sys.platform == "win32" else ""


def _no_root() -> str:
    bound = hasattr(os, "geteuid") and os.geteuid() != 0
    return "" if bound else "root may read and write everything"


def _any_bytes() -> str:
    utf8 = sys.platform in ("darwin", "win32")
    return "names of files must be UTF-8 on this system" if utf8 else ""


def _terminals() -> str:
    try:
        for descriptor in os.openpty():
            os.close(descriptor)
    except (AttributeError, OSError) as error:
        return f"no terminal can be opened: {error}"
    return ""


def _linux() -> str:
    return "" if sys.platform == "linux" else "this is not Linux"


def _root() -> str:
    return "" if not _posix() and os.geteuid() == 0 else "this is not the superuser"


@cache
def _tmpfs() -> str:
    with TemporaryDirectory() as folder:
        try:
            subprocess.run(
                ["mount", "-t", "tmpfs", "tmpfs", folder], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            return "no file system can be mounted"
        subprocess.run(["umount", "-l", folder], check=True)
    return ""


def _compiled() -> str:
    return "nothing is compiled" if os.environ.get("NUMBA_DISABLE_JIT") == "1" else ""


def browser() -> str | None:
    """Return the path of a browser that can be driven."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def _browser() -> str:
    found = browser() and shutil.which("chromedriver")
    return "" if found else "there is no chromium with chromedriver"


def places(module: str) -> list[Path]:
    """Return the folders of a package, none if it is not installed; it is not imported."""
    spec = find_spec(module)
    return [Path(each) for each in spec.submodule_search_locations or ()] if spec else []


def cuda_backend() -> Path | None:
    """Return the file of pygenn's CUDA backend, which is not imported."""
    found = (file for each in places("pygenn") for file in each.glob("cuda_backend*.so"))
    return next(found, None)


def _cuda_code() -> str:
    return "" if cuda_backend() else "pygenn was built without its CUDA backend"


def _cuda() -> str:
    """Say whether nothing runs on a GPU here; GeNN is installed."""
    from pygenn.genn_model import backend_modules

    if "cuda" not in backend_modules:
        return "pygenn has no CUDA backend that can be imported"
    try:
        library = ctypes.CDLL(ctypes.util.find_library("cuda") or "libcuda.so.1")
    except OSError:
        return "there is no driver of NVIDIA's"
    count = ctypes.c_int(0)
    failed = library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count))
    return "" if count.value and not failed else "there is no GPU"


# By name: a function that says what is missing, or "". Order counts: the first reason is told.
NEEDS: dict[str, Callable[[], str]] = {
    **{name: program(name) for name in ("bash", "cc", "gcc", "clang", "g++", "make", "nm")},
    "size": program("size"),
    "arm-none-eabi-gcc": program("arm-none-eabi-gcc"),
    "qemu-system-arm": program("qemu-system-arm"),
    "mpi": _mpi,
    "genn": modules("GeNN (pygenn and ml_genn: genn-team.github.io)", "pygenn", "ml_genn"),
    "cuda code": _cuda_code,
    "cuda": _cuda,
    "torch": modules("PyTorch", "torch"),
    "snntorch": modules("snnTorch", "torch", "snntorch"),
    "neurobench": modules("NeuroBench", "torch", "snntorch", "neurobench"),
    "norse": modules("Norse", "torch", "norse"),
    "lauscher": modules("lauscher", "lauscher"),
    "wandb": modules("wandb", "wandb"),
    "dcls": modules("dcls", "torch", "DCLS"),
    "sphinx": modules('what the extra "docs" names', "sphinx", "myst_nb"),
    "posix": _posix,
    "linux": _linux,
    "names of any bytes": _any_bytes,
    "root": _root,
    "no root": _no_root,
    "tmpfs": _tmpfs,
    "/proc": _path("/proc/self"),
    "/dev/full": _path("/dev/full"),
    "terminals": _terminals,
    "chromium": _browser,
    "compiled kernels": _compiled,
}
# What builds and runs GeNN's code on a CPU.
GENN = ("genn", "g++", "make")
# What generates CUDA code and runs it, on a GPU or on the emulator of tests/cuda.
CUDA_CODE = (*GENN, "cuda code")


def lack(*names: str) -> str:
    """Return the first thing that is missing, "" if nothing is."""
    return next(filter(None, (NEEDS[name]() for name in names)), "")


def need(*names: str) -> str:
    """Skip where something is missing; return the first name."""
    __tracebackhide__ = True  # the place that is told is the test's
    if reason := lack(*names):
        pytest.skip(reason, allow_module_level=True)
    return names[0]


def needs(*names: str) -> pytest.MarkDecorator:
    """Mark a test that is skipped where something is missing."""
    reason = lack(*names)
    return pytest.mark.skipif(bool(reason), reason=reason or "nothing is missing")
