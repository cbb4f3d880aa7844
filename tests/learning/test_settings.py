"""Learning settings check themselves."""

from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import (
    Adam,
    Atan,
    Boxcar,
    Cosine,
    EaseIn,
    EventProp,
    Gaussian,
    OneCycle,
    SpikeCount,
    SurrogateBPTT,
    Triangle,
)
from mlgenn_delays.network import (
    LIF,
    CurrentInput,
    Delta,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    SeedLI,
    SeedLIF,
    SpikeInput,
)
from mlgenn_delays.network.initialise import Uniform
from mlgenn_delays.rewiring import SET, DeepR, RigL


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Adam(-1e-3), "^Adam.learning_rate must be a number >= 0, got -0.001$"),
        (lambda: Adam(float("nan")), "learning_rate must be a number >= 0, got nan"),
        (lambda: Adam(beta1=1.0), r"beta1 must be a number in \[0, 1\), got 1.0"),
        (lambda: Adam(beta2=-0.1), r"beta2 must be a number in \[0, 1\), got -0.1"),
        (lambda: Adam(epsilon=0.0), "epsilon must be a number > 0, got 0.0"),
        (lambda: Adam(clip=0.0), "clip must be a number > 0 or None, got 0.0"),
        (lambda: SpikeCount(target=-1.0), "target must be a number >= 0, got -1.0"),
        (lambda: SpikeCount(strength=float("nan")), "strength must be a number >= 0, got nan"),
        (lambda: EventProp(revive=-1.0), "revive must be a number >= 0, got -1.0"),
        (
            lambda: EventProp(dropout={"hidden": 1.0}),
            r"dropout must be a number in \[0, 1\) .*got {'hidden': 1.0}",
        ),
        (lambda: EaseIn(start=0.0), r"start must be a number in \(0, 1\], got 0.0"),
        (lambda: EaseIn(growth=1.0), "growth must be a number > 1, got 1.0"),
        (lambda: Cosine(last=1.5), r"last must be a number in \[0, 1\], got 1.5"),
        (lambda: OneCycle(peak=0.0), "peak must be a number > 0, got 0.0"),
        (lambda: OneCycle(first=9.0), r"first must be a number <= peak \(5\), got 9.0"),
        (lambda: OneCycle(last=-1.0), "last must be a number >= 0, got -1.0"),
        (lambda: OneCycle(rise=1.0), r"rise must be a number in \(0, 1\), got 1.0"),
    ],
)
def test_bad_settings_are_refused(make: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()


# What may stand in each field of the settings, of a wrong type.
WRONG = ["0.01", True, None, [0.01], 0.01 + 1j, Adam, float("nan"), float("inf"), 10**400]
MADE = [
    Adam(), SpikeCount(), Cosine(), EaseIn(), OneCycle(), Atan(), Triangle(), Boxcar(), Gaussian(),
    EventProp(), SurrogateBPTT(), DeepR(), SET(), RigL(), LIF(3), SeedLIF(3), LeakyIntegrator(2),
    SeedLI(2), SpikeInput(3), CurrentInput(3), Exponential(), Uniform(0.0, 1.0), Normal(0.0, 1.0),
]  # fmt: skip
MAY_BE_NONE = {"clip", "weights", "delays", "longest", "every"}


@pytest.mark.parametrize("made", MADE, ids=lambda made: type(made).__name__)
def test_every_field_refuses_other_types(made: object) -> None:
    for field in fields(made):  # type: ignore[arg-type]
        for wrong in WRONG:
            if wrong is None and field.name in MAY_BE_NONE:
                continue
            if isinstance(wrong, bool) and field.name == "pipelined":
                continue
            if isinstance(wrong, (float, int)) and field.name in ("weights", "delays"):
                continue  # refused as the rate of Adam
            name = f"{type(made).__name__}.{field.name}"
            with pytest.raises(InputError, match=f"^{name} must be .*, got "):
                replace(made, **{field.name: wrong})  # type: ignore[type-var]


@pytest.mark.parametrize("rule", [EventProp, SurrogateBPTT])
@pytest.mark.parametrize("key", ["weights", "delays"])
def test_a_rate_is_that_of_adam(rule: type, key: str) -> None:
    assert getattr(rule(**{key: 0.01}), key) == Adam(0.01)
    with pytest.raises(InputError, match="^Adam.learning_rate must be a number >= 0, got -1"):
        rule(**{key: -1})


def test_what_a_class_does_not_take() -> None:
    with pytest.raises(InputError, match="^Adam takes learning_rate.*, got 'rate'"):
        Adam(rate=1.0)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="^LIF needs n, got none; it takes n, tau_mem"):
        LIF()  # type: ignore[call-arg]


def test_numbers_of_numpy_are_numbers() -> None:
    assert Adam(np.float32(0.5)).learning_rate == 0.5
    assert LIF(np.int64(3), tau_mem=np.float32(20.0)).n == 3


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Network(dt="1"), "Network.dt must be a number"),
        (lambda: Network(seed=1.5), "Network.seed must be a whole number >= 0, got 1.5"),
        (lambda: Network().add("a", 3), "model of 'a' must be one of SpikeInput, .*, got 3"),
        (lambda: Network().add(3, LIF(3)), "a population must have a printable name .*, got 3"),
        (lambda: Network().add("a", LIF(3), bias="x"), "bias of 'a' must be a number, an array"),
        (lambda: pair().connect("a", "b", 5.0, weight=1.0), "synapse of 'a->b' must be one of"),
        (lambda: pair().connect("a", "b", Delta(), weight="x"), "weight of 'a->b' must be a numb"),
        (lambda: pair().connect("a", "b", Delta(), weight=1.0, density="x"), "density must be in"),
        (
            lambda: pair().connect("a", "b", Delta(), weight=1.0, max_delay="9"),
            "max_delay of .*'9'",
        ),
        (
            lambda: pair().connect("a", "b", Delta(), weight=1.0, synapses=2.5),
            "synapses must be in",
        ),
    ],
)
def test_networks_refuse_other_types(make: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()


def pair() -> Network:
    """Return a network of two populations."""
    net = Network()
    net.add("a", SpikeInput(3))
    net.add("b", LIF(2))
    return net


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Adam().learning_rate = 1.0  # type: ignore[misc]


def test_defaults_are_not_shared() -> None:
    assert EventProp().dropout is not EventProp().dropout
    assert EventProp() == EventProp()
