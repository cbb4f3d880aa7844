"""Synapses move so that a network keeps limits; pruning keeps the largest weights."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.errors import InputError
from mlgenn_delays.hardware import Hardware, Room
from mlgenn_delays.network import (
    LIF,
    Delta,
    LeakyIntegrator,
    Network,
    Normal,
    SpikeInput,
    Uniform,
)
from mlgenn_delays.network.limits import _by_flow, places


def rooms(n_pre: int, n_post: int, size: int, rng: np.random.Generator) -> Room:
    cores = -(-n_post // size)
    return Room(
        rng.integers(0, n_post + 2, n_pre), rng.integers(0, n_pre + 2, n_post),
        rng.integers(0, n_pre * size + 1, cores), size,
    )  # fmt: skip


def make(signs: str = "free", *, granularity: str = "synapse", seed: int = 0) -> Network:
    network = Network(seed=seed)
    network.add("in", SpikeInput(9))
    network.add("hidden", LIF(12))
    network.add("out", LeakyIntegrator(4))
    common = {"signs": signs, "granularity": granularity, "max_delay": 9.0}
    for pre, post, count in (("in", "hidden", 40), ("hidden", "hidden", 50), ("hidden", "out", 30)):
        network.connect(
            pre, post, Delta(), weight=Normal(0.0, 1.0), delay=Uniform(0.0, 9.0), synapses=count,
            **common,
        )  # fmt: skip
    return network


@settings(max_examples=60, deadline=None)
@given(n_pre=st.integers(1, 4), n_post=st.integers(1, 3), seed=st.integers(0, 2**32))
def test_the_most_synapses_are_those_of_the_best_of_all_structures(
    n_pre: int, n_post: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    room = rooms(n_pre, n_post, int(rng.integers(1, n_post + 1)), rng)
    best = 0
    for bits in itertools.product((False, True), repeat=n_pre * n_post):
        pre, post = np.nonzero(np.array(bits).reshape(n_pre, n_post))
        if len(pre) > best and room.without(pre, post).fits():
            best = len(pre)
    assert room.most() == best


@settings(max_examples=100, deadline=None)
@given(n_pre=st.integers(1, 8), n_post=st.integers(1, 8), seed=st.integers(0, 2**32))
def test_places_fit_and_as_many_stay_as_may(n_pre: int, n_post: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    room = rooms(n_pre, n_post, int(rng.integers(1, n_post + 1)), rng)
    most = room.most()
    assert len(_by_flow(most, n_pre, n_post, room, rng)) == most
    count = int(rng.integers(0, most + 1))
    flat = np.sort(rng.choice(n_pre * n_post, count, replace=False))
    found = places(flat, n_pre, n_post, room, rng)
    assert len(found) == count
    assert (np.diff(found) > 0).all()
    assert room.without(found // n_post, found % n_post).fits()
    if room.without(flat // n_post, flat % n_post).fits():
        np.testing.assert_array_equal(found, flat)


HARD = Hardware(fan_in=8, fan_out=8, input_fan_out=5, neurons_per_core=4, synapses_per_core=31)


@pytest.mark.parametrize("signs", ["free", "synapse", "dale"])
@pytest.mark.parametrize("granularity", ["synapse", "axon", "fixed"])
def test_a_network_keeps_limits_and_all_else(signs: str, granularity: str) -> None:
    before, network = make(signs, granularity=granularity), make(signs, granularity=granularity)
    with pytest.raises(InputError, match=r"hardware\.\w+ must be >= \d+, which"):
        HARD.check(network)
    network.limit(HARD)
    HARD.check(network)
    for name, projection in network.projections.items():
        old = before.projections[name]
        projection.check(*(network.populations[p].n for p in (old.source, old.target)))
        assert projection.n_synapses == old.n_synapses
        np.testing.assert_array_equal(
            np.sort(np.abs(projection.weight)), np.sort(np.abs(old.weight))
        )
        if granularity == "synapse":
            pairs = sorted(zip(np.abs(old.weight), old.delay, strict=True))
            assert sorted(zip(np.abs(projection.weight), projection.delay, strict=True)) == pairs
        else:
            np.testing.assert_array_equal(projection.delay, old.delay)
        if signs != "free":
            assert (np.sign(projection.weight) == projection.sign).all()
        if signs == "dale":
            total = np.bincount(projection.pre(), projection.sign, len(projection.indptr) - 1)
            np.testing.assert_array_equal(np.abs(total), np.diff(projection.indptr))
    again = make(signs, granularity=granularity)
    again.limit(HARD)
    for name, projection in network.projections.items():
        np.testing.assert_array_equal(projection.post, again.projections[name].post)


def test_a_network_within_limits_stays() -> None:
    before, network = make(), make()
    network.limit(Hardware(fan_in=30, fan_out=30))
    for name, projection in network.projections.items():
        np.testing.assert_array_equal(projection.weight, before.projections[name].weight)
        np.testing.assert_array_equal(projection.post, before.projections[name].post)


def test_those_before_leave_room_for_a_dense_one_after_them() -> None:
    network = Network()
    network.add("in", SpikeInput(4))
    network.add("hidden", LIF(10))
    network.add("out", LeakyIntegrator(6))
    network.connect("in", "hidden", Delta(), weight=1.0, synapses=20)
    network.connect("hidden", "hidden", Delta(), weight=1.0, synapses=40)
    network.connect("hidden", "out", Delta(), weight=1.0)
    hardware = Hardware(fan_out=10)
    network.limit(hardware)
    hardware.check(network)


@pytest.mark.parametrize(
    ("hardware", "words"),
    [
        (Hardware(fan_in=3), "'in->hidden' must have at most 36 synapses with hardware.fan_in = 3"),
        (Hardware(fan_out=3), "'in->hidden' must have at most 27 synapses"),
        (
            Hardware(neurons_per_core=6, synapses_per_core=30),
            "'hidden->hidden' must have at most 20 synapses",
        ),
        (Hardware(longest_delay=8), "max_delay of 'in->hidden' must be <= 8 ms"),
    ],
)
def test_limits_that_no_structure_keeps_are_refused(hardware: Hardware, words: str) -> None:
    with pytest.raises(InputError) as error:
        make().limit(hardware)
    assert words in str(error.value)


def test_a_frozen_projection_does_not_move() -> None:
    network = make()
    network.projections["in->hidden"].frozen = True
    with pytest.raises(InputError, match="must keep hardware.fan_in = 8, hardware.fan_out = 8"):
        network.limit(HARD)


@settings(max_examples=40, deadline=None)
@given(density=st.floats(0.05, 1.0), seed=st.integers(0, 99))
def test_pruning_keeps_the_largest_weights(density: float, seed: int) -> None:
    network = make("synapse", seed=seed)
    small = network.pruned(density)
    for name, projection in small.projections.items():
        old = network.projections[name]
        n_pre, n_post = (network.populations[p].n for p in (old.source, old.target))
        projection.check(n_pre, n_post)
        count = min(old.n_synapses, int(density * n_pre * n_post + 1e-9))
        assert projection.n_synapses == count
        largest = np.sort(np.abs(old.weight))[len(old.weight) - count :]
        np.testing.assert_array_equal(np.sort(np.abs(projection.weight)), largest)
        kept = ~np.isnan(small.weight_matrix(name))
        for matrix in ("weight_matrix", "delay_matrix"):
            one, other = getattr(small, matrix)(name), getattr(network, matrix)(name)
            np.testing.assert_array_equal(one[kept], other[kept])


def test_pruning_counts_with_normalisation() -> None:
    network = Network()
    network.add("in", SpikeInput(2))
    network.add("out", LeakyIntegrator(2), normalise=True)
    weights = np.array([[1.0, 2.0], [1.5, 3.0]])
    network.connect("in", "out", Delta(), weight=weights)
    network.populations["out"].normalisation.gain[:] = 10.0, 1.0
    pre, post = np.nonzero(~np.isnan(network.pruned(0.5).weight_matrix("in->out")))
    assert list(zip(pre, post, strict=True)) == [(0, 0), (1, 0)]
