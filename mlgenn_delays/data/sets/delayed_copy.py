"""A smooth random signal that is to be reproduced some time later: delays do it, memory must.

The signal is a sum of sines of random phase with periods between ``period_min`` and
``period_max``, of zero mean and a standard deviation of 1. As spikes it comes through channels
that each prefer a value c between -2.5 and 2.5 (s beyond counts as there): its rate is

    rate_max exp(-(s - c)^2 / (2 width^2))        width is the distance of two neighbours

and it spikes whenever the integral of its rate has grown by 1, from a random start. As currents it
comes as it is, in one channel. The target is the signal as it was ``delay`` before, 0 until then.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from mlgenn_delays.data.fields import TrialLength, check_at_most, count_steps
from mlgenn_delays.data.sets.generated import Examples, GeneratedOptions, generate_splits, generated
from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.settings import (
    Integer,
    Number,
    PositiveTime,
    Time,
    Unit,
    one_of,
    says,
    settings,
)

SERIES = ("signal",)
_WAVES = 8  # sines of a signal
_HIGHEST = 2.5  # preferred values reach to so many standard deviations


@settings
class DelayedCopyOptions(GeneratedOptions):
    """Options of the delayed copy."""

    train: Annotated[Examples, says("Number of training examples.")] = 400
    validation: Annotated[Examples, says("Number of validation examples.")] = 100
    test: Annotated[Examples, says("Number of test examples.")] = 100
    duration: TrialLength = 500.0
    encoding: Annotated[
        str,
        one_of("spikes", "currents"),
        says("Spikes of channels that prefer values, or one channel of current, the signal."),
    ] = "spikes"
    delay: Annotated[Time, says("How much later the signal is to be reproduced.")] = 50.0
    period_min: Annotated[PositiveTime, says("Shortest period in the signal.")] = 60.0
    period_max: Annotated[PositiveTime, says("Longest period in the signal.")] = 300.0
    channels: Annotated[Integer, Field(ge=2, le=100_000), says("Number of channels of spikes.")] = (
        24
    )
    rate_max: Annotated[
        Number, Field(gt=0, le=1e5), Unit("Hz"), says("Rate of a channel at the value it prefers.")
    ] = 200.0

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
        return as_input(rng, signals, targets, options, dt)

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


def as_input(
    rng: np.random.Generator,
    signals: np.ndarray,
    targets: np.ndarray,
    options: GeneratedOptions,
    dt: float,
    names: tuple[str, ...] = SERIES,
) -> SpikeData | CurrentData:
    """Return signals (n, T) as spikes of channels, or as currents, with targets (n, K, T)."""
    n, n_steps = signals.shape
    labels = np.zeros(n, np.int64)
    if options.encoding == "currents":
        values = signals[:, :, None].astype(np.float32)
        return CurrentData(values, labels, dt, names, targets=targets)
    channels, rate = options.channels, options.rate_max  # type: ignore[attr-defined]
    preferred = np.linspace(-_HIGHEST, _HIGHEST, channels)
    width = preferred[1] - preferred[0]
    start, times, count = np.zeros((n, channels + 1), np.int64), [], 0
    for row, signal in enumerate(np.clip(signals, -_HIGHEST, _HIGHEST)):
        tuned = np.exp(-((signal[None] - preferred[:, None]) ** 2) / (2 * width**2))
        spikes = _integrate(tuned * (rate * dt / 1000), rng.random((channels, 1)))
        channel, time = np.nonzero(spikes)
        start[row] = count + np.concatenate(
            [[0], np.cumsum(np.bincount(channel, minlength=channels))]
        )
        times.append(time)
        count += len(time)
    time = np.concatenate(times).astype(np.int32)
    return SpikeData(start, time, labels, n_steps, dt, names, targets=targets)


def _integrate(rates: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return where the integral of rates (C, T), from `start` in 0..1 on, passes a whole number."""
    whole = np.floor(np.cumsum(rates, axis=1) + start)
    return np.diff(whole, axis=1, prepend=np.floor(start)) > 0


DATASET = generated(
    "delayed-copy",
    "A smooth signal to be reproduced some time later, generated",
    DelayedCopyOptions,
    load,
    lambda options: (options.channels if options.encoding == "spikes" else 1, 1),
)
