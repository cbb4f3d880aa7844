"""Rewiring while the engine trains: its laws after every batch."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import Adam, EventProp, SurrogateBPTT
from mlgenn_delays.network import Network
from mlgenn_delays.network.initialise import pair_signs
from mlgenn_delays.rewiring import SET, DeepR, Rewiring, RigL, growth_score
from tests.engines import rewired
from tests.engines.rewired import TOTAL, Spy, batches, check_state, engine, recipe, same, train
from tests.reference import nets
from tests.reference.nets import StepRecipe

MAGNITUDE: dict[str, Any] = {"form": "magnitude", "every": 2, "until": 1.0}
EVENT, STEPPED, WIDE = rewired.event(), rewired.surrogate(), rewired.gaussian()
CASES: list[tuple[Rewiring, Any, StepRecipe]] = [
    (DeepR(), EVENT, recipe(700)),
    (DeepR(signs="dale"), STEPPED, recipe(701, signs="dale")),
    (DeepR(grow_delay="random", every=2), WIDE, recipe(702, recurrent=False)),
    (DeepR(every=0), EVENT, recipe(703, granularity="axon")),
    (RigL(), EVENT, recipe(704)),
    (RigL(), STEPPED, recipe(705, current=True, seed_models=True)),
    (RigL(grow_delay="gradient"), WIDE, recipe(706)),
    (RigL(grow_delay="gradient", signs="dale"), EVENT, recipe(707, signs="dale", current=True)),
    (RigL(grow_delay="random", every=0), STEPPED, recipe(708)),
    (RigL(signs="dale", averaging=0.0), WIDE, recipe(709, signs="dale", granularity="axon")),
    (RigL(every=3), STEPPED, recipe(710, granularity="fixed")),
    (RigL(**MAGNITUDE), STEPPED, recipe(711, normalised="hidden", recurrent=False)),
    (
        RigL(**MAGNITUDE, signs="free", grow_delay="gradient"),
        EVENT,
        recipe(712, signs="free", max_delay=2.6),
    ),
    (RigL(**(MAGNITUDE | {"every": 0})), WIDE, recipe(713, delta=True, sizes=(9, 8, 7, 3))),
    (SET(every=1, until=1.0), EVENT, recipe(714, tau_refrac=2.0)),
    (SET(signs="free", every=0, decay="constant"), STEPPED, recipe(715, signs="free")),
]


def title(value: Any) -> str:
    return str(value.seed) if isinstance(value, StepRecipe) else type(value).__name__


every_case = pytest.mark.parametrize(("rule", "learning", "of"), CASES, ids=title)


@every_case
def test_laws_hold_after_every_batch(rule: Rewiring, learning: Any, of: StepRecipe) -> None:
    start = nets.step_network(of)
    built, states, grown = engine(start.copy(), learning, rule), [], 0
    for epoch in range(1, 7):
        result = built.train_epoch(
            batches(of, epoch), epoch=epoch, on_batch=lambda _: states.append(built.state())
        )
        assert result.grown is not None
        grown += result.grown
        states.append(built.state())
    assert grown > 20
    for state in states:
        check_state(start, rule, state)
    posts = [np.concatenate([s[f"{n}/post"] for n in start.projections]) for s in states]
    moved = [not np.array_equal(a, b) for a, b in zip(posts, posts[1:], strict=False)]
    # Four states an epoch: after each batch, and after its end.
    at_end = [k for k, changed in enumerate(moved) if changed and k % 4 == 2]
    in_epoch = [k for k, changed in enumerate(moved) if changed and k % 4 != 2]
    assert bool(at_end) == (rule.every == 0) and bool(in_epoch) == (rule.every > 0)
    for name in start.projections:
        assert not np.array_equal(states[-1][f"{name}/post"], start.projections[name].post)


@every_case
def test_kept_synapses_keep_all_and_new_ones_start_anew(
    rule: Rewiring, learning: Any, of: StepRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy, start = Spy.on(monkeypatch), nets.step_network(of)
    built, names = engine(start, learning, rule), list(start.projections)
    seen, moved = 0, 0
    for epoch in range(1, 5):
        for batch in batches(of, epoch):
            # One batch an epoch, so that a pass of every=0 follows each.
            result = built.train_epoch([batch], epoch=epoch)
            state = built.state()
            here, seen = spy.passes[seen:], len(spy.passes)
            assert len(here) in (0, len(names))
            assert result.grown == sum(p.done.moved for p in here)
            for name, each in zip(names, here, strict=False):
                moved += each.done.moved
                check_pass(state, name, each, start.projections[name].granularity)
    assert moved > 20


def check_pass(state: dict[str, np.ndarray], name: str, each: Any, granularity: str) -> None:
    before, done = each.synapses, each.done
    kept, new = done.origin >= 0, done.origin < 0
    fields = ["weight_first", "weight_second", "weight_steps"]
    if granularity == "synapse":
        fields += ["delay_first", "delay_second", "delay_steps"]
    assert set(before.moments) == set(fields)
    for key in fields:
        uniform = np.full(len(kept), state["step"][0])  # counts are left out where all are equal
        array = state.get(f"{name}/{key}", uniform)
        np.testing.assert_array_equal(array[kept], before.moments[key][done.origin[kept]])
        assert not array[new].any()
    weight = state[f"{name}/weight"]
    np.testing.assert_array_equal(weight[kept], before.weight[done.origin[kept]])
    assert (np.abs(weight[new]) <= 1e-12).all()
    np.testing.assert_array_equal(state[f"{name}/post"], done.synapses.post)
    if granularity == "synapse":
        np.testing.assert_array_equal(state[f"{name}/delay"], done.synapses.delay)
        np.testing.assert_array_equal(state[f"{name}/delay"][kept], before.delay[done.origin[kept]])


@every_case
def test_a_pass_is_given_what_the_optimiser_left(
    rule: Rewiring, learning: Any, of: StepRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy, plain = Spy.on(monkeypatch), engine(nets.step_network(of), learning, None)
    built = engine(nets.step_network(of), learning, rule)
    while not spy.passes:
        batch = batches(of)[0]
        plain.train_epoch([batch], epoch=1)
        built.train_epoch([batch], epoch=1)
    state, network = plain.state(), plain.pull()
    assert len(spy.passes) == len(network.projections)
    for key, array in state.items():
        if "normalisation" in key or key == "step":
            np.testing.assert_array_equal(array, built.state()[key])
    for each, (name, p) in zip(spy.passes, network.projections.items(), strict=True):
        np.testing.assert_array_equal(each.synapses.weight, state[f"{name}/weight"])
        np.testing.assert_array_equal(each.synapses.pre, p.pre())
        np.testing.assert_array_equal(each.synapses.post, p.post)
        np.testing.assert_allclose(each.synapses.delay, p.delay_per_synapse() / of.dt, rtol=1e-6)
        for key, moments in each.synapses.moments.items():
            # Counts of updates are left out of a state where all are the step.
            wanted = state.get(f"{name}/{key}", np.full(len(moments), state["step"][0]))
            np.testing.assert_array_equal(moments, wanted)
        if each.pairs.sign is not None:
            shape = each.pairs.sign.shape
            drawn = pair_signs(rule.signs, network.seed, name, *shape)
            np.testing.assert_array_equal(each.pairs.sign, drawn)
        drawn_delays = each.pairs.delay
        assert drawn_delays.min() >= 0 and drawn_delays.max() <= p.max_delay / of.dt


def test_dense_projections_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    of = replace(recipe(720, recurrent=False), density=1.0)
    net = nets.step_network(of)
    hidden = nets.step_network(replace(of, density=0.4)).projections["hidden0->output"]
    net.projections["hidden0->output"] = hidden
    dense = net.projections["input->hidden0"]
    dense.sign = None  # what is not rewired needs no signs
    spy, built = Spy.on(monkeypatch), engine(net.copy(), STEPPED, RigL())
    assert train(built, of, range(1, 7)) > 5
    state = built.state()
    assert {p.synapses.n_pre for p in spy.passes} == {8}
    np.testing.assert_array_equal(state["input->hidden0/post"], dense.post)
    assert not np.array_equal(state["hidden0->output/post"], hidden.post)
    assert "input->hidden0/pairs/delay" not in state


def test_a_dense_network_has_nothing_to_rewire() -> None:
    """Rewiring would have no effect, so it is refused rather than left out without a word."""
    of = replace(recipe(721), density=1.0)
    with pytest.raises(InputError, match="RigL must have a projection with absent synapses"):
        engine(nets.step_network(of), EVENT, RigL())


@pytest.mark.parametrize("learning", [EVENT, STEPPED], ids=title)
def test_asking_never_rewires(learning: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    of = recipe(722)
    built = engine(nets.step_network(of), learning, RigL())
    train(built, of, range(1, 3))
    spy, before = Spy.on(monkeypatch), built.state()
    built.evaluate(batches(of))
    built.gradients(batches(of)[0], epoch=1)
    built.candidates(batches(of)[0], "input->hidden0")
    built.record(batches(of)[0])
    same(built.state(), before)
    assert not spy.passes
    assert built.train_epoch([], epoch=3).grown == 0
    same(built.state(), before)


@pytest.mark.parametrize(
    ("rule", "learning"),
    [(DeepR(), EVENT), (RigL(), STEPPED), (SET(every=1, until=1.0), EVENT)],
    ids=title,
)
def test_delays_are_kept_with_their_pair(
    rule: Rewiring, learning: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, last, again = recipe(723, recurrent=False, sizes=(5, 6, 3)), {}, 0
    spy = Spy.on(monkeypatch)
    train(engine(nets.step_network(of), learning, rule), of, range(1, 9))
    for each in spy.passes:
        kind, before, done = each.synapses.n_pre, each.synapses, each.done
        for k in np.flatnonzero(done.origin < 0):
            pair = (kind, int(done.synapses.pre[k]), int(done.synapses.post[k]))
            if pair in last:
                again += 1
                assert done.synapses.delay[k] == last[pair]
            else:
                assert done.synapses.delay[k] == each.pairs.delay[pair[1:]]
        for k in np.setdiff1d(np.arange(len(before)), done.origin):
            last[(kind, int(before.pre[k]), int(before.post[k]))] = before.delay[k]
    assert again > 5


@pytest.mark.parametrize("longest", [None, 3.0])
def test_random_delays_are_drawn_anew(
    longest: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, spy = recipe(724), Spy.on(monkeypatch)
    rule = DeepR(grow_delay="random", longest=longest)
    train(engine(nets.step_network(of), EVENT, rule), of, range(1, 7))
    drawn = np.concatenate([p.done.synapses.delay[p.done.origin < 0] for p in spy.passes])
    assert len(np.unique(drawn)) == len(drawn) > 50
    most = 8.0 if longest is None else longest
    assert 0.8 * most < drawn.max() <= most and drawn.min() < 0.2 * most


@pytest.mark.parametrize("signs", ["synapse", "free"])
@pytest.mark.parametrize("learning", [EVENT, STEPPED, WIDE], ids=["event", "stepped", "wide"])
def test_delays_chosen_by_gradient_are_the_best(
    learning: Any, signs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, spy = recipe(725, signs=signs, max_delay=7.0), Spy.on(monkeypatch)
    rule = RigL(**(MAGNITUDE | {"every": 1}), signs=signs, grow_delay="gradient", averaging=0.0)
    built = engine(nets.step_network(of), learning, rule)
    other = engine(nets.step_network(of), learning, rule)
    names, new = list(nets.step_network(of).projections), 0
    for epoch in range(1, 5):
        for batch in batches(of, epoch):
            other.load_state(built.state())
            tables = {name: other.candidates(batch, name, epoch=epoch) for name in names}
            spy.passes.clear()
            built.train_epoch([batch], epoch=epoch)
            for name, each in zip(names, spy.passes, strict=True):
                sign = None if each.pairs.sign is None else each.pairs.sign[:, :, None]
                score = growth_score(tables[name], sign)
                grown = each.done.origin < 0
                at = each.done.synapses.pre[grown], each.done.synapses.post[grown]
                np.testing.assert_array_equal(each.done.synapses.delay[grown], score.argmax(2)[at])
                best = np.take_along_axis(tables[name], score.argmax(2)[:, :, None], 2)[:, :, 0]
                np.testing.assert_allclose(each.gradient, best, rtol=1e-6, atol=0)
                # Nothing absent would grow faster than the slowest that grew.
                absent = np.ones(best.shape, bool)
                absent[each.synapses.pre, each.synapses.post] = False
                absent[at] = False
                top = score.max(2)
                if grown.any() and absent.any():
                    assert top[at].min() >= top[absent].max()
                new += int(grown.sum())
    assert new > 50


@pytest.mark.parametrize("grow", ["kept", "gradient"])
@pytest.mark.parametrize("learning", [EventProp, SurrogateBPTT])
def test_gradients_are_averaged_over_batches(
    learning: Any, grow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    still, of = Adam(0.0), recipe(726)
    rule = RigL(**(MAGNITUDE | {"every": 3}), grow_delay=grow, averaging=0.75)
    built = engine(nets.step_network(of), learning(still, still), rule)
    data, names = batches(of), list(nets.step_network(of).projections)
    kept = built.state()
    delays = {n: kept[f"{n}/pairs/delay"] for n in names}
    wanted = {}
    for k, batch in enumerate(data):
        for name in names:
            delay = None if grow == "gradient" else delays[name].astype(np.float64) * of.dt
            seen = built.candidates(batch, name, delay)
            wanted[name] = seen if not k else 0.75 * wanted[name] + 0.25 * seen
    spy = Spy.on(monkeypatch)
    built.train_epoch(data, epoch=1)
    assert len(spy.passes) == len(names) and spy.passes[0].step == 3
    for name, each in zip(names, spy.passes, strict=True):
        table = wanted[name]
        if grow == "gradient":
            assert each.pairs.sign is not None
            best = growth_score(table, each.pairs.sign[:, :, None]).argmax(2)
            table = np.take_along_axis(table, best[:, :, None], 2)[:, :, 0]
        assert np.abs(table).max() > 0
        np.testing.assert_allclose(each.gradient, table, rtol=1e-4, atol=1e-6 * table.max())


@pytest.mark.parametrize("granularity", ["axon", "fixed"])
def test_shared_delays_are_those_of_candidates(
    granularity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, spy = recipe(727, granularity=granularity), Spy.on(monkeypatch)
    rule = RigL(averaging=0.0)
    built = engine(nets.step_network(of), STEPPED, rule)
    other = engine(nets.step_network(of), STEPPED, rule)
    train(built, of, range(1, 4))
    other.load_state(built.state())
    network, batch = other.pull(), batches(of)[0]
    spy.passes.clear()
    built.train_epoch([batch], epoch=4)
    for (name, p), each in zip(network.projections.items(), spy.passes, strict=True):
        delay = np.broadcast_to(p.delay[:, None], each.pairs.delay.shape)
        wanted = other.candidates(batch, name, delay)
        np.testing.assert_allclose(each.gradient, wanted, rtol=1e-4, atol=1e-7)


def check_crossing(net: Network, state: dict[str, np.ndarray]) -> int:
    """Return how many weights are held at zero, none on the wrong side of it."""
    held = 0
    for name in net.projections:
        product = state[f"{name}/weight"] * state[f"{name}/sign"]
        assert (product >= 0).all()
        held += int((product == 0).sum())
    return held


@pytest.mark.parametrize("learning", [EVENT, STEPPED], ids=title)
def test_no_weight_is_on_the_wrong_side_between_passes(learning: Any) -> None:
    of, held = recipe(728), []
    net = nets.step_network(of)
    built = engine(net, learning, DeepR(every=10))
    for epoch in range(1, 4):
        built.train_epoch(
            batches(of, epoch), epoch=epoch,
            on_batch=lambda _: held.append(check_crossing(net, built.state())),
        )  # fmt: skip
    assert max(held) > 3


def windowed(of: StepRecipe, epoch_steps: int | None) -> Any:
    """Return a network rewired after each epoch, by its last two batches if they are known."""
    return compile_network(
        nets.step_network(of), EVENT, rewiring=RigL(every=0, averaging=0.5), total_steps=TOTAL,
        epoch_steps=epoch_steps, threads=1,
    )  # fmt: skip


def test_a_pass_after_an_epoch_takes_the_last_batches() -> None:
    of = recipe(730)
    built, spy = windowed(of, 3), []
    structure = built._structure
    accumulate = structure.accumulate
    structure.accumulate = lambda *given: (spy.append(built.parameters.step), accumulate(*given))
    for epoch in (1, 2):
        built.train_epoch(batches(of, epoch), epoch=epoch)
    assert spy == [1, 2, 4, 5]
    spy.clear()
    whole = windowed(of, None)
    whole._structure.accumulate = lambda *given: spy.append(given[1])
    with pytest.raises(InputError, match="candidate gradients"):
        whole.train_epoch(batches(of), epoch=1)
    assert len(spy) == 3


def test_an_epoch_of_other_length_than_was_said() -> None:
    of = recipe(731)
    with pytest.raises(InputError, match="epoch_steps must be the number of batches .* got 99"):
        windowed(of, 99).train_epoch(batches(of), epoch=1)
