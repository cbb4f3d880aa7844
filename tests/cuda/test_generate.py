"""The CUDA code that GeNN makes of our models compiles and spills no registers, without a GPU.

`generate.py` generates it in a process of its own, with the emulator's libraries in place of
libcuda and libcudart. nvcc itself then compiles every kernel for the device that the emulator
claims to be, and what ptxas says of it is read.

GeNN includes cuRAND's headers, which toolkits may lack: they are looked for on CPATH, beside the
toolkit's own, and in the wheel `nvidia-curand`. Every test is skipped, with its reason, where
something is missing. A compiled kernel is all that is checked: nothing runs.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cuda import machine
from tests.needs import CUDA_CODE, need, places

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
ROOT = HERE.parent.parent
KINDS = [
    "eventprop-dense", "eventprop-sparse", "bptt-dense", "bptt-sparse", "taps-sparse",
    "currents-dense",
]  # fmt: skip
EXPECTED = {"updateNeuronsKernel", "updatePresynapticKernel"}
ARCHITECTURE = "sm_90"  # that of the emulator
KERNEL = re.compile(
    r"Compiling entry function '(?P<name>\w+)'(?:(?!Compiling).)*?"
    r"(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads",
    re.DOTALL,
)


@dataclass(frozen=True)
class Tools:
    """What the tests work with.

    Attributes:
        nvcc: The compiler.
        curand: Folder of cuRAND's headers.
    """

    nvcc: str
    curand: Path


def find_nvcc() -> str | None:
    """Return nvcc as GeNN's Makefile finds it, else the one on PATH."""
    root = os.environ.get("CUDA_PATH")
    inside = shutil.which(Path(root) / "bin" / "nvcc") if root else None
    return inside or shutil.which("nvcc")


def find_curand(nvcc: str) -> Path | None:
    """Return the folder of cuRAND's headers."""
    said = subprocess.run(
        [nvcc, "--dryrun", "-x", "cu", os.devnull], capture_output=True, text=True
    ).stderr
    folders = [Path(each) for each in os.environ.get("CPATH", "").split(os.pathsep) if each]
    folders += [Path(each) / "include" for each in re.findall(r"^#\$ TOP=(.+)$", said, re.M)]
    for wheels in places("nvidia"):
        folders += [wheels / "cu13" / "include", wheels / "curand" / "include"]
    return next((each for each in folders if (each / "curand_kernel.h").is_file()), None)


@pytest.fixture(scope="module")
def tools() -> Tools:
    need(*CUDA_CODE)
    nvcc = find_nvcc()
    if nvcc is None:
        pytest.skip("nvcc is not on PATH or in CUDA_PATH")
    curand = find_curand(nvcc)
    if curand is None:
        pytest.skip("cuRAND's headers are not on CPATH, in the CUDA toolkit or in nvidia-curand")
    return Tools(nvcc, curand)


def compile_kernels(tools: Tools, source: Path) -> dict[str, int]:
    """Return the bytes that each kernel of a generated file spills, by its name."""
    makefile = (source.parent / "Makefile").read_text()
    own = shlex.split(re.search(r"^NVCCFLAGS\s*:?=(.*)$", makefile, re.M)[1])
    assert own[own.index("-arch") + 1] == ARCHITECTURE
    command = [tools.nvcc, "-cubin", *own, "-Xptxas", "-v", "-I", str(source.parent)]
    command += ["-I", str(tools.curand), str(source), "-o", str(source.with_suffix(".cubin"))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {
        each["name"]: int(each["stores"]) + int(each["loads"])
        for each in KERNEL.finditer(done.stdout + done.stderr)
    }
    declared = set(re.findall(r"__global__ void (\w+)\(", source.read_text()))
    assert set(found) == declared
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_kernels_compile_without_spills(kind: str, tools: Tools, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.cuda.generate", kind, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | machine.emulated(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sources = [each for each in tmp_path.glob("*.cc") if "__global__" in each.read_text()]
    spills: dict[str, int] = {}
    with ThreadPoolExecutor() as pool:
        for found in pool.map(lambda source: compile_kernels(tools, source), sources):
            spills |= found
    assert spills.keys() >= EXPECTED
    assert not {name: spilled for name, spilled in spills.items() if spilled}
