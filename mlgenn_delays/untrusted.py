"""The doors through which text from outside comes in, and how it is shown.

Files are damaged, written by other tools, or made to do harm. Whatever is in them, reading gives
plain data within bounds or a ValueError of one short sentence that can be printed, never another
error: nothing that nests deeply, no number of thousands of digits, no file that fills the memory.
"""

import csv
import json
import os
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlgenn_delays.errors import InputError, one_line, shorten

MOST_TEXT = 2**26  # bytes of a text file
MOST_TOML = 2**18  # bytes: `tomllib` takes the cube of the parts of a key
MOST_DOTS = 500  # in a line of TOML
DEEPEST = 64  # tables and lists within each other
MOST_DIGITS = 20  # of a whole number in JSON; no 64-bit number has more
LOWEST, HIGHEST = -(2**63), 2**64 - 1
LONGEST_REASON = 300  # characters
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class BeyondBoundsError(ValueError):
    """It may be well-formed, but nests too deeply, or is or has too large a number."""


def read_text(path: Path | str, most: int = MOST_TEXT) -> str:
    """The text of a regular file in UTF-8, with or without a byte-order mark."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise BeyondBoundsError(f"it has more than {most} bytes")
    return decode(content)


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a named pipe without a writer must not stop the program."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def decode(content: bytes) -> str:
    """UTF-8 as text, without its byte-order mark."""
    if content[:2] in _UTF16:
        raise ValueError("it is UTF-16 text; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error


def parse_json(text: str | bytes) -> Any:
    """The content of JSON, as plain data within bounds."""
    if isinstance(text, bytes):
        text = decode(text)
    try:
        value = json.loads(text.removeprefix("\ufeff"), parse_int=_whole)
    except RecursionError as error:
        raise _too_deep() from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {reason(error)}") from error
    check_plain(value)
    return value


def read_json(path: Path | str, most: int = MOST_TEXT) -> Any:
    """The content of a JSON file; errors are those of `read_text` and `parse_json`."""
    return parse_json(read_text(path, most))


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise _too_large(f"{digits[:20]}... of {len(digits)} digits")
    return int(digits)


def parse_toml(text: str) -> dict[str, Any]:
    """The content of TOML, as plain data within bounds."""
    if len(text) > MOST_TOML:
        raise BeyondBoundsError(f"it has more than {MOST_TOML} characters")
    if any(line.count(".") > MOST_DOTS for line in text.split("\n")):
        raise BeyondBoundsError(f"a line has more than {MOST_DOTS} dots")
    try:
        value = tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError as error:
        raise _too_deep() from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(reason(error)) from error
    except ValueError as error:  # Python's own bound on the digits of a number
        raise _too_large("one of thousands of digits") from error
    check_plain(value)
    return value


def parse_value(text: str, what: str = "a value") -> Any:
    """A value written as TOML, or the text itself where it is none; `what` names it in an error."""
    try:
        parsed = parse_toml(f"value = {text}")
    except BeyondBoundsError as error:
        raise InputError(
            f"{what} must be a value of a recipe, got {shown(text)}: {error}"
        ) from error
    except ValueError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def check_plain(value: Any) -> None:
    """Reject plain data that nest too deeply, or with a whole number beyond 64 bits."""
    waiting = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        if isinstance(one, (dict, list, tuple)):
            if depth >= DEEPEST:
                raise _too_deep()
            inner = one.values() if isinstance(one, dict) else one
            waiting += [(each, depth + 1) for each in inner]
        elif isinstance(one, int) and not LOWEST <= one <= HIGHEST:
            raise _too_large(f"one of {one.bit_length()} bits")


def _too_deep() -> BeyondBoundsError:
    return BeyondBoundsError(f"it must nest at most {DEEPEST} tables and lists")


def _too_large(got: str) -> BeyondBoundsError:
    return BeyondBoundsError(f"a whole number must fit 64 bits, got {got}")


def read_csv(path: Path | str) -> tuple[list[str], list[list[str]]]:
    """The header and the lines of a CSV file, each as long as the header."""
    try:
        table = [line for line in csv.reader(StringIO(read_text(path), newline="")) if line]
    except csv.Error as error:
        raise ValueError(f"it is no CSV: {reason(error)}") from error
    header, lines = (table[0], table[1:]) if table else ([], [])
    if len(set(header)) != len(header):
        raise ValueError("two of its columns have one name")
    wrong = next((n for n, line in enumerate(lines, 2) if len(line) != len(header)), None)
    if wrong is not None:
        raise ValueError(f"line {wrong} has other columns than its header")
    return header, lines


def shown(value: object, longest: int = 80) -> str:
    """A value from outside for a message: as Python writes it, cut, and printable."""
    if isinstance(value, (str, bytes)) and len(value) > 2 * longest:
        value = value[: 2 * longest]
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # deep nesting, a number of thousands of digits
        text = f"{type(value).__name__} beyond all bounds"
    return shorten(one_line(text), longest)


def reason(error: Exception) -> str:
    """What an error says, in one short sentence without its end."""
    return shorten(one_line(str(error)), LONGEST_REASON).rstrip(".") or type(error).__name__


def first_problem(error: Exception) -> str:
    """The first of pydantic's problems as ``key: what is wrong``; what it holds is cut."""
    if not isinstance(error, ValidationError):
        return reason(error)
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = shorten(".".join(str(part) for part in first["loc"]), 100)
    return shorten(one_line(f"{where or 'it'}: {first['msg']}"), LONGEST_REASON)


@contextmanager
def as_damaged(path: Path | str, remedy: str) -> Iterator[None]:
    """Turn whatever reading damaged content raises into an `InputError`: it is the finding."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, KeyError):
            why = f"{shown(error.args[0] if error.args else None)} is missing"
        elif isinstance(error, (InputError, ValueError)):
            why = first_problem(error)
        else:
            why = f"{type(error).__name__} {reason(error)}"
        raise InputError(f"{path} is damaged: {why}; {remedy}") from error
