"""Training in GeNN against the CPU engine, and states that go from one to the other."""

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from tests.needs import GENN, need

need(*GENN)
pytestmark = pytest.mark.slow

from mlgenn_delays.data.types import Batch  # noqa: E402
from mlgenn_delays.engines.base import CompiledNetwork  # noqa: E402
from mlgenn_delays.engines.results import EpochResult  # noqa: E402
from mlgenn_delays.learning import (  # noqa: E402
    Adam,
    EventProp,
    Rule,
    SpikeCount,
    SurrogateBPTT,
    Triangle,
)
from mlgenn_delays.rewiring import RigL  # noqa: E402
from tests.engines import rewired  # noqa: E402
from tests.engines.helpers import relative  # noqa: E402
from tests.engines.rewired import recipe, same  # noqa: E402
from tests.parity.helpers import KERNEL, cpu, genn, with_steps  # noqa: E402
from tests.reference import nets  # noqa: E402
from tests.reference.nets import StepRecipe  # noqa: E402

SLOW: dict[str, Any] = {"weights": Adam(2e-3), "delays": Adam(0.02)}
PLAIN, DROPPING = StepRecipe(1300, recurrent=True), {"dropout": {"hidden0": 0.3}}
CASES: list[tuple[Rule, StepRecipe]] = [
    (EventProp(**SLOW), PLAIN),
    (EventProp(**SLOW, **DROPPING), StepRecipe(1301, density=0.5, recurrent=True)),
    (
        SurrogateBPTT(**SLOW, surrogate=Triangle(), kernel=KERNEL),
        StepRecipe(1302, granularity="axon", recurrent=True),
    ),
    (
        SurrogateBPTT(**SLOW, **DROPPING, surrogate=Triangle()),
        StepRecipe(1303, current=True, recurrent=True, sizes=(9, 8, 7, 3)),
    ),
]
every_case = pytest.mark.parametrize(
    ("rule", "of"), CASES, ids=["events", "dropping", "gaussian", "currents"]
)
N, SIZE = 12, 4


def batches(of: StepRecipe, epoch: int) -> list[Batch]:
    """Return the examples in batches, each epoch's in another order."""
    data, order = nets.step_data(of, N), np.random.default_rng((epoch, 8)).permutation(N)
    return [data.batch(part) for part in order.reshape(-1, SIZE)]


def train(
    engine: CompiledNetwork, of: StepRecipe, epochs: range, on_batch: Any = None
) -> list[EpochResult]:
    return [
        engine.train_epoch(batches(of, epoch), epoch=epoch, on_batch=on_batch) for epoch in epochs
    ]


def made(kind: Any, rule: Rule, of: StepRecipe, **options: Any) -> CompiledNetwork:
    return kind(nets.step_network(of), rule, **({"total_steps": 9, "seed": 5} | options))


def close(one: CompiledNetwork, other: CompiledNetwork, bound: float = 1e-3) -> None:
    a, b = one.pull().projections, other.pull().projections
    for name, p in a.items():
        assert relative(b[name].weight, p.weight) < bound
        assert relative(b[name].delay, p.delay) < bound


