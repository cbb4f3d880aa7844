"""Rewiring while GeNN trains, against the CPU engine; and transmission over what was rewired."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.needs import GENN, need

need(*GENN)
pytestmark = pytest.mark.slow

from mlgenn_delays.data.types import SpikeBatch, SpikeData  # noqa: E402
from mlgenn_delays.engines.base import CompiledNetwork  # noqa: E402
from mlgenn_delays.learning import Rule  # noqa: E402
from mlgenn_delays.network import Network  # noqa: E402
from mlgenn_delays.rewiring import SET, DeepR, Rewiring, RigL  # noqa: E402
from tests.engines import rewired  # noqa: E402
from tests.engines.helpers import raster, relative  # noqa: E402
from tests.engines.rewired import TOTAL, Pass, Spy, batches, check_state, recipe, tight  # noqa: E402
from tests.parity.helpers import check, count_builds, cpu, genn  # noqa: E402
from tests.reference import nets, steps  # noqa: E402
from tests.reference.nets import StepRecipe  # noqa: E402

EVENT, STEPPED, WIDE = rewired.event(), rewired.surrogate(), rewired.gaussian()
SIGNED, FREE = recipe(1200), recipe(1201, signs="free")
MAGNITUDE: dict[str, Any] = {"form": "magnitude", "until": 1.0}
CASES: list[tuple[Rewiring, Rule, StepRecipe]] = [
    (DeepR(every=0), EVENT, SIGNED),
    (DeepR(every=2), EVENT, SIGNED),
    (DeepR(grow_delay="random", every=2), WIDE, recipe(1202, granularity="axon")),
    (RigL(every=0), EVENT, SIGNED),
    (RigL(), EVENT, SIGNED),
    (RigL(grow_delay="gradient", every=2), EVENT, SIGNED),
    (RigL(every=2), STEPPED, recipe(1203, signs="dale", current=True)),
    (RigL(**MAGNITUDE, every=0, signs="free"), EVENT, FREE),
    (RigL(**MAGNITUDE, every=2, signs="free", grow_delay="gradient"), EVENT, FREE),
    (RigL(**MAGNITUDE, every=3), WIDE, recipe(1204)),
    (SET(every=0, signs="free"), EVENT, FREE),
    (SET(every=1, until=1.0, signs="free"), EVENT, FREE),
]


def title(value: Any) -> str:
    if isinstance(value, Rewiring):
        form = getattr(value, "form", "")
        return f"{type(value).__name__}{form}{value.every}{value.grow_delay}"
    return str(value.seed) if isinstance(value, StepRecipe) else type(value).__name__


def trained(
    engine: CompiledNetwork, of: StepRecipe, patch: pytest.MonkeyPatch, epochs: int = 2
) -> list[Pass]:
    with patch.context() as own:
        spy = Spy.on(own)
        grown = [
            engine.train_epoch(batches(of, epoch), epoch=epoch).grown
            for epoch in range(1, epochs + 1)
        ]
        assert sum(g or 0 for g in grown) == sum(p.done.moved for p in spy.passes)
    return spy.passes


def chosen(one: Pass) -> set[tuple[int, int]]:
    """Return the pairs that have a synapse after a pass."""
    return set(zip(one.done.synapses.pre.tolist(), one.done.synapses.post.tolist(), strict=True))


@pytest.mark.parametrize(("rule", "learning", "of"), CASES, ids=title)
def test_equals_the_cpu_engine(
    rule: Rewiring, learning: Rule, of: StepRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, options = nets.step_network(of), {"rewiring": rule, "total_steps": TOTAL, "seed": 3}
    one = cpu(start.copy(), learning, **options)
    other = genn(start.copy(), learning, **options)
    right, got = (trained(engine, of, monkeypatch) for engine in (one, other))
    assert len(got) == len(right) > 0
    first = len(start.projections)
    assert sum(p.done.moved for p in got[:first]) > 0
    for a, b in zip(right[:first], got[:first], strict=True):
        # Up to rounding both saw the same weights and gradients; what grows may differ in ties.
        kept = len(chosen(a) & chosen(b)) / len(chosen(a))
        assert kept >= 0.99
        assert relative(b.synapses.weight, a.synapses.weight) < 1e-3
        if a.gradient is not None and b.gradient is not None:
            assert relative(b.gradient, a.gradient) < 1e-3
    check_state(start, rule, other.state())


def test_limits_of_hardware_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    start, hardware = tight(FREE)
    options = {"rewiring": SET(every=1, until=1.0, signs="free"), "total_steps": TOTAL, "seed": 4}
    engine = genn(start.copy(), EVENT, hardware=hardware, **options)
    passes = trained(engine, FREE, monkeypatch, 1)
    assert sum(p.done.moved for p in passes) > 10
    hardware.check(engine.pull())
    check_state(start, options["rewiring"], engine.state())


def test_a_pass_between_two_batches_is_met_by_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"rewiring": SET(every=1, until=1.0, signs="free"), "total_steps": TOTAL, "seed": 4}
    engine = genn(nets.step_network(FREE), EVENT, **options)
    passes = trained(engine, FREE, monkeypatch, 1)
    assert sum(p.done.moved for p in passes) > 10
    net, batch = engine.pull(), batches(FREE)[0]
    fresh = cpu(net.copy(), EVENT)
    check(engine.gradients(batch), fresh.gradients(batch))


# Transmission follows the synapses

SMALL = StepRecipe(1210, sizes=(7, 10, 3), density=0.35, recurrent=True, bias=0.0, signs="free")
CROWDED = replace(SMALL, seed=1220, sizes=(7, 24, 3), density=0.3)
LENGTH = 45


def probe(seed: int) -> SpikeBatch:
    """Return two trials in which every channel spikes once, at a step of its own."""
    rng = np.random.default_rng((seed, 1211))
    n = SMALL.sizes[0]
    events = [(np.arange(n), rng.permutation(20)[:n]) for _ in range(2)]
    return SpikeData.from_events(
        events, np.zeros(2, np.int64), n_channels=n, n_steps=LENGTH, dt=1.0,
        label_names=("a", "b", "c"),
    ).batch(np.arange(2))  # fmt: skip


def transmits(engine: CompiledNetwork, net: Network, batch: SpikeBatch) -> tuple[int, bool]:
    """Reject an engine whose spikes and voltages are not those of a network in plain NumPy.

    Returns:
        How many hidden spikes there were, and whether a tie cut the comparison short.
    """
    right, got = steps.forward(net, batch, training=False), engine.record(batch)
    spikes = 0
    for b, tie in enumerate(right.tie):
        fired = right.spikes["hidden0"][b]
        np.testing.assert_array_equal(raster(got, "hidden0", b, LENGTH)[:tie], fired[:tie])
        voltage = right.layers["output"].after[b].T
        assert relative(got.voltage[b, :, :tie], voltage[:, :tie]) < 1e-4
        spikes += int(fired.sum())
    return spikes, bool((right.tie < LENGTH).any())


def drawn(of: StepRecipe) -> Network:
    """Return a network of large weights; of as many synapses with another seed."""
    net = nets.step_network(of)
    rng = np.random.default_rng((of.seed, 1212))
    for name, p in net.projections.items():
        p.weight = (p.weight + rng.normal(0.0, 0.2, p.n_synapses)).astype(np.float32)
        if name == "input->hidden0":
            p.weight = (6 * np.abs(p.weight)).astype(np.float32)
    return net


def test_transmission_follows_a_hundred_rewirings(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = SET(every=1, until=1.0, decay="constant", signs="free", grow_delay="random")
    builds, net = count_builds(monkeypatch), drawn(SMALL)
    engine = genn(net, EVENT, rewiring=rule, total_steps=101)
    spikes, ties, before, moved = 0, 0, net.copy(), 0
    for k in range(100):
        # One optimiser step, then one pass; synapses of the pass before have learned weights.
        result = engine.train_epoch([batches(SMALL, k + 1)[0]], epoch=k + 1)
        assert result.grown is not None and result.grown > 0
        now = engine.pull().copy()
        fired, tied = transmits(engine, now, probe(k))
        spikes, ties = spikes + fired, ties + tied
        moved += any(
            not np.array_equal(now.projections[n].post, before.projections[n].post)
            for n in now.projections
        )
        before = now
    assert moved == 100 and spikes > 100 and ties <= 4
    assert len(builds) == 1


def test_transmission_follows_a_hundred_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    builds = count_builds(monkeypatch)
    rule = SET(every=0, signs="free")
    engine = genn(drawn(SMALL), EVENT, rewiring=rule, total_steps=101)
    spikes, ties = 0, 0
    for k in range(100):
        net = drawn(replace(SMALL, seed=3000 + k))
        engine.push(net)
        fired, tied = transmits(engine, net, probe(k))
        spikes, ties = spikes + fired, ties + tied
        if k % 10 == 0:
            batch = batches(SMALL)[0]
            if (steps.forward(net, batch).tie == SMALL.steps).all():
                check(engine.gradients(batch), cpu(net, EVENT).gradients(batch))
    assert spikes > 300 and ties <= 4
    assert len(builds) == 1


def crowded() -> tuple[Network, Network]:
    """Return two networks of as many synapses, of which the second has one full row."""
    net = drawn(CROWDED)
    full = net.copy()
    for p in full.projections.values():
        n_pre, n_post = (full.populations[name].n for name in (p.source, p.target))
        rng, row = np.random.default_rng(1221), n_pre // 2
        others = [(i, j) for i in range(n_pre) for j in range(n_post) if i != row]
        left = p.n_synapses - n_post
        kept = [others[k] for k in rng.permutation(len(others))[:left]]
        pre, post = np.array(sorted([*kept, *((row, j) for j in range(n_post))])).T
        p.post = post.astype(np.int32)
        p.indptr = np.searchsorted(pre, np.arange(n_pre + 1)).astype(np.int64)
        p.check(n_pre, n_post)
    return net, full


def test_a_row_longer_than_its_room_is_built_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    builds, (net, full) = count_builds(monkeypatch), crowded()
    engine, batch = genn(net.copy(), EVENT), batches(CROWDED)[0]
    transmits(engine, net, probe(0))
    assert len(builds) == 1
    engine.push(full)
    assert transmits(engine, full, probe(1))[0] > 0
    assert len(builds) == 2
    check(engine.gradients(batch), cpu(full, EVENT).gradients(batch))
    engine.push(net)
    transmits(engine, net, probe(2))
    assert len(builds) == 2  # what has room for the longer rows has room for these


def test_dense_projections_stay() -> None:
    of = replace(recipe(1230, recurrent=False), density=1.0)
    net = nets.step_network(of)
    net.projections["hidden0->output"] = nets.step_network(
        replace(of, density=0.4)
    ).projections["hidden0->output"]  # fmt: skip
    dense, sparse = net.projections["input->hidden0"], net.projections["hidden0->output"]
    post = sparse.post.copy()
    options = {"rewiring": RigL(), "total_steps": TOTAL, "seed": 1}
    engines = [make(net.copy(), EVENT, **options) for make in (cpu, genn)]
    for engine in engines:
        for epoch in (1, 2):
            engine.train_epoch(batches(of, epoch), epoch=epoch)
        after = engine.pull().projections
        np.testing.assert_array_equal(after["input->hidden0"].post, dense.post)
        assert not np.array_equal(after["hidden0->output"].post, post)
