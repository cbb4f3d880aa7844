"""Stands in for nvcc: writes CUDA as C++ for `include/emulated_cuda.h`, and has g++ compile it.

It compiles and links as GeNN and exports ask for; what else GeNN asks, ``nvcc.sh`` answers without
a start of Python. Set by the environment: ``EMULATOR_MUTATION``, a line with a regular expression
and one with what takes the place of all it finds, to see whether tests notice; sources that it
changed are listed in a file ``mutated`` beside them.
"""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMPILER = [os.environ.get("CXX", "g++"), "-std=c++17", "-fPIC", "-w"]
FLAGS = "flags"  # file of the toolkit: with which options kernels are compiled

KERNEL = re.compile(r"__global__ void (\w+)\(")
SHARED = re.compile(r"__shared__ ([\w ]+?) (\w+)((?:\[\d+\])*);")
LAUNCH = re.compile(r"(\w+)<<<(\w+), (\w+)>>>\(([^;]*)\);")
WIDEST = 8  # bytes of a value in shared memory
SHARED_BYTES = 16 << 10  # a kernel is given, when only launched: none of GeNN's needs more


def translate(text: str) -> str:
    """Return C++ for the CUDA of a file."""
    starts = [(found.start(), found[1]) for found in KERNEL.finditer(text)]
    sizes = {name: 0 for _, name in starts}  # bytes of shared memory, by kernel

    def place(found: re.Match[str]) -> str:
        kernel = [name for start, name in starts if start < found.start()][-1]
        kind, name, shape = found.groups()
        first = sizes[kernel]
        sizes[kernel] = first + WIDEST * math.prod(map(int, re.findall(r"\d+", shape)))
        memory = f"emulator::emulator_self()->shared + {first}"
        return f"auto &{name} = *reinterpret_cast<{kind} (*){shape}>({memory});"

    text = SHARED.sub(place, text)

    def launch(found: re.Match[str]) -> str:
        kernel, grid, block, arguments = found.groups()
        shared = sizes.get(kernel, SHARED_BYTES)
        call = f"[&] {{ {kernel}({arguments}); }}"
        return f'emulator::launch("{kernel}", {shared}, {grid}, {block}, {call});'

    return LAUNCH.sub(launch, text)


def flags(toolkit: Path) -> list[str]:
    """Return the options with which kernels are compiled."""
    return (toolkit / FLAGS).read_text().split()


def mutate(source: Path) -> str:
    """Return the text of a source, changed as the environment says."""
    text = source.read_text()
    if "EMULATOR_MUTATION" not in os.environ:
        return text
    pattern, _, instead = os.environ["EMULATOR_MUTATION"].partition("\n")
    changed, count = re.subn(pattern, instead, text)
    if count:
        with (source.parent / "mutated").open("a") as file:
            print(source.name, count, file=file)
    return changed


def compile_object(source: Path, out: Path, toolkit: Path) -> int:
    """Compile the kernels of a file."""
    text = translate(mutate(source))
    command = [
        *COMPILER,
        *flags(toolkit),
        f"-I{toolkit / 'include'}",
        "-include",
        "emulated_cuda.h",
    ]
    command += [f"-I{HERE / 'include'}", f"-I{source.parent}", "-x", "c++", "-c", "-o", str(out)]
    text = f'#line 1 "{source.name}"\n{text}'
    return subprocess.run([*command, "-"], input=text, text=True).returncode


def link(arguments: list[str], toolkit: Path) -> int:
    out = arguments[arguments.index("-o") + 1]
    objects = [each for each in arguments if each.endswith(".o")]
    library = f"-L{toolkit / 'lib'}"
    checked = [each for each in flags(toolkit) if each != "-fsanitize=thread"]
    command = [*COMPILER, *checked, "-shared", "-o", out, *objects, library, "-lcudart", "-lcuda"]
    return subprocess.run(command).returncode


def main(toolkit: str, *arguments: str) -> int:
    if "--shared" in arguments or "-shared" in arguments:
        return link(list(arguments), Path(toolkit))
    source = next(Path(each) for each in arguments if each.endswith(".cc"))
    out = Path(arguments[arguments.index("-o") + 1]) if "-o" in arguments else source
    return compile_object(source, out.with_suffix(".o"), Path(toolkit))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
