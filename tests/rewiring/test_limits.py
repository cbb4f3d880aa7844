"""Passes within limits: as many synapses, none more than there is room for, the best first."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.hardware import Hardware, Room
from mlgenn_delays.network import LIF, Delta, LeakyIntegrator, Network, Projection, SpikeInput
from mlgenn_delays.network.limits import places
from mlgenn_delays.rewiring import Pairs, Rewiring, Synapses, rewire
from mlgenn_delays.rewiring.growth_kernel import grow_within
from tests.reference import limited_growth
from tests.rewiring import twin
from tests.rewiring.helpers import RULES, candidates, name, projection

TOTAL = 100
every_rule = pytest.mark.parametrize("rule", RULES, ids=name)


def random_room(n_pre: int, n_post: int, slack: int, rng: np.random.Generator) -> Room:
    """Return room for little more than some synapses, on cores of a random size."""
    size = int(rng.integers(1, n_post + 1))
    flat = rng.choice(n_pre * n_post, int(rng.integers(1, n_pre * n_post + 1)), replace=False)
    none = Room(
        np.zeros(n_pre, int), np.zeros(n_post, int), np.zeros(-(-n_post // size), int), size
    )
    taken = none.without(flat // n_post, flat % n_post)
    return Room(
        -taken.pre + rng.integers(0, slack + 1, n_pre),
        -taken.post + rng.integers(0, slack + 1, n_post),
        -taken.core + rng.integers(0, slack + 1, len(taken.core)),
        size,
    )


def within(rule: Rewiring, room: Room, rng: np.random.Generator) -> tuple[Synapses, Pairs]:
    """Return as many synapses as there is room for, or fewer."""
    n_pre, n_post = len(room.pre), len(room.post)
    count = int(rng.integers(1, room.most() + 1))
    synapses, pairs = projection(rule, n_pre, n_post, count, rng)
    flat = places(synapses.flat, n_pre, n_post, room, rng)
    sign = None if pairs.sign is None else pairs.sign.ravel()[flat]
    weight = synapses.weight if sign is None else np.abs(synapses.weight) * sign
    weight[rng.random(count) < 0.3] = 0
    moved = replace(
        synapses, pre=(flat // n_post).astype(np.int32), post=(flat % n_post).astype(np.int32),
        weight=weight, delay=pairs.delay.ravel()[flat], sign=sign,
    )  # fmt: skip
    return moved, pairs


@every_rule
@settings(max_examples=60, deadline=None)
@given(
    n_pre=st.integers(1, 7), n_post=st.integers(1, 7), slack=st.integers(0, 2),
    step=st.integers(1, TOTAL), seed=st.integers(0, 2**32),
)  # fmt: skip
def test_a_pass_keeps_limits_and_laws(
    rule: Rewiring, n_pre: int, n_post: int, slack: int, step: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    room = random_room(n_pre, n_post, slack, rng)
    synapses, pairs = within(rule, room, rng)
    gradient, best = candidates(synapses, rng, seed % 3)
    result = rewire(
        rule, synapses, pairs, gradient=gradient, best_delay=best, step=step, total_steps=TOTAL,
        rng=rng, room=room,
    )  # fmt: skip
    after = result.synapses
    assert room.without(after.pre, after.post).fits()
    twin.check_arrays(synapses, after)
    gone = twin.check_kept(synapses, result)
    twin.check_gone(rule, synapses, gone, step, TOTAL)
    new = result.origin < 0
    if after.sign is not None:
        np.testing.assert_array_equal(after.sign, pairs.sign[after.pre, after.post])
    went = {twin.places(synapses)[k] for k in gone}
    expected = result.pairs.delay[after.pre, after.post]
    if rule.grow_delay == "gradient":
        fresh = np.array([pair not in went for pair in twin.places(after)])
        chosen = after.delay == best[after.pre, after.post]
        assert (chosen | (after.delay == expected))[fresh & new].all()
    else:
        np.testing.assert_array_equal(after.delay[new], expected[new])


@settings(max_examples=150, deadline=None)
@given(
    n_pre=st.integers(1, 6), n_post=st.integers(1, 6), slack=st.integers(0, 2),
    seed=st.integers(0, 2**32),
)  # fmt: skip
def test_growth_equals_its_twin(n_pre: int, n_post: int, slack: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    room = random_room(n_pre, n_post, slack, rng)
    count = int(rng.integers(1, room.most() + 1))
    start = np.sort(rng.choice(n_pre * n_post, count, replace=False))
    flat = places(start, n_pre, n_post, room, rng)
    gone = rng.random(count) < 0.6
    kept, held = flat[~gone], rng.permutation(flat[gone])
    order = rng.permutation(np.setdiff1d(np.arange(n_pre * n_post), flat))
    left = room.without(flat // n_post, flat % n_post)
    present = np.isin(np.arange(n_pre * n_post), flat)
    pre, post, grown = held // n_post, held % n_post, np.empty(len(held), np.int64)
    n = grow_within(order, pre, post, present, left.pre, left.post, left.core, left.size, grown)
    rooms = (room.pre, room.post, room.core, room.size)
    pairs = [[divmod(int(each), n_post) for each in part] for part in (order, kept, held)]
    expected, still = limited_growth.grow(*pairs, rooms)
    assert [divmod(int(each), n_post) for each in grown[:n]] == expected
    rest = len(held) - n
    assert list(zip(pre[:rest].tolist(), post[:rest].tolist(), strict=True)) == still
    after = [*kept, *grown[:n], *(pre * n_post + post)[:rest]]
    np.testing.assert_array_equal(np.flatnonzero(present), np.sort(after))


@every_rule
def test_limits_that_do_not_bind_change_nothing(rule: Rewiring) -> None:
    rng = np.random.default_rng(5)
    synapses, pairs = projection(rule, 8, 9, 30, rng)
    gradient, best = candidates(synapses, rng)
    wide = Room(np.full(8, 9), np.full(9, 8), np.full(3, 24), 3)
    found = [
        rewire(rule, synapses, pairs, gradient=gradient, best_delay=best, step=1, total_steps=9,
               rng=np.random.default_rng(6), room=room).synapses
        for room in (None, wide)
    ]  # fmt: skip
    assert twin.rows(found[0]) == twin.rows(found[1])


def test_full_neurons_change_their_partners() -> None:
    """Where every neuron has all that it may have, pairs still change."""
    rule = next(rule for rule in RULES if type(rule).__name__ == "SET" and rule.signs == "free")
    rng = np.random.default_rng(7)
    room = Room(np.full(6, 2), np.full(6, 2), np.full(2, 6), 3)
    synapses, pairs = projection(rule, 6, 6, 12, rng)
    flat = places(synapses.flat, 6, 6, room, rng)
    seen = set()
    for step in range(1, 60):
        synapses = replace(
            synapses, pre=(flat // 6).astype(np.int32), post=(flat % 6).astype(np.int32),
            weight=rng.normal(size=12).astype(np.float32),
        )  # fmt: skip
        done = rewire(rule, synapses, pairs, step=step, total_steps=TOTAL, rng=rng, room=room)
        flat = done.synapses.flat
        seen |= set(flat.tolist())
    assert len(seen) == 36


def limited_network(signs: str, hardware: Hardware) -> Network:
    """Return a recurrent network that keeps tight limits."""
    network = Network(seed=3)
    network.add("in", SpikeInput(6))
    network.add("hidden", LIF(8))
    network.add("out", LeakyIntegrator(3))
    for pre, post, count in (("in", "hidden", 20), ("hidden", "hidden", 24), ("hidden", "out", 12)):
        network.connect(pre, post, Delta(), weight=0.5, delay=3.0, synapses=count, signs=signs)
    network.limit(hardware)
    hardware.check(network)
    return network


def as_synapses(projection: Projection, n_post: int, rng: np.random.Generator) -> Synapses:
    """Return the synapses with other weights, a fifth of them 0."""
    weight = rng.normal(size=projection.n_synapses).astype(np.float32)
    if projection.sign is not None:
        weight = np.abs(weight) * projection.sign
    weight[rng.random(len(weight)) < 0.2] = 0
    delay = projection.delay.astype(np.float32)
    return Synapses(
        len(projection.indptr) - 1, n_post, projection.pre(), projection.post, weight, delay,
        projection.sign, {},
    )  # fmt: skip


@pytest.mark.slow
def test_no_violation_in_ten_thousand_passes() -> None:
    hardware = Hardware(
        fan_in=6, fan_out=5, input_fan_out=4, neurons_per_core=3, synapses_per_core=17
    )
    rng, moved, passes, per_rule = np.random.default_rng(11), 0, 0, 10_000 // len(RULES) // 3 + 1
    for rule in RULES:
        network = limited_network(rule.signs, hardware)
        sizes = {each: p.n for each, p in network.populations.items()}
        counts = {each: p.n_synapses for each, p in network.projections.items()}
        pairs = {}
        for each, p in network.projections.items():
            shape = (sizes[p.source], sizes[p.target])
            sign = None
            if p.sign is not None:
                sign = rng.choice(np.array([-1, 1], np.int8), shape)
                if rule.signs == "dale":
                    sign[:] = sign[:, :1]
                p.sign = sign[p.pre(), p.post]
            pairs[each] = Pairs(sign, np.full(shape, 3.0, np.float32))
        for _ in range(per_rule):
            for each, p in network.projections.items():
                synapses = as_synapses(p, sizes[p.target], rng)
                gradient, best = candidates(synapses, rng)
                done = rewire(
                    rule, synapses, pairs[each], gradient=gradient, best_delay=best, step=1,
                    total_steps=TOTAL, rng=rng, room=hardware.room(network, p),
                )  # fmt: skip
                new = done.synapses
                p.indptr = np.searchsorted(new.pre, np.arange(new.n_pre + 1))
                p.post, p.weight, p.delay, p.sign = new.post, new.weight, new.delay, new.sign
                assert p.n_synapses == counts[each]
                hardware.check(network)
                moved, passes = moved + done.moved, passes + 1
    assert passes >= 10_000
    assert moved > 2 * passes
