"""Recipes found, read, overridden, compared, and written as TOML."""

import json
from collections.abc import Sequence
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlgenn_delays.errors import InputError, nearest, one_line, shorten
from mlgenn_delays.recipe.cross_checks import effect_of, without_effect
from mlgenn_delays.recipe.messages import as_input_error, unknown_key
from mlgenn_delays.recipe.neuron_checks import of_other_models
from mlgenn_delays.recipe.schema import Recipe
from mlgenn_delays.untrusted import (
    DEEPEST,
    MOST_TOML,
    check_plain,
    parse_toml,
    parse_value,
    read_text,
    reason,
    shown,
)

# What says something about a recipe and changes nothing that is computed.
_NOTES = ("summary", "expected")


def dump(recipe: Recipe) -> str:
    """Return a recipe as TOML with every setting in it; reading that gives the same recipe.

    Layers and readout have the parameters of their own neuron model.

    Example:
        >>> from mlgenn_delays.recipe import dump, load_recipe
        >>> dump(load_recipe("digits")).splitlines()[0]
        'name = "digits"'
    """
    import tomli_w

    # Equations in lines.
    return tomli_w.dumps(as_table(recipe), multiline_strings=bool(recipe.neurons))


def as_table(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as a table of TOML with every setting in it."""
    plain: dict[str, Any] = _without_empty(recipe.model_dump(exclude_none=True))
    for key in of_other_models(recipe):
        *where, name = key.split(".")
        table: Any = plain
        for part in where:
            table = table[int(part) if _is_index(part) else part]
        del table[name]
    return plain


def _without_empty(value: Any) -> Any:
    """Return a value without empty tables in it, which say what their absence says."""
    if isinstance(value, dict):
        return {key: _without_empty(each) for key, each in value.items() if each != {}}
    if isinstance(value, (list, tuple)):
        return [_without_empty(each) for each in value]
    return value


def as_toml(value: Any) -> str:
    """Return a value as TOML, in one line."""
    # JSON's escapes are TOML's, except that TOML wants DEL escaped as well.
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return "None" if value is None else text


def _flat(value: Any, key: str = "") -> dict[str, Any]:
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

    Example:
        >>> from mlgenn_delays.recipe import load_recipe, settings
        >>> settings(load_recipe("digits"))["network.dt"]
        '1.0'
    """
    flat = _flat(recipe.model_dump(exclude=set(_NOTES), exclude_none=True))
    return {key: "{}" if value == {} else as_toml(value) for key, value in flat.items()}


def differences(a: Recipe, b: Recipe) -> list[str]:
    """List the differences of two recipes, each as ``"key: value of a, value of b"``.

    The summary and the expected result are no settings and left out.

    Example:
        >>> from mlgenn_delays.recipe import differences, load_recipe
        >>> differences(load_recipe("digits"), load_recipe("digits", ["network.dt=0.5"]))
        ['network.dt: 1.0, 0.5']
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


MODELS = "mlgenn_delays.models"


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package.

    Example:
        >>> from mlgenn_delays.recipe import recipe_names
        >>> "fsdd-currents" in recipe_names()
        True
    """
    files = resources.files(MODELS).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_recipe(
    name_or_path: str | Path, overrides: Sequence[str] = (), shared: Sequence[str] = ()
) -> Recipe:
    """Read a recipe, apply overrides and check it.

    Arguments:
        name_or_path: A name of `recipe_names`, or the path of a TOML file.
        overrides: Each ``"dotted.key=value"``; the value is TOML, or else text.
        shared: Overrides of several recipes, applied before: they may be without effect in one.

    Raises:
        InputError: There is no such recipe, or it says what it may not; the text lists all
            problems with key, value and range. Or one of the overrides would have no effect.

    Example:
        >>> from mlgenn_delays.recipe import load_recipe
        >>> load_recipe("fsdd", ["learning.epochs=5"]).learning.epochs
        5
    """
    text = str(name_or_path)
    if text in recipe_names():
        content = resources.files(MODELS).joinpath(f"{text}.toml").read_text(encoding="utf-8")
        return parse_recipe(content, f"recipe {text!r}", overrides, shared)
    path = Path(name_or_path)
    if path.is_file():
        return parse_recipe(_read(path), str(path), overrides, shared)
    if path.suffix == ".toml" or len(path.parts) > 1 or path.exists():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"recipe file {path} {what}; give a .toml file or a recipe's name")
    names = recipe_names()
    raise InputError(
        f"there is no recipe {shown(text)} (known: {', '.join(names)}; or the path of a .toml file)"
        f"{nearest(text, names)}"
    )


