"""Exported GeNN code against the CPU engine, spike for spike."""

import numpy as np
import pytest

from mlgenn_delays.data.types import CurrentBatch, SpikeBatch
from mlgenn_delays.export.genn.runtime import GeNNModel
from tests.engines.helpers import raster, relative
from tests.export.genn.cases import CASES, EXAMPLES, LONG, artifact, batch, ties, wanted
from tests.export.genn.conftest import Export

NAMES = [case.name for case in CASES]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_cpu_engine(name: str, export: Export) -> None:
    model, right, steps = GeNNModel.open(export(name)), wanted(name), batch(name).n_steps
    got = model.run(batch(name))
    assert got.voltage.shape == right.voltage.shape and got.voltage.dtype == np.float32
    assert {*got.start} == {*right.start} == {*artifact(name).kept}
    assert all(len(time) > 20 for time in right.time.values())
    top = np.abs(right.voltage).max()
    assert top > 0.01
    for b, tie in enumerate(ties(name)):
        for each in right.start:
            fired = raster(right, each, b, steps)
            np.testing.assert_array_equal(raster(got, each, b, steps)[:tie], fired[:tie])
        np.testing.assert_allclose(
            got.voltage[b, :, :tie], right.voltage[b, :, :tie], rtol=0, atol=1e-4 * top
        )
        if tie == steps:
            assert relative(got.logits[b], right.logits[b]) < 1e-4
            assert got.logits[b].argmax() == right.logits[b].argmax()
    np.testing.assert_array_equal(model.logits(batch(name)), got.logits)


def test_the_cases_show_something() -> None:
    found = [ties(name) < batch(name).n_steps for name in NAMES]
    assert np.size(found) == len(NAMES) * EXAMPLES and np.mean(found) < 0.02
    answers = {name: {*wanted(name).logits.argmax(1).tolist()} for name in NAMES}
    assert sum(len(each) > 1 for each in answers.values()) >= 4, answers


def test_the_longest_delay(export: Export) -> None:
    # 65536 steps of delay slots, and series that are shorter than the trial.
    model, right = GeNNModel.open(export("long")), wanted("long")
    got = model.run(batch("long"))
    assert right.time["hidden"].max() > LONG
    for each in right.start:
        np.testing.assert_array_equal(got.time[each], right.time[each])
        np.testing.assert_array_equal(got.start[each], right.start[each])
    np.testing.assert_allclose(got.voltage, right.voltage, rtol=0, atol=1e-5)
    np.testing.assert_allclose(got.logits, right.logits, rtol=1e-4)


@pytest.mark.parametrize("name", ["several", "currents"])
def test_trials_do_not_leak_into_one_another(name: str, export: Export) -> None:
    model, given = GeNNModel.open(export(name)), batch(name)
    first = model.run(given)
    again = model.run(given)
    np.testing.assert_array_equal(again.voltage, first.voltage)
    for b in (EXAMPLES - 1, 2):
        if isinstance(given, CurrentBatch):
            one = CurrentBatch(given.values[b : b + 1], given.labels[:1], given.index[:1])
        else:
            one = SpikeBatch(
                given.start[b : b + 1], given.time, given.labels[:1], given.index[:1], given.n_steps
            )
        np.testing.assert_array_equal(model.run(one).voltage[0], first.voltage[b])


def test_a_trial_of_another_length(export: Export) -> None:
    model, given = GeNNModel.open(export("several")), batch("several")
    longer = SpikeBatch(given.start, given.time, given.labels, given.index, given.n_steps + 1500)
    before, after = model.run(given), model.run(longer)
    np.testing.assert_array_equal(after.voltage[:, :, : given.n_steps], before.voltage)
    assert relative(after.logits, after.voltage.mean(2)) < 1e-5
