"""Splits of data that grow: by a hash of names or groups, and what stays where it is."""

import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.data.split import split_off
from mlgenn_delays.errors import InputError
from tests.reference.split import place, split

SHARES = {"test": 0.1, "validation": 0.1}
NAMES = st.lists(st.text(min_size=1, max_size=4), min_size=9, max_size=60, unique=True)


def parts(labels: Any, shares: dict, names: Any, groups: Any = None) -> list[str]:
    """Return the part of each example."""
    found = [""] * len(labels)
    for name, rows in split_off(np.asarray(labels), shares, names, groups).items():
        assert (np.diff(rows) > 0).all()
        for row in rows:
            assert not found[row]
            found[row] = name
    assert all(found)
    return found


@settings(max_examples=30)
@given(NAMES, st.sampled_from([(0.1, 0.1), (0.0, 0.2), (0.3, 0.0), (0.45, 0.45)]), st.data())
def test_as_the_rule_says(names: list[str], shares: tuple[float, float], data: Any) -> None:
    wanted = dict(zip(("test", "validation"), shares, strict=True))
    labels = [row % 3 for row in range(len(names))]
    assert parts(labels, wanted, names) == split(labels, wanted, names)
    groups = data.draw(
        st.lists(st.sampled_from("abcdefgh"), min_size=len(names), max_size=len(names))
    )
    try:
        found = parts(labels, wanted, names, groups)
    except InputError:
        return
    assert found == split(labels, wanted, names, groups)
    for group in set(groups):
        assert len({f for f, g in zip(found, groups, strict=True) if g == group}) == 1


@settings(max_examples=100)
@given(NAMES, NAMES, st.sampled_from([(0.1, 0.1), (0.2, 0.0), (0.3, 0.3)]))
def test_what_was_trained_on_stays_when_examples_are_added(
    names: list[str], more: list[str], shares: tuple[float, float]
) -> None:
    wanted = dict(zip(("test", "validation"), shares, strict=True))
    grown = [*names, *(name for name in more if name not in names)]
    labels = [len(name) % 2 for name in grown]
    try:
        before = parts(labels[: len(names)], wanted, names)
    except InputError:
        return
    after = parts(labels, wanted, grown)[: len(names)]
    order = ["test", "validation", "train"]
    for name, label, old, new in zip(names, labels, before, after, strict=False):
        alone = old == "train" and place(name) < sum(
            shares
        )  # the only one of its class to train on
        assert alone or order.index(new) >= order.index(old), (name, label, old, new)


def test_shares_and_classes_of_many() -> None:
    names = [f"{word}/{number}.wav" for word in ("no", "yes") for number in range(5000)]
    labels = np.repeat([0, 1], 5000)
    found = split_off(labels, SHARES, names)
    for part, share in {**SHARES, "train": 0.8}.items():
        assert np.bincount(labels[found[part]]) / 5000 == pytest.approx([share] * 2, abs=0.015)


@pytest.mark.parametrize("n", [3, 4, 10, 20])
def test_every_class_is_in_every_part(n: int) -> None:
    for seed in range(50):
        names = [f"{seed}/{label}/{row}" for label in range(4) for row in range(n)]
        labels = np.repeat(np.arange(4), n)
        for part, rows in split_off(labels, SHARES, names).items():
            assert (np.bincount(labels[rows], minlength=4) > 0).all(), part


def test_nothing_to_split_off() -> None:
    assert split_off(np.array([0]), {"test": 0.0}, ["a"])["train"].tolist() == [0]


def test_names_count_however_they_are_composed() -> None:
    names = [f"é{number}" for number in range(40)]
    apart = [unicodedata.normalize("NFD", name) for name in names]
    assert names != apart
    assert parts([0] * 40, SHARES, names) == parts([0] * 40, SHARES, apart)


def test_equal_names_are_together() -> None:
    found = parts([0] * 60, SHARES, [f"n{row // 2}" for row in range(60)])
    assert found[::2] == found[1::2]


def test_too_few() -> None:
    text = (
        "cannot split 2 examples of class 'up' so that each of train, test, validation has some; "
        "give more of them, or set data.test or data.validation to 0"
    )
    with pytest.raises(InputError, match=text):
        split_off(np.array([0, 0, 0, 1, 1]), SHARES, list("abcde"), None, ["no", "up"])
    with pytest.raises(InputError, match="cannot split 1 group of class 0 so that"):
        split_off(np.array([0, 0]), {"test": 0.1}, list("ab"), list("xx"))
