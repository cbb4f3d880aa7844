"""Learning rules: which gradient, and what is done with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlgenn_delays.errors import InputError
from mlgenn_delays.learning.delay_kernels import DelayKernel, Dirac
from mlgenn_delays.learning.optimisers import Adam
from mlgenn_delays.learning.regularisers import SpikeCount
from mlgenn_delays.learning.surrogates import Atan, Surrogate


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
        l1: Strength of the sum of the weights' magnitudes in the loss.
    """

    weights: Adam | None = field(default_factory=lambda: Adam(1e-3))
    delays: Adam | None = field(default_factory=lambda: Adam(0.1))
    spike_count: SpikeCount = field(default_factory=SpikeCount)
    revive: float = 0.0
    dropout: Mapping[str, float] = field(default_factory=dict)
    l1: float = 0.0

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class SurrogateBPTT:
    """Backpropagation through time of the step equations, with a surrogate derivative of the
    spike and nothing through the reset (Neftci, Mostafa and Zenke 2019; Mészáros, Knight and
    Nowotny 2024).

    Arguments:
        weights: As of `EventProp`.
        delays: As of `EventProp`.
        surrogate: Derivative of a spike with respect to V.
        kernel: How delays act while they are learned.
        spike_count: As of `EventProp`; here the exact gradient through the spikes.
        revive: As of `EventProp`.
        dropout: As of `EventProp`.
        l1: As of `EventProp`.
    """

    weights: Adam | None = field(default_factory=lambda: Adam(1e-3))
    delays: Adam | None = field(default_factory=lambda: Adam(0.1))
    surrogate: Surrogate = field(default_factory=Atan)
    kernel: DelayKernel = field(default_factory=Dirac)
    spike_count: SpikeCount = field(default_factory=SpikeCount)
    revive: float = 0.0
    dropout: Mapping[str, float] = field(default_factory=dict)
    l1: float = 0.0

    def __post_init__(self) -> None:
        _check(self)


def _check(rule: EventProp | SurrogateBPTT) -> None:
    """Refuse settings that both rules have and that make no sense."""
    name = type(rule).__name__
    for key in ("revive", "l1"):
        if not 0 <= getattr(rule, key) < float("inf"):
            raise InputError(f"{name} must have {key} >= 0, got {getattr(rule, key)!r}")
    for population, p in rule.dropout.items():
        if not 0 <= p < 1:
            raise InputError(f"{name} must have dropout in [0, 1), got {p!r} for {population!r}")


Rule = EventProp | SurrogateBPTT
