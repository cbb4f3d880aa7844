"""What data sets of one series, to be reproduced or predicted, share: options and encoding.

A series s has zero mean and a standard deviation of 1. As spikes it comes through channels that
each prefer a value c between -2.5 and 2.5 (s beyond counts as there): its rate is

    rate_max exp(-(s - c)^2 / (2 width^2))        width is the distance of two neighbours

and it spikes whenever the integral of its rate has grown by 1, from a random start. As currents it
comes as it is, in one channel.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from mlgenn_delays.data.fields import TrialLength
from mlgenn_delays.data.sets.generated import Examples, GeneratedOptions
from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.settings import Integer, Number, Unit, one_of, says, settings

_HIGHEST = 2.5  # preferred values reach to so many standard deviations


@settings
class SeriesOptions(GeneratedOptions):
    """Options of every generated series."""

    train: Annotated[Examples, says("Number of training examples.")] = 400
    validation: Annotated[Examples, says("Number of validation examples.")] = 100
    test: Annotated[Examples, says("Number of test examples.")] = 100
    duration: TrialLength = 500.0
    encoding: Annotated[
        str,
        one_of("spikes", "currents"),
        says("Spikes of channels that prefer values, or one channel of current, the series."),
    ] = "spikes"
    channels: Annotated[Integer, Field(ge=2, le=100_000), says("Number of channels of spikes.")] = (
        24
    )
    rate_max: Annotated[
        Number, Field(gt=0, le=1e5), Unit("Hz"), says("Rate of a channel at the value it prefers.")
    ] = 200.0

    @property
    def n_channels(self) -> int:
        """Number of input channels."""
        return self.channels if self.encoding == "spikes" else 1


def as_input(
    rng: np.random.Generator,
    signals: np.ndarray,
    targets: np.ndarray,
    options: SeriesOptions,
    dt: float,
    names: tuple[str, ...],
) -> SpikeData | CurrentData:
    """Return signals (n, T) as spikes of channels, or as currents, with targets (n, K, T).

    `names` are those of the K series.
    """
    n, n_steps = signals.shape
    labels = np.zeros(n, np.int64)
    if options.encoding == "currents":
        values = signals[:, :, None].astype(np.float32)
        return CurrentData(values, labels, dt, names, targets=targets)
    channels, rate = options.channels, options.rate_max
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
