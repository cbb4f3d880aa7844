"""Values as text: what is typed is what is meant, and what is shown can be typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgenn_delays.errors import InputError
from mlgenn_delays.sweep.grid import canonical, shown, split_top, toml
from mlgenn_delays.untrusted import parse_value

PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3), max_leaves=5)


@given(VALUES)
def test_what_is_shown_can_be_typed(value):
    for text in (shown(value), toml(value)):
        again = parse_value(text)
        assert again == value
        assert type(again) is type(value)


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_lists_of_values_are_cut_where_they_were_joined(values):
    parts = split_top(" , ".join(map(shown, values)), ",", "it")
    assert [parse_value(part) for part in parts] == values


@given(VALUES, VALUES)
def test_equal_values_have_one_canonical_text(a, b):
    def typed(value):
        if isinstance(value, list):
            return [typed(each) for each in value]
        return (isinstance(value, bool), isinstance(value, str), value)

    assert (canonical(a) == canonical(b)) == (typed(a) == typed(b))
    assert canonical(0) == canonical(0.0) == canonical(-0.0)
    assert canonical(True) != canonical(1)
    assert canonical([0, 1]) == canonical((0.0, 1))


@pytest.mark.parametrize("text", ["[0.5,0.9", "0.5]", "'a", '"a', "{a=1", "[}"[:1]])
def test_open_brackets_and_quotes(text):
    with pytest.raises(InputError, match="close every bracket and quote"):
        split_top(text, ",", "--grid k")


def test_nested_and_quoted_separators():
    assert split_top('[1, [2, 3]], "a,\\",b", c', ",", "it") == ["[1, [2, 3]]", '"a,\\",b"', "c"]
    assert split_top("a=1  b=[1, 2]", " ", "it") == ["a=1", "", "b=[1, 2]"]


def test_what_is_no_setting():
    with pytest.raises(InputError, match="must be a truth value, a number, text"):
        toml(None)
    assert toml({"a": [1, "b"]}) == '{"a" = [1, "b"]}'
