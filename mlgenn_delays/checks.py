"""How settings check their fields when they are made: type and range, one wording for all.

``Adam.learning_rate must be a number >= 0, got '1'``
"""

import math
from numbers import Integral, Real
from types import NoneType
from typing import Any

from mlgenn_delays.errors import InputError, nearest


def is_number(value: object, *, whole: bool = False) -> bool:
    """Return whether a value is a finite number; True and False are none."""
    kind: Any = Integral if whole else Real
    if not isinstance(value, kind) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number too large for a float
        return False


def check_number(
    settings: object,
    name: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
    whole: bool = False,
    none: bool = False,
    unit: str = "",
    remedy: str = "",
) -> None:
    """Require a field to hold a finite number in a range.

    Arguments:
        settings: What the field belongs to.
        name: Name of the field.
        low: Least value, itself excluded when ``open_low``.
        high: Greatest value, itself excluded when ``open_high``.
        open_low: Exclude ``low``.
        open_high: Exclude ``high``.
        whole: Require a whole number.
        none: Allow None.
        unit: Unit for the message, such as ``"ms"``.
        remedy: What the message says to do.

    Raises:
        InputError: It holds something else.
    """
    value = getattr(settings, name)
    if none and value is None:
        return
    if is_number(value, whole=whole):
        above = value > low if open_low else value >= low
        if above and (value < high if open_high else value <= high):
            return
    wanted = _range(low, high, open_low, open_high)
    if unit:
        wanted += f" {unit}"
    wanted = f"a {'whole ' * whole}number{wanted}{' or None' * none}"
    refuse(settings, name, wanted, remedy)


def check_kind(settings: object, name: str, *kinds: Any, remedy: str = "") -> None:
    """Require a field to hold an object of one of some types; `None` for None.

    Raises:
        InputError: It holds something else.
    """
    types = tuple(NoneType if kind is None else kind for kind in kinds)
    if not isinstance(getattr(settings, name), types):
        names = ["None" if kind is None else kind.__name__ for kind in kinds]
        refuse(settings, name, " or ".join(names), remedy)


def check_word(settings: object, name: str, known: tuple[str, ...], remedy: str = "") -> None:
    """Require a field to hold one of some words.

    Raises:
        InputError: It holds something else.
    """
    value = getattr(settings, name)
    if not isinstance(value, str) or value not in known:
        hint = remedy or (nearest(value, known) if isinstance(value, str) else "")
        refuse(settings, name, f"one of {', '.join(known)}", hint.removeprefix("; "))


def refuse(settings: object, name: str, wanted: str, remedy: str = "") -> None:
    """Refuse what a field holds.

    Raises:
        InputError: Always: what it must be, what it is, and the remedy.
    """
    got = repr(getattr(settings, name))
    got = got if len(got) <= 200 else f"{got[:200]} ..."
    end = f"; {remedy}" if remedy else ""
    raise InputError(f"{type(settings).__name__}.{name} must be {wanted}, got {got}{end}")


def _range(low: float, high: float, open_low: bool, open_high: bool) -> str:
    """Return a range in words, with a blank in front; nothing for any number."""
    if low > -math.inf and high < math.inf:
        left, right = "(" if open_low else "[", ")" if open_high else "]"
        return f" in {left}{low:g}, {high:g}{right}"
    if low > -math.inf:
        return f" {'>' if open_low else '>='} {low:g}"
    return f" {'<' if open_high else '<='} {high:g}" if high < math.inf else ""
