"""Pydantic's errors in the words of a recipe: key, what it must be, what it got."""

from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from mlgenn_delays.distributions import NO_DISTRIBUTION
from mlgenn_delays.errors import InputError, nearest, one_line, shorten
from mlgenn_delays.recipe.schema import Recipe
from mlgenn_delays.settings import fields_of, range_of
from mlgenn_delays.untrusted import shown

MOST = 12  # problems that are listed
# What a type or a bound does not say.
_KINDS = {
    "string_unicode": "valid text",
    "string_too_short": "text that is not empty",
    "string_pattern_mismatch": "letters, digits, '.', '_' and '-', beginning with a letter or "
    "digit",
}


def table_of(annotation: Any) -> type | None:
    """Return the section, or the settings, in a field's type; None for a plain value."""
    if isinstance(annotation, type) and fields_of(annotation):
        return annotation
    return next((found for found in map(table_of, get_args(annotation)) if found), None)


def between(field: FieldInfo) -> str:
    """Return what a dotted key has between a table and its keys: a number, a name, or nothing."""
    if get_origin(field.annotation) is dict:
        return "NAME."
    return "" if table_of(field.annotation) is field.annotation else "0."


def plain_parts(loc: tuple[int | str, ...]) -> list[str]:
    """Return the parts of a place that are keys: no index, and no name that users give."""
    table: type | None = Recipe
    found, named = [], False
    for part in loc:
        if named or not isinstance(part, str) or _is_tag(part):
            named = False
            continue
        found.append(part)
        field = fields_of(table).get(part) if table else None
        table = table_of(field.annotation) if field else None
        named = table is not None and field is not None and between(field) == "NAME."
    return found


def _is_tag(part: object) -> bool:
    return isinstance(part, str) and part.startswith("[")


def field_of(loc: tuple[int | str, ...]) -> FieldInfo | None:
    """Return the declaration of the key at a place, None if there is none."""
    table: type | None = Recipe
    field = None
    for part in plain_parts(loc):
        field = fields_of(table).get(part) if table else None
        table = table_of(field.annotation) if field else None
    return field


def keys_of(loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the table at a place, empty if that is none."""
    field = field_of(loc)
    table = Recipe if not loc else table_of(field.annotation) if field else None
    return list(fields_of(table)) if table else []


def _all_keys(table: type = Recipe, before: str = "") -> list[str]:
    """Return every key of a recipe, dotted; those of layers with the index 0."""
    found = []
    for name, field in fields_of(table).items():
        inner = table_of(field.annotation)
        if inner is None:
            found.append(before + name)
        else:
            found += _all_keys(inner, f"{before}{name}.{between(field)}")
    return found


def unknown_key(loc: tuple[int | str, ...]) -> str:
    """Return the text for a key that a recipe does not have."""
    *where, last = loc
    known = keys_of(tuple(where))
    elsewhere = [key for key in _all_keys() if key.split(".")[-1] == last]
    hint = f"; did you mean {elsewhere[0]!r}?" if elsewhere else nearest(str(last), known)
    section = f"[{'.'.join(map(str, where))}]" if where else "a recipe"
    return f"there is no key {_dotted(loc)!r} (keys of {section}: {', '.join(known)}){hint}"


def _dotted(loc: tuple[int | str, ...]) -> str:
    """Return a place as a dotted key; keys of a file may be of any length and content."""
    return shorten(one_line(".".join(str(part) for part in loc if not _is_tag(part))), 100)


def _received(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else shown(value, 60)


def _rule(kind: str, loc: tuple[int | str, ...], error: Any) -> str:
    field = field_of(loc)
    holder = field_of(loc[:-1])
    if field is None and holder is not None and get_origin(holder.annotation) is dict:
        return range_of(get_args(holder.annotation)[1], error["input"])  # of values by name
    if kind in _KINDS or field is None:
        return _KINDS.get(kind, str(error["msg"]))
    table = table_of(field.annotation)
    if table is None:
        return range_of(field, error["input"])
    listed = between(field) == "0." and not isinstance(loc[-1], int)
    return "a list of tables" if listed else "a table"


def _one(error: Any) -> str:
    loc = tuple(part for part in error["loc"] if not _is_tag(part))
    kind, key, value = error["type"], _dotted(loc), error["input"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return unknown_key(loc)
    if kind in ("missing", "missing_argument"):
        return f"{key} must be given"
    if kind == "value_error":
        text = shorten(one_line(str(error["ctx"]["error"])), 600)
        # A check of several keys names them itself.
        return text if not key or isinstance(value, (dict, BaseModel)) else f"{key} {text}"
    if kind == NO_DISTRIBUTION:
        return f"{key}: {one_line(error['msg'])}"
    return f"{key} must be {_rule(kind, loc, error)}, got {_received(value)}"


def as_input_error(error: ValidationError, source: str, given: dict[str, str]) -> InputError:
    """Return pydantic's errors as one; `given` is what the command line gave, by dotted key."""
    lines = []
    for problem in error.errors(include_url=False):
        text = _one(problem)
        origin = _origin(_dotted(problem["loc"]), text, given)
        lines.append(text + (f" (from {origin})" if origin else ""))
    if len(lines) == 1:
        return InputError(f"{source}: {lines[0]}")
    more = f"; and {len(lines) - MOST} more" if len(lines) > MOST else ""
    return InputError(f"{source} has {len(lines)} problems: {'; '.join(lines[:MOST])}{more}")


def _names(text: str, key: str) -> bool:
    return f"{key} " in f"{text} " or f"{key!r}" in text


def _origin(key: str, text: str, given: dict[str, str]) -> str:
    """Return the option of the command line that set a key, or one that the text speaks of."""
    near = (k for k in given if k == key or key.startswith(f"{k}.") or _names(text, k))
    within = (k for k in given if f"{key!r}" in text and k.startswith(f"{key}."))
    return given.get(next(near, next(within, "")), "")
