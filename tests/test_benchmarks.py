"""What benchmarks compute: turns, what rows need at least, whole trainings, tables in pages."""

import importlib
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.learning import Gaussian
from tests.docs_commands.pages import ROOT

FOLDER = ROOT / "benchmarks"
NAMES = ["common", "engine_cost", "in_turn", "roofline", "schedule", "surrogate_cost", "tables"]


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """Modules of the benchmarks by name, as their scripts import them."""
    kept = {name: sys.modules.pop(name) for name in NAMES if name in sys.modules}
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(FOLDER))
        for name in NAMES:
            sys.modules.pop(name, None)
        sys.modules.update(kept)


# Sides that take turns


def side(folder: Path, body: str) -> list[str]:
    """Return the command of a side whose round is `body`; it has the round's number in `k`."""
    file = folder / f"side{len(list(folder.iterdir()))}.py"
    file.write_text(
        f"import os, sys; sys.path.insert(0, {str(FOLDER)!r})\n"
        "from in_turn import serve\n"
        "rounds = iter(range(99))\n"
        "def run(**what):\n"
        "    k = next(rounds)\n"
        "    print('no answer', flush=True)\n"
        "    os.write(1, b'no answer')  # as C libraries do\n"
        f"    {body}\n"
        "    return {'examples': 10, 'spikes': k, **what}\n"
        "serve(lambda: run)\n"
    )
    return [str(file)]


