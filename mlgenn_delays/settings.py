"""Settings: frozen pydantic dataclasses that declare range, unit and meaning of every field once.

From the declaration come the check when an object is made, the text of an error, the section
"Arguments" of the docstring, the keys of a recipe and their reference page::

    @settings
    class Gaussian:
        '''A delay acts over steps around it.'''

        sigma_end: Annotated[Positive, Unit("steps"), says("Sigma at last.")] = 0.23

``Gaussian(sigma_end=0)`` raises ``InputError: Gaussian.sigma_end must be a number > 0 steps, got
0``. Checks of several fields stand in ``__post_init__``, and raise with `refuse`.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf, nextafter
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NoReturn,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic.fields import FieldInfo
from pydantic_core import core_schema

from mlgenn_delays.errors import InputError, nearest, shorten

# Whole numbers must fit the integers of the engines and files.
INT32_MAX = 2**31 - 1
# The longest time [ms], eleven days: steps of any dt in use fit an int64.
LONGEST = 1e9

CONFIG = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)


@dataclass(frozen=True)
class Unit:
    """The unit of a field, for texts: put into its annotation."""

    name: str


class OneOf:
    """The words that a field takes, for its annotation: `one_of`."""

    def __init__(self, choices: Callable[[], tuple[str, ...]]) -> None:
        self.choices = choices

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, word: str) -> str:
        known = self.choices()
        if word not in known:
            raise ValueError(
                f"must be one of {', '.join(known)}, got {word!r}{nearest(word, known)}"
            )
        return word


def says(meaning: str) -> Any:
    """The meaning of a field, in one sentence, to put into its annotation."""
    return Field(description=meaning)


def is_number(value: object) -> bool:
    """Return whether a value is a number, of Python or NumPy; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _plain(value: object) -> object:
    """Return a number of NumPy as one of Python; anything else as it is."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


Number = Annotated[float, BeforeValidator(_plain), Field(strict=True)]
Integer = Annotated[int, BeforeValidator(_plain), Field(strict=True)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, lt=1)]
OpenShare = Annotated[Number, Field(gt=0, lt=1)]
Probability = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[Integer, Field(ge=1, le=INT32_MAX)]
Whole = Annotated[Integer, Field(ge=0, le=INT32_MAX)]
Seed = Annotated[Integer, Field(ge=0)]
Time = Annotated[Number, Field(ge=0, le=LONGEST), Unit("ms")]
PositiveTime = Annotated[Number, Field(gt=0, le=LONGEST), Unit("ms")]
# Of 1 ns at least: any time counted in it fits 64 bits.
TimeStep = Annotated[Number, Field(ge=1e-6, le=LONGEST), Unit("ms")]


def one_of(*choices: str) -> OneOf:
    """Words, one of which a field must be, for its annotation."""
    return OneOf(lambda: choices)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def settings(cls: Any = None, *, kw_only: bool = False, table: bool = False) -> Any:
    """Make a class settings: a frozen dataclass that checks its fields when it is made.

    Arguments:
        cls: A class with annotated fields.
        kw_only: Whether fields are given by name only.
        table: Whether a field of this class takes a table of a recipe as well.

    Raises:
        InputError: When an object is made: a field holds what its annotation does not allow.
    """
    if cls is None:
        return lambda each: settings(each, kw_only=kw_only, table=table)
    config = ConfigDict(**(CONFIG | {"strict": not table}))
    made: Any = pydantic_dataclass(frozen=True, kw_only=kw_only, config=config)(cls)
    construct = made.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            construct(self, *args, **kwargs)
        except ValidationError as error:
            given: dict[int | str, Any] = dict(enumerate(args))
            given.update(kwargs)
            raise InputError(_problem(type(self), error, given)) from None

    __init__.__signature__ = made.__signature__ = _signature(made)  # type: ignore[attr-defined]
    # What pydantic asks for, to know that the fields are checked as it would.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]
    made.__init__ = __init__
    made.__doc__ = _documented(made)
    return made


def _signature(made: Any) -> inspect.Signature:
    """The signature that help shows: plain types, for range and unit stand with the arguments."""
    plain, kinds = inspect.signature(made), get_type_hints(made)
    each = plain.parameters.values()
    given = [p.replace(annotation=kinds.get(p.name, p.annotation)) for p in each]
    return plain.replace(parameters=given)


def check(name: str, value: object, kind: Any, remedy: str = "") -> None:
    """Require an argument that an annotation allows.

    Example:
        >>> check("epochs", 0, Count)
        Traceback (most recent call last):
        mlgenn_delays.errors.InputError: epochs must be a whole number >= 1, got 0

    Raises:
        InputError: The annotation does not allow it.
    """
    try:
        _adapter(kind).validate_python(value)
    except ValidationError:
        raise InputError(_not_allowed(name, kind, value, remedy)) from None


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Make an adapter once: that takes a hundred times as long as a check."""
    return TypeAdapter(kind, config=CONFIG)


