"""The chaotic series of Mackey and Glass (1977), to be predicted some time ahead.

    dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x(t)

is integrated by Runge-Kutta (4th order, steps of 0.1, x(t - tau) interpolated between them) from a
random constant history, and what it does in the first 500 units of time is left out. A unit of
time of the equation is ``unit`` ms of the trial. Each example is a series of its own, brought to
mean 0 and standard deviation 1 by constants of the attractor, and encoded as in `series`.
The target is the same series ``horizon`` later.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from mlgenn_delays.data.fields import count_steps
from mlgenn_delays.data.sets.generated import generate_splits, generated
from mlgenn_delays.data.sets.series import SeriesOptions, as_input
from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.settings import Number, PositiveTime, Time, says, settings

SERIES = ("x",)
_STEP = 0.1
_WASHOUT = 500.0  # units of time
# Mean and standard deviation of the series for tau = 17.
MEAN, DEVIATION = 0.93, 0.23


@settings
class MackeyGlassOptions(SeriesOptions):
    """Options of the Mackey-Glass series."""

    tau: Annotated[Number, Field(ge=1, le=1000), says("Delay of the equation, in its units.")] = (
        17.0
    )
    unit: Annotated[PositiveTime, says("How long a unit of time of the equation is.")] = 1.0
    horizon: Annotated[Time, says("How far ahead the series is to be predicted.")] = 10.0


def load(
    options: MackeyGlassOptions | None = None, *, dt: float = 1.0
) -> dict[str, SpikeData | CurrentData]:
    """Generate the data set as spikes or currents, with targets."""
    options = options or MackeyGlassOptions()
    n_steps, ahead = count_steps(options.duration, dt), round(options.horizon / dt)

    def make(rng: np.random.Generator, n: int) -> SpikeData | CurrentData:
        length = (n_steps + ahead) * dt / options.unit
        fine = mackey_glass(rng.uniform(0.5, 1.3, n), options.tau, _WASHOUT + length)
        time = _WASHOUT + np.arange(n_steps + ahead) * dt / options.unit
        grid = np.arange(fine.shape[1]) * _STEP
        series = np.stack([np.interp(time, grid, each) for each in fine])
        series = (series - MEAN) / DEVIATION
        targets = series[:, None, ahead:].astype(np.float32)
        return as_input(rng, series[:, :n_steps], targets, options, dt, SERIES)

    return generate_splits("mackey-glass", options, make)


def mackey_glass(start: np.ndarray, tau: float, length: float) -> np.ndarray:
    """Return the series every 0.1 units of time, (n, length / 0.1 + 1), from constants (n,).

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays.data.sets.mackey_glass import mackey_glass
        >>> mackey_glass(np.array([1.2]), 17.0, 100.0).shape
        (1, 1001)
    """
    lag, steps = tau / _STEP, int(np.ceil(length / _STEP))
    before = int(np.ceil(lag)) + 1
    x = np.empty((before + steps + 1, len(start)))
    x[: before + 1] = start

    def change(now: np.ndarray, place: float) -> np.ndarray:
        low = int(place)
        then = x[low] + (place - low) * (x[low + 1] - x[low])
        result: np.ndarray = 0.2 * then / (1 + then**10) - 0.1 * now
        return result

    for k in range(before, before + steps):
        then = k - lag
        a = change(x[k], then)
        b = change(x[k] + _STEP / 2 * a, then + 0.5)
        c = change(x[k] + _STEP / 2 * b, then + 0.5)
        d = change(x[k] + _STEP * c, then + 1.0)
        x[k + 1] = x[k] + _STEP / 6 * (a + 2 * b + 2 * c + d)
    return x[before:].T


DATASET = generated(
    "mackey-glass",
    "The chaotic series of Mackey and Glass to be predicted, generated",
    MackeyGlassOptions,
    load,
    lambda options: (options.n_channels, len(SERIES)),
)