def test_sides_take_turns(bench: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    sides = {
        name: side(tmp_path, f"open({str(log)!r}, 'a').write('{name}' + str(what['x']))")
        for name in "ab"
    }
    asked = {"a": [{"x": 1}, {"x": 2}], "b": [{"x": 3}]}
    found = bench["in_turn"].take_turns(sides, asked, seconds=0.0, most=9)
    assert log.read_text() == "a1a2b3" * 3
    assert [[each["x"] for each in rounds] for rounds in found["a"]] == [[1, 1, 1], [2, 2, 2]]
    assert all(0 < each["seconds"] < 60 and each["peak"] > 1 for each in found["b"][0])


def test_rounds_end_with_the_time_or_at_the_most(bench: Any, tmp_path: Path) -> None:
    take_turns, sides = bench["in_turn"].take_turns, {"a": side(tmp_path, "pass")}
    asked = {"a": [{}]}
    for seconds, most, wanted in ((0.0, 9, 3), (60.0, 5, 5), (60.0, 1, 1)):
        (rounds,) = take_turns(sides, asked, seconds, most)["a"]
        assert len(rounds) == wanted


def test_a_side_that_fails_leaves_the_other(bench: Any, tmp_path: Path, capfd: Any) -> None:
    sides = {
        "good": side(tmp_path, "pass"),
        "late": side(tmp_path, "1 / (1 - k)"),
        "never": ["-c", "raise SystemExit('there is no PyTorch')"],
    }
    asked = dict.fromkeys(sides, [{}])
    found = bench["in_turn"].take_turns(sides, asked, 0.0, 9)
    assert len(found["good"][0]) == 3 and found["late"] is None and found["never"] is None
    said = capfd.readouterr().err
    assert "ZeroDivisionError" in said and "there is no PyTorch" in said


def test_a_side_that_has_ended_fails_when_it_is_asked(bench: Any) -> None:
    in_turn = bench["in_turn"]
    gone = in_turn.Side(["-c", "print('{}')"])
    assert gone.wait() == {}
    gone._process.wait()
    with pytest.raises(in_turn.FailedError):
        gone.ask()
    gone.close()


def test_rounds_are_scaled_to_an_epoch(bench: Any) -> None:
    rounds = [
        {"seconds": s, "cpu": s / 2, "examples": 5, "peak": s, "spikes": 4.0}
        for s in (3.0, 1.0, 7.0)
    ]
    found = bench["in_turn"].summarise(rounds, 20)
    assert (found["best"], found["median"], found["cpu"]) == (4.0, 12.0, 2.0)
    assert found["peak"] == 7.0 and found["rounds"] == 3


# What a row needs at least


def count_shifted(
    shape: tuple[int, int], present: np.ndarray, wanted: np.ndarray, sent: np.ndarray, taps: int,
    from_spikes: bool,
) -> int:  # fmt: skip
    """Return the flops of one example in shifted sums, one by one, with nothing cut off."""
    flops = 0
    for i, j in itertools.product(*map(range, shape)):
        for t in range(sent.shape[1]):
            for _ in range(taps):
                if present[i, j] and sent[i, t]:
                    flops += 2  # the current of j
                if wanted[i, j] and sent[i, t]:
                    flops += 2  # the gradient of a tap
                if present[i, j] and from_spikes:
                    flops += 2  # dL/d(spike) of i
    return flops


@pytest.mark.parametrize("from_spikes", [False, True])
def test_flops_of_shifted_sums_are_counted(bench: Any, from_spikes: bool) -> None:
    rng = np.random.default_rng(0)
    shape, steps, taps = (4, 3), 6, 2
    present, wanted = np.zeros((2, 12), bool)
    present[:5], wanted[:9] = True, True
    sent = np.zeros((4, steps), bool)
    sent[:, :2] = True
    sent = rng.permuted(sent, axis=1)
    slow = count_shifted(
        shape, present.reshape(shape), wanted.reshape(shape), sent, taps, from_spikes
    )
    found = bench["roofline"].delay_flops(
        shape, 5, 9, steps=steps, values=2, longest=1000, taps=taps, from_spikes=from_spikes
    )
    assert found == slow


def test_wide_kernels_count_as_spectra(bench: Any) -> None:
    def flops(taps: int, synapses: float = 10240.0) -> float:
        return bench["roofline"].delay_flops(
            (40, 256), synapses, synapses, steps=100, values=100, longest=24, taps=taps,
            from_spikes=False,
        )  # fmt: skip

    # 123 points; a complex multiply-add is 4 of real numbers.
    transforms = 2.5 * 123 * np.log2(123) * (40 + 2 * 256)
    assert flops(25) == flops(12) == pytest.approx(8 * 61.5 * 2 * 10240 + transforms)
    assert flops(1) == 2 * 100 * 2 * 10240 < flops(2) < flops(12)
    assert flops(25, 100.0) == 25 * flops(1, 100.0)  # few synapses: transforms do not pay


def test_work_of_a_network(bench: Any) -> None:
    found = bench["roofline"].surrogate_work(
        (4, 8, 2), 0.5, steps=10, longest=1000, taps=3, spikes=2.0, candidates=0.5, dropout=0.25
    )
    # 32 pairs, 16 synapses and half of the other pairs; of 8 x 2 those that dropout leaves.
    first = 2 * 3 * 10 * (16 + 24)
    second = 2 * 3 * (2.0 * (6 + 9) + 10 * 6)
    assert found.flops == pytest.approx(first + second + bench["roofline"].NEURON * 8 * 10)
    assert found.bytes == 4 * 10 * (6 * 8 + 2 * 4)
    assert found.times(3).bytes == 3 * found.bytes


def test_batches_that_need_candidate_gradients(bench: Any) -> None:
    share, make = bench["roofline"].candidate_share, bench["common"].make_rewiring
    rules = [make({"rewiring": form}) for form in (None, "signed", "magnitude")]
    assert [share(rule) for rule in rules] == [0.0, 1.0, 0.5]


def test_the_limit_is_the_longer_of_arithmetic_and_memory(bench: Any) -> None:
    roofline = bench["roofline"]
    limits, work = roofline.Limits(2e9, 5e8, 1e-9), roofline.Work(4e9, 2e9)
    assert limits.seconds(work) == (2.0, 4.0)
    # A million events of 1 ns, and two flops each; ten per step of a neuron.
    assert limits.event_seconds(1e6, 2e8) == pytest.approx((1e-3, 1e-3 + 1.0))
    ours = {"best": 9.0, "median": 9.5, "cpu": 8.0, "peak": 300.0, "spikes": 9.0}
    cells = bench["tables"].row("row", ours, None, work, limits)
    assert cells[-3:] == ["4, 2", "2, 4", "50 %"]
    assert bench["tables"].digits(4749.6) == "4750" and bench["tables"].digits(0.5) == "0.5"


def test_limits_count_what_is_computed(bench: Any) -> None:
    roofline = bench["roofline"]
    found = roofline.multiply_adds(8)(7, np.float32(0.5), np.float32(3.0))
    value = 3.0
    for _ in range(7):
        value = value * 0.5 + 3.0
    assert found == pytest.approx(roofline.CHAINS * value)


# Whole trainings


def test_a_training_is_the_sum_of_its_epochs(bench: Any) -> None:
    schedule = bench["schedule"]
    kernel = bench["common"].make_kernel(
        bench["surrogate_cost"].BASE | bench["surrogate_cost"].SCHEDULE
    )
    assert kernel == Gaussian(12.0, 0.23, epochs=37.5)
    epochs = schedule.measured_epochs(9)
    assert len(set(epochs)) == 9 and epochs[0] == 1
    assert kernel.sigma(epochs[-1]) == kernel.sigma(150) < 0.24 < kernel.sigma(epochs[-1] - 2)
    assert set(schedule.measured_epochs(3)) <= set(epochs)  # both sides in one table
    # What grows with log sigma is hit exactly while sigma falls.
    seconds = [2.0 + np.log(kernel.sigma(epoch)) for epoch in epochs]
    found = schedule.every_epoch(epochs, seconds)
    wanted = [2.0 + np.log(kernel.sigma(epoch)) for epoch in range(1, 151)]
    assert found.shape == (150,) and np.abs(found - wanted).max() < 0.1
    np.testing.assert_allclose(found[:33], wanted[:33])
    np.testing.assert_allclose(found[38:], wanted[38:])
    measured = [
        {"best": s, "median": 2 * s, "cpu": 3 * s, "peak": k, "spikes": 1.0}
        for k, s in enumerate(seconds)
    ]
    total = bench["surrogate_cost"].whole(epochs, measured)
    assert total["best"] == pytest.approx(found.sum()) and total["peak"] == 8
    assert total["cpu"] == pytest.approx(3 * total["best"])


# Tables in pages


def test_tables_are_put_into_their_place(bench: Any, tmp_path: Path, capsys: Any) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x.py one -->\nold\n<!-- end -->\nbetween\n<!-- end -->\n")
    tables = bench["tables"]
    text = tables.table(["a", "b"], [["1", "2"]])
    for _ in range(2):
        tables.show("x.py one", text, page)
    tables.show("x.py two", text)
    assert page.read_text() == (
        "before\n<!-- x.py one -->\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<!-- end -->\n"
        "between\n<!-- end -->\n"
    )
    with pytest.raises(SystemExit, match="has no place for x.py two"):
        tables.show("x.py two", text, page)
    assert capsys.readouterr().out.count("### x.py two\n\n| a | b |\n") == 2


def test_every_table_has_a_place_in_the_page(bench: Any) -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    places = re.findall(r"<!-- (\w+\.py \S+) -->\n.*?<!-- end -->", text, re.DOTALL)
    tables = {
        f"{name}.py {table}"
        for name in ("engine_cost", "surrogate_cost")
        for table in (*bench[name].TABLES, "machine")
    } | {"genn_cost.py batch"}
    tables |= {f"cortex.py {table}" for table in ("currents", "spikes", "blocks", "rings")}
    assert sorted(places) == sorted(tables)
    assert text.count("<!--") == 2 * len(places)


def test_rows_of_both_sides_and_of_one(bench: Any) -> None:
    row, limits = bench["tables"].row, bench["roofline"].Limits(1e9, 1e9, 1e-9)
    ours = {"best": 1.0, "median": 2.0, "cpu": 0.5, "peak": 300.0, "spikes": 9.0}
    theirs = {"best": 4.0, "median": 6.0, "cpu": 3.0, "peak": 500.0, "spikes": 9.1}
    times = ["1, 2, 0.5", "4, 6, 3", "4.0, 3.0, 6.0", "300, 500", "9.0, 9.1"]
    assert row("a", ours, theirs, None, limits) == ["a", *times, "-", "-", "-"]
    alone = row("a", ours, None, None, limits)
    assert alone[1:6] == ["1, 2, 0.5", "-", "-", "300, -", "9.0, -"]
    failed = row("a", None, theirs, None, limits)
    assert failed[1:6] == ["-", "4, 6, 3", "-", "-, 500", "-, 9.1"]
    assert len(alone) == len(failed) == len(bench["tables"].COLUMNS)
