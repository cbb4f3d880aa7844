"""Kinds of values in a recipe, and refusals of what is planned but not there."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from mlgenn_delays.errors import nearest


class Section(BaseModel):
    """A table of a recipe: frozen, with no key but those it names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _said(value: object) -> str:
    """Return a value as a recipe writes it."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def today(*works: object, planned: tuple[object, ...] = ()) -> BeforeValidator:
    """Return a check that takes what works today and says so of what does not.

    Arguments:
        works: Values that are accepted.
        planned: Values that the format knows and that are not there yet.
    """
    known = " or ".join(_said(value) for value in works)

    def check(value: Any) -> Any:
        if type(value) in {type(v) for v in works} and value in works:
            return value
        if type(value) in {type(v) for v in planned} and value in planned:
            raise ValueError(f"{_said(value)} is not there yet; what works today: {known}")
        words = [w for w in works if isinstance(w, str)]
        hint = nearest(value, words) if isinstance(value, str) else ""
        raise ValueError(f"must be {known}, got {_said(value)}{hint}")

    return BeforeValidator(check)


def one_of(choices: Callable[[], tuple[str, ...]]) -> AfterValidator:
    """Return a check that a word is among the choices, asked for when it is needed."""

    def check(value: str) -> str:
        if value not in choices():
            raise ValueError(
                f"must be one of {', '.join(choices())}, got {value!r}{nearest(value, choices())}"
            )
        return value

    return AfterValidator(check)


def either(first: Any, first_tag: str, values: Any) -> Any:
    """Return the type of one value or a list of values, telling them apart by being a list."""

    def which(value: Any) -> str:
        return "list" if isinstance(value, (list, tuple)) else first_tag

    return Annotated[
        Annotated[first, Tag(first_tag)] | Annotated[values, Tag("list")],
        Discriminator(which),
    ]


# What `either` puts into the place of an error, which is no key of a recipe.
TAGS = ("list", "number", "word")

# Whole numbers must fit the integers of the engines and files; no message speaks of that bound.
LARGEST = 2**31 - 1
# The longest time [ms], as that of a trial: what is longer overflows when counted in steps.
LONGEST = 1e9

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Time = Annotated[float, Field(ge=0, le=LONGEST)]
PositiveTime = Annotated[float, Field(gt=0, le=LONGEST)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=LARGEST)]
Whole = Annotated[int, Field(ge=0, le=LARGEST)]
