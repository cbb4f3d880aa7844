"""What varies: axes with their values, as text and shown, and which combinations are left out."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlgenn_delays import untrusted
from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.untrusted import parse_value

_OPENING, _CLOSING = "[{", "]}"
# A text with one of these in it is shown in quotes.
_SPECIAL = set(" \t,=:;|\"'[]{}#")


def split_top(text: str, separators: str, what: str) -> list[str]:
    """Cut a text at separators outside of brackets and quotes, and strip the parts."""
    parts, start, depth, quote, skip = [], 0, 0, "", False
    for place, sign in enumerate(text):
        if skip:
            skip = False
        elif quote:
            skip = sign == "\\" and quote == '"'
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in _OPENING:
            depth += 1
        elif sign in _CLOSING:
            depth -= 1
        elif sign in separators and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
        if depth < 0:
            break
    if depth or quote:
        raise InputError(f"{what} must close every bracket and quote, got {untrusted.shown(text)}")
    return [*parts, text[start:].strip()]


def toml(value: Any) -> str:
    """A truth value, number, text, or list or table of those, as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{toml(str(key))} = {toml(item)}' for key, item in value.items())}}}"
    raise InputError(
        f"a setting must be a truth value, a number, text, or a list of them, got {value!r}"
    )


def shown(value: Any) -> str:
    """A value as one would type it: TOML, but text without quotes where none are needed."""
    if isinstance(value, str) and value.isprintable() and not _SPECIAL & set(value):
        if value and parse_value(value) is value:
            return value
    return toml(value)


def canonical(value: Any) -> str:
    """A text that is the same for equal values, 0 and 0.0 too, and for no others."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(canonical, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{toml(str(k))}:{canonical(v)}' for k, v in sorted(value.items()))}}}"
    return toml(value)


# The axis of named variants, each of which sets several keys at once.
VARIANT = "variant"
SEED = "seed"
_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")

Grid = Mapping[str, Sequence[Any]]
Variants = Mapping[str, Mapping[str, Any]]
Excluded = Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """A value of an axis, or the name of a variant, and what it sets, by dotted key."""

    value: Any
    settings: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Axis:
    """A dotted key of the recipe that varies, or "variant", and its values in the order given."""

    key: str
    choices: tuple[Choice, ...]

    def keys(self) -> list[str]:
        """The keys that some value of the axis sets."""
        return list(dict.fromkeys(key for choice in self.choices for key, _ in choice.settings))

    def find(self, value: Any) -> Choice | None:
        """The choice of a value, or None."""
        wanted = canonical(value)
        return next((each for each in self.choices if canonical(each.value) == wanted), None)


def parse_grid(texts: Iterable[str]) -> dict[str, list[Any]]:
    """The axes of ``--grid key=a,b,c``."""
    grid: dict[str, list[Any]] = {}
    for text in texts:
        key, values = _pair(text, "--grid", "key=a,b,c, such as delays.learn=true,false")
        if key in grid:
            raise InputError(f"--grid {key} must be given once, with all its values; got it twice")
        parts = split_top(values, ",", f"--grid {key}")
        if "" in parts:
            raise InputError(f"--grid {key} must have a value between commas, got {text!r}")
        grid[key] = [parse_value(part) for part in parts]
    return grid


def parse_variants(texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The variants of ``--variant "NAME: key=value key=value"``."""
    variants: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, colon, rest = text.partition(":")
        name = name.strip()
        if not colon:
            raise InputError(f"--variant must be 'NAME: key=value key=value', got {text!r}")
        if name in variants:
            raise InputError(f"--variant {name} must be given once, got it twice")
        variants[name] = {}
        for part in filter(None, split_top(rest, " \t\n", f"--variant {name}")):
            key, value = _pair(part, f"--variant {name}", "key=value, without spaces around =")
            if key in variants[name]:
                raise InputError(f"--variant {name} must set {key} once, got it twice")
            variants[name][key] = parse_value(value)
    return variants


