"""Pydantic's errors in the words of a recipe: key, what it must be, what it got."""

from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from mlgenn_delays.errors import InputError, nearest, one_line, shorten
from mlgenn_delays.recipe.fields import LARGEST, TAGS
from mlgenn_delays.recipe.schema import Recipe
from mlgenn_delays.untrusted import shown

MOST = 12  # problems that are listed
_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text in quotes",
    "string_unicode": "valid text",
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "tuple_type": "a list",
}
_BOUNDS = {
    "greater_than": (">", "gt"),
    "greater_than_equal": (">=", "ge"),
    "less_than": ("<", "lt"),
    "less_than_equal": ("<=", "le"),
}


def _model(annotation: Any) -> type[BaseModel] | None:
    """Return the section in a field's type, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for m in map(_model, get_args(annotation)) if m), None)


def keys_of(loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the section at a place, empty if that is no section."""
    model: type[BaseModel] | None = Recipe
    for part in loc:
        if isinstance(part, str) and model is not None:
            field = model.model_fields.get(part)
            model = _model(field.annotation) if field else None
    return list(model.model_fields) if model else []


def _all_keys(model: type[BaseModel] = Recipe, before: str = "") -> list[str]:
    """Return every key of a recipe, dotted; those of layers with the index 0."""
    found = []
    for name, field in model.model_fields.items():
        inner = _model(field.annotation)
        if inner is None:
            found.append(before + name)
        else:
            index = "" if inner is field.annotation else "0."
            found += _all_keys(inner, f"{before}{name}.{index}")
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
    return shorten(one_line(".".join(str(part) for part in loc if part not in TAGS)), 100)


def _received(value: object) -> str:
    """Return a value for a message, shortened."""
    return str(value).lower() if isinstance(value, bool) else shown(value, 60)


def _limits(kind: Any) -> dict[str, float]:
    """Return the bounds of a field, however deep in its type they are given."""
    found: dict[str, float] = {}
    for item in getattr(kind, "metadata", None) or getattr(kind, "__metadata__", None) or ():
        for part in (item, *getattr(item, "metadata", ())):
            bounds = {name: getattr(part, name, None) for name in ("gt", "ge", "lt", "le")}
            found |= {name: value for name, value in bounds.items() if value is not None}
    for inner in (getattr(kind, "annotation", None), *get_args(kind)):
        if inner is not None and not isinstance(inner, (str, type(None))):
            found |= _limits(inner)
    return found


def _bounds(loc: tuple[int | str, ...], error: Any) -> str:
    """Return the whole range that a value missed, such as ``in [0, 1)``."""
    sign, key = _BOUNDS[error["type"]]
    model: type[BaseModel] | None = Recipe
    field = None
    for part in (p for p in loc if isinstance(p, str) and p not in TAGS):
        field = model.model_fields.get(part) if model else None
        model = _model(field.annotation) if field else None
    limits = _limits(field) if field else {}
    if limits.get("le") == LARGEST:
        del limits["le"]
    if len(limits) == 2:
        low = "(" if "gt" in limits else "["
        high = ")" if "lt" in limits else "]"
        first, second = limits.get("gt", limits.get("ge")), limits.get("lt", limits.get("le"))
        return f"in {low}{first:g}, {second:g}{high}"
    return f"{sign} {error['ctx'][key]:.10g}"


def _one(error: Any) -> str:
    """Return one of pydantic's errors as one line."""
    loc = tuple(part for part in error["loc"] if part not in TAGS)
    kind, key, value = error["type"], _dotted(loc), error["input"]
    if kind == "extra_forbidden":
        return unknown_key(loc)
    if kind == "missing":
        return f"{key} must be given"
    if kind == "value_error":
        text = shorten(one_line(str(error["ctx"]["error"])), 600)
        # A check of several keys names them itself.
        return text if not key or isinstance(value, (dict, BaseModel)) else f"{key} {text}"
    if kind in _BOUNDS:
        rule = _bounds(loc, error)
    elif kind == "literal_error":
        choices = [word.strip(" '") for word in error["ctx"]["expected"].split(",")]
        choices = [word for part in choices for word in part.replace("' or '", "|").split("|")]
        rule = f"one of {', '.join(choices)}"
    elif kind == "string_too_short":
        rule = "text that is not empty"
    elif kind == "string_pattern_mismatch":
        rule = "letters, digits, '.', '_' and '-', beginning with a letter or digit"
    else:
        rule = _KINDS.get(kind, error["msg"])
    return f"{key} must be {rule}, got {_received(value)}"


def as_input_error(error: ValidationError, source: str, given: dict[str, str]) -> InputError:
    """Return pydantic's errors as one error.

    Arguments:
        error: What pydantic found.
        source: What was read, for the message.
        given: By dotted key, what was given on the command line.
    """
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
    """Return whether a text speaks of a key."""
    return f"{key} " in f"{text} " or f"{key!r}" in text


def _origin(key: str, text: str, given: dict[str, str]) -> str:
    """Return what on the command line set a key, or one that the text speaks of, or nothing."""
    near = (k for k in given if k == key or key.startswith(f"{k}.") or _names(text, k))
    within = (k for k in given if f"{key!r}" in text and k.startswith(f"{key}."))
    return given.get(next(near, next(within, "")), "")
