"""Kinds of values in a recipe."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from mlgenn_delays.errors import nearest


class Section(BaseModel):
    """A table of a recipe: frozen, with no key but those it names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def one_of(choices: Callable[[], tuple[str, ...]]) -> AfterValidator:
    """Return a check that a word is among the choices, asked for when it is needed."""

    def check(value: str) -> str:
        if value not in choices():
            raise ValueError(
                f"must be one of {', '.join(choices())}, got {value!r}{nearest(value, choices())}"
            )
        return value

    return AfterValidator(check)


def one_word(*choices: str) -> AfterValidator:
    """Return a check that a word is one of the given."""
    return one_of(lambda: choices)


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
# Of 1 ns at least: any time counted in it fits 64 bits.
TimeStep = Annotated[float, Field(ge=1e-6, le=LONGEST)]
Share = Annotated[float, Field(ge=0, lt=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=LARGEST)]
Whole = Annotated[int, Field(ge=0, le=LARGEST)]
