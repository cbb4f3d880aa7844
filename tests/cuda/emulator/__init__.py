"""CUDA on a CPU, for tests: libraries in place of NVIDIA's, and a compiler in place of nvcc.

GeNN's CUDA backend generates, compiles and runs its code as on a GPU; the threads of a block are
fibers with real barriers and shuffles. See docs/developer/emulator.md.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.cuda.emulator.nvcc import COMPILER, FLAGS

HERE = Path(__file__).resolve().parent
RUNTIME = 13  # major version of libcudart where pygenn does not tell
QUICK = "-O0"  # to compile: most tests run a network for moments
FAST = "-O2"
CHECKED = "-O1 -g1 -DEMULATOR_CHECKED -fsanitize=thread --param tsan-instrument-func-entry-exit=0"
SANITIZED = "-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all"


def runtime_version(backend: Path) -> int:
    """Return the major version of libcudart that pygenn's CUDA backend was linked to."""
    found = re.search(rb"libcudart\.so\.(\d+)", backend.read_bytes())
    return int(found[1]) if found else RUNTIME


def build_libraries(folder: Path, version: int = RUNTIME) -> None:
    """Build what stands in for libcuda and for libcudart of a version, in a new folder."""
    folder.mkdir(parents=True)
    _library(folder, "cuda", "1", ["driver.cpp", "memory.cpp"], [])
    runtime = [f"-DRUNTIME={version}", f"-L{folder}", "-lcuda", "-pthread"]
    sources = ["runtime.cpp", "schedule.cpp", "checks.cpp"]
    _library(folder, "cudart", str(version), sources, runtime)


def build(folder: Path, libraries: Path, flags: str = QUICK) -> dict[str, str]:
    """Make what looks like CUDA's folder, and return the environment to run a process with it.

    Arguments:
        folder: Which is made.
        libraries: See `build_libraries`.
        flags: With which kernels are compiled.
    """
    programs, headers = folder / "bin", folder / "include"
    for each in (programs, headers):
        each.mkdir(parents=True)
    for name in ("lib", "lib64"):
        (folder / name).symlink_to(libraries)
    (folder / FLAGS).write_text(flags)
    # Of the time that a source takes to compile, most went into the header that all include first.
    header = HERE / "include" / "emulated_cuda.h"
    (headers / header.name).symlink_to(header)
    into = ["-x", "c++-header", str(header), "-o", str(headers / f"{header.name}.gch")]
    _compile([*COMPILER, *flags.split(), *into])
    nvcc = programs / "nvcc"
    script = (HERE / "nvcc.sh").read_text()
    words = {"PYTHON": sys.executable, "NVCC": HERE / "nvcc.py", "TOOLKIT": folder}
    for word, what in words.items():
        script = script.replace(word, shlex.quote(str(what)))
    nvcc.write_text(script)
    nvcc.chmod(0o755)
    path = os.pathsep.join([str(libraries), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])
    environment = {"CUDA_PATH": str(folder), "LD_LIBRARY_PATH": path}
    if flags == CHECKED:
        environment["EMULATOR_CHECKED"] = "1"
    elif flags == SANITIZED:
        # The sanitizer's library comes first, and must find there whom it stands in for.
        environment["LD_PRELOAD"] = f"{_found('libasan.so')}:{_found('libstdc++.so')}"
        environment["ASAN_OPTIONS"] = "detect_leaks=0:detect_stack_use_after_return=0"
    return environment


def _library(folder: Path, name: str, version: str, sources: list[str], flags: list[str]) -> None:
    whole = f"lib{name}.so.{version}"
    command = ["g++", "-std=c++17", "-O2", "-fPIC", "-shared", "-Wall", "-Werror"]
    command += ["-fno-semantic-interposition", "-Wl,-Bsymbolic"]  # calls within it may be inlined
    command += [f"-Wl,-soname,{whole}", "-o", str(folder / whole)]
    _compile([*command, *(str(HERE / each) for each in sources), *flags])
    (folder / f"lib{name}.so").symlink_to(whole)


def _found(library: str) -> str:
    """Return the path of a library of the compiler's."""
    command = ["g++", f"-print-file-name={library}"]
    return subprocess.check_output(command, text=True).strip()


def _compile(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
