"""C exports on an emulated Cortex-M: spikes, labels, and what the header says of memory."""

from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.export.c import Limits, c_costs, examples, write_c
from mlgenn_delays.export.c.fit import fitting
from mlgenn_delays.export.formats import artifact_of
from tests.export.c import board
from tests.export.c.cases import CASES, Case, artifact, batch, check, rounded
from tests.needs import needs

pytestmark = needs(board.COMPILER, board.EMULATOR)
RUNS = [
    (CASES[1], "float32", "Cortex-M4"),
    (CASES[3], "int8", "Cortex-M4"),
    (CASES[4], "ternary", "Cortex-M3"),
    (CASES[5], "float32", "Cortex-M3"),
    (CASES[8], "int4", "Cortex-M4"),
    (CASES[11], "float32", "Cortex-M3"),
    (CASES[22], "float32", "Cortex-M4"),
]


@pytest.mark.parametrize(("case", "kind", "core"), RUNS, ids=str)
def test_equals_the_cpu_engine(case: Case, kind: str, core: str, tmp_path: Path) -> None:
    made, quantised = rounded(case, kind)
    costs = write_c(made, tmp_path, quantised=quantised, examples=False)
    program = board.build(tmp_path, core)
    ran = board.run(program, batch(case))
    check(case, made, ran.answers, kind)
    soft = board.SOFT_FLOAT if core == "Cortex-M3" else 0
    assert costs.stack_bytes / 8 < ran.stack <= costs.stack_bytes
    assert costs.code_bytes / 2 < program.code <= costs.code_bytes + soft


def test_blocks_of_steps_equal_the_cpu_engine(tmp_path: Path) -> None:
    case, made = CASES[5], artifact(CASES[5])
    limits = Limits(ram=c_costs(made).ram + 300)
    assert fitting(made, None, limits).block > 1
    write_c(made, tmp_path, limits=limits, examples=False)
    check(case, made, board.run(board.build(tmp_path, "Cortex-M4"), batch(case)).answers)


def test_what_is_said_to_fit_a_device_runs_there(tmp_path: Path) -> None:
    limits, made = Limits(ram=8 * 1024, flash=16 * 1024), artifact_of(Path("fsdd-demo"))
    write_c(made, tmp_path, limits=limits, examples=False)
    program = board.build(tmp_path, "Cortex-M4", ram=8 * 1024, flash=16 * 1024)
    given = examples.random_examples(made)[:2]
    ran = board.run(program, given)
    assert [answer.label for answer in ran.answers] == [example.label for example in given]
    for answer, example in zip(ran.answers, given, strict=True):
        np.testing.assert_allclose(answer.logits, example.logits, rtol=1e-4, atol=1e-5)


def test_instructions_are_those_of_each_step(tmp_path: Path) -> None:
    case = CASES[1]
    costs = write_c(artifact(case), tmp_path, examples=False)
    program = board.build(tmp_path, "Cortex-M4")
    every = np.arange(case.recipe.sizes[0])
    given = [
        examples.TestVector(np.zeros(0, int), np.zeros(0, int), None),
        examples.TestVector(np.full(len(every), 3), every, None),
    ]
    ran = board.run(program, given)
    silent, spiking = ran.instructions
    np.testing.assert_array_equal(silent[:3], spiking[:3])
    assert spiking[3] > silent[3] + len(every)
    assert costs.silent < silent.min() < 20 * costs.silent
    np.testing.assert_array_equal(board.run(program, given).instructions, ran.instructions)
