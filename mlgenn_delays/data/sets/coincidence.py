"""Delayed coincidence with planted delays: do learned delays find what is known to be there?

Class k has a planted delay d_k[c] for every channel c. In an example of class k channel c spikes
once, at

    base + max_c' d_k[c'] - d_k[c] + jitter

with a random base, and at random times as well (noise). A neuron whose synapses have the delays
d_k[c], up to one constant for all, gets the spikes of class k at once, and those of other classes
spread over time. All classes have as many spikes per channel, so that only their times tell.
"""

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from mlgenn_delays.data.fields import count_steps
from mlgenn_delays.data.sets.generated import (
    GeneratedOptions,
    balanced_labels,
    generate_splits,
    generated,
    to_steps,
)
from mlgenn_delays.data.types import SpikeData
from mlgenn_delays.rng import generator
from mlgenn_delays.settings import (
    Integer,
    Number,
    PositiveTime,
    Time,
    Unit,
    refuse,
    says,
    settings,
)


@settings
class CoincidenceOptions(GeneratedOptions):
    """Options of the coincidences; planted delays and the base are uniform from 0 on."""

    patterns: Annotated[Integer, Field(ge=2, le=10_000), says("Number of classes.")] = 5
    channels: Annotated[Integer, Field(ge=2, le=100_000), says("Number of channels.")] = 10
    delay_max: Annotated[PositiveTime, says("Longest planted delay.")] = 20.0
    base_max: Annotated[Time, says("Longest base.")] = 20.0
    jitter: Annotated[Time, says("A spike is up to this earlier or later.")] = 0.5
    noise: Annotated[
        Number, Field(ge=0, le=1e4), Unit("Hz"), says("Rate of spikes at random times per channel.")
    ] = 2.0

    def __post_init__(self) -> None:
        needed = self.base_max + self.delay_max + 2 * self.jitter
        if needed > self.duration:
            wanted = f"at least base_max + delay_max + 2 jitter = {needed:g} ms"
            refuse(self, "duration", wanted, "lengthen it or shorten these")


def load(options: CoincidenceOptions | None = None, *, dt: float = 1.0) -> dict[str, SpikeData]:
    """Generate the data set as spikes, with as many examples of every class, or one more."""
    options = options or CoincidenceOptions()
    n_steps = count_steps(options.duration, dt)
    delays = planted_delays(options)
    label_names = tuple(str(pattern) for pattern in range(options.patterns))

    def make(rng: np.random.Generator, n: int) -> SpikeData:
        labels = balanced_labels(rng, n, options.patterns)
        steps = to_steps(_times(rng, delays[labels], options), dt, n_steps)
        events = [_with_noise(rng, each, n_steps, dt, options.noise) for each in steps]
        data = SpikeData.from_events(
            events,
            labels,
            n_channels=options.channels,
            n_steps=n_steps,
            dt=dt,
            label_names=label_names,
        )
        return replace(data, losses=None)  # noise that meets a spike is nothing lost

    return generate_splits("coincidence", options, make)


def planted_delays(options: CoincidenceOptions | None = None) -> np.ndarray:
    """Return the delays (K, C) [ms] that bring the spikes of a class together.

    They are uniform over 0..delay_max. What can be learned of a row is the differences of its
    entries.
    """
    options = options or CoincidenceOptions()
    rng = generator(options.seed, "coincidence", "planted")
    return rng.uniform(0, options.delay_max, (options.patterns, options.channels))


def _times(rng: np.random.Generator, delays: np.ndarray, options: CoincidenceOptions) -> np.ndarray:
    """Return when the channels spike, (N, C) [ms], for delays (N, C) of each example."""
    base = options.jitter + rng.random((len(delays), 1)) * options.base_max
    jitter = rng.uniform(-1, 1, delays.shape) * options.jitter
    return base + delays.max(axis=1, keepdims=True) - delays + jitter


def _with_noise(
    rng: np.random.Generator, steps: np.ndarray, n_steps: int, dt: float, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return channels and steps of the spikes of an example (C,) and of Poisson noise [Hz]."""
    counts = rng.poisson(rate * n_steps * dt / 1000, len(steps))
    channels = np.arange(len(steps))
    noise = rng.integers(n_steps, size=int(counts.sum()))
    return np.concatenate([channels, np.repeat(channels, counts)]), np.concatenate([steps, noise])


DATASET = generated(
    "coincidence",
    "Spikes that planted delays bring together, generated",
    CoincidenceOptions,
    load,
    lambda options: (options.channels, options.patterns),
)
