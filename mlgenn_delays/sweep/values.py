"""Values of settings as text: how the command line gives them, and how they are shown and named."""

import json
from typing import Any

from mlgenn_delays import untrusted
from mlgenn_delays.errors import InputError

_OPENING, _CLOSING = "[{", "]}"
# A text with one of these in it is shown in quotes.
_SPECIAL = set(" \t,=:;|\"'[]{}#")


def split_top(text: str, separators: str, what: str) -> list[str]:
    """Cut a text at separators outside of brackets and quotes, and strip the parts.

    Arguments:
        text: What to cut.
        separators: Characters to cut at.
        what: Name of the text, for an error.

    Raises:
        InputError: A bracket or a quote is not closed.
    """
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


def parse_value(text: str) -> Any:
    """Return a value written as TOML, or the text itself where it is none.

    Raises:
        InputError: It nests deeper than any setting, or has a larger number.
    """
    return untrusted.parse_value(text, "a value")


def toml(value: Any) -> str:
    """Return a value as TOML.

    Raises:
        InputError: It is no truth value, number, text, or list or table of those.
    """
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
        f"a setting must have a truth value, a number, text, or a list of them, got {value!r}"
    )


def shown(value: Any) -> str:
    """Return a value as one would type it: TOML, but text without quotes where none are needed."""
    if isinstance(value, str) and value.isprintable() and not _SPECIAL & set(value):
        if value and parse_value(value) is value:
            return value
    return toml(value)


def canonical(value: Any) -> str:
    """Return a text that is the same for equal values, 0 and 0.0 too, and for no others."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(canonical, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{toml(str(k))}:{canonical(v)}' for k, v in sorted(value.items()))}}}"
    return toml(value)