def refuse(owner: object, name: str, wanted: str, remedy: str = "") -> NoReturn:
    """Raise the error about a field: what it must be, what it is, and the remedy."""
    where = f"{type(owner).__name__}.{name}"
    raise InputError(must_be(where, wanted, getattr(owner, name), remedy))


def must_be(name: str, wanted: str, value: object, remedy: str = "") -> str:
    """Return the sentence of all errors about a value."""
    text = f"{name} must be {wanted}, got {shorten(repr(value), 200)}"
    return f"{text}; {remedy}" if remedy else text


def _not_allowed(name: str, kind: Any, value: object, remedy: str = "") -> str:
    words = next((each.choices() for each in _metadata(kind) if isinstance(each, OneOf)), ())
    hint = nearest(value, words) if isinstance(value, str) else ""
    return must_be(name, range_of(kind, value), value, remedy) + hint


def fields_of(cls: Any) -> Mapping[str, FieldInfo]:
    """Return the fields of a settings class or of a section of a recipe, by name."""
    found: Mapping[str, FieldInfo] = getattr(cls, "__pydantic_fields__", {})
    return found


def unit_of(info: FieldInfo) -> str:
    """Return the unit of a field, "" if it has none."""
    return next((each.name for each in _metadata(info) if isinstance(each, Unit)), "")


def meaning_of(info: FieldInfo) -> str:
    """Return the meaning of a field, with its unit."""
    text, unit = info.description or "", unit_of(info)
    if not unit or f"[{unit}]" in text:
        return text
    head, mark, rest = text.rstrip(".").partition(";")
    return f"{head} [{unit}]{mark}{rest}."


def range_of(kind: Any, value: object = None) -> str:
    """Say in words what an annotation or a field allows.

    Bounds that only keep numbers from overflowing are told to those whose value passed them.

    Example:
        >>> range_of(Share)
        'a number in [0, 1)'
        >>> range_of(Positive | None)
        'a number > 0 or None'
    """
    plain, metadata = _unwrapped(kind)
    words = next((each.choices() for each in metadata if isinstance(each, OneOf)), None)
    if words is not None:
        return f"one of {', '.join(words)}"
    origin = get_origin(plain)
    if origin is Literal:
        return f"one of {', '.join(map(str, get_args(plain)))}"
    if origin in (Union, UnionType):
        parts = [range_of(each, value) for each in get_args(plain)]
        return " or ".join(dict.fromkeys(parts))
    if plain in (float, int):
        unit = "".join(f" {each.name}" for each in metadata if isinstance(each, Unit))
        also = "".join(getattr(each, "also", "") for each in metadata)
        return f"a {'whole ' * (plain is int)}number{_bounds(metadata, value)}{unit}{also}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"{range_of(get_args(plain)[1])} by name"
    if origin in (tuple, list):
        return f"a list, each {range_of(get_args(plain)[0])}" if get_args(plain) else "a list"
    simple = {str: "text", bool: "true or false", NoneType: "None", dict: "a table"}
    return simple.get(plain) or str(getattr(plain, "__name__", plain))


