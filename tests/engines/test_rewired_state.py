"""Rewired networks going on, moving between engines, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.results import Evaluation
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import Adam, EventProp, SurrogateBPTT
from mlgenn_delays.network import Network
from mlgenn_delays.rewiring import SET, DeepR, Rewiring, RigL
from tests.engines import rewired
from tests.engines.helpers import relative
from tests.engines.rewired import (
    batches,
    check_state,
    engine,
    event,
    filled,
    recipe,
    same,
    train,
)
from tests.reference import eventprop as twin
from tests.reference import nets
from tests.reference.nets import StepRecipe

MAGNITUDE: dict[str, Any] = {"form": "magnitude", "every": 2, "until": 1.0}
DROPPING = {"dropout": {"hidden0": 0.2}}
WIDE = rewired.gaussian(**DROPPING)
EVENT = event(**DROPPING, revive=0.01)
STEPPED = rewired.surrogate(**DROPPING)
CASES: list[tuple[Rewiring, Any, StepRecipe]] = [
    (RigL(), WIDE, recipe(800, normalised="hidden", recurrent=False)),
    (RigL(averaging=0.9, grow_delay="gradient"), WIDE, recipe(801, current=True)),
    (RigL(**(MAGNITUDE | {"every": 0})), STEPPED, recipe(802, normalised="all", recurrent=False)),
    (RigL(**MAGNITUDE, grow_delay="random"), EVENT, recipe(803)),
    (RigL(grow_delay="gradient", signs="dale"), EVENT, recipe(804, signs="dale", current=True)),
    (RigL(), EVENT, recipe(805, granularity="axon")),
    (DeepR(grow_delay="random"), STEPPED, recipe(806)),
    (DeepR(signs="dale"), EVENT, recipe(807, signs="dale", sizes=(9, 8, 7, 3))),
    (SET(every=4, signs="free"), STEPPED, recipe(808, signs="free", seed_models=True)),
]
every_case = pytest.mark.parametrize(
    ("rule", "learning", "of"), CASES, ids=lambda v: str(getattr(v, "seed", type(v).__name__))
)


def answers(built: Any, of: StepRecipe) -> Evaluation:
    return built.evaluate(batches(of))


@every_case
def test_a_state_taken_up_goes_on_bit_for_bit(
    rule: Rewiring, learning: Any, of: StepRecipe, tmp_path: Path
) -> None:
    whole = engine(nets.step_network(of), learning, rule)
    first = engine(nets.step_network(of), learning, rule)
    assert train(whole, of, range(1, 7)) > 15
    assert train(first, of, range(1, 4)) > 3
    np.savez(tmp_path / "state.npz", **first.state())
    with np.load(tmp_path / "state.npz") as file:
        stored = {key: file[key] for key in file.files}
    same(stored, first.state())
    second = engine(nets.step_network(of), learning, rule)
    second.load_state(stored)
    same(second.state(), first.state())
    train(second, of, range(4, 7))
    same(second.state(), whole.state())
    np.testing.assert_array_equal(answers(second, of).logits, answers(whole, of).logits)
    check_state(nets.step_network(of), rule, second.state())


@every_case
def test_a_state_may_be_taken_up_by_an_engine_that_went_on(
    rule: Rewiring, learning: Any, of: StepRecipe
) -> None:
    built = engine(nets.step_network(of), learning, rule)
    start = built.state()
    train(built, of, range(1, 3))
    early = built.state()
    frozen = {key: array.copy() for key, array in early.items()}
    train(built, of, range(3, 6))
    late = built.state()
    same(early, frozen)  # a state is a copy
    built.load_state(early)
    train(built, of, range(3, 6))
    same(built.state(), late)
    built.load_state(start)
    train(built, of, range(1, 3))
    same(built.state(), early)


@every_case
def test_threads_change_no_bit(rule: Rewiring, learning: Any, of: StepRecipe) -> None:
    one, two = (engine(nets.step_network(of), learning, rule, threads=t) for t in (1, 2))
    for built in (one, two):
        assert train(built, of, range(1, 5)) > 5
    same(one.state(), two.state())


def test_the_seed_decides_what_grows() -> None:
    of, posts = recipe(809), []
    for seed in (3, 3, 4):
        # The first pass takes the same synapses from all.
        built = engine(nets.step_network(of), event(), SET(every=1, until=1.0), seed=seed)
        built.train_epoch(batches(of)[:1], epoch=1)
        posts.append(built.state()["input->hidden0/post"])
    np.testing.assert_array_equal(posts[0], posts[1])
    assert not np.array_equal(posts[0], posts[2])


@every_case
def test_a_rewired_network_answers_the_same_anywhere(
    rule: Rewiring, learning: Any, of: StepRecipe
) -> None:
    given, start = nets.step_network(of), nets.step_network(of)
    built = engine(given, learning, rule)
    train(built, of, range(1, 5))
    assert_equal(given, start)  # it stays as it is until `pull`
    wanted = answers(built, of)
    trained = built.pull()
    assert trained is given
    moved = [not np.array_equal(p.post, start.projections[n].post)
             for n, p in trained.projections.items()]  # fmt: skip
    assert all(moved)
    for into in (
        engine(nets.step_network(of), learning, rule),
        engine(nets.step_network(of), learning, None),
        engine(trained.copy(), learning, None),
    ):
        into.push(trained)
        got = answers(into, of)
        np.testing.assert_allclose(got.logits, wanted.logits, rtol=1e-6, atol=1e-6)
        assert_equal(into.pull(), trained)
    # And back: what was learned before goes.
    built.push(start)
    fresh = answers(engine(start, learning, None), of)
    np.testing.assert_array_equal(answers(built, of).logits, fresh.logits)


def assert_equal(one: Network, other: Network) -> None:
    for name, p in one.projections.items():
        for key in ("indptr", "post", "sign", "weight"):
            np.testing.assert_array_equal(getattr(p, key), getattr(other.projections[name], key))
        np.testing.assert_allclose(p.delay, other.projections[name].delay, rtol=1e-6, atol=1e-7)


@every_case
def test_training_goes_on_after_a_push(rule: Rewiring, learning: Any, of: StepRecipe) -> None:
    source = engine(nets.step_network(of), learning, rule)
    train(source, of, range(1, 4))
    trained = source.pull()
    into = engine(nets.step_network(of), learning, rule)
    train(into, of, range(1, 3))
    into.push(trained)
    assert int(into.state()["step"][0]) == 6
    assert train(into, of, range(3, 6)) > 3
    check_state(nets.step_network(of), rule, into.state())


def test_a_rewired_state_without_rewiring_has_its_structure() -> None:
    of = recipe(810)
    built = engine(nets.step_network(of), event(), RigL())
    train(built, of, range(1, 4))
    plain = engine(nets.step_network(of), event(), None)
    plain.load_state(built.state())
    np.testing.assert_array_equal(answers(plain, of).logits, answers(built, of).logits)
    assert_equal(plain.pull(), built.pull())


def test_states_of_other_networks_are_refused() -> None:
    of = recipe(811)
    built = engine(nets.step_network(of), event(), RigL())
    before = built.state()
    for other in (recipe(811, sizes=(9, 7, 3)), recipe(811, sizes=(9, 8, 4))):
        wrong = engine(nets.step_network(other), event(), RigL()).state()
        with pytest.raises(InputError, match="another network"):
            built.load_state(wrong)
        same(built.state(), before)
    with pytest.raises(InputError, match="another network"):
        built.load_state({})
    with pytest.raises(InputError, match="with rewiring"):
        built.load_state(engine(nets.step_network(of), event(), None).state())
    without = {key: a for key, a in before.items() if not key.endswith("pairs/delay")}
    with pytest.raises(InputError, match="must have the pairs of 'input->hidden0'"):
        built.load_state(without)


def test_networks_of_another_kind_are_not_pushed() -> None:
    of = recipe(812)
    built = engine(nets.step_network(of), event(), RigL())
    unsigned, other = nets.step_network(recipe(813, signs="free")), nets.step_network(recipe(813))
    for name, population in unsigned.populations.items():
        population.bias = built.network.populations[name].bias
    with pytest.raises(InputError, match="must have sign"):
        built.push(unsigned)
    with pytest.raises(InputError, match="bias of population 'hidden0'"):
        built.push(other)
    with pytest.raises(InputError, match="must have 28 synapses, got 25"):
        built.push(nets.step_network(recipe(812, sizes=(9, 7, 3))))


FREE = RigL(form="magnitude", signs="free")
REFUSED: list[tuple[Rewiring, StepRecipe, str]] = [
    (DeepR(), recipe(820, signs="free"), r"DeepR with signs 'synapse' must .* got no signs for"),
    (RigL(signs="dale"), recipe(820, signs="free"), r"made with signs='dale', got no signs"),
    (FREE, recipe(820), r"RigL with signs 'free' must have .* got signs for projection 'input->"),
    (DeepR(signs="dale"), recipe(820), r"Dale's law must .* make the projection with signs='dale'"),
    (
        RigL(grow_delay="gradient"),
        recipe(820, granularity="axon"),
        r"must have one delay per synapse, got granularity 'axon' .* take grow_delay 'kept'",
    ),
    (RigL(grow_delay="gradient"), recipe(820, granularity="fixed"), r"got granularity 'fixed'"),
]


@pytest.mark.parametrize(("rule", "of", "match"), REFUSED)
@pytest.mark.parametrize("learning", [EventProp(), SurrogateBPTT()])
def test_what_a_rule_cannot_keep_is_refused(
    rule: Rewiring, of: StepRecipe, match: str, learning: Any
) -> None:
    with pytest.raises(InputError, match=match):
        compile_network(nets.step_network(of), learning, rewiring=rule, total_steps=1)


def test_dales_law_broken_by_one_synapse_is_refused() -> None:
    net = nets.step_network(recipe(821, signs="dale"))
    compile_network(net, EventProp(), rewiring=DeepR(signs="dale"), total_steps=1)
    p = net.projections["hidden0->output"]
    row = int(np.flatnonzero(np.diff(p.indptr) > 1)[0])
    p.sign[p.indptr[row]] *= -1
    with pytest.raises(InputError, match=r"Dale's law .* got both for projection 'hidden0->output"):
        compile_network(net, EventProp(), rewiring=DeepR(signs="dale"), total_steps=1)


LASSO = [
    ("free", EventProp, None),
    ("free", SurrogateBPTT, None),
    ("synapse", EventProp, None),
    ("dale", SurrogateBPTT, DeepR(signs="dale", every=9)),
]


@pytest.mark.parametrize(("signs", "learning", "rule"), LASSO)
def test_l1_adds_its_strength_times_the_sign(
    signs: str, learning: Any, rule: Rewiring | None
) -> None:
    of = recipe(830, signs=signs)
    batch = batches(of)[0]
    # With such an epsilon nothing moves, and the first moment is the gradient's tenth.
    slow = Adam(1e-3, epsilon=1e12)
    net = nets.step_network(of)
    for p in net.projections.values():
        p.weight[::7] = 0.0
    states = []
    for l1 in (0.0, 0.25):
        built = engine(net, learning(weights=slow, l1=l1), rule)
        states.append((built.state(), built.gradients(batch)))
        built.train_epoch([batch], epoch=1)
        states[-1] = (built.state(), states[-1][1])
    for name, p in net.projections.items():
        plain, pulled = (s[f"{name}/weight_first"] for s, _ in states)
        towards = np.sign(p.weight) if p.sign is None else p.sign
        np.testing.assert_allclose((pulled - plain) / 0.1, 0.25 * towards, atol=2e-6)
        gradients = [g.weight[name] for _, g in states]
        np.testing.assert_array_equal(*gradients)  # the loss's own


def test_l1_pulls_every_weight_to_zero() -> None:
    of = recipe(831)
    built = engine(nets.step_network(of), EventProp(weights=Adam(0.02), l1=10.0), None, total=200)
    before = sum(np.abs(p.weight).sum() for p in nets.step_network(of).projections.values())
    train(built, of, range(1, 40))
    after = [built.state()[f"{n}/weight"] for n in nets.step_network(of).projections]
    # A step or so away from zero, on one side or the other.
    assert sum(np.abs(w).sum() for w in after) < 0.05 * before


def test_signs_that_were_pushed_are_kept() -> None:
    of = recipe(840, signs="dale")
    net, other = nets.step_network(of), nets.step_network(of)
    for p in other.projections.values():
        p.sign, p.weight = -p.sign, -p.weight
    rule = DeepR(signs="dale")
    built = engine(net, event(), rule)
    train(built, of, range(1, 3))
    built.push(other)
    assert train(built, of, range(3, 6)) > 3
    check_state(other, rule, built.state())
    loaded = engine(net, event(), rule)
    loaded.load_state(engine(other, event(), rule).state())
    assert train(loaded, of, range(1, 4)) > 3
    check_state(other, rule, loaded.state())
    broken = nets.step_network(recipe(840, signs="dale"))
    p = broken.projections["hidden0->output"]
    p.sign[p.indptr[np.flatnonzero(np.diff(p.indptr) > 1)[0]]] *= -1
    with pytest.raises(InputError, match="Dale's law"):
        built.push(broken)


@pytest.mark.parametrize("learning", [event, rewired.surrogate, rewired.gaussian])
def test_candidates_know_of_dropout(learning: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    of, spy = recipe(841), rewired.Spy.on(monkeypatch)
    net, batch, dropped = nets.step_network(of), batches(of)[0], {"dropout": {"hidden0": 0.3}}
    engine(net, learning(**dropped), RigL(averaging=0.0)).train_epoch([batch], epoch=1)
    slow = Adam(1e-3, epsilon=1e12)  # the first moment is then the gradient's tenth
    for name, each in zip(net.projections, spy.passes, strict=True):
        absent = np.ones(each.pairs.delay.shape, bool)
        absent[net.projections[name].pre(), net.projections[name].post] = False
        whole = filled(net, name, each.pairs.delay.astype(np.float64))
        built = engine(whole, learning(**dropped, weights=slow, l1=0.0), None)
        built.train_epoch([batch], epoch=1)
        wanted = built.state()[f"{name}/weight_first"].reshape(absent.shape) / 0.1
        assert wanted[absent].any()
        assert relative(each.gradient[absent], wanted[absent]) < 2e-5


def test_counts_and_averages_that_no_training_has_made_are_refused() -> None:
    rule, learning, of = CASES[0]
    built = engine(nets.step_network(of), learning, rule)
    train(built, of, range(1, 2))
    state = built.state()
    for part, value in (
        ("/weight_steps", 2**31 - 1), ("/delay_steps", -1), ("step", 2**40), ("step", -1),
    ):  # fmt: skip
        key = next(key for key in state if key.endswith(part))
        with pytest.raises(InputError, match=f"must have {key} in 0"):
            built.load_state(state | {key: np.full_like(state[key], value)})
    key = next(key for key in state if key.endswith("/pairs/average"))
    for average in (state[key][:-1], state[key].ravel(), state[key][None]):
        with pytest.raises(InputError, match="must have averages of "):
            built.load_state(state | {key: average})


def test_a_spike_costs_the_synapses_that_its_neuron_has_now() -> None:
    of = recipe(809, signs="free")
    rule = rewired.surrogate(operations=0.5)
    built = engine(nets.step_network(of), rule, SET(every=1, signs="free", drop_fraction=0.5))
    context = built._context
    before = context.spike_count_gradient(np.zeros((1, len(context.plan.bias))))
    assert train(built, of, range(1, 3)) > 0
    after = context.spike_count_gradient(np.zeros((1, len(context.plan.bias))))
    network, first = built.pull(), 0
    for name in context.layout.names:
        n = network.populations[name].n
        spikes = name in context.layout.spiking
        wanted = [0.5 * spikes * twin.fan_out(network, name, j) for j in range(n)]
        np.testing.assert_array_equal(after[first : first + n], wanted)
        first += n
    assert (before != after).any()
