"""Python values as C source."""

import ast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlgenn_delays.export.c.text import LONGEST_STRING, Names, comment, real, string


@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_as_itself(value: float) -> None:
    text = real(value)
    assert text.endswith("f") and ("." in text or "e" in text)
    assert np.float32(text[:-1]).tobytes() == np.float32(value).tobytes()


def test_a_threshold_beyond_float32_is_infinite() -> None:
    with np.errstate(over="ignore"):
        assert real(1e300) == "HUGE_VALF"


@given(text=st.text())
def test_a_string_holds_the_bytes_of_the_text(text: str) -> None:
    written = string(text)
    # Octal escapes are the same in Python.
    assert ast.literal_eval("b" + written) == text.encode("utf-8", "replace")
    assert written.isascii() and written.isprintable() and "?" not in written


def test_a_string_is_not_longer_than_compilers_take() -> None:
    assert len(ast.literal_eval("b" + string("ä" * 5000))) == LONGEST_STRING


@given(text=st.text())
def test_a_comment_cannot_end_early(text: str) -> None:
    written = comment(text)
    assert not set(written) & set("/*\\?#\"'\n\r") and written.isascii()


@given(texts=st.lists(st.text(max_size=30), min_size=1))
def test_names_are_distinct_and_plain(texts: list[str]) -> None:
    names = Names()
    given_names = [names.of(text) for text in [*texts, *texts, "a", "a_2", "a", "a 2"]]
    assert len(set(given_names)) == len(given_names)
    assert all(f"v_{name}".isidentifier() and name.isascii() for name in given_names)
