"""Steps of events that have a time each.

A step t lasts from ``t dt`` to ``(t + 1) dt``, so an event goes to the step in which it happens,
``floor(time / dt)``, as crossings do in `LevelEncoder`. A time that lies within a millionth of a
step before the next step belongs to that: ``0.3 / 0.1`` is a little less than 3 for a computer.
"""

import numpy as np

from mlgenn_delays.errors import InputError

_NEAR = 1e-6  # of a step


def event_steps(
    where: str, times: np.ndarray, *, dt: float, n_steps: int, unit: float = 1.0
) -> np.ndarray:
    """Return the step of each event.

    Arguments:
        where: What the events are called.
        times: (E,) real numbers >= 0, of any type.
        dt: Length of a step [ms].
        n_steps: T, length of a trial.
        unit: What a time of 1 is [ms].

    Returns:
        (E,) float64 in ``0..T``; T stands for every time after the trial.

    Raises:
        InputError: A time is negative or not finite.
    """
    # float64 first: times of SHD are float16, whose greatest number is 65504.
    with np.errstate(over="ignore"):
        place = times.astype(np.float64) * unit / dt
    wrong = ~((times >= 0) & np.isfinite(times)) if len(times) else np.zeros(0, bool)
    if wrong.any():
        raise InputError(
            f"{where} must have finite times >= 0, got {times[wrong][0]} at event "
            f"{int(np.argmax(wrong))}; give times from the beginning of the trial"
        )
    return np.minimum(np.floor(place + _NEAR), n_steps)


def sorted_spikes(
    channels: np.ndarray, steps: np.ndarray, *, n_channels: int, n_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return events as the spikes of one example; several of a channel in one step are one.

    Arguments:
        channels: (E,) whole numbers in ``0 .. n_channels - 1``.
        steps: (E,) whole numbers >= 0 of any type, as `event_steps` gives them; events from step
            ``n_steps`` on are cut.
        n_channels: C.
        n_steps: T.

    Returns:
        (C+1,) int64 where the spikes of each channel begin, and (S,) int32 their steps.
    """
    ends = np.arange(n_channels + 1) * n_steps
    kept = steps < n_steps
    # Half the width sorts in half the time.
    kind = np.dtype(np.int32 if ends[-1] < 2**31 else np.int64)
    keys = channels[kept].astype(kind) * n_steps + steps[kept].astype(kind)
    keys.sort()
    fresh = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=fresh[1:])
    keys = keys[fresh]
    return np.searchsorted(keys, ends.astype(kind)), (keys % n_steps).astype(np.int32)
