"""Limits of hardware: presets, own values, and what they need of weights and delays."""

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.hardware import LIMITS, Hardware, presets
from mlgenn_delays.network import LIF, Delta, LeakyIntegrator, Network, SpikeInput
from mlgenn_delays.quantisation import Quantisation


def network(**options: object) -> Network:
    made = Network(**options)
    made.add("in", SpikeInput(3))
    made.add("hidden", LIF(4))
    made.add("out", LeakyIntegrator(2))
    made.connect("in", "hidden", Delta(), weight=1.0, max_delay=10.0)
    made.connect("hidden", "out", Delta(), weight=1.0)
    return made


@pytest.mark.parametrize("name", presets())
def test_every_figure_of_a_preset_has_a_source(name: str) -> None:
    figures = presets()[name]
    limits = figures.keys() - {"summary", "sources"}
    assert limits
    assert limits <= set(LIMITS)
    assert limits == figures["sources"].keys()
    assert all(len(source) > 20 for source in figures["sources"].values())
    made = Hardware(preset=name).limits
    for key in LIMITS:
        expected = figures.get(key, () if key == "delays" else 0)
        assert getattr(made, key) == (tuple(expected) if key == "delays" else expected)


def test_own_values_come_before_those_of_a_preset() -> None:
    made = Hardware(preset="loihi2", fan_in=32, weight_bits=0)
    assert (made.fan_in, made.weight_bits, made.longest_delay) == (32, 0, None)
    limits = made.limits
    assert (limits.fan_in, limits.weight_bits, limits.longest_delay) == (32, 0, 62)
    assert not made.is_identity
    assert limits.limits == limits
    assert Hardware().is_identity


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"preset": "loihi"}, "must be one of none, loihi2, spinnaker2, xylo, cortex-m4-32k"),
        ({"fan_in": -1}, "fan_in must be a whole number >= 0"),
        ({"synapses_per_core": 4}, "neurons_per_core must be > 0 with synapses_per_core"),
        ({"weight_bits": 1}, "weight_bits must be 0 or >= 2"),
        ({"delay_bits": 40}, "delay_bits must be a whole number in [0, 31]"),
    ],
)
def test_settings_are_checked(given: dict, words: str) -> None:
    with pytest.raises(InputError) as error:
        Hardware(**given)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("bits", "kind"), [(0, "float32"), (2, "ternary"), (3, "ternary"), (4, "int4"), (7, "int4"),
                       (8, "int8"), (31, "int8"), (32, "float32")],
)  # fmt: skip
def test_weights_are_the_largest_that_the_bits_hold(bits: int, kind: str) -> None:
    assert Hardware(weight_bits=bits).quantisation(1.0) == Quantisation(weights=kind)


def test_quantisation_is_what_is_wanted_within_limits() -> None:
    hardware = Hardware(weight_bits=4, delays=(0, 2, 5))
    wanted = Quantisation(weights="ternary", per="projection")
    made = hardware.quantisation(0.5, wanted)
    assert made == Quantisation("ternary", "projection", delay_values=(0.0, 1.0, 2.5))
    assert hardware.quantisation(0.5, made) == made
    with pytest.raises(InputError, match="of at most 4 bits"):
        hardware.quantisation(0.5, Quantisation(weights="int8"))
    with pytest.raises(InputError, match=r"must be left out with hardware\.delays"):
        hardware.quantisation(0.5, Quantisation(delay_step=0.5))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"fan_in": 3}, "hardware.fan_in must be >= 4, which neuron 0 of 'out' has, got 3"),
        ({"fan_out": 3}, "hardware.fan_out must be >= 4, which neuron 0 of 'in' has, got 3"),
        ({"fan_out": 1, "input_fan_out": 4}, ">= 2, which neuron 0 of 'hidden' has, got 1"),
        ({"input_fan_out": 2}, "hardware.input_fan_out must be >= 4"),
        ({"neurons_per_core": 3, "synapses_per_core": 8}, ">= 9, which core 0 of 'hidden' has"),
        ({"neurons": 5}, "hardware.neurons must be >= 6"),
        ({"longest_delay": 9}, "max_delay of 'in->hidden' must be <= 9 ms, 9 steps of 1 ms"),
        ({"delay_bits": 3}, "must be <= 7 ms, 7 steps of 1 ms, with hardware.delay_bits = 3"),
        ({"delays": (0, 1, 6)}, "must be <= 6 ms"),
        ({"preset": "xylo"}, "must be <= 0 ms"),
    ],
)
def test_a_network_beyond_limits_is_refused_with_the_numbers(given: dict, words: str) -> None:
    with pytest.raises(InputError) as error:
        Hardware(**given).check(network())
    assert words in str(error.value)


def test_a_network_at_its_limits_is_taken() -> None:
    Hardware(
        fan_in=4, fan_out=4, neurons=6, neurons_per_core=3, synapses_per_core=9, longest_delay=10,
        delay_bits=4, delays=tuple(range(0, 12, 2)),
    ).check(network())  # fmt: skip
    Hardware(longest_delay=20).check(network(dt=0.5))
    with pytest.raises(InputError, match="19 steps"):
        Hardware(longest_delay=19).check(network(dt=0.5))


def test_room_is_what_other_projections_leave() -> None:
    made = network()
    made.connect("hidden", "hidden", Delta(), weight=1.0, synapses=6)
    hardware = Hardware(fan_in=6, fan_out=5, neurons_per_core=3, synapses_per_core=20)
    recurrent = made.projections["hidden->hidden"]
    room = hardware.room(made, recurrent)
    np.testing.assert_array_equal(room.pre, 4 * [5 - 2])
    np.testing.assert_array_equal(room.post, 4 * [6 - 3])
    np.testing.assert_array_equal(room.core, [20 - 9, 20 - 3])
