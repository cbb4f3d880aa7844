"""Faults put into the CUDA code, each of which a named test must find.

The table in docs/developer/emulator.md is this list.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cuda import emulator, machine
from tests.needs import CUDA_CODE, needs

pytestmark = [pytest.mark.slow, needs(*CUDA_CODE)]
ROOT = Path(__file__).parents[2]
AGREE = "tests/cuda/test_run.py::test_spikes_voltages_and_gradients[eventprop-sparse]"
RACES = (
    "tests/cuda/test_checks.py::test_no_races_and_no_place_that_is_not_ones_own[eventprop-sparse]"
)
BOUNDS = "tests/cuda/test_checks.py::test_sanitizers_are_content[eventprop-sparse]"
LATE = "tests/cuda/test_training.py::test_pipelined_training_equals_the_cpu_engine[gaussian]"
FLAGS = {
    LATE: emulator.QUICK,
    AGREE: emulator.QUICK,
    RACES: emulator.CHECKED,
    BOUNDS: emulator.SANITIZED,
}


@dataclass(frozen=True)
class Mutation:
    """A fault.

    Attributes:
        what: In words.
        pattern: What it takes the place of, wherever the code has it.
        instead: What it puts there.
        test: Which finds it.
        says: What that test says then.
    """

    what: str
    pattern: str
    instead: str
    test: str = AGREE
    says: str = "AssertionError"


MUTATIONS = [
    Mutation("no barriers", r"__syncthreads\(\);", "", RACES, "without a barrier"),
    Mutation(
        "an atomic addition made plain",
        r"atomicAdd\(&(group->denDelay\[[^;]*\]), (group->g\[synAddress\])\);", r"\1 += \2;",
        RACES, "without a barrier",
    ),
    Mutation(
        "gradients of an example start one place early",
        r"(\(uint32_t\)preBatchOffset \* \(\d+u\))", r"\1 - (batch > 0)",
    ),
    Mutation(
        "spikes arrive a step late", r"(denDelayPtr \+ group->d\[synAddress\])\)", r"\1 + 1)"
    ),
    Mutation("the adjoint is not reset", r"group->(x_by__V)\[batchOffset \+ bid\] = _l\1;", ""),
    Mutation("a sum over a warp leaves lanes out", r"lOutPre, 8\)", "lOutPre, 4)"),
    Mutation(
        "a neuron past the end", r"if\(lid < \((\d+)u\)\) ?\{", r"if(lid <= (\1u)) {",
        BOUNDS, "AddressSanitizer",
    ),
    Mutation(
        "two examples share a tape",
        r"\(group->Slot \+ \(int32_t\)batch\)", r"(group->Slot + (int32_t)batch / 2)",
    ),
    Mutation(
        "spikes of the last step reach the next trial",
        r"\(\(_step \+ 1 < group->Steps\) \? 1 : 0\)", "1",
    ),
    Mutation(
        "a variable is never set", r"group->Restart\[[^;]*\] = [^;]*;", "", RACES, "nobody wrote"
    ),
    Mutation("the way back meets the weights of the next batch", "group->LateG", "group->g", LATE),
]  # fmt: skip


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.what.replace(" ", "-"))
def test_a_fault_is_found(mutation: Mutation, tmp_path: Path) -> None:
    environment = os.environ | machine.emulated(FLAGS[mutation.test])
    environment["EMULATOR_MUTATION"] = f"{mutation.pattern}\n{mutation.instead}"
    environment["DELAYSNN_CACHE"] = str(tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--capture=sys"]
    done = subprocess.run(
        [*command, mutation.test], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert list(tmp_path.rglob("mutated")), "the fault is nowhere in the code"
    assert "error: " not in done.stdout, "the code does not compile"
    assert done.returncode != 0, done.stdout
    assert re.search(mutation.says, done.stdout + done.stderr), done.stdout + done.stderr


def test_the_table_in_the_documentation() -> None:
    page = (ROOT / "docs" / "developer" / "emulator.md").read_text()
    assert all(f"| {each.what} | `{each.test.split('/')[-1]}` |" in page for each in MUTATIONS)
