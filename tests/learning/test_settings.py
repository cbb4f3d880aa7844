"""Learning settings check themselves."""

from dataclasses import FrozenInstanceError

import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import Adam, Cosine, EaseIn, EventProp, OneCycle, SpikeCount


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Adam(-1e-3), "Adam must have learning_rate >= 0, got -0.001"),
        (lambda: Adam(float("nan")), "learning_rate >= 0, got nan"),
        (lambda: Adam(beta1=1.0), r"beta1 in \[0, 1\), got 1.0"),
        (lambda: Adam(beta2=-0.1), r"beta2 in \[0, 1\), got -0.1"),
        (lambda: Adam(epsilon=0.0), "epsilon > 0, got 0.0"),
        (lambda: Adam(clip=0.0), "clip > 0 or None, got 0.0"),
        (lambda: SpikeCount(target=-1.0), "target >= 0, got -1.0"),
        (lambda: SpikeCount(strength=float("nan")), "strength >= 0, got nan"),
        (lambda: EventProp(revive=-1.0), "revive >= 0, got -1.0"),
        (lambda: EventProp(dropout={"hidden": 1.0}), r"in \[0, 1\), got 1.0 for 'hidden'"),
        (lambda: EaseIn(start=0.0), r"start in \(0, 1\], got 0.0"),
        (lambda: EaseIn(growth=1.0), "growth > 1, got 1.0"),
        (lambda: Cosine(last=1.5), r"last in \[0, 1\], got 1.5"),
        (lambda: OneCycle(peak=0.0), "peak > 0, got 0.0"),
        (lambda: OneCycle(first=9.0), r"first in \[0, peak\], got 9.0"),
        (lambda: OneCycle(last=-1.0), r"last in \[0, peak\], got -1.0"),
        (lambda: OneCycle(rise=1.0), r"rise in \(0, 1\), got 1.0"),
    ],
)
def test_bad_settings_are_refused(make: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Adam().learning_rate = 1.0  # type: ignore[misc]


def test_defaults_are_not_shared() -> None:
    assert EventProp().dropout is not EventProp().dropout
    assert EventProp() == EventProp()
