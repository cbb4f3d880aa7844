"""Weights as integers times a scale, delays on a grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Delta, LeakyIntegrator, Network, SpikeInput
from mlgenn_delays.quantisation import Quantised, quantise

WEIGHTS = arrays.arrays(
    np.float32, (4, 3), elements=st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=True)
)


def network(weight: np.ndarray) -> Network:
    net = Network()
    net.add("input", SpikeInput(weight.shape[0]))
    net.add("output", LeakyIntegrator(weight.shape[1]))
    net.connect("input", "output", Delta(), weight=weight.ravel())
    return net


@given(weight=WEIGHTS)
def test_no_weight_moves_by_more_than_half_a_scale(weight: np.ndarray) -> None:
    net = network(weight)
    rounded, quantised = quantise(net)
    name = "input->output"
    q = quantised.values[name].reshape(weight.shape).astype(np.float64)
    scale = quantised.scales[name].astype(np.float64)
    right = net.projections[name].weight.reshape(weight.shape)
    np.testing.assert_array_equal(right, weight)
    assert (np.abs(q * scale - weight) <= 0.5 * scale * (1 + 1e-3)).all()
    assert (q * weight >= 0).all()
    assert (q[weight == 0] == 0).all()
    used = weight.any(0)
    assert (np.abs(q).max(0)[used] >= 64).all() or (scale[used] < 1e-43).any()
    assert (scale[~used] == 0).all() and (np.abs(q) <= 127).all()
    got = rounded.projections[name].weight.reshape(weight.shape)
    np.testing.assert_array_equal(got, (q * scale).astype(np.float32))


def test_the_largest_weight_of_a_neuron_is_127() -> None:
    weight = np.array([[0.9, -0.5, 0.0], [-2.0, 0.1, 0.0]], np.float32)
    _, quantised = quantise(network(weight))
    q = quantised.values["input->output"].reshape(2, 3)
    np.testing.assert_array_equal(q, [[57, -127, 0], [-127, 25, 0]])


def test_rounding_again_changes_nothing() -> None:
    weight = np.random.default_rng(1).normal(0, 1, (40, 3)).astype(np.float32)
    once, first = quantise(network(weight))
    twice, second = quantise(once)
    np.testing.assert_array_equal(first.values["input->output"], second.values["input->output"])
    np.testing.assert_array_equal(
        once.projections["input->output"].weight, twice.projections["input->output"].weight
    )


def test_refuses_what_cannot_be_rounded() -> None:
    net = Network()
    net.add("input", SpikeInput(2))
    net.add("output", LeakyIntegrator(2), normalise=True)
    net.connect("input", "output", Delta(), weight=1.0)
    with pytest.raises(InputError, match="normalisation"):
        quantise(net)
    folded = net.folded()
    folded.projections["input->output"].weight[0] = np.inf
    with pytest.raises(InputError, match="finite"):
        quantise(folded)


def test_integers_check_themselves() -> None:
    scale = {"a": np.ones(2, np.float32)}
    with pytest.raises(InputError, match="int8"):
        Quantised("int8", {"a": np.array([-128, 0], np.int8)}, scale)
    with pytest.raises(InputError, match="same projections"):
        Quantised("int8", {"b": np.zeros(2, np.int8)}, scale)
    with pytest.raises(InputError, match="float32 scales"):
        Quantised("int8", {"a": np.zeros(2, np.int8)}, {"a": -np.ones(2, np.float32)})
