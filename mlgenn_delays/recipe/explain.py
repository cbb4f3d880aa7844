"""Every key of a recipe with its default, its range and its meaning, from the declarations."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from pydantic_core import PydanticUndefined

from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.recipe.load import as_toml
from mlgenn_delays.recipe.messages import between, plain_parts, table_of, unknown_key
from mlgenn_delays.recipe.schema import Recipe
from mlgenn_delays.settings import fields_of, meaning_of, range_of


@dataclass(frozen=True)
class Key:
    """A key of a recipe: dotted name, default as TOML ("required", "optional"), range, meaning."""

    name: str
    default: str
    range: str
    meaning: str


def _tables(kind: Any = Recipe, name: str = "") -> Iterator[str]:
    """Yield the tables of a recipe, dotted; the top is an empty text."""
    yield name
    for key, field in fields_of(kind).items():
        inner = table_of(field.annotation)
        if inner is not None:
            yield from _tables(inner, f"{name}.{key}".lstrip("."))


TABLES = tuple(_tables())


def keys(table: str = "") -> list[Key]:
    """Return the plain keys of a dotted table of a recipe, those of the top for an empty text."""
    kind, before = cast(Any, Recipe), ""
    for part in table.split(".") if table else ():
        field = fields_of(kind).get(part)
        kind = table_of(field.annotation) if field else None
        if field is None or kind is None:
            raise InputError(unknown_key(tuple(table.split("."))))
        before += f"{part}.{between(field)}"  # the first of a list stands for all
    return [
        Key(f"{before}{name}", _default(field.default), range_of(field), meaning_of(field))
        for name, field in fields_of(kind).items()
        if table_of(field.annotation) is None
    ]


def explain(key: str) -> list[Key]:
    """Return a key, or all keys of the table that it names."""
    parts = tuple(plain_parts(tuple(p for p in key.split(".") if not p.isdecimal())))
    if parts[0] == "data" and parts[1:] not in ((), ("dataset",)):
        return _options_of_data(parts[1:])
    for found in keys(".".join(parts[:-1])):
        if found.name.rsplit(".", 1)[-1] == parts[-1]:
            return [found]
    return keys(".".join(parts))


def _options_of_data(parts: tuple[str, ...]) -> list[Key]:
    """Return an option of data sets, once for all that declare it alike."""
    from mlgenn_delays.data.registry import DATASETS, dataset

    found: dict[tuple[str, str, str], list[str]] = {}
    known: list[str] = []
    for name in DATASETS:
        kind: Any = dataset(name).options
        known += fields_of(kind)
        for part in parts[:-1]:
            field = fields_of(kind).get(part)
            kind = type(field.default) if field else None
        field = fields_of(kind).get(parts[-1])
        if field is not None:
            inner = ", ".join(fields_of(type(field.default)))
            allowed = f"a table, such as of {inner}" if inner else range_of(field)
            told = _default(field.default), allowed, meaning_of(field)
            found.setdefault(told, []).append(name)
    if not found:
        hint = nearest(parts[0], list(dict.fromkeys(known)))
        raise InputError(f"no data set has the option {'.'.join(parts)!r}{hint}")
    name = ".".join(("data", *parts))
    return [
        Key(f"{name} ({', '.join(sets)})", default, allowed, meaning)
        for (default, allowed, meaning), sets in found.items()
    ]


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "optional"
    if fields_of(type(value)):
        return "its table's own"
    return "{}" if value == {} else as_toml(value)
