"""Which of two inputs came first: a task that delays solve without anything else.

Each of two groups of channels spikes once, one group a random gap after the other. Class 0 is
group 0 first, class 1 group 1 first. The number of spikes does not tell them apart, nor
surely does any one time, and a neuron with equal weights and no delays sees both classes alike.

Delays make it a matter of coincidence. The neuron of class 0 delays group 0 by the mean of the
shortest gap a and the longest b: its inputs then come at most (b - a) / 2 apart in class 0, and at
least (3 a + b) / 2 apart in class 1 (9 and 13 ms by default). The neuron of class 1 delays
group 1 in the same way.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from mlgenn_delays.data.fields import check_at_most, count_steps
from mlgenn_delays.data.sets.generated import (
    GeneratedOptions,
    balanced_labels,
    generate_splits,
    generated,
    one_spike_each,
)
from mlgenn_delays.data.types import SpikeData
from mlgenn_delays.errors import InputError
from mlgenn_delays.settings import Integer, PositiveTime, Time, says, settings

LABEL_NAMES = ("first", "second")


@settings
class SequenceOptions(GeneratedOptions):
    """Options of the sequences; the gap between the groups is uniform over its range."""

    channels: Annotated[Integer, Field(ge=1, le=100_000), says("Channels per group.")] = 1
    gap_min: Annotated[PositiveTime, says("Shortest gap.")] = 2.0
    gap_max: Annotated[PositiveTime, says("Longest gap.")] = 20.0
    jitter: Annotated[Time, says("A spike is up to this earlier or later.")] = 0.0
    window: Annotated[PositiveTime, says("All spikes have come by then.")] = 40.0

    def __post_init__(self) -> None:
        check_at_most(self, "window", self.duration, "duration")
        check_at_most(self, "gap_max", self.window, "window")
        check_at_most(self, "gap_min", self.gap_max, "gap_max")
        # Less than half the shortest gap: the order stays. And there must be room for the longest.
        most = min(self.gap_min, self.window - self.gap_max) / 2
        check_at_most(self, "jitter", most, "half of gap_min, and of window - gap_max,")

    @property
    def group(self) -> int:
        """Channels within which a shift makes sense: one of the two groups."""
        return self.channels


def load(options: SequenceOptions | None = None, *, dt: float = 1.0) -> dict[str, SpikeData]:
    """Generate the data set as spikes; channels are those of group 0, then those of group 1.

    A step must not be so long that the order could be lost in it.
    """
    options = options or SequenceOptions()
    n_steps = count_steps(options.duration, dt)
    least = options.gap_min - 2 * options.jitter
    if least < dt:
        raise InputError(
            f"dt must be <= {least:g} ms, gap_min less twice the jitter, got {dt:g} ms; shorten it "
            "or lengthen data.gap_min"
        )

    def make(rng: np.random.Generator, n: int) -> SpikeData:
        labels = balanced_labels(rng, n, 2)
        return one_spike_each(_times(rng, labels, options), labels, n_steps, dt, LABEL_NAMES)

    return generate_splits("sequence", options, make)


def _times(rng: np.random.Generator, labels: np.ndarray, options: SequenceOptions) -> np.ndarray:
    """Return when the channels spike, (N, 2 * channels) [ms]."""
    gap = rng.uniform(options.gap_min, options.gap_max, len(labels))
    latest = options.window - options.jitter - gap
    first = options.jitter + rng.random(len(labels)) * (latest - options.jitter)
    groups = np.stack([first + gap * (labels == 1), first + gap * (labels == 0)], axis=1)
    times = np.repeat(groups, options.channels, axis=1)
    return times + rng.uniform(-1, 1, times.shape) * options.jitter


DATASET = generated(
    "sequence",
    "Which of two inputs came first, generated",
    SequenceOptions,
    load,
    lambda options: (2 * options.channels, 2),
)
