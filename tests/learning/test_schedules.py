"""The values of learning-rate schedules, at their ends and between."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgenn_delays.learning.optimisers import SCHEDULES, Constant, Cosine, EaseIn, OneCycle


def test_constant() -> None:
    assert [Constant().factor(k, 9) for k in (0, 4, 8)] == [1.0, 1.0, 1.0]


def test_ease_in_grows_to_one_and_stays() -> None:
    schedule = EaseIn(start=0.01, growth=1.1)
    for k in range(30):
        assert schedule.factor(k, 1000) == pytest.approx(0.01 * 1.1**k)
    steps = math.ceil(math.log(100) / math.log(1.1))
    assert schedule.factor(steps - 1, 1000) < 1.0
    assert schedule.factor(steps, 1000) == 1.0
    assert schedule.factor(10**9, 10**9) == 1.0


def test_cosine() -> None:
    schedule = Cosine(last=0.2)
    assert schedule.factor(0, 10) == 1.0
    assert schedule.factor(5, 10) == pytest.approx(0.6)
    assert schedule.factor(10, 10) == pytest.approx(0.2)
    assert schedule.factor(99, 10) == pytest.approx(0.2)


def test_one_cycle() -> None:
    schedule = OneCycle(peak=4.0, first=0.5, last=0.01, rise=0.25)
    total = 101
    assert schedule.factor(0, total) == pytest.approx(0.5)
    assert schedule.factor(25, total) == pytest.approx(4.0)
    assert schedule.factor(100, total) == pytest.approx(0.01)
    # Halfway along each leg half a cosine is at the mean of its ends.
    assert schedule.factor(62, 101) > (4.0 + 0.01) / 2 > schedule.factor(63, 101)
    rising = [schedule.factor(k, total) for k in range(26)]
    falling = [schedule.factor(k, total) for k in range(25, 101)]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize("name", SCHEDULES)
@given(total=st.integers(0, 10_000), share=st.floats(0.0, 1.0))
def test_factors_are_finite_and_bounded(name: str, total: int, share: float) -> None:
    schedule = SCHEDULES[name]()
    factor = schedule.factor(int(share * total), total)
    assert 0.0 <= factor <= 5.0 + 1e-9


def test_a_single_step_has_a_factor() -> None:
    for schedule in (Constant(), EaseIn(), Cosine(), OneCycle()):
        assert math.isfinite(schedule.factor(0, 1))
