"""A smooth random signal that is to be reproduced some time later: delays do it, memory must.

The signal is a sum of sines of random phase with periods between ``period_min`` and
``period_max``, of zero mean and a standard deviation of 1, encoded as in `series`. The target is
the signal as it was ``delay`` before, 0 until then.
"""

from typing import Annotated

import numpy as np

from mlgenn_delays.data.fields import check_at_most, count_steps
from mlgenn_delays.data.sets.generated import generate_splits, generated
from mlgenn_delays.data.sets.series import SeriesOptions, as_input
from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.settings import PositiveTime, Time, says, settings

SERIES = ("signal",)
_WAVES = 8  # sines of a signal


@settings
class DelayedCopyOptions(SeriesOptions):
    """Options of the delayed copy."""

    delay: Annotated[Time, says("How much later the signal is to be reproduced.")] = 50.0
    period_min: Annotated[PositiveTime, says("Shortest period in the signal.")] = 60.0
    period_max: Annotated[PositiveTime, says("Longest period in the signal.")] = 300.0

    def __post_init__(self) -> None:
        check_at_most(self, "delay", self.duration, "duration")
        check_at_most(self, "period_min", self.period_max, "period_max")


def load(
    options: DelayedCopyOptions | None = None, *, dt: float = 1.0
) -> dict[str, SpikeData | CurrentData]:
    """Generate the data set as spikes or currents, with targets."""
    options = options or DelayedCopyOptions()
    n_steps, lag = count_steps(options.duration, dt), round(options.delay / dt)

    def make(rng: np.random.Generator, n: int) -> SpikeData | CurrentData:
        signals = draw_signals(rng, n, n_steps, dt, options.period_min, options.period_max)
        targets = np.zeros((n, 1, n_steps), np.float32)
        targets[:, 0, lag:] = signals[:, : n_steps - lag]
        return as_input(rng, signals, targets, options, dt, SERIES)

    return generate_splits("delayed-copy", options, make)


def draw_signals(
    rng: np.random.Generator, n: int, n_steps: int, dt: float, shortest: float, longest: float
) -> np.ndarray:
    """Draw smooth signals (n, T), of zero mean and variance 1, with periods in a range [ms]."""
    shape = (n, _WAVES, 1)
    frequency = rng.uniform(1 / longest, 1 / shortest, shape)
    phase = rng.uniform(0, 2 * np.pi, shape)
    time = np.arange(n_steps) * dt
    return np.sin(2 * np.pi * frequency * time + phase).sum(1) * np.sqrt(2 / _WAVES)


DATASET = generated(
    "delayed-copy",
    "A smooth signal to be reproduced some time later, generated",
    DelayedCopyOptions,
    load,
    lambda options: (options.n_channels, len(SERIES)),
)