def _read(path: Path) -> str:
    try:
        return read_text(path, MOST_TOML)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or reason(error)
        raise InputError(f"cannot read recipe {path}: {why}") from error


def parse_recipe(
    content: str, source: str, overrides: Sequence[str] = (), shared: Sequence[str] = ()
) -> Recipe:
    """Check the text of a recipe.

    Arguments:
        content: TOML.
        source: Where it is from, for error messages.
        overrides: As of `load_recipe`.
        shared: As of `load_recipe`.

    Raises:
        InputError: It is no TOML, says what it may not, or an override would have no effect.

    Example:
        >>> from mlgenn_delays.recipe import dump, load_recipe, parse_recipe
        >>> text = dump(load_recipe("digits"))
        >>> parse_recipe(text, source="mine.toml", overrides=["network.dt=0.5"]).network.dt
        0.5
    """
    try:
        raw = parse_toml(content)
    except ValueError as error:
        raise InputError(f"{source} must be TOML: {error}") from error
    before, given = deepcopy(raw), {}
    parsed = [(each, *_parts(each, "learning.epochs=5")) for each in [*shared, *overrides]]
    for override, key, value in parsed:
        _put(raw, key, value, override)
        given[key] = f"--set {shown_pair(override)}"
    try:
        check_plain(raw)
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        raise as_input_error(error, source, given) from error
    except ValueError as error:  # what --set put in
        raise InputError(f"{source}: {error}") from error
    own = {key for _, key, _ in parsed[len(shared) :]}
    _check_effects(recipe, before, {key: text for key, text in given.items() if key in own})
    return recipe


def _check_effects(recipe: Recipe, before: dict[str, Any], given: dict[str, str]) -> None:
    """Reject overrides, `given` by dotted key, whose effect another setting takes away.

    `before` is what the recipe was made of without them.
    """
    ineffective = without_effect(recipe)
    reasons = {key: effect_of(key, ineffective) for key in given}
    if not any(reasons.values()):
        return
    try:
        old = settings(Recipe.model_validate(before))
    except ValidationError:  # it is no recipe without them
        old = {}
    new = settings(recipe)
    for key, why in reasons.items():
        if why is not None and _under(key, new) != _under(key, old):
            raise InputError(
                f"{key} has no effect with {why}, got {given[key]}; leave it out, or change that "
                "setting as well"
            )


def _under(key: str, flat: dict[str, str]) -> dict[str, str]:
    return {k: value for k, value in flat.items() if k == key or k.startswith(f"{key}.")}


def options_of(overrides: Sequence[str]) -> dict[str, Any]:
    """Return options of a data set from overrides; ``data.`` may be in front of their keys."""
    options: dict[str, Any] = {}
    for override in overrides:
        key, value = _parts(override, "duration=800")
        _put(options, key.removeprefix("data."), value, override)
    return options


def _parts(override: str, example: str) -> tuple[str, Any]:
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set must be key=value, such as {example}, got {shown(override)}")
    if key.count(".") >= DEEPEST:
        raise InputError(f"--set must be KEY=VALUE with a key of a recipe, got {shown(key)}")
    return key.strip(), parse_value(value.strip(), f"--set {shown_pair(key)}")


def shown_pair(override: str) -> str:
    """Return an override for a message: without quotes, cut, and printable."""
    return shorten(one_line(override[:200]), 80)


def _put(raw: dict[str, Any], key: str, value: Any, override: str) -> None:
    """Set a dotted key of a recipe not yet checked; whole numbers index lists."""
    place: Any = raw
    parts = key.split(".")
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if isinstance(place, list):
            if not _is_index(part) or int(part) >= len(place):
                where = ".".join(parts[:number])
                raise InputError(
                    f"--set {shown_pair(override)}: {shown_pair(where)} has the entries "
                    f"0..{len(place) - 1}, got {shown(part)}"
                )
            index: Any = int(part)
        elif isinstance(place, dict):
            index = part
        else:
            raise InputError(
                f"--set {shown_pair(override)}: {unknown_key(_loc(parts[: number + 1]))}"
            )
        if last:
            place[index] = value
        elif isinstance(place, list):
            place = place[index]
        else:
            place = place.setdefault(index, {})


def _loc(parts: list[str]) -> tuple[int | str, ...]:
    """Return a dotted key as a place, with whole numbers as such."""
    return tuple(int(part) if _is_index(part) else part for part in parts)


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdecimal() and len(part) < 10
