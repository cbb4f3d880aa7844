"""Synapses on no path, beside powers of the whole network's matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays import Delta, EulerLI, EulerLIF, Network, SpikeInput
from mlgenn_delays.errors import InputError

SIZES = {"in": 4, "one": 6, "two": 5, "out": 3}
ENDS = [("in", "one"), ("one", "two"), ("two", "out"), ("one", "one"), ("in", "two")]


def drawn(seed: int, synapses: int, ends: list[tuple[str, str]]) -> Network:
    network = Network(seed=seed)
    network.add("in", SpikeInput(SIZES["in"]))
    for name in ("one", "two"):
        network.add(name, EulerLIF(SIZES[name]))
    network.add("out", EulerLI(SIZES["out"]))
    for source, target in ends:
        network.connect(source, target, Delta(), weight=1.0, synapses=synapses)
    return network


def on_paths(network: Network) -> set[tuple[str, int, int]]:
    """Return the synapses of all paths, by powers of the matrix of which neuron reaches which."""
    first = dict(zip(SIZES, np.cumsum([0, *SIZES.values()]), strict=False))
    reaches = np.eye(sum(SIZES.values()), dtype=int)
    ends = {
        (name, int(pre), int(post)): (first[p.source] + pre, first[p.target] + post)
        for name, p in network.projections.items()
        for pre, post in zip(p.pre(), p.post, strict=True)
    }
    for pre, post in ends.values():
        reaches[pre, post] = 1
    for _ in range(5):
        reaches = np.minimum(reaches @ reaches, 1)
    reached = reaches[: SIZES["in"]].any(0)
    reaching = reaches[:, first["out"] :].any(1)
    return {key for key, (pre, post) in ends.items() if reached[pre] and reaching[post]}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(3, 5))
def test_dead_synapses_are_those_of_no_path(seed: int, synapses: int, projections: int) -> None:
    network = drawn(seed, synapses, ENDS[:projections])
    alive = on_paths(network)
    for name, p in network.projections.items():
        for pre, post, dead in zip(p.pre(), p.post, network.dead_synapses(name), strict=True):
            assert dead == ((name, int(pre), int(post)) not in alive)


def test_a_dense_network_has_none() -> None:
    network = drawn(0, 12, ENDS[:3])
    network.connect("in", "out", Delta(), weight=1.0)
    assert not network.dead_synapses("in->out").any()
    with pytest.raises(InputError, match="there is no projection 'in->three'"):
        network.dead_synapses("in->three")
