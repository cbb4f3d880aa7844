"""Annotations that settings of data sets and encoders share, and checks of several fields."""

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from mlgenn_delays.errors import InputError
from mlgenn_delays.settings import (
    INT32_MAX,
    Number,
    PositiveTime,
    Unit,
    check,
    one_of,
    refuse,
    says,
)

# TOML and JSON have lists where settings have tuples.
AsTuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
Scale = Annotated[Number, Field(gt=0, le=1e6)]
HeldOut = Annotated[Number, Field(ge=0, le=0.9)]
TimeUnit = Annotated[Scale, Unit("ms")]
TrialLength = Annotated[PositiveTime, says("Length of a trial.")]
Stream = Annotated[
    bool, says("Whether spikes stay on disk, in the cache, until a batch needs them.")
]
Validation = Annotated[HeldOut, says("Share of the training examples kept for validation.")]
Spikes = Annotated[str, one_of("spikes"), says("What examples are: spikes.")]
Currents = Annotated[str, one_of("currents"), says("What examples are: currents.")]
Either = Annotated[
    str, one_of("spikes", "currents"), says("What examples are: spikes or currents.")
]


def check_at_most(settings: Any, name: str, bound: float, what: str) -> None:
    """Require a time that is at most `bound` [ms], which messages call `what`."""
    if getattr(settings, name) > bound:
        refuse(settings, name, f"at most {what} = {bound:g} ms")


def check_ascending(settings: Any, name: str) -> None:
    """Require at least one number, in ascending order without repeats."""
    numbers = getattr(settings, name)
    if not numbers or any(b <= a for a, b in zip(numbers, numbers[1:], strict=False)):
        refuse(settings, name, "a list of ascending numbers without repeats, at least one")


def check_shares(settings: Any) -> None:
    """Require shares for validation and testing that leave something to train on."""
    if settings.validation + settings.test > 0.9:
        refuse(
            settings,
            "validation",
            f"at most 0.9 together with test = {settings.test:g}",
            "leave some to train on",
        )


def check_streams_spikes(settings: Any) -> None:
    """Require that currents are not to be streamed."""
    if settings.stream and settings.encoding == "currents":
        refuse(
            settings,
            "stream",
            "false with encoding 'currents'",
            "only spikes can stay on disk; currents take 4 bytes per step and channel of memory",
        )


def count_steps(duration: float, dt: float) -> int:
    """Return the number of steps of a trial, the half rounded up, at least one.

    Arguments:
        duration: Length of a trial [ms].
        dt: Length of a step [ms].
    """
    check("dt", dt, PositiveTime)
    check("duration", duration, PositiveTime)
    steps = math.floor(min(duration / dt + 0.5, 2.0 * INT32_MAX))  # infinitely many for a tiny dt
    if not 1 <= steps <= INT32_MAX:
        raise InputError(
            f"duration must be at {'least one step' if steps < 1 else f'most {INT32_MAX} steps'} "
            f"of dt = {dt:g} ms, got {duration:g} ms"
        )
    return steps
