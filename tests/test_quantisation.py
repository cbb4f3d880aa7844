"""Weights as integers times a scale, delays on a grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlgenn_delays import Quantisation
from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Delta, LeakyIntegrator, Network, SpikeInput
from mlgenn_delays.quantisation import (
    LARGEST,
    Quantised,
    nearest,
    quantise,
    to_floats,
    to_integers,
)
from tests.reference import integers

SHAPE = (4, 3)
WEIGHTS = arrays.arrays(
    np.float32, SHAPE, elements=st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=True)
)
NORMAL = arrays.arrays(
    np.float32, SHAPE, elements=st.floats(-(2.0**60), 2.0**60, width=32).filter(
        lambda x: x == 0 or abs(x) > 2.0**-60
    ),
)  # fmt: skip
KIND = st.sampled_from(sorted(LARGEST))
NAME = "input->output"


def network(weight: np.ndarray) -> Network:
    net = Network()
    net.add("input", SpikeInput(weight.shape[0]))
    net.add("output", LeakyIntegrator(weight.shape[1]))
    net.connect("input", "output", Delta(), weight=weight.ravel())
    return net


@given(weight=WEIGHTS, kind=st.sampled_from(["int8", "int4"]))
def test_no_weight_moves_by_more_than_half_a_scale(weight: np.ndarray, kind: str) -> None:
    net, largest = network(weight), LARGEST[kind]
    rounded, quantised = quantise(net, kind)
    q = quantised.values[NAME].reshape(weight.shape).astype(np.float64)
    scale = quantised.scales[NAME].astype(np.float64)
    right = net.projections[NAME].weight.reshape(weight.shape)
    np.testing.assert_array_equal(right, weight)
    assert (np.abs(q * scale - weight) <= 0.5 * scale * (1 + 1e-2)).all()
    assert (q * weight >= 0).all()
    assert (q[weight == 0] == 0).all()
    used = weight.any(0)
    assert (np.abs(q).max(0)[used] > largest / 2).all() or (scale[used] < 1e-43).any()
    assert (scale[~used] == 0).all() and (np.abs(q) <= largest).all()
    got = rounded.projections[NAME].weight.reshape(weight.shape)
    np.testing.assert_array_equal(got, (q * scale).astype(np.float32))


@given(weight=NORMAL, kind=KIND, per=st.sampled_from(["neuron", "projection"]))
def test_integers_equal_those_of_plain_loops(weight: np.ndarray, kind: str, per: str) -> None:
    _, quantised = quantise(network(weight), kind, per)
    q, scales = quantised.values[NAME].reshape(SHAPE), quantised.scales[NAME]
    columns = [weight.T.ravel()] * 3 if per == "projection" else weight.T
    for neuron, column in enumerate(columns):
        wanted, scale = integers.integers([float(each) for each in column], kind)
        own = q.T.ravel() if per == "projection" else q[:, neuron]
        assert float(scales[neuron]) == scale
        assert own.tolist() == wanted


@given(weight=NORMAL, kind=KIND, factor=st.floats(2.0**-20, 2.0**20, width=32))
def test_what_is_on_the_grid_stays_there(weight: np.ndarray, kind: str, factor: float) -> None:
    owner = np.tile(np.arange(3), 4)
    q, scale = to_integers(weight.ravel(), owner, 3, kind)
    once = to_floats(q, scale, owner)
    np.testing.assert_array_equal(once.astype(float), q * scale.astype(float)[owner])  # exact
    again, same = to_integers(once, owner, 3, kind)
    np.testing.assert_array_equal(again, q)
    np.testing.assert_array_equal(same, scale)
    # Folding a normalisation in and out again, in float32.
    there = once * np.float32(factor)
    folded, _ = to_integers(there, owner, 3, kind)
    np.testing.assert_array_equal(folded, q)
    _, back = to_integers(there / np.float32(factor), owner, 3, kind)
    np.testing.assert_array_equal(back, scale)


def test_the_largest_weight_of_a_neuron_is_127() -> None:
    weight = np.array([[0.9, -0.5, 0.0], [-2.0, 0.1, 0.0]], np.float32)
    _, quantised = quantise(network(weight))
    q = quantised.values[NAME].reshape(2, 3)
    np.testing.assert_array_equal(q, [[57, -127, 0], [-127, 25, 0]])


def test_ternary_weights_are_those_of_the_paper() -> None:
    # Mean magnitude 1, so those above 0.7 act, with their mean.
    weight = np.array([[0.75], [-2.25], [0.625], [0.375]], np.float32)
    small, quantised = quantise(network(weight), "ternary")
    assert quantised.values[NAME].tolist() == [1, -1, 0, 0]
    assert small.projections[NAME].weight.tolist() == [1.5, -1.5, 0.0, 0.0]


def test_refuses_what_cannot_be_rounded() -> None:
    net = Network()
    net.add("input", SpikeInput(2))
    net.add("output", LeakyIntegrator(2), normalise=True)
    net.connect("input", "output", Delta(), weight=1.0)
    with pytest.raises(InputError, match="normalisation"):
        quantise(net)
    folded = net.folded()
    folded.projections[NAME].weight[0] = np.inf
    with pytest.raises(InputError, match="finite"):
        quantise(folded)


def test_integers_check_themselves() -> None:
    scale = {"a": np.ones(2, np.float32)}
    with pytest.raises(InputError, match="int8"):
        Quantised("int8", {"a": np.array([-128, 0], np.int8)}, scale)
    with pytest.raises(InputError, match=r"-7\.\.7"):
        Quantised("int4", {"a": np.array([8, 0], np.int8)}, scale)
    with pytest.raises(InputError, match="same projections"):
        Quantised("int8", {"b": np.zeros(2, np.int8)}, scale)
    with pytest.raises(InputError, match="one of int8, int4, ternary, got 'float32'"):
        Quantised("float32", {}, {})
    with pytest.raises(InputError, match="finite float32 scales"):
        Quantised("int8", {"a": np.zeros(2, np.int8)}, {"a": np.full(2, np.inf, np.float32)})
    with pytest.raises(InputError, match="float32 scales"):
        Quantised("int8", {"a": np.zeros(2, np.int8)}, {"a": -np.ones(2, np.float32)})


@given(
    delay=arrays.arrays(np.float32, 20, elements=st.floats(0, 30, width=32)),
    values=st.sets(st.integers(0, 25), min_size=1),
)
def test_delays_go_to_the_nearest_value(delay: np.ndarray, values: set[int]) -> None:
    grid = Quantisation(delay_values=tuple(values)).grid("a", 25.0, 1.0)
    assert grid.tolist() == sorted(values)
    found = nearest(delay, grid)
    assert set(found.tolist()) <= values
    for each, got in zip(delay.tolist(), found.tolist(), strict=True):
        closest = min(abs(each - value) for value in values)
        assert abs(each - got) == closest
        assert got == max(value for value in values if abs(each - value) == closest)


def test_a_grid_of_every_step_is_what_engines_round_to() -> None:
    delay = np.arange(0, 20, 0.125, dtype=np.float32)
    grid = Quantisation(delay_step=1.0).grid("a", 30.0, 1.0)
    np.testing.assert_array_equal(nearest(delay, grid), np.floor(delay + 0.5))


def test_grids_end_at_the_longest_delay() -> None:
    assert Quantisation(delay_step=4.0).grid("a", 11.0, 2.0).tolist() == [0, 2, 4]
    assert Quantisation(delay_values=(0, 6, 30)).grid("a", 11.0, 2.0).tolist() == [0, 3]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"delay_step": 2.5}, r"quantisation.delay_step must be in multiples of dt \(1 ms\), got"),
        ({"delay_step": 1e-9}, "delay_step must be in multiples of dt .*got 1e-09; take 1$"),
        ({"delay_values": (0, 1.5)}, "quantisation.delay_values must be in multiples of dt"),
        ({"delay_values": (9, 20)}, "up to 8 ms, the longest delay of 'input->output', got .9.0,"),
        ({"delay_step": 9}, "two delays within the longest, 8 ms, got 9.0; take shorter ones"),
        ({"delay_step": 1, "delay_values": (0, 1)}, "must be 0 with delay_values, got 1.0"),
        ({"weights": "int3"}, "one of float32, int8, int4, ternary, got 'int3'"),
        ({"per": "layer"}, "must be one of neuron, projection, got 'layer'"),
        ({"delay_step": -1}, "Quantisation.delay_step must be a number >= 0 ms, got -1"),
    ],
)
def test_what_clashes_is_refused(settings: dict, text: str) -> None:
    net = network(np.ones(SHAPE, np.float32))
    net.projections[NAME].max_delay = 8.0
    with pytest.raises(InputError, match=text):
        Quantisation(**settings).check(net)


def test_what_has_no_weights_is_refused() -> None:
    net = network(np.ones(SHAPE, np.float32))
    Quantisation(weights="int8").check(net)
    net.projections[NAME].frozen = True
    with pytest.raises(InputError, match=r"without weights that are learned, .*'int8'.*frozen"):
        Quantisation(weights="int8").check(net)
    with pytest.raises(InputError, match="no projection"):
        Quantisation(weights="ternary").check(Network())
