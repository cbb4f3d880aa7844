"""Frozen projections stay as they are, and gradients flow through them."""

from typing import Any

import numpy as np
import pytest

from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import Adam, EventProp, SurrogateBPTT, Triangle
from mlgenn_delays.network import Network
from mlgenn_delays.rewiring import SET, DeepR, Rewiring, RigL
from mlgenn_delays.training import initialise_weights
from tests.engines import rewired
from tests.engines.helpers import relative
from tests.needs import GENN, needs
from tests.reference import nets
from tests.reference.nets import StepRecipe

RULES = [rewired.event(revive=0.1), rewired.surrogate(), rewired.event(pipelined=True)]
REWIRING = [
    None,
    DeepR(),
    SET(every=1, until=1.0),
    RigL(every=2),
    RigL(every=1, grow_delay="gradient"),
    RigL(form="magnitude", every=2, until=1.0),
]


def frozen(of: StepRecipe, *names: str) -> Network:
    """Return a network some projections of which are frozen, with delays float32 cannot hold."""
    net = nets.step_network(of)
    for name in names:
        p = net.projections[name]
        p.frozen, p.delay = True, p.delay * 0.1 + 0.7
    return net


def unchanged(before: Network, after: Network, name: str) -> bool:
    """Return whether a projection is the same to the bit."""
    one, two = before.projections[name], after.projections[name]
    keys = ("indptr", "post", "weight", "delay")
    return all(np.array_equal(getattr(one, key), getattr(two, key)) for key in keys)


@pytest.mark.parametrize("rule", RULES, ids=["eventprop", "surrogate", "pipelined"])
@pytest.mark.parametrize("rewiring", REWIRING, ids=lambda r: type(r).__name__)
def test_they_stay_whatever_learns(rule: Any, rewiring: Rewiring | None) -> None:
    of = rewired.recipe(811)
    net = frozen(of, "hidden0->hidden0", "hidden0->output")
    engine = rewired.engine(net.copy(), rule, rewiring)
    rewired.train(engine, of, range(1, 4))
    state, learned = engine.state(), engine.pull()
    assert unchanged(net, learned, "hidden0->hidden0")
    assert unchanged(net, learned, "hidden0->output")
    assert not unchanged(net, learned, "input->hidden0")
    if rewiring is not None:
        moved = learned.projections["input->hidden0"].post != net.projections["input->hidden0"].post
        assert moved.any()
        assert [key for key in state if "/pairs/" in key and "input" not in key] == []
    resumed = rewired.engine(net.copy(), rule, rewiring)
    resumed.load_state(state)
    assert unchanged(net, resumed.pull(), "hidden0->output")


@pytest.mark.parametrize("granularity", ["synapse", "axon", "fixed"])
@pytest.mark.parametrize(
    "rule", [EventProp(), SurrogateBPTT(surrogate=Triangle())], ids=["eventprop", "surrogate"]
)
def test_gradients_flow_through_them(rule: Any, granularity: str) -> None:
    of = StepRecipe(812, sizes=(9, 8, 7, 3), granularity=granularity)
    net, batch = nets.step_network(of), nets.step_data(of, 6).batch(np.arange(6))
    wanted = compile_network(net.copy(), rule, total_steps=1).gradients(batch)
    net.projections["hidden0->hidden1"].frozen = True
    got = compile_network(net, rule, total_steps=1).gradients(batch)
    for kind in ("weight", "delay"):
        for name, right in getattr(wanted, kind).items():
            found = getattr(got, kind)[name]
            assert right.any() or (kind, granularity) == ("delay", "fixed")
            if name == "hidden0->hidden1":
                right = np.zeros_like(right)
            np.testing.assert_array_equal(found, right, err_msg=f"{kind} {name}")


def test_clipping_does_not_count_them() -> None:
    of = rewired.recipe(813)
    rule = EventProp(weights=Adam(0.01, beta1=0.9, clip=1e-3), delays=Adam(0.1, clip=1e-3))
    engine = compile_network(frozen(of, "hidden0->output"), rule, total_steps=4)
    engine.train_epoch(rewired.batches(of, 1)[:1], epoch=1)
    for kind in ("weight", "delay"):  # the moments after one step are 0.1 of the clipped gradient
        moments = [v for k, v in engine.state().items() if k.endswith(f"/{kind}_first")]
        assert np.linalg.norm(np.concatenate(moments)) == pytest.approx(1e-4, rel=1e-4)
        assert not engine.state()[f"hidden0->output/{kind}_first"].any()


def test_silent_neurons_are_not_revived_by_them() -> None:
    of = StepRecipe(815, bias=0.0)
    for still in (True, False):
        net = nets.step_network(of)
        p = net.projections["input->hidden0"]
        p.weight[:], p.frozen = 0.0, still
        engine = compile_network(net.copy(), EventProp(revive=0.1), total_steps=4)
        result = engine.train_epoch(rewired.batches(of, 1), epoch=1)
        assert result.silent == {"hidden0": 8}
        assert unchanged(net, engine.pull(), "input->hidden0") == still


def test_initial_weights_leave_them_alone() -> None:
    of = StepRecipe(816)
    net, data = nets.step_network(of), nets.step_data(of, 12)
    net.projections["hidden0->output"].frozen = True
    found = net.copy()
    assert initialise_weights(found, data).weights.keys() == {"input->hidden0"}
    assert unchanged(net, found, "hidden0->output")
    assert not unchanged(net, found, "input->hidden0")
    with pytest.raises(InputError, match="must be of input->hidden0; got 'hidden0->output'"):
        initialise_weights(found, data, ["hidden0->output"])


def test_rewiring_needs_one_that_is_not_frozen() -> None:
    of = rewired.recipe(814, recurrent=False)
    net = frozen(of, "input->hidden0", "hidden0->output")
    with pytest.raises(InputError, match="got dense or frozen ones alone"):
        rewired.engine(net, rewired.event(), DeepR())


@needs(*GENN)
def test_genn_leaves_them_alone() -> None:
    from tests.parity import helpers as parity

    case = parity.Case(StepRecipe(1001, density=0.4, recurrent=True, tau_refrac=2.0))
    net = parity.network(case).copy()
    net.projections["hidden0->output"].frozen = True
    batch = parity.pick(case, parity.free(case))
    right, got = (make(net.copy(), case.rule()) for make in (parity.cpu, parity.genn))
    parity.check(got.gradients(batch), right.gradients(batch))
    got.train_epoch([batch, batch], epoch=1)
    right.train_epoch([batch, batch], epoch=1)
    assert unchanged(net, got.pull(), "hidden0->output")
    one, two = (e.pull().projections["input->hidden0"] for e in (got, right))
    assert relative(one.weight, two.weight) < 1e-3 and not np.array_equal(
        one.weight, net.projections["input->hidden0"].weight
    )
