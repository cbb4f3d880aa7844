"""Learning rules: which gradient, and what is done with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlgenn_delays.errors import InputError
from mlgenn_delays.learning.optimisers import Adam
from mlgenn_delays.learning.regularisers import SpikeCount


@dataclass(frozen=True)
class EventProp:
    """Event-based gradients of weights and delays, exact in continuous time (Wunderlich and
    Pehle 2021; Mészáros, Knight and Nowotny 2025), needing `Exponential` synapses.

    Arguments:
        weights: Optimiser of the weights, or None to keep them.
        delays: Optimiser of the delays, or None to keep them.
        spike_count: Regularisation of every LIF population.
        revive: Added, after each epoch, to the input weights of LIF neurons that were silent in
            all of it.
        dropout: Probability that a neuron is silent to its targets for a trial, by population.
            Spikes of the others weigh 1 / (1 - p).
    """

    weights: Adam | None = field(default_factory=lambda: Adam(1e-3))
    delays: Adam | None = field(default_factory=lambda: Adam(0.1))
    spike_count: SpikeCount = field(default_factory=SpikeCount)
    revive: float = 0.0
    dropout: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.revive >= 0:
            raise InputError(f"EventProp must have revive >= 0, got {self.revive!r}")
        for name, p in self.dropout.items():
            if not 0 <= p < 1:
                raise InputError(f"EventProp must have dropout in [0, 1), got {p!r} for {name!r}")