def parse_excluded(texts: Iterable[str]) -> list[dict[str, Any]]:
    """The combinations of ``--exclude key=a,key=b``."""
    found = []
    for text in texts:
        pairs: dict[str, Any] = {}
        for part in split_top(text, ",", "--exclude"):
            key, value = _pair(
                part, "--exclude", "key=value,key=value; for several values give it several times"
            )
            if key in pairs:
                raise InputError(
                    f"--exclude must name a key once, got {text!r}; "
                    "for several values give --exclude several times"
                )
            pairs[key] = parse_value(value)
        found.append(pairs)
    return found


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not value or not _KEY.fullmatch(key):
        raise InputError(f"{option} must be {form}, got {text!r}")
    return key, value


def make_axes(grid: Grid, variants: Variants) -> list[Axis]:
    """The axes, that of the variants first; rejects empty ones, repeated values and overlaps."""
    axes = []
    if variants:
        for name in variants:
            _check_name(name)
        choices = [Choice(name, tuple(settings.items())) for name, settings in variants.items()]
        axes.append(Axis(VARIANT, tuple(choices)))
    for key, values in grid.items():
        if key == SEED:
            raise InputError("seed is no axis of a grid: give --seeds N for the seeds 0..N-1")
        if key == VARIANT:
            raise InputError("variant is no key of a recipe: give --variant 'NAME: key=value'")
        if isinstance(values, str) or not values:
            raise InputError(f"the axis {key} must be a list of values, got {values!r}")
        axes.append(Axis(key, tuple(Choice(value, ((key, value),)) for value in values)))
    for axis in axes:
        _check_values(axis)
    _check_overlap(axes)
    return axes


def _check_name(name: str) -> None:
    """Reject the name of a variant that could not be told from a number or from other text."""
    if not _NAME.fullmatch(name) or parse_value(name) != name:
        raise InputError(
            "the name of a variant must be of letters, digits, '.', '_', '+' and '-' only, no "
            f"number and no truth value, got {name!r}"
        )


def _check_values(axis: Axis) -> None:
    seen: dict[str, Any] = {}
    for choice in axis.choices:
        for _, value in choice.settings:
            toml(value)
        same = canonical(choice.value)
        if same in seen:
            both = f"{shown(seen[same])} and {shown(choice.value)}"
            raise InputError(f"the axis {axis.key} must name every value once, got {both}")
        seen[same] = choice.value
    if SEED in axis.keys():
        raise InputError("a variant must not set seed: give --seeds N for the seeds 0..N-1")


def _check_overlap(axes: Sequence[Axis]) -> None:
    for number, first in enumerate(axes):
        for second in axes[number + 1 :]:
            for a in first.keys():
                for b in second.keys():
                    if within(a, b) or within(b, a):
                        raise InputError(
                            f"two axes must not set the same: {first.key} sets {a} and "
                            f"{second.key} sets {b}; put both in one --variant"
                        )


def within(key: str, table: str) -> bool:
    """Whether a dotted key is another or lies within it."""
    return f"{key}.".startswith(f"{table}.")


def check_excluded(axes: Sequence[Axis], excluded: Sequence[Excluded]) -> None:
    """Reject what excludes nothing because an axis or a value of it is not there."""
    by_key = {axis.key: axis for axis in axes}
    for pairs in excluded:
        if not pairs:
            raise InputError("--exclude must be at least one key=value, got none")
        for key, value in pairs.items():
            if key not in by_key:
                raise InputError(
                    f"--exclude must name keys of the grid ({', '.join(by_key) or 'it has none'}), "
                    f"got {key!r}{nearest(key, list(by_key))}"
                )
            if by_key[key].find(value) is None:
                known = [shown(choice.value) for choice in by_key[key].choices]
                raise InputError(
                    f"--exclude {key} must be a value of the grid ({', '.join(known)}), "
                    f"got {shown(value)}{nearest(shown(value), known)}"
                )
