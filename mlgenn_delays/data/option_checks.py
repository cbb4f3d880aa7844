"""Checks that settings make of themselves, all with the same wording."""

import math
from collections.abc import Sequence
from numbers import Integral, Real

from mlgenn_delays.errors import InputError


def check_number(
    name: str,
    value: object,
    low: float,
    high: float = math.inf,
    *,
    unit: str = "",
    open_low: bool = False,
    integer: bool = False,
) -> None:
    """Require a finite number in a range.

    Arguments:
        name: What the number is called in the message.
        value: The number; a boolean is none.
        low: Least value, itself excluded when ``open_low``.
        high: Greatest value, included.
        unit: Unit for the message, such as ``"ms"``.
        open_low: Exclude ``low``.
        integer: Require a whole number.

    Raises:
        InputError: The value is no number, not finite, not whole or out of range.
    """
    kind = Integral if integer else Real
    fine = isinstance(value, kind) and not isinstance(value, bool)
    if fine:
        number = float(value)  # type: ignore[arg-type]
        above = number > low if open_low else number >= low
        fine = math.isfinite(number) and above and number <= high
    if not fine:
        bounds = f"{'>' if open_low else '>='} {low:g}" if low > -math.inf else ""
        if high < math.inf:
            bounds += f"{' and ' if bounds else ''}<= {high:g}"
        suffix = f" {unit}" if unit else ""
        noun = "a whole number" if integer else "a number"
        raise InputError(f"{name} must have {noun} {bounds}{suffix}, got {value!r}")


def check_flag(name: str, value: object) -> None:
    """Require true or false.

    Raises:
        InputError: The value is something else.
    """
    if not isinstance(value, bool):
        raise InputError(f"{name} must have true or false, got {value!r}")


def check_word(name: str, value: object, known: Sequence[str]) -> None:
    """Require one of some words.

    Raises:
        InputError: It is none of them.
    """
    if value not in known:
        raise InputError(f"{name} must have one of {', '.join(known)}, got {value!r}")


def check_ascending(name: str, value: object, low: float, high: float) -> tuple[float, ...]:
    """Require a non-empty, strictly ascending list of numbers in (low, high].

    Returns:
        The numbers as a tuple of float.

    Raises:
        InputError: It is no such list.
    """
    if not isinstance(value, (list, tuple)) or not value:
        raise InputError(f"{name} must have a list of at least one number, got {value!r}")
    for number in value:
        check_number(f"each of {name}", number, low, high, open_low=True)
    numbers = tuple(float(number) for number in value)
    if any(b <= a for a, b in zip(numbers, numbers[1:], strict=False)):
        raise InputError(f"{name} must have ascending numbers without repeats, got {value!r}")
    return numbers


def count_steps(duration: float, dt: float) -> int:
    """Return the number of steps of a trial, the half rounded up.

    Arguments:
        duration: Length of a trial [ms].
        dt: Length of a step [ms].

    Raises:
        InputError: One of them is not positive, or the trial has no whole step.
    """
    check_number("dt", dt, 0.0, unit="ms", open_low=True)
    check_number("duration", duration, 0.0, 1e9, unit="ms", open_low=True)
    steps = math.floor(min(duration / dt + 0.5, 2.0**31))  # infinitely many where dt is tiny
    if steps < 1:
        raise InputError(
            f"duration must have at least one step of dt = {dt:g} ms, got {duration:g} ms"
        )
    if steps > 2**31 - 1:
        raise InputError(
            f"duration must have at most 2147483647 steps of dt = {dt:g} ms, got {duration:g} ms"
        )
    return steps
