"""GeNN's forward pass against the CPU engine's, spike for spike."""

import numpy as np
import pytest

from tests.needs import GENN, need

need(*GENN)
pytestmark = pytest.mark.slow

from mlgenn_delays.learning import EventProp  # noqa: E402
from mlgenn_delays.network import LIF  # noqa: E402
from tests.engines.helpers import raster, relative  # noqa: E402
from tests.parity.helpers import (  # noqa: E402
    CASES,
    EXAMPLES,
    Case,
    both,
    genn,
    network,
    pick,
    trace,
    with_steps,
)
from tests.reference import nets  # noqa: E402
from tests.reference.nets import Recipe  # noqa: E402

every_case = pytest.mark.parametrize("case", CASES, ids=str)


@every_case
def test_equals_the_cpu_engine(case: Case) -> None:
    batch, steps = pick(case, range(EXAMPLES)), case.recipe.steps
    wanted, got = (engine.record(batch) for engine in both(case))
    top = np.abs(wanted.voltage).max()
    assert all(len(time) > 5 for time in wanted.time.values())
    for b, tie in enumerate(trace(case).tie):
        for name in wanted.start:
            fired = raster(wanted, name, b, steps)
            np.testing.assert_array_equal(raster(got, name, b, steps)[:tie], fired[:tie])
        np.testing.assert_allclose(
            got.voltage[b, :, :tie], wanted.voltage[b, :, :tie], rtol=0, atol=1e-4 * top
        )
        if tie == steps:
            assert relative(got.logits[b], wanted.logits[b]) < 1e-4


@every_case
def test_equals_the_twin(case: Case) -> None:
    got, twin = both(case)[1].record(pick(case, range(EXAMPLES))), trace(case)
    output = network(case).output().name
    for b, tie in enumerate(twin.tie):
        for name, fired in twin.spikes.items():
            np.testing.assert_array_equal(
                raster(got, name, b, case.recipe.steps)[:tie], fired[b][:tie]
            )
        voltage = twin.layers[output].after[b].T
        assert relative(got.voltage[b, :, :tie], voltage[:, :tie]) < 1e-4


def test_few_trials_are_left_out() -> None:
    ties = [trace(case).tie < case.recipe.steps for case in CASES]
    assert np.size(ties) >= 100
    assert np.mean(ties) < 0.02


@every_case
def test_evaluations_agree(case: Case) -> None:
    if (trace(case).tie < case.recipe.steps).any():
        return
    batches = [pick(case, range(4)), pick(case, range(4, EXAMPLES))]
    wanted, got = (engine.evaluate(batches) for engine in both(case))
    assert got.loss == pytest.approx(wanted.loss, rel=1e-4, abs=1e-5)
    assert (got.accuracy, got.n) == (wanted.accuracy, wanted.n)
    assert got.spikes == wanted.spikes and got.silent == wanted.silent
    np.testing.assert_array_equal(got.predictions, wanted.predictions)


@pytest.mark.parametrize("case", [CASES[k] for k in (1, 3, 5, 14, 16)], ids=str)
def test_a_longer_silent_tail_changes_no_earlier_spike(case: Case) -> None:
    engine, steps = both(case)[1], case.recipe.steps
    batch = pick(case, range(EXAMPLES))
    before, after = engine.record(batch), engine.record(with_steps(batch, steps + 37))
    np.testing.assert_array_equal(after.voltage[:, :, :steps], before.voltage)
    for name in before.start:
        for b in range(EXAMPLES):
            longer = raster(after, name, b, steps + 37)
            np.testing.assert_array_equal(longer[:steps], raster(before, name, b, steps))


def test_networks_of_the_same_code_stay_apart() -> None:
    # A process loads a shared library once; each of them must have one of its own.
    case = CASES[0]
    batches = [pick(case, range(3)), pick(case, range(3, EXAMPLES))]
    first, other = genn(network(case), case.rule()), network(case).copy()
    for p in other.projections.values():
        p.weight[:] *= 1.5
    wanted = [first.record(batch).voltage for batch in batches]
    second = genn(other, case.rule())
    assert relative(second.record(batches[0]).voltage, wanted[0]) > 0.1
    for batch, voltage in zip(batches, wanted, strict=True):
        np.testing.assert_array_equal(first.record(batch).voltage, voltage)


def test_no_spike_is_lost_however_many_there_are() -> None:
    recipe = Recipe(1100, sizes=(12, 40, 3), steps=200)
    net = nets.network(recipe)
    net.populations["hidden0"].model = LIF(40, tau_mem=15.0)
    net.populations["hidden0"].bias[:] = 12.0
    batch = nets.batch(recipe, 2)
    recording = genn(net, EventProp()).record(batch)
    spikes = raster(recording, "hidden0", 1, 200)
    assert spikes.sum() > 3000
    # A steady current far above the threshold: every neuron spikes every other step or so.
    assert spikes.sum(0).min() > 50
