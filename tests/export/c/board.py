"""A Cortex-M of an emulator: compiles an export for it, runs examples, counts instructions."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.export.c.examples import TestVector, examples_of
from tests.export.c.building import Answer, macros
from tests.needs import need

SOURCES = Path(__file__).parent / "cortex"
COMPILER, EMULATOR = "arm-none-eabi-gcc", "qemu-system-arm"
FLAGS = (
    "-std=c99 -Os -Wall -Wextra -Werror -pedantic -Wconversion -Wshadow -ffp-contract=off "
    "-fno-math-errno -ffunction-sections -fdata-sections"
).split()
LINK = "-nostartfiles --specs=nano.specs -Wl,--gc-sections".split()
# An instruction takes 64 ns, a tick of the boards' SysTick 40 ns.
SHIFT, TICKS = 6, 64 / 40
LARGEST = 4 * 2**20  # bytes of the boards' memories
STACK = 512  # bytes, with that of `main`
# Functions for floating-point numbers where the core has no unit for them.
SOFT_FLOAT = 5120  # bytes


@dataclass(frozen=True)
class Core:
    machine: str  # of the emulator
    flags: tuple[str, ...]


CORES = {
    "Cortex-M3": Core("mps2-an385", ("-mcpu=cortex-m3", "-mthumb")),
    "Cortex-M4": Core(
        "mps2-an386",
        ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
    ),
}


@dataclass(frozen=True)
class Program:
    """An export compiled for a core.

    Attributes:
        core: What it runs on.
        file: The program.
        header: Macros of the export's header, without their prefix.
        code: Bytes of the functions of the model, and of those of the library that they call.
    """

    core: Core
    file: Path
    header: dict[str, str]
    code: int


@dataclass(frozen=True)
class Ran:
    """What a program made of examples.

    Attributes:
        answers: Label, logits and spikes of each.
        instructions: (E, T) of each step.
        stack: Bytes that the functions of the model took at most.
    """

    answers: list[Answer]
    instructions: np.ndarray
    stack: int


def build(folder: Path, core: str, *, ram: int = LARGEST, flash: int = LARGEST) -> Program:
    """Compile an export, with all warnings as errors, for a device of some bytes of memory."""
    chosen, file = CORES[core], folder / f"{core}.elf"
    model = folder / "delaysnn_model.c"
    script = folder / "board.ld"
    text = (SOURCES / "board.ld").read_text()
    for word, n in (("FLASH_BYTES", flash), ("RAM_BYTES", ram), ("STACK_BYTES", STACK)):
        text = text.replace(word, str(n))
    script.write_text(text)
    command = [need(COMPILER), *chosen.flags, *FLAGS]
    _do([*command, "-c", model, "-o", folder / f"{core}.o"])
    objects = [SOURCES / "main.c", folder / f"{core}.o"]
    _do(
        [*command, "-Wno-pedantic", f"-I{folder}", *objects, *LINK, "-T", script, "-o", file, "-lm"]
    )
    names = subprocess.run(
        ["arm-none-eabi-nm", "-S", file], capture_output=True, text=True, check=True
    ).stdout
    sizes = re.findall(r"^\S+ (\S+) [tTW] (\S+)$", names, re.M)
    code = sum(int(size, 16) for size, name in sizes if name not in _own_functions())
    return Program(chosen, file, macros((folder / "delaysnn_model.h").read_text()), code)


def run(program: Program, examples: Batch | Sequence[TestVector]) -> Ran:
    """Run examples on the emulator."""
    given = examples_of(examples) if hasattr(examples, "labels") else list(examples)
    folder = program.file.parent
    (folder / "input.bin").write_bytes(_input(program.header, given))
    _do(
        [
            need(EMULATOR), "-M", program.core.machine, "-kernel", program.file, "-nographic",
            "-monitor", "none", "-serial", "none", "-icount", f"shift={SHIFT}",
            "-semihosting-config", "enable=on,target=native",
        ],
        folder,
    )  # fmt: skip
    return _output(program.header, (folder / "output.bin").read_bytes(), len(given))


def _do(command: Sequence[object], folder: Path | None = None) -> None:
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def _own_functions() -> set[str]:
    text = (SOURCES / "main.c").read_text()
    return set(re.findall(r"(\w+)\([^;{}]*\)\n\{", text))


def _input(header: dict[str, str], examples: Sequence[TestVector]) -> bytes:
    steps, inputs = int(header["STEPS"]), int(header["INPUTS"])
    parts = [np.uint32(len(examples)).tobytes()]
    for example in examples:
        if header["CURRENTS"] == "1":
            values = np.zeros((steps, inputs), np.float32)
            if example.value is not None:
                values[example.step, example.channel] = example.value
            parts.append(values.tobytes())
            continue
        first = np.searchsorted(example.step, np.arange(steps + 1))
        for t in range(steps):
            channels = example.channel[first[t] : first[t + 1]]
            parts.append(np.array([len(channels), *channels], np.uint32).tobytes())
    return b"".join(parts)


def _output(header: dict[str, str], data: bytes, examples: int) -> Ran:
    words, at = np.frombuffer(data, np.uint32), 0
    steps, hidden, outputs = (int(header[name]) for name in ("STEPS", "HIDDEN", "OUTPUTS"))
    ticks, answers = np.zeros((examples, steps)), []
    for e in range(examples):
        spikes = []
        for t in range(steps):
            ticks[e, t], at = words[at], at + 1
            for p in range(hidden):
                n, at = int(words[at]), at + 1
                spikes += [(p, t, int(j)) for j in words[at : at + n]]
                at += n
        label, at = int(words[at]), at + 1
        answers.append(Answer(label, words[at : at + outputs].view(np.float32), spikes))
        at += outputs
    stack, empty = words[at:]
    instructions = np.rint((ticks - float(empty)) / TICKS).astype(np.int64)
    return Ran(answers, instructions, int(stack))
