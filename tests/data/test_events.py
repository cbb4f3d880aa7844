"""Steps of events: the step in which each happens, whatever computers make of its time."""

import numpy as np
import pytest

from mlgenn_delays.data.events import event_steps
from mlgenn_delays.errors import InputError


def test_a_time_at_the_beginning_of_a_step_belongs_to_it() -> None:
    times = np.arange(1, 1000) / 10
    assert (np.floor(times / 0.1) != np.arange(1, 1000)).any()
    np.testing.assert_array_equal(
        event_steps("it", times, dt=0.1, n_steps=2000), np.arange(1, 1000)
    )
    seconds = event_steps("it", times / 1000, dt=0.1, n_steps=2000, unit=1000.0)
    np.testing.assert_array_equal(seconds, np.arange(1, 1000))


def test_a_step_lasts_until_the_next() -> None:
    times = np.array([0.0, 0.999, 0.99999, 1.0, 1.5, 2.99, 3.0, 1e300])
    found = event_steps("it", times, dt=1.0, n_steps=3)
    assert found.tolist() == [0, 0, 0, 1, 1, 2, 3, 3]


def test_float16_does_not_overflow() -> None:
    times = np.array([65504, 0.5], np.float16)
    found = event_steps("it", times, dt=0.5, n_steps=10**9, unit=1000.0)
    assert found.tolist() == [131_008_000, 1000]


@pytest.mark.parametrize("time", [-1.0, np.nan, np.inf])
def test_times_that_cannot_be(time: float) -> None:
    with pytest.raises(InputError, match=f"it must have finite times >= 0, got {time} at event 1"):
        event_steps("it", np.array([0.0, time]), dt=1.0, n_steps=3)
