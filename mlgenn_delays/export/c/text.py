"""Python values as C source: numbers, strings, comments, names and arrays.

Names and labels come from anywhere, so nothing of them reaches the source but as escaped strings,
or as letters, digits and a few harmless signs.
"""

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mlgenn_delays.errors import InputError

BYTES = {
    "uint8_t": 1, "uint16_t": 2, "uint32_t": 4, "int8_t": 1, "int16_t": 2, "int32_t": 4,
    "float": 4,
}  # fmt: skip


def unsigned(largest: int) -> str:
    """The smallest type that holds 0..largest."""
    return next(k for k in ("uint8_t", "uint16_t", "uint32_t") if largest < 256 ** BYTES[k])


def signed(largest: int) -> str:
    """The smallest type that holds -largest..largest."""
    return next(k for k in ("int8_t", "int16_t", "int32_t") if largest < 256 ** BYTES[k] // 2)


def _extent(shape: tuple[int, ...]) -> str:
    return "".join(f"[{n}]" for n in shape)


@dataclass(frozen=True)
class Constant:
    """An array that never changes."""

    name: str  # in C
    kind: str  # type in C
    values: np.ndarray  # of one or two dimensions, not empty

    @property
    def bytes(self) -> int:
        """Its size."""
        return BYTES[self.kind] * self.values.size

    def source(self) -> str:
        """Its definition."""
        extent = _extent(self.values.shape)
        return f"static const {self.kind} {self.name}{extent} = {{\n{rows(self.values)}\n}};\n"

    def at(self, row: str | None, column: str) -> str:
        """C of one of its numbers; row is None of an array of one dimension."""
        return f"{self.name}{'' if row is None else f'[{row}]'}[{column}]"


@dataclass(frozen=True)
class Packed(Constant):
    """Integers of 4, 2 or 1 bits, several per byte, and the function that reads them.

    Four bits are -7..7, two are -1..1, one is -1 or 1.
    """

    bits: int
    columns: int  # of a table of two dimensions, row after row

    def source(self) -> str:
        """Its definition and the function."""
        each, mask = 8 // self.bits, 2**self.bits - 1
        byte = f"(uint32_t){self.name}[k / {each}u] >> ({self.bits}u * (k % {each}u))"
        value = f"(int)(({byte}) & {mask}u)"
        value = f"2 * {value} - 1" if self.bits == 1 else f"{value} - {_MIDDLE[self.bits]}"
        return (
            f"{super().source()}\nstatic int value_{self.name}(size_t k)\n{{\n"
            f"    return {value};\n}}\n"
        )

    def at(self, row: str | None, column: str) -> str:
        """C of one of its numbers."""
        place = column if row is None else f"{self.columns}u * {row} + {column}"
        return f"value_{self.name}({place})"


_MIDDLE = {4: 8, 2: 1}


def packed(name: str, values: np.ndarray, bits: int) -> Packed:
    """Integers of few bits, a table of two dimensions row after row."""
    flat = values.ravel().astype(np.int64)
    code = (flat > 0) if bits == 1 else flat + _MIDDLE[bits]
    each = 8 // bits
    places = np.zeros((-(-len(flat) // each), each), np.int64)
    places.ravel()[: len(flat)] = code
    bytes_ = (places << (bits * np.arange(each))).sum(1)
    return Packed(name, "uint8_t", bytes_, bits, values.shape[-1])


@dataclass(frozen=True)
class Field:
    """A part of the state."""

    name: str  # in C
    kind: str  # type in C
    shape: tuple[int, ...]  # dimensions, none for a single value
    about: str  # what it holds

    @property
    def bytes(self) -> int:
        """Its size."""
        return BYTES[self.kind] * int(np.prod(self.shape, dtype=np.int64))

    def source(self) -> str:
        """Its declaration."""
        return f"    {self.kind} {self.name}{_extent(self.shape)}; /* {self.about} */\n"


def integers(name: str, values: np.ndarray) -> Constant:
    """An array of whole numbers >= 0 in the smallest type."""
    return Constant(name, unsigned(int(values.max())), values)


def reals(name: str, values: np.ndarray) -> Constant:
    """An array of float32."""
    return Constant(name, "float", values.astype(np.float32))


def state_bytes(fields: list[Field]) -> int:
    """The size of a struct of these, those of the widest type first."""
    return -(-sum(field.bytes for field in fields) // 4) * 4


@dataclass(frozen=True)
class Strings:
    """The texts that the program holds."""

    labels: tuple[str, ...]  # of the classes
    populations: tuple[str, ...]  # names of those that spike

    @property
    def bytes(self) -> int:
        """Their size: every text takes the place of the longest, so that no pointers are needed."""
        return sum(width(texts) * len(texts) for texts in (self.labels, self.populations))

    def definitions(self, prefix: str) -> str:
        """The definitions of the arrays."""
        return _define(f"{prefix}_labels", self.labels) + (
            _define(f"{prefix}_populations", self.populations) if self.populations else ""
        )

    def declarations(self, prefix: str) -> str:
        """The declarations of the arrays."""
        lines = [_declare(f"{prefix}_labels", self.labels)]
        if self.populations:
            lines.append(_declare(f"{prefix}_populations", self.populations))
        return "".join(f"extern {line};\n" for line in lines)


def width(texts: tuple[str, ...]) -> int:
    """The bytes of the longest text with its end."""
    return max((len(string_bytes(text)) + 1 for text in texts), default=0)


def _declare(name: str, texts: tuple[str, ...]) -> str:
    return f"const char {name}[{len(texts)}][{width(texts)}]"


def _define(name: str, texts: tuple[str, ...]) -> str:
    lines = "".join(f"    {string(text)},\n" for text in texts)
    return f"{_declare(name, texts)} = {{\n{lines}}};\n"


_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_UNSAFE = re.compile(r"[^A-Za-z0-9 ._,:;()+=<>@%-]")
# What every compiler of C99 must take in one string, with room to spare.
LONGEST_STRING = 4000


def check_prefix(prefix: str) -> str:
    """Raise InputError unless C names can begin with the prefix."""
    # test_model.c is the test program.
    if not _PREFIX.fullmatch(prefix) or prefix.lower() == "test":
        raise InputError(
            "prefix must be a letter, then letters, digits and underscores, at most 40 in "
            f"all, and not 'test', got {prefix!r}"
        )
    return prefix


def string_bytes(text: str) -> bytes:
    """A text as the UTF-8 bytes of a C string, cut where it is too long."""
    return text.encode("utf-8", "replace")[:LONGEST_STRING]


def string(text: str) -> str:
    """A C string literal; octal escapes take three digits, so that none runs on."""
    plain = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in string_bytes(text)) + '"'


def comment(text: str) -> str:
    """A text as it may stand in a C comment, on one line."""
    return _UNSAFE.sub("_", text)[:200]


def real(value: float | np.floating) -> str:
    """A float32 constant that reads back as the same number."""
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
        """A name in small letters that was not given before."""
        stem = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:24] or "x"
        name, k = stem, 1
        while name in self._taken:
            k += 1
            name = f"{stem}_{k}"
        self._taken.add(name)
        return name


def rows(values: np.ndarray) -> str:
    """The values of a C array of one or two dimensions."""
    if values.ndim == 2:
        return ",\n".join(f"  {{\n{rows(row)}\n  }}" for row in values)
    is_real = values.dtype.kind == "f"
    texts = [real(v) for v in values] if is_real else [str(int(v)) for v in values]
    wide = 6 if is_real else 16
    lines = [", ".join(texts[k : k + wide]) for k in range(0, len(texts), wide)]
    return ",\n".join(f"    {line}" for line in lines)


def indent(text: str, levels: int = 1) -> str:
    """Move lines of C to the right."""
    return textwrap.indent(text, "    " * levels)


def block(head: str, body: Iterable[str]) -> str:
    """A statement with a body in braces."""
    inner = "".join(indent(part if part.endswith("\n") else part + "\n") for part in body)
    return f"{head} {{\n{inner}}}\n"


def function(head: str, body: Iterable[str]) -> str:
    """The definition of a function."""
    return block(head, body).replace(" {\n", "\n{\n", 1)
