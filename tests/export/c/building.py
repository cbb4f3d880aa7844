"""Compiling the C source and running it."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.needs import lack, need

COMPILERS = ("gcc", "clang")
FLAGS = (
    "-std=c99 -Wall -Wextra -Wpedantic -Werror -Wconversion -Wshadow -Wstrict-prototypes "
    "-Wmissing-prototypes -ffp-contract=off"
).split()


def either(k: int) -> str:
    """Return one compiler for even, the other for odd numbers; the first where that is missing."""
    return COMPILERS[0] if lack(COMPILERS[k % 2]) else COMPILERS[k % 2]


def build(folder: Path, compiler: str, *flags: str, prefix: str = "delaysnn") -> Path:
    """Compile the test program with all warnings as errors."""
    program = folder / f"test_{compiler}"
    files = [folder / f"{prefix}_model.c", folder / "test_model.c"]
    options = flags or ("-O1",)
    done = subprocess.run(
        [need(compiler), *FLAGS, *options, *files, "-o", program, "-lm"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return program


@dataclass
class Answer:
    label: int
    logits: np.ndarray
    spikes: list[tuple[int, int, int]]  # population, step, neuron

    def raster(self, population: int, steps: int, n: int) -> np.ndarray:
        out = np.zeros((steps, n), bool)
        for p, step, neuron in self.spikes:
            if p == population:
                assert not out[step, neuron]
                out[step, neuron] = True
        return out


def run(program: Path, text: str, *, code: int = 0) -> list[Answer]:
    done = subprocess.run(
        [program, "--spikes"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    if code == 2:
        return []
    return [_answer(part) for part in done.stdout.split("example ")[1:]]


def _answer(text: str) -> Answer:
    logits = re.search(r"^logits (.*)$", text, re.M)
    label = re.search(r"^label (\d+) ", text, re.M)
    assert logits and label
    spikes = [
        (int(p), int(t), int(j)) for p, t, j in re.findall(r"^spike (\d+) (\d+) (\d+)$", text, re.M)
    ]
    return Answer(int(label[1]), np.array(logits[1].split(), np.float32), spikes)


def macros(header: str, prefix: str = "DELAYSNN") -> dict[str, str]:
    return dict(re.findall(rf"^#define {prefix}_(\w+) (.*)$", header, re.M))