@every_case
def test_three_epochs_equal_the_cpu_engine(rule: Rule, of: StepRecipe) -> None:
    one, other = made(cpu, rule, of), made(genn, rule, of)
    start, of_batch = nets.step_network(of).projections, ([], [])
    right, got = (
        train(engine, of, range(1, 4), seen.append)
        for engine, seen in zip((one, other), of_batch, strict=True)
    )
    for a, b in islice(zip(*of_batch, strict=True), N // SIZE):
        assert (a.correct, a.n, a.spikes) == (b.correct, b.n, b.spikes)
        assert b.loss == pytest.approx(a.loss, rel=1e-3)
    assert got[0].loss == pytest.approx(right[0].loss, rel=1e-3)
    assert got[0].spikes == right[0].spikes and got[0].silent == right[0].silent
    assert got[0].n == right[0].n == N and got[0].accuracy == right[0].accuracy
    for a, b in zip(right, got, strict=True):
        assert b.loss == pytest.approx(a.loss, rel=1e-2)
    close(one, other)
    for name, p in other.pull().projections.items():
        assert relative(p.weight, start[name].weight) > 3e-3


@every_case
def test_pipelined_training_equals_the_cpu_engine(rule: Rule, of: StepRecipe) -> None:
    # Steps so large that it shows with which weights a batch goes back.
    large = {"weights": Adam(0.03), "delays": Adam(0.3), "pipelined": True}
    late = replace(
        rule, **large, spike_count=SpikeCount(strength=0.01, target=3.0), operations=1e-3
    )
    exact = replace(late, pipelined=False)
    engines = [made(cpu, late, of), made(genn, late, of), made(cpu, exact, of)]
    # One batch has longer trials, and the last is smaller.
    parts = batches(of, 1)
    parts += [with_steps(parts[0], of.steps + 7), nets.step_data(of, N).batch(np.arange(3))]
    right, got, _ = (engine.train_epoch(parts, epoch=1) for engine in engines)
    assert got.loss == pytest.approx(right.loss, rel=1e-4)
    close(engines[0], engines[1], 1e-4)
    with pytest.raises(AssertionError):
        close(engines[0], engines[2])


@every_case
def test_a_state_goes_to_the_other_engine(rule: Rule, of: StepRecipe) -> None:
    for first, second in ((genn, cpu), (cpu, genn)):
        begun = made(first, rule, of)
        train(begun, of, range(1, 3))
        state = {key: array.copy() for key, array in begun.state().items()}
        gone = made(second, rule, of)
        gone.load_state(state)
        same(gone.state(), state)
        right, got = (train(engine, of, range(3, 4))[0] for engine in (begun, gone))
        assert got.loss == pytest.approx(right.loss, rel=1e-3)
        close(begun, gone)


@pytest.mark.parametrize(
    ("rule", "of", "options"),
    [
        *((*case, {}) for case in CASES),
        (
            rewired.event(**DROPPING, revive=0.01),
            recipe(1310),
            {"rewiring": RigL(grow_delay="gradient"), "total_steps": 18},
        ),
    ],
)
def test_a_state_taken_up_goes_on_bit_for_bit(rule: Rule, of: StepRecipe, options: Any) -> None:
    whole, first = made(genn, rule, of, **options), made(genn, rule, of, **options)
    grown = sum(result.grown or 0 for result in train(whole, of, range(1, 4)))
    assert (grown > 10) == bool(options)
    train(first, of, range(1, 3))
    second = made(genn, rule, of, **options)
    second.load_state({key: array.copy() for key, array in first.state().items()})
    assert np.isfinite(train(second, of, range(3, 4))[0].loss)
    same(second.state(), whole.state())
    for batch in batches(of, 1):
        np.testing.assert_array_equal(second.record(batch).voltage, whole.record(batch).voltage)


def test_dropout_falls_on_the_same_neurons() -> None:
    rule, of = CASES[1]
    still = EventProp(weights=Adam(0.0), delays=Adam(0.0), **DROPPING)
    right, got = (train(made(kind, still, of), of, range(1, 3)) for kind in (cpu, genn))
    for a, b in zip(right, got, strict=True):
        assert b.loss == pytest.approx(a.loss, rel=1e-5)
    assert right[0].loss != pytest.approx(right[1].loss, rel=1e-5)
    # Answers know no dropout.
    plain, dropping = (made(genn, r, of) for r in (EventProp(**SLOW), rule))
    batch = batches(of, 1)
    assert dropping.evaluate(batch).loss == pytest.approx(plain.evaluate(batch).loss, rel=1e-6)


def test_silent_neurons_are_revived() -> None:
    net = nets.step_network(PLAIN)
    p = net.projections["input->hidden0"]
    p.weight[p.post < 3] = 0.0
    net.projections["hidden0->hidden0"].weight[:] *= 0.0
    net.populations["hidden0"].bias[:] = 0.0
    before = p.weight.copy()
    engine = genn(net, EventProp(weights=Adam(0.0), delays=None, revive=2.0))
    assert train(engine, PLAIN, range(1, 2))[0].silent["hidden0"] >= 3
    after = engine.pull().projections["input->hidden0"].weight
    np.testing.assert_allclose((after - before)[p.post < 3], 2.0, atol=1e-6)
    # What was revived acts in the next batch.
    assert train(engine, PLAIN, range(2, 3))[0].silent["hidden0"] < 3


def test_pushed_values_are_used_at_once() -> None:
    engine, batch = made(genn, EventProp(**SLOW), PLAIN), batches(PLAIN, 1)[0]
    other = nets.step_network(PLAIN)
    for p in other.projections.values():
        p.weight[:] *= 1.3
        p.delay[:] = p.delay[::-1].copy()
    before = engine.record(batch).voltage
    engine.push(other)
    got = engine.record(batch).voltage
    assert relative(got, before) > 0.1
    assert relative(got, cpu(other, EventProp()).record(batch).voltage) < 1e-4
    engine.load_state(made(genn, EventProp(**SLOW), PLAIN).state())
    np.testing.assert_array_equal(engine.record(batch).voltage, before)
