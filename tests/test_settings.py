"""Every field of every settings class, and every key of a recipe, keeps to its declaration."""

import inspect
import math
import re
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.data.augment.augment import Augment
from mlgenn_delays.data.encode.level import LevelEncoder
from mlgenn_delays.data.encode.mel import MelSettings
from mlgenn_delays.data.encode.rate import RateEncoder
from mlgenn_delays.data.registry import DATASETS, dataset
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
    SpikeCountLoss,
    SpikeTimeLoss,
    SurrogateBPTT,
    Triangle,
)
from mlgenn_delays.network import (
    LIF,
    CurrentInput,
    EulerLI,
    EulerLIF,
    Exponential,
    LeakyIntegrator,
    Normal,
    SpikeCounter,
    SpikeInput,
)
from mlgenn_delays.network.initialise import Uniform
from mlgenn_delays.recipe import load_recipe
from mlgenn_delays.recipe.explain import TABLES, keys
from mlgenn_delays.rewiring import SET, DeepR, RigL
from mlgenn_delays.settings import INT32_MAX, LONGEST, fields_of, range_of

MADE = [
    Adam(), SpikeCount(), Cosine(), EaseIn(), OneCycle(), Atan(), Triangle(), Boxcar(), Gaussian(),
    EventProp(), SurrogateBPTT(), DeepR(), SET(), RigL(), LIF(3), EulerLIF(3), LeakyIntegrator(2),
    EulerLI(2), SpikeInput(3), CurrentInput(3), Exponential(), Uniform(0.0, 1.0), Normal(0.0, 1.0),
    SpikeCounter(2), SpikeCountLoss(), SpikeTimeLoss(),
]  # fmt: skip
DATA = [
    Augment(), MelSettings(), LevelEncoder(), RateEncoder(),
    *(dataset(name).options() for name in (*DATASETS, "tonic:NMNIST")),
]  # fmt: skip
# What may stand in a field, of a wrong type.
WRONG = ["0.01", True, None, [0.01], 0.01 + 1j, Adam, float("nan"), float("inf"), 10**400]
MAY_BE_NONE = {"clip", "weights", "delays", "neurons", "longest", "every"}


def outside(said: str) -> list[float]:
    """Return numbers just outside the range that is said, and one that is not whole if need be."""
    whole = "whole number" in said
    beyond = [2.5] if whole else []
    found = re.search(r"number(?: in ([\[(])(\S+), (\S+)([\])])| (>=?|<=?) ([^\s,]+))", said)
    if found is None:
        return beyond
    left, low, high, right, relation, bound = found.groups()
    if relation:
        left, low = "[" if relation == ">=" else "(", bound
    step = 1.0 if whole else 1e-9
    beyond.append(float(low) - (step if left == "[" else 0.0))
    if high:
        beyond.append(float(high) * (1 + 1e-9) + whole if right == "]" else float(high))
    return [int(each) if whole and each.is_integer() else each for each in beyond]


def test_numbers_outside_a_range() -> None:
    assert outside("a number in [0, 1) ms") == [-1e-9, 1.0]
    assert outside("a whole number >= 1") == [2.5, 0]
    assert outside("a number > 0 or None") == [0.0]


@pytest.mark.parametrize("made", MADE, ids=lambda made: type(made).__name__)
def test_every_field_refuses_other_types(made: object) -> None:
    for field in fields(made):  # type: ignore[arg-type]
        for wrong in WRONG:
            if wrong is None and field.name in MAY_BE_NONE:
                continue
            if isinstance(wrong, bool) and field.name in (
                "pipelined", "learn", "dead_first",
            ):  # fmt: skip
                continue
            if isinstance(wrong, (float, int)) and field.name in ("weights", "delays", "neurons"):
                continue  # refused as the rate of Adam
            if isinstance(wrong, list) and field.name == "tau_syn":
                continue  # one per neuron
            rejected(made, field.name, wrong)


def rejected(made: object, name: str, wrong: Any) -> None:
    """Check that a field rejects a value, by name."""
    where = f"{type(made).__name__}.{name}"
    with pytest.raises(InputError, match=f"^{where} must be .*, got "):
        replace(made, **{name: wrong})  # type: ignore[type-var]


