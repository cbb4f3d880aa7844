"""CUDA on a CPU, for tests: libraries in place of NVIDIA's, and a compiler in place of nvcc.

GeNN's CUDA backend generates, compiles and runs its code as on a GPU; the threads of a block are
fibers with real barriers and shuffles. See docs/developer/emulator.md.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUNTIME = 13  # major version of libcudart where pygenn does not tell


def runtime_version(backend: Path) -> int:
    """Return the major version of libcudart that pygenn's CUDA backend was linked to."""
    found = re.search(rb"libcudart\.so\.(\d+)", backend.read_bytes())
    return int(found[1]) if found else RUNTIME


def build(folder: Path, version: int = RUNTIME) -> dict[str, str]:
    """Make what looks like CUDA's folder, and return the environment to run a process with it."""
    libraries, programs = folder / "lib", folder / "bin"
    libraries.mkdir(parents=True)
    programs.mkdir()
    (folder / "lib64").symlink_to("lib")
    _library(libraries, "cuda", "1", ["driver.cpp", "memory.cpp"], [])
    runtime = [f"-DRUNTIME={version}", f"-L{libraries}", "-lcuda", "-pthread"]
    _library(libraries, "cudart", str(version), ["runtime.cpp", "schedule.cpp"], runtime)
    nvcc = programs / "nvcc"
    nvcc.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / "nvcc.py"} {folder} "$@"\n')
    nvcc.chmod(0o755)
    path = os.pathsep.join([str(libraries), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])
    return {"CUDA_PATH": str(folder), "LD_LIBRARY_PATH": path}


def _library(folder: Path, name: str, version: str, sources: list[str], flags: list[str]) -> None:
    """Compile a library, under the name that its users ask for."""
    whole = f"lib{name}.so.{version}"
    command = ["g++", "-std=c++17", "-O2", "-fPIC", "-shared", "-Wall", "-Werror"]
    command += [f"-Wl,-soname,{whole}", "-o", str(folder / whole)]
    command += [str(HERE / each) for each in sources]
    done = subprocess.run([*command, *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (folder / f"lib{name}.so").symlink_to(whole)
