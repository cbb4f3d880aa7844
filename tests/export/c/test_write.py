"""The C programs of many networks against the CPU engine."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.bits import FLOAT
from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.export.c import make, quantise, write_c
from mlgenn_delays.export.c.examples import examples_of
from mlgenn_delays.export.c.layout import CProgram
from mlgenn_delays.network import Delta, LeakyIntegrator, Network, SpikeInput
from tests.export.c.building import COMPILERS, build, either, run
from tests.export.c.cases import (
    CASES,
    EXAMPLES,
    Case,
    artifact,
    batch,
    check,
    rounded,
    wanted,
)
from tests.needs import need

SANITISED = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def text(case: Case) -> str:
    return "".join(example.text() for example in examples_of(batch(case)))


def late(layout: CProgram, *_: object) -> tuple[float, ...]:
    """Return the cost where histories are cheap."""
    return (-sum(sender.late for sender in layout.senders) - len(layout.gathers),)


def prompt(layout: CProgram, *_: object) -> tuple[float, ...]:
    """Return the cost where rings are cheap."""
    return (-late(layout)[0],)


@pytest.mark.parametrize("where", ["histories", "blocks", "rings"])
@every_case
def test_equals_the_cpu_engine(
    case: Case, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "_cost", prompt if where == "rings" else late)
    if where == "blocks":
        in_blocks(monkeypatch, (2, 3, 5, 16)[case.recipe.seed % 4])
    write_c(artifact(case), tmp_path, examples=False)
    compiler = either(case.recipe.seed + (where == "rings"))
    answers = run(build(tmp_path, compiler), text(case))
    check(case, artifact(case), answers)


def in_blocks(patch: pytest.MonkeyPatch, block: int) -> None:
    """Look at histories once in so many steps."""
    choose = make._choose
    patch.setattr(make, "_choose", lambda *given: choose(*given[:-1], block))


@pytest.mark.parametrize("case", [CASES[k] for k in (1, 5, 8, 15)], ids=str)
def test_integers_in_blocks_equal_the_cpu_engine(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "_cost", late)
    in_blocks(monkeypatch, 4)
    made, quantised = rounded(case, "int4")
    layout = make.make_layout(made, quantised)
    assert any(sender.late for sender in layout.senders) and layout.block == 4
    write_c(made, tmp_path, quantised=quantised, examples=False)
    check(case, made, run(build(tmp_path, "gcc", *SANITISED), text(case)), "int4")


@pytest.mark.parametrize("kinds", [("int8", "int8"), ("int4", "ternary")], ids=["int8", "fewer"])
@every_case
def test_integers_equal_the_cpu_engine(case: Case, kinds: tuple[str, str], tmp_path: Path) -> None:
    kind, per = kinds[case.recipe.seed % 2], ("neuron", "projection")[case.recipe.seed // 2 % 2]
    made, quantised = rounded(case, kind, per)
    write_c(made, tmp_path, quantised=quantised, examples=False)
    compiler = either(case.recipe.seed)
    check(case, made, run(build(tmp_path, compiler), text(case)), kind, per)


def test_spikes_wait_in_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    senders, found = [], {}
    for cost in (late, prompt):
        monkeypatch.setattr(make, "_cost", cost)
        layouts = [make.make_layout(artifact(case), None) for case in CASES]
        senders = [sender for layout in layouts for sender in layout.senders]
        found[cost] = sum(sender.late for sender in senders)
    assert found[prompt] == 0 and found[late] > 20
    assert any(s.longest == 0 for s in senders) and any(s.table.by_row for s in senders)


def test_other_compilers_find_bits_too(tmp_path: Path) -> None:
    case = CASES[1]
    write_c(artifact(case), tmp_path, examples=False)
    model = tmp_path / "delaysnn_model.c"
    plain = model.read_text().replace("#if defined(__GNUC__)", "#if 0")
    assert plain != model.read_text()
    model.write_text(plain)
    check(case, artifact(case), run(build(tmp_path, "gcc"), text(case)))


def test_the_cases_show_something() -> None:
    ties, labels = [], set()
    for case in CASES:
        for kind in (FLOAT, "int8"):
            recording, tie = wanted(case, kind)
            ties += list(tie < case.recipe.steps)
            hidden = artifact(case).network.spiking()
            assert bool(hidden) == (case.more != "bare")
            assert all(len(time) > 5 * EXAMPLES / 2 for time in recording.time.values())
            labels |= set(recording.logits.argmax(1))
    assert len(ties) >= 200 and np.mean(ties) < 0.02
    assert len(labels) > 2


@pytest.mark.parametrize("case", [CASES[k] for k in (1, 3, 8, 11, 16, 19)], ids=str)
@pytest.mark.parametrize("kind", [FLOAT, "int8", "fewer"])
def test_does_nothing_undefined(case: Case, kind: str, tmp_path: Path) -> None:
    kind = ("int4", "ternary")[case.recipe.seed % 2] if kind == "fewer" else kind
    made, quantised = rounded(case, kind)
    write_c(made, tmp_path, quantised=quantised, examples=False)
    check(case, made, run(build(tmp_path, "gcc", *SANITISED), text(case)), kind)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("case", [CASES[4], CASES[11]], ids=str)
def test_make_test_passes(case: Case, compiler: str, tmp_path: Path) -> None:
    made, quantised = rounded(case)
    write_c(made, tmp_path, quantised=quantised)
    assert (tmp_path / "test_examples.txt").read_text().count("expect") >= 4
    flags = "CFLAGS=-O1 -Wall -Wextra -Wpedantic -Werror -Wconversion"
    done = subprocess.run(
        [need("make"), "-C", tmp_path, f"CC={need(compiler)}", flags, "all", "test"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "examples as expected" in done.stdout
    assert subprocess.run([tmp_path / "example"], capture_output=True, check=True).stdout


def test_the_largest_sum_of_integers_fits(tmp_path: Path) -> None:
    net = Network()
    net.add("input", SpikeInput(258))
    net.add("output", LeakyIntegrator(2, tau_mem=3.0))
    net.connect("input", "output", Delta(), weight=np.tile([1.0, -1.0], 258).astype(np.float32))
    network, quantised = quantise(net)
    made = Artifact.of(network, About(n_steps=3, labels=("a", "b")))
    write_c(made, tmp_path, quantised=quantised, examples=False)
    assert "int16_t arrivals_" in (tmp_path / "delaysnn_model.c").read_text()
    example = "example 258\n" + "".join(f"0 {k}\n" for k in range(258))
    logits = run(build(tmp_path, "gcc"), example)[0].logits
    beta = 1 - np.exp(-1 / 3)
    assert logits == pytest.approx([258 * beta * (2 - beta) / 3, -258 * beta * (2 - beta) / 3])


def test_there_may_be_more_channels_than_16_bits_count(tmp_path: Path) -> None:
    net = Network()
    net.add("input", SpikeInput(70_000))
    net.add("output", LeakyIntegrator(2, readout="sum"))
    net.connect("input", "output", Delta(), weight=1.0, synapses=2)
    p = net.projections["input->output"]
    p.indptr[:], p.indptr[-1], p.post[:] = 0, 2, [0, 1]
    p.delay = np.array([0.0, 300.0])
    p.max_delay = 300.0
    write_c(Artifact.of(net, About(n_steps=900, labels=("a", "b"))), tmp_path, examples=False)
    program = build(tmp_path, "gcc")
    right, wrong = run(program, "example 1\n5 69999\nexample 1\n5 4463\n")
    assert right.logits == pytest.approx([1, 1], rel=1e-5) and not wrong.logits.any()


def test_the_test_program_sees_a_wrong_answer(tmp_path: Path) -> None:
    write_c(artifact(CASES[0]), tmp_path)
    given = (tmp_path / "test_examples.txt").read_text()
    program = build(tmp_path, "gcc")
    run(program, given)
    lines = given.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("expect"))
    words = lines[at].split()
    words[2] = str(float(words[2]) + 0.01)
    lines[at] = " ".join(words)
    run(program, "\n".join(lines), code=1)
    run(program, "example 2\n5 0\n4 0\n", code=2)
    run(program, "example 1\n5 99\n", code=2)
    run(program, "nonsense", code=2)


def test_trials_do_not_touch_each_other(tmp_path: Path) -> None:
    case = CASES[1]
    write_c(artifact(case), tmp_path, examples=False)
    program, one = build(tmp_path, "gcc"), examples_of(batch(case))
    alone = run(program, one[2].text())[0]
    after = run(program, one[1].text() + one[2].text())[1]
    np.testing.assert_array_equal(alone.logits, after.logits)
    assert alone.spikes == after.spikes
