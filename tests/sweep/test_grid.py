"""Grids, variants and what is excluded, as typed."""

import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.sweep.grid import (
    check_excluded,
    make_axes,
    parse_excluded,
    parse_grid,
    parse_variants,
)


def test_grid():
    texts = [
        "delays.learn=true,false",
        "network.sparsity=0.9, [0.5, 0.9]",
        "rewiring.rule=none,rigl",
    ]
    assert parse_grid(texts) == {
        "delays.learn": [True, False],
        "network.sparsity": [0.9, [0.5, 0.9]],
        "rewiring.rule": ["none", "rigl"],
    }


BAD = [
    (parse_grid, ["delays.learn"], "key=a,b,c"),
    (parse_grid, ["=1"], "key=a,b,c"),
    (parse_grid, ["a="], "key=a,b,c"),
    (parse_grid, ["a b=1"], "key=a,b,c"),
    (parse_grid, ["a=1,,2"], "a value between commas"),
    (parse_grid, ["a=1,2,"], "a value between commas"),
    (parse_grid, ["a=[1,2"], "close every bracket"),
    (parse_grid, ["a=1", "a=2"], "got it twice"),
    (parse_variants, ["rigl"], "NAME: key=value"),
    (parse_variants, ["a: k"], "key=value, without spaces"),
    (parse_variants, ["a: k = 1"], "key=value, without spaces"),
    (parse_variants, ["a: k=1 k=2"], "set k once"),
    (parse_variants, ["a: k=1", "a: k=2"], "got it twice"),
    *((parse_excluded, [text], "--exclude must") for text in ("", "a", "a=1,2", "a=1,a=2", "a=1,")),
]


@pytest.mark.parametrize(("parse", "texts", "problem"), BAD)
def test_what_is_typed_wrongly(parse, texts, problem):
    with pytest.raises(InputError, match=problem):
        parse(texts)


def test_variants():
    found = parse_variants(
        [
            "fixed:",
            "rigl: rewiring.rule=rigl rewiring.drop_fraction=0.3",
            "both+x:network.sparsity=[0.5, 0.9]  rewiring.rule='set'",
        ]
    )
    assert list(found) == ["fixed", "rigl", "both+x"]
    assert found["fixed"] == {}
    assert found["rigl"] == {"rewiring.rule": "rigl", "rewiring.drop_fraction": 0.3}
    assert found["both+x"] == {"network.sparsity": [0.5, 0.9], "rewiring.rule": "set"}


def test_excluded():
    assert parse_excluded(["variant=rigl,network.sparsity=0", "a=[1,2]"]) == [
        {"variant": "rigl", "network.sparsity": 0},
        {"a": [1, 2]},
    ]


def test_variants_are_the_first_axis():
    axes = make_axes({"delays.max": [1, 2]}, {"a": {"x.y": 1}, "b": {}})
    assert [axis.key for axis in axes] == ["variant", "delays.max"]
    assert [choice.value for choice in axes[0].choices] == ["a", "b"]
    assert axes[0].choices[0].settings == (("x.y", 1),)
    assert axes[1].choices[1].settings == (("delays.max", 2),)


@pytest.mark.parametrize(
    ("grid", "variants", "problem"),
    [
        ({"seed": [1]}, {}, "--seeds N"),
        ({}, {"a": {"seed": 1}}, "--seeds N"),
        ({"variant": ["a"]}, {}, "--variant"),
        ({}, {"a b": {"k": 1}}, "the name of a variant"),
        ({}, {"": {"k": 1}}, "the name of a variant"),
        ({}, {"12": {"k": 1}}, "the name of a variant"),
        ({}, {"true": {"k": 1}}, "the name of a variant"),
        ({"a": []}, {}, "a list of values"),
        ({"a": "xyz"}, {}, "a list of values"),
        ({"a": [None]}, {}, "a setting must be"),
        ({"a": [0, 1, 0.0]}, {}, "every value once, got 0 and 0.0"),
        ({"a.b": [1], "a": [2]}, {}, "must not set the same"),
        ({"a": [2], "a.b": [1]}, {}, "must not set the same"),
        ({"a.b": [1]}, {"v": {"a.b": 1}}, "must not set the same"),
        ({"a.b": [1]}, {"v": {"a.b.c": 1}}, "must not set the same"),
    ],
)
def test_axes_that_cannot_be(grid, variants, problem):
    with pytest.raises(InputError, match=problem):
        make_axes(grid, variants)


def test_keys_that_only_begin_alike_are_two():
    assert len(make_axes({"a.b": [1], "a.bc": [1]}, {})) == 2


def test_exclude_names_the_nearest():
    axes = make_axes({"delays.learn": [True, False]}, {"fixed": {}, "rigl": {"a": 1}})
    check_excluded(axes, [{"delays.learn": True, "variant": "rigl"}])
    with pytest.raises(InputError, match="did you mean 'delays.learn'"):
        check_excluded(axes, [{"delays.lern": True}])
    with pytest.raises(InputError, match="did you mean 'rigl'"):
        check_excluded(axes, [{"variant": "rigel"}])
    with pytest.raises(InputError, match=r"\(true, false\), got 1"):
        check_excluded(axes, [{"delays.learn": 1}])
    with pytest.raises(InputError, match="at least one"):
        check_excluded(axes, [{}])
