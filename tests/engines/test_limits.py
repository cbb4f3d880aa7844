"""Limits of hardware while the engine trains: kept after every batch, also when resumed."""

from typing import Any

import numpy as np
import pytest

from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.errors import InputError
from mlgenn_delays.hardware import Hardware
from mlgenn_delays.rewiring import SET, DeepR, Rewiring, RigL
from tests.engines import rewired
from tests.engines.rewired import TOTAL, batches, check_state, recipe, same, tight, train
from tests.reference import nets
from tests.reference.nets import StepRecipe

EVENT, STEPPED = rewired.event(), rewired.surrogate()
CASES: list[tuple[Rewiring, Any, StepRecipe]] = [
    (DeepR(), EVENT, recipe(1700)),
    (DeepR(signs="dale", every=0), STEPPED, recipe(1701, signs="dale", granularity="axon")),
    (RigL(), STEPPED, recipe(1702, current=True)),
    (RigL(form="magnitude", every=1, until=1.0, signs="free", grow_delay="gradient"), EVENT,
     recipe(1703, signs="free")),
    (SET(every=1, until=1.0), EVENT, recipe(1704)),
]  # fmt: skip


def engine(of: StepRecipe, learning: Any, rule: Rewiring, threads: int = 1) -> Any:
    network, hardware = tight(of)
    return compile_network(
        network, learning, rewiring=rule, hardware=hardware, total_steps=TOTAL, threads=threads
    )


every_case = pytest.mark.parametrize(
    ("rule", "learning", "of"), CASES, ids=lambda each: type(each).__name__
)


@every_case
def test_limits_hold_after_every_batch(rule: Rewiring, learning: Any, of: StepRecipe) -> None:
    start, hardware = tight(of)
    built, grown = engine(of, learning, rule), 0
    for epoch in range(1, 6):
        for batch in batches(of, epoch):
            grown += built.train_epoch([batch], epoch=epoch).grown
            check_state(start, rule, built.state())
            hardware.check(built.pull())
    assert grown > 20
    assert any(
        not np.array_equal(p.post, built.pull().projections[name].post)
        for name, p in start.projections.items()
    )


@every_case
def test_threads_and_resuming_change_no_bit(rule: Rewiring, learning: Any, of: StepRecipe) -> None:
    one, two = (engine(of, learning, rule, threads) for threads in (1, 2))
    assert train(one, of, range(1, 5)) > 5
    train(two, of, range(1, 3))
    three = engine(of, learning, rule)
    three.load_state(two.state())
    train(three, of, range(3, 5))
    same(one.state(), three.state())


def test_limits_that_do_not_bind_change_no_bit() -> None:
    of, rule = recipe(1705), RigL()
    states = []
    for hardware in (None, Hardware(fan_in=99, fan_out=99), Hardware(preset="loihi2")):
        built = compile_network(
            nets.step_network(of), EVENT, rewiring=rule, hardware=hardware, total_steps=TOTAL
        )
        assert train(built, of, range(1, 4)) > 5
        states.append(built.state())
    same(states[0], states[1])
    same(states[0], states[2])


def test_a_network_beyond_limits_is_not_compiled() -> None:
    network = nets.step_network(recipe(1706))
    with pytest.raises(InputError, match=r"hardware\.fan_in must be >= \d+"):
        compile_network(network, EVENT, hardware=Hardware(fan_in=2), total_steps=3)