@pytest.mark.parametrize("made", [*MADE, *DATA], ids=lambda made: type(made).__name__)
def test_every_field_keeps_to_its_range(made: object) -> None:
    for name, info in fields_of(type(made)).items():
        said = range_of(info)
        if "number" in said and not said.startswith(("a list", "true")) and "by name" not in said:
            for wrong in (*outside(said), math.nan, "1", True):
                rejected(made, name, wrong)
        elif said.startswith("one of "):
            for word in (3, "no such word", f"{said.split()[-1]}x"):
                rejected(made, name, word)
        elif said == "true or false":
            rejected(made, name, 1)


def test_times_and_counts_that_would_overflow() -> None:
    """These bounds are said only to those who pass them."""
    for made, name, largest in ((LIF(3), "tau_mem", LONGEST), (SpikeInput(3), "n", INT32_MAX)):
        replace(made, **{name: largest})
        with pytest.raises(InputError, match=rf"{name} must be .*\]"):
            replace(made, **{name: 2 * largest})


@pytest.mark.parametrize("table", TABLES)
def test_every_key_of_a_recipe_keeps_to_its_range(table: str) -> None:
    given = ["neurons.NAME.step='V = I'"] if table.startswith("neurons") else []
    for key in keys(table):
        wrong: list[object] = []
        if key.range.startswith("one of "):
            wrong = ["no-such-word", 3]
        elif key.range == "true or false":
            wrong = [1, "yes"]
        elif key.range.startswith(("a number", "a whole number")) and "by name" not in key.range:
            wrong = [*outside(key.range), "nan", "inf", "true", "'1'"]
        for value in wrong:
            with pytest.raises(InputError) as caught:
                load_recipe("digits", [*given, f"{key.name}={value}"])
            assert caught.value.exit_code == 2
            assert str(caught.value).startswith(f"recipe 'digits': {key.name} must be ")
            assert f"(from --set {key.name}={value})" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: EventProp(dropout={"hidden": 1.0}), r"EventProp.dropout .*got {'hidden': 1.0}"),
        (lambda: OneCycle(first=9.0), r"first must be a number <= peak \(5\), got 9.0"),
        (lambda: Uniform(2.0, 1.0), r"Uniform.low must be a number <= high \(1\), got 2.0"),
        (lambda: LeakyIntegrator(2, readout="man"), "readout must be .*got 'man'.* 'mean'"),
        (lambda: Adam(rate=1.0), "^Adam takes learning_rate.*, got 'rate'"),
        (lambda: LIF(), "^LIF needs n, got none; it takes n, tau_mem"),
        (lambda: DeepR(signs="free"), "DeepR.signs must be synapse or dale, got 'free'"),
        (lambda: RigL(signs="free"), "signs must be synapse or dale, got 'free'; .*magnitude"),
        (lambda: DeepR(signs="deal"), "DeepR.signs must be .* mean 'dale'"),
        (lambda: SET(grow_delay="gradient"), "SET.grow_delay must be .* got 'gradient'; .*RigL"),
        (lambda: DeepR(grow_delay="gradient"), "DeepR.grow_delay must be .*'gradient'; .*RigL"),
    ],
)
def test_what_several_fields_or_a_class_refuse(make: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()


@pytest.mark.parametrize("rule", [EventProp, SurrogateBPTT])
@pytest.mark.parametrize("key", ["weights", "delays"])
def test_a_rate_is_that_of_adam(rule: type, key: str) -> None:
    assert getattr(rule(**{key: 0.01}), key) == Adam(0.01)
    with pytest.raises(InputError, match="^Adam.learning_rate must be a number >= 0, got -1"):
        rule(**{key: -1})


def test_numbers_of_numpy_are_numbers() -> None:
    assert Adam(np.float32(0.5)).learning_rate == 0.5
    assert LIF(np.int64(3), tau_mem=np.float32(20.0)).n == 3


def test_settings_are_frozen_and_share_no_default() -> None:
    with pytest.raises(FrozenInstanceError):
        Adam().learning_rate = 1.0  # type: ignore[misc]
    assert EventProp().dropout is not EventProp().dropout
    assert EventProp() == EventProp()


def test_signatures_have_plain_types() -> None:
    """Help and notebooks show them; range, unit and meaning are under Arguments."""
    shown = str(inspect.signature(RateEncoder))
    assert shown.endswith("gain: float = 1.0, tau: float = 10.0, refractory: float = 5.0) -> None")
    for cls in (EventProp, SurrogateBPTT, RigL, Augment, RateEncoder, MelSettings, LIF):
        shown = str(inspect.signature(cls))
        assert "FieldInfo" not in shown and "Annotated" not in shown, shown
