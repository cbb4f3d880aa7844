"""Recipes as TOML text, and how two of them differ."""

import json
from typing import Any

from mlgenn_delays.recipe.schema import Recipe

# What says something about a recipe and changes nothing that is computed.
_NOTES = ("summary", "expected")


def dump(recipe: Recipe) -> str:
    """Return a recipe as TOML with every setting in it; reading that gives the same recipe."""
    import tomli_w

    return tomli_w.dumps(_without_empty(recipe.model_dump(exclude_none=True)))


def _without_empty(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table without empty ones in it, which say what their absence says."""
    return {
        key: _without_empty(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value != {}
    }


def as_toml(value: Any) -> str:
    """Return a value as TOML, in one line."""
    # JSON's escapes are TOML's, except that TOML wants DEL escaped as well.
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return "None" if value is None else text


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Return nested tables as one, by dotted key."""
    if isinstance(value, dict) and value:
        items = [(str(k), v) for k, v in value.items()]
    elif isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
        items = [(str(k), v) for k, v in enumerate(value)]
    else:
        return {key: value}
    found: dict[str, Any] = {}
    for name, inner in items:
        found |= _flat(inner, f"{key}.{name}" if key else name)
    return found


def settings(recipe: Recipe) -> dict[str, str]:
    """Return every setting of a recipe as TOML, by dotted key.

    The summary and the expected result are no settings and left out.
    """
    flat = _flat(recipe.model_dump(exclude=set(_NOTES), exclude_none=True))
    return {key: "{}" if value == {} else as_toml(value) for key, value in flat.items()}


def differences(a: Recipe, b: Recipe) -> list[str]:
    """Return what differs between two recipes, each as ``"key: value of a, value of b"``.

    The summary and the expected result are no settings and left out.
    """
    first, second = (_flat(recipe.model_dump(exclude=set(_NOTES))) for recipe in (a, b))
    keys = [*first, *(key for key in second if key not in first)]
    missing = object()

    def shown(flat: dict[str, Any], key: str) -> str:
        return as_toml(flat[key]) if key in flat else "absent"

    return [
        f"{key}: {shown(first, key)}, {shown(second, key)}"
        for key in keys
        if first.get(key, missing) != second.get(key, missing)
    ]