def _unwrapped(kind: Any) -> tuple[Any, list[Any]]:
    """Return a plain type, and the metadata of all annotations around it."""
    found: list[Any] = []
    if isinstance(kind, FieldInfo):
        found, kind = list(kind.metadata), kind.annotation
    while get_origin(kind) is Annotated:
        kind, *metadata = get_args(kind)
        for each in metadata:
            found += each.metadata if isinstance(each, FieldInfo) else [each]
    return kind, found


def _metadata(kind: Any) -> Iterator[Any]:
    """Yield the metadata of an annotation, and of the types within it."""
    plain, found = _unwrapped(kind)
    yield from found
    for each in get_args(plain):
        if not isinstance(each, str):
            yield from _metadata(each)


def limits_of(info: FieldInfo) -> dict[str, Any]:
    """Return the bounds of a field, by gt, ge, lt and le."""
    return _limits(info.metadata)


def bounds_of(kind: Any) -> tuple[float, float]:
    """The least and the largest number that an annotation allows; of an open range, the next.

    Example:
        >>> bounds_of(Probability)
        (0.0, 1.0)
    """
    _, metadata = _unwrapped(kind)
    low, high = -inf, inf
    for each in metadata:
        low = max(low, getattr(each, "ge", -inf), nextafter(getattr(each, "gt", -inf), inf))
        high = min(high, getattr(each, "le", inf), nextafter(getattr(each, "lt", inf), -inf))
    return float(low), float(high)


def _limits(metadata: list[Any]) -> dict[str, Any]:
    return {
        name: getattr(each, name)
        for each in metadata
        for name in ("gt", "ge", "lt", "le")
        if getattr(each, name, None) is not None
    }


def _bounds(metadata: list[Any], value: object) -> str:
    """Return a range in words, with a blank in front; nothing for any number."""
    found = _limits(metadata)
    most = found.get("le")
    if most in (INT32_MAX, LONGEST) and not (is_number(value) and value > most):
        del found["le"]
    # Whole numbers in all their digits, others short.
    told = {k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in found.items()}
    low, high = told.get("gt", told.get("ge")), told.get("lt", told.get("le"))
    if low is not None and high is not None:
        left, right = "(" if "gt" in found else "[", ")" if "lt" in found else "]"
        return f" in {left}{low}, {high}{right}"
    if low is not None:
        return f" {'>' if 'gt' in found else '>='} {low}"
    return "" if high is None else f" {'<' if 'lt' in found else '<='} {high}"


def _problem(cls: type, error: ValidationError, given: dict[int | str, Any]) -> str:
    """Return the first of pydantic's errors in the words of all ours, by the arguments given."""
    first = error.errors(include_url=False)[0]
    known, place = fields_of(cls), first["loc"][0] if first["loc"] else ""
    names = list(known)
    name = names[place] if isinstance(place, int) and place < len(names) else str(place)
    if first["type"].startswith("missing"):
        return f"{cls.__name__} needs {name}, got none; it takes {', '.join(names)}"
    if first["type"].startswith("unexpected"):
        takes = ", ".join(names) or "no settings"
        return f"{cls.__name__} takes {takes}, got {place!r}{nearest(name, names)}"
    return _not_allowed(f"{cls.__name__}.{name}", known[name], given[place])


def _documented(cls: Any) -> str:
    doc = inspect.cleandoc(cls.__doc__ or "")
    told = [(name, meaning_of(info)) for name, info in fields_of(cls).items()]
    if not any(text for _, text in told) or "Arguments:" in doc:
        return doc
    arguments = "\n".join(f"    {name}: {text}" for name, text in told)
    head, mark, rest = doc.partition("\n\nExample:")
    return f"{head}\n\nArguments:\n{arguments}{mark}{rest}"
