"""Synapses that grow are learned like any other from their first step on."""

from typing import Any

import numpy as np
import pytest

from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.learning import Adam, EventProp, SurrogateBPTT, Triangle
from mlgenn_delays.network import Network
from mlgenn_delays.rewiring import SET, RigL
from tests.engines.rewired import Spy, batches, engine, recipe, same
from tests.reference import nets
from tests.reference.adam import Parameter

RATES = {"weight": 0.05, "delay": 0.5}
RULES = [
    (EventProp, SET(every=1, drop_fraction=0.2, signs="synapse")),
    (EventProp, SET(every=1, drop_fraction=0.2, signs="synapse", grow_delay="random")),
    (SurrogateBPTT, RigL(form="magnitude", every=2, drop_fraction=0.2, grow_delay="gradient")),
]
Key = tuple[str, str, int, int]


def made(learning: Any, rule: Any, seed: int) -> CompiledNetwork:
    settings = {"weights": Adam(RATES["weight"]), "delays": Adam(RATES["delay"])}
    if learning is SurrogateBPTT:
        settings["surrogate"] = Triangle()
    return engine(nets.step_network(recipe(seed)), learning(**settings), rule)


def values(net: Network, what: str, arrays: dict[str, np.ndarray]) -> dict[Key, float]:
    """Return arrays over synapses by what they are, projection, pre and post."""
    return {
        (what, name, int(i), int(j)): float(x)
        for name, p in net.projections.items()
        for i, j, x in zip(p.pre(), p.post, arrays[name], strict=True)
    }


def held(net: Network, built: CompiledNetwork) -> dict[Key, float]:
    """Return weights and delays [steps] as the engine has them."""
    state = built.state()
    found = {}
    for what in RATES:
        found |= values(net, what, {n: state[f"{n}/{what}"] for n in net.projections})
    return found


def update(
    known: dict[Key, Parameter], gradient: dict[Key, float], net: Network, longest: float
) -> None:
    """Make one update of every parameter with what must hold of it afterwards."""
    signs = values(net, "weight", {n: p.sign for n, p in net.projections.items()})
    for key, g in gradient.items():
        known[key].update(g, RATES[key[0]], 0.9, 0.999, 1e-8)
        if key[0] == "delay":
            known[key].value = min(max(known[key].value, 0.0), longest)
        elif known[key].value * signs[key] < 0:
            known[key].value = 0.0


def grown_at(spy: Spy, net: Network) -> set[Key]:
    """Return the parameters that the passes since the last call made anew."""
    found = set()
    for name, each in zip(net.projections, spy.passes, strict=False):
        new, done = each.done.origin < 0, each.done.synapses
        pairs = list(zip(done.pre[new], done.post[new], strict=True))
        found |= {(what, name, int(i), int(j)) for what in RATES for i, j in pairs}
    spy.passes.clear()
    return found


@pytest.mark.parametrize(("learning", "rule"), RULES)
def test_a_grown_synapse_is_corrected_for_its_own_steps(
    learning: Any, rule: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, spy = recipe(900), Spy.on(monkeypatch)
    built = made(learning, rule, 900)
    net = built.pull().copy()
    longest = max(p.max_delay for p in net.projections.values()) / net.dt
    known = {key: Parameter(value) for key, value in held(net, built).items()}
    first_steps = []  # of what has grown, in learning rates
    for step, batch in enumerate(batches(of, 1, n=20), 1):
        got = built.gradients(batch)
        gradient = values(net, "weight", got.weight) | values(net, "delay", got.delay)
        before = {key: parameter.value for key, parameter in known.items()}
        update(known, gradient, net, longest)
        built.train_epoch([batch], epoch=1)
        net = built.pull().copy()
        now, new = held(net, built), grown_at(spy, net)
        known = {key: Parameter(now[key]) if key in new else known[key] for key in now}
        for key in set(now) - new:
            wanted = known[key]
            assert now[key] == pytest.approx(wanted.value, rel=2e-3, abs=1e-3 * RATES[key[0]])
            if wanted.updates == 1 and step > 1:
                first_steps.append(abs(now[key] - before[key]) / RATES[key[0]])
    assert len(first_steps) > 50
    assert 0.9 < max(first_steps) <= 1.001  # as the first step of any parameter


def test_counts_are_part_of_a_state_where_they_differ() -> None:
    of, (learning, rule) = recipe(901), RULES[1]
    built, other = made(learning, rule, 901), made(learning, rule, 901)
    assert not any(key.endswith("_steps") for key in built.state())
    built.train_epoch(batches(of, 1), epoch=1)
    state = built.state()
    name = next(iter(built.network.projections))
    counts = state[f"{name}/weight_steps"]
    assert counts.dtype == np.int32 and counts.min() == 0 and counts.max() == state["step"][0]
    other.load_state(state)
    for epoch in (2, 3):
        built.train_epoch(batches(of, epoch), epoch=epoch)
        other.train_epoch(batches(of, epoch), epoch=epoch)
    same(built.state(), other.state())


def test_a_state_without_counts_counts_from_the_start() -> None:
    """As those written before there were any: then every synapse was taken to be as old."""
    of, (learning, rule) = recipe(902), RULES[0]
    built, other = made(learning, rule, 902), made(learning, rule, 902)
    built.train_epoch(batches(of, 1), epoch=1)
    state = {key: v for key, v in built.state().items() if not key.endswith("_steps")}
    other.load_state(state)
    same(other.state(), state)
