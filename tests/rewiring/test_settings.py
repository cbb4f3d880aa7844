"""Settings of the rules: what they refuse, when a pass is due, how much goes."""

from dataclasses import FrozenInstanceError

import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.rewiring import RULES, SET, DeepR, RigL


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: DeepR(every=-1), "DeepR.every must be a whole number >= 0, got -1"),
        (lambda: DeepR(every=2.5), "every must be a whole number .* got 2.5"),
        (lambda: SET(every=True), "every must be a whole number .* got True"),
        (lambda: DeepR(signs="free"), "DeepR.signs must be synapse or dale, got 'free'; .*zero"),
        (
            lambda: DeepR(signs="deal"),
            "signs must be one of free, synapse, dale, got 'deal'; did you mean 'dale'",
        ),
        (
            lambda: DeepR(grow_delay="gradient"),
            "DeepR.grow_delay must be one of kept, random, got 'gradient'; only RigL",
        ),
        (lambda: SET(grow_delay="gradient"), "SET.grow_delay must be .* got 'gradient'; only"),
        (lambda: RigL(grow_delay="best"), "one of kept, random, gradient, got 'best'"),
        (
            lambda: RigL(signs="free"),
            "signs must be synapse or dale, got 'free'; .* form=.magnitude",
        ),
        (lambda: RigL(form="sign"), "form must be one of signed, magnitude, got 'sign'"),
        (lambda: RigL(averaging=1.0), r"averaging must be a number in \[0, 1\), got 1.0"),
        (lambda: RigL(averaging=-0.1), r"averaging must be a number in \[0, 1\), got -0.1"),
        (lambda: RigL(averaging=float("nan")), r"averaging must be a number in \[0, 1\), got nan"),
        (
            lambda: SET(drop_fraction=0.0),
            r"SET.drop_fraction must be a number in \(0, 1\), got 0.0",
        ),
        (lambda: SET(drop_fraction=1.0), r"drop_fraction must be a number in \(0, 1\), got 1.0"),
        (
            lambda: RigL(drop_fraction="0.3"),
            r"drop_fraction must be a number in \(0, 1\), got '0.3'",
        ),
        (lambda: SET(decay="linear"), "decay must be one of cosine, constant, got 'linear'"),
        (lambda: SET(until=0.0), r"until must be a number in \(0, 1\], got 0.0"),
        (lambda: RigL(until=1.5), r"until must be a number in \(0, 1\], got 1.5"),
    ],
)
def test_bad_settings_are_refused(make: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()


def test_settings_are_frozen_and_say_what_they_are() -> None:
    with pytest.raises(FrozenInstanceError):
        DeepR().every = 3  # type: ignore[misc]
    assert repr(DeepR()) == "DeepR(every=1, signs='synapse', grow_delay='kept', longest=None)"
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


@pytest.mark.parametrize("longest", [-1.0, float("nan"), float("inf"), "10", True])
def test_the_longest_delay_is_a_time(longest: object) -> None:
    with pytest.raises(InputError, match="longest must be a number .* ms or None"):
        DeepR(longest=longest)  # type: ignore[arg-type]
    assert DeepR(longest=0.0).longest == 0.0
