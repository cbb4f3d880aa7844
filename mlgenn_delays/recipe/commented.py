"""A recipe as TOML to be edited: behind each key stands what it may be, in its unit."""

import re
from collections.abc import Iterator
from textwrap import wrap
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from mlgenn_delays.recipe.load import as_table
from mlgenn_delays.recipe.messages import field_of
from mlgenn_delays.recipe.schema import Recipe
from mlgenn_delays.recipe.sections import Expected
from mlgenn_delays.settings import fields_of, range_of

WIDTH = 80  # of a line with a comment
_COLUMN = 28  # where comments begin, if the keys of a table are short enough
_NARROWEST = 30  # of a comment behind a key; else it stands above

Place = tuple[int | str, ...]


def commented(recipe: Recipe) -> str:
    """Return a recipe as TOML with comments; reading that gives the same recipe.

    Example:
        >>> from mlgenn_delays.recipe import commented, load_recipe
        >>> text = commented(load_recipe("digits"))
        >>> print(next(line for line in text.splitlines() if line.startswith("dt")))
        dt = 1.0                    # a number >= 1e-06 ms
    """
    head, table = "# What a key means: delaysnn recipes --explain KEY", as_table(recipe)
    if recipe.expected == Expected():
        del table["expected"]
    return "\n".join([head, *_lines(recipe, table, ())]) + "\n"


def _lines(recipe: Recipe, table: dict[str, Any], place: Place) -> Iterator[str]:
    """Yield the lines of a table: first its plain keys, then the tables in it."""
    import tomli_w

    tables = {}
    for key, value in table.items():
        if isinstance(value, dict) or (isinstance(value, list) and value and _are_tables(value)):
            tables[key] = value
            continue
        text = tomli_w.dumps({key: value}, multiline_strings=bool(recipe.neurons))
        yield from _with_comment(text.rstrip("\n"), _allowed(recipe, (*place, key)))
    for key, value in tables.items():
        name = ".".join(_bare(part) for part in (*place, key) if isinstance(part, str))
        for number, each in enumerate(value if isinstance(value, list) else [value]):
            listed = isinstance(value, list)
            yield from ("", f"[[{name}]]" if listed else f"[{name}]")
            yield from _lines(recipe, each, (*place, key, number) if listed else (*place, key))


def _are_tables(values: list[Any]) -> bool:
    return all(isinstance(each, dict) for each in values)


def _bare(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"'


def _with_comment(text: str, comment: str) -> Iterator[str]:
    """Yield the lines of a key with a comment behind the first, or above if there is no room."""
    first, *others = text.split("\n")
    column = max(_COLUMN, len(first) + 2)
    inside = first.endswith('"""')  # a comment there would be text
    if not comment:
        yield text
    elif inside or column > WIDTH - _NARROWEST:
        yield from (f"# {line}" for line in _wrapped(comment, WIDTH - 2))
        yield text
    else:
        for number, line in enumerate(_wrapped(comment, WIDTH - column - 2)):
            yield f"{'' if number else first:<{column}}# {line}"
        yield from others


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines, but neither words nor ranges."""
    kept = re.sub(r"([\[(]\S+), (\S+[\])])", "\\1,\xa0\\2", text)
    return [line.replace("\xa0", " ") for line in wrap(kept, width, break_on_hyphens=False)]


def _allowed(recipe: Recipe, place: Place) -> str:
    """Return what a key may be, and its unit; empty where nothing declares it."""
    if place[0] == "data" and len(place) > 1:
        return _allowed_in_data(recipe, [str(part) for part in place[1:]])
    field, holder = field_of(place), field_of(place[:-1])
    if field is not None:
        return _said(field)
    if holder is not None and get_origin(holder.annotation) is dict:  # of values by name
        return range_of(get_args(holder.annotation)[1])
    return ""


def _allowed_in_data(recipe: Recipe, parts: list[str]) -> str:
    from mlgenn_delays.data.encode.base import ENCODERS
    from mlgenn_delays.data.registry import DATASETS, FAMILIES

    if parts == ["dataset"]:
        return f"one of {', '.join([*DATASETS, *(f'{each}:NAME' for each in FAMILIES)])}"
    if parts == ["encoder", "kind"]:
        return f"one of {', '.join(ENCODERS)}"
    options = recipe.data.parsed
    for part in parts[:-1]:
        options = getattr(options, part)
    field = fields_of(type(options)).get(parts[-1])
    return "" if field is None else _said(field)


def _said(field: FieldInfo) -> str:
    """Return the range of a field with its unit; nothing for any text."""
    allowed = range_of(field).removesuffix(" or None")
    unit = re.search(r"\[([A-Za-z]+)\]", field.description or "")
    if "number" in allowed and unit is not None and f" {unit[1]}" not in allowed:
        return f"{allowed} {unit[1]}"
    return "" if allowed == "text" else allowed
