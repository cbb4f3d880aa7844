"""Settings of the rules: what they refuse, when a pass is due, how much goes."""

from dataclasses import FrozenInstanceError

import pytest

from mlgenn_delays.rewiring import RULES, SET, DeepR, RigL


def test_settings_are_frozen_and_say_what_they_are() -> None:
    with pytest.raises(FrozenInstanceError):
        DeepR().every = 3  # type: ignore[misc]
    wanted = "every=1, signs='synapse', grow_delay='kept', longest=None, dead_first=False"
    assert repr(DeepR()) == f"DeepR({wanted})"
    for made in (DeepR(every=3), RigL(averaging=0.5), RigL(form="magnitude"), SET(every=0)):
        assert eval(repr(made)) == made


def test_rules_by_name() -> None:
    assert RULES == {"deep_r": DeepR, "rigl": RigL, "set": SET}


def test_defaults_of_the_forms() -> None:
    assert (RigL().every, RigL(form="magnitude").every, SET().every) == (1, 20, 20)
    assert RigL(form="magnitude", every=0).every == 0
    assert (RigL(until=0.5).until, RigL(form="magnitude").until) == (1.0, 0.75)
    assert (DeepR().until, SET().until) == (1.0, 0.75)


def test_what_an_engine_asks() -> None:
    assert [rule.needs_gradient for rule in (DeepR(), RigL(), SET())] == [False, True, False]
    assert [rule.averaging for rule in (DeepR(), RigL(), SET())] == [0.0, 0.9, 0.0]


def due(rule: object, last: int = 10, total: int = 40) -> list[int]:
    """Return the steps of a training, with epochs of `last` steps, after which passes are due."""
    return [k for k in range(1, total + 1) if rule.due(k, total, k % last == 0)]


def test_due() -> None:
    assert due(DeepR()) == due(RigL()) == list(range(1, 41))
    assert due(DeepR(every=7)) == [7, 14, 21, 28, 35]
    assert due(DeepR(every=0)) == due(RigL(every=0)) == [10, 20, 30, 40]
    assert due(SET(every=0)) == [10, 20]
    assert due(SET(every=0, until=1.0)) == [10, 20, 30]
    assert due(SET(every=7)) == [7, 14, 21, 28]
    assert due(RigL(form="magnitude", every=5, until=0.5)) == [5, 10, 15]


def test_drop_fraction() -> None:
    rule = RigL(form="magnitude", drop_fraction=0.4, until=0.5)
    values = [rule.fraction(step, 200) for step in (1, 25, 50, 75, 99, 100, 150)]
    assert values[0] == pytest.approx(0.4, abs=1e-3)
    assert values[1:4] == pytest.approx([0.2 * (1 + 0.5**0.5), 0.2, 0.2 * (1 - 0.5**0.5)])
    assert 0 < values[4] < 1e-3
    assert values[5:] == [0.0, 0.0]
    constant = SET(drop_fraction=0.4, decay="constant")
    assert [constant.fraction(step, 100) for step in (1, 74, 75)] == [0.4, 0.4, 0.0]
