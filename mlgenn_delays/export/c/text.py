"""Python values as C source: numbers, strings, comments, names and arrays.

Names and labels come from anywhere, so nothing of them reaches the source but as escaped strings,
or as letters, digits and a few harmless signs.
"""

import re

import numpy as np

from mlgenn_delays.errors import InputError

_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_UNSAFE = re.compile(r"[^A-Za-z0-9 ._,:;()+=<>@%-]")
# What every compiler of C99 must take in one string, with room to spare.
LONGEST_STRING = 4000


def check_prefix(prefix: str) -> str:
    """Return what the C names begin with.

    Raises:
        InputError: It cannot begin a C name.
    """
    # test_model.c is the test program.
    if not _PREFIX.fullmatch(prefix) or prefix.lower() == "test":
        raise InputError(
            "prefix must have a letter first, then letters, digits and underscores, at most 40 in "
            f"all, and not be 'test', got {prefix!r}"
        )
    return prefix


def string_bytes(text: str) -> bytes:
    """Return a text as the UTF-8 bytes of a C string, cut where it is too long."""
    return text.encode("utf-8", "replace")[:LONGEST_STRING]


def string(text: str) -> str:
    """Return a C string literal; octal escapes take three digits, so that none runs on."""
    plain = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in string_bytes(text)) + '"'


def comment(text: str) -> str:
    """Return a text as it may stand in a C comment, on one line."""
    return _UNSAFE.sub("_", text)[:200]


def real(value: float | np.floating) -> str:
    """Return a float32 constant that reads back as the same number."""
    number = np.float32(value)
    if np.isinf(number):
        return "HUGE_VALF" if number > 0 else "-HUGE_VALF"
    text = f"{float(number):.9g}"
    return (text if "." in text or "e" in text else f"{text}.0") + "f"


class Names:
    """Distinct C names for names that may be any text."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, text: str) -> str:
        """Return a name in small letters that was not given before."""
        stem = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:24] or "x"
        name, k = stem, 1
        while name in self._taken:
            k += 1
            name = f"{stem}_{k}"
        self._taken.add(name)
        return name


def rows(values: np.ndarray) -> str:
    """Return the values of a C array of one or two dimensions."""
    if values.ndim == 2:
        return ",\n".join(f"  {{\n{rows(row)}\n  }}" for row in values)
    is_real = values.dtype.kind == "f"
    texts = [real(v) for v in values] if is_real else [str(int(v)) for v in values]
    wide = 6 if is_real else 16
    lines = [", ".join(texts[k : k + wide]) for k in range(0, len(texts), wide)]
    return ",\n".join(f"    {line}" for line in lines)
