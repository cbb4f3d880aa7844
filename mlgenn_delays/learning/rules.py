"""Learning rules: which gradient, and what is done with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlgenn_delays.checks import check_kind, check_number, is_number, refuse
from mlgenn_delays.learning.delay_kernels import DelayKernel, Dirac, Gaussian
from mlgenn_delays.learning.optimisers import Adam
from mlgenn_delays.learning.regularisers import SpikeCount
from mlgenn_delays.learning.surrogates import SURROGATES, Atan, Surrogate


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
        pipelined: Whether the gradient of a batch is applied a batch late, after the next one has
            run. It is the exact gradient at the weights and delays with which its batch ran. GeNN
            goes back through a batch while it goes forwards through the next one, which takes one
            way through the trial a batch where exact training takes two. The gradients of the last
            batch of an epoch, and of one after which a rewiring pass is due, are not late.
    """

    weights: Adam | None = field(default_factory=lambda: Adam(1e-3))
    delays: Adam | None = field(default_factory=lambda: Adam(0.1))
    spike_count: SpikeCount = field(default_factory=SpikeCount)
    revive: float = 0.0
    dropout: Mapping[str, float] = field(default_factory=dict)
    l1: float = 0.0
    pipelined: bool = False

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
        pipelined: As of `EventProp`.
    """

    weights: Adam | None = field(default_factory=lambda: Adam(1e-3))
    delays: Adam | None = field(default_factory=lambda: Adam(0.1))
    surrogate: Surrogate = field(default_factory=Atan)
    kernel: DelayKernel = field(default_factory=Dirac)
    spike_count: SpikeCount = field(default_factory=SpikeCount)
    revive: float = 0.0
    dropout: Mapping[str, float] = field(default_factory=dict)
    l1: float = 0.0
    pipelined: bool = False

    def __post_init__(self) -> None:
        _check(self)
        check_kind(self, "surrogate", *SURROGATES.values())
        check_kind(self, "kernel", Dirac, Gaussian)


def _check(rule: EventProp | SurrogateBPTT) -> None:
    """Refuse settings that both rules have and that make no sense."""
    for key in ("weights", "delays"):
        rate = getattr(rule, key)
        check_kind(rule, key, Adam, None, remedy=f"give Adam({rate!r})" * is_number(rate))
    check_kind(rule, "spike_count", SpikeCount)
    check_number(rule, "revive", 0)
    check_number(rule, "l1", 0)
    check_kind(rule, "pipelined", bool)
    check_kind(rule, "dropout", Mapping, remedy='give one by population, such as {"hidden": 0.1}')
    for population, p in rule.dropout.items():
        if not (isinstance(population, str) and is_number(p) and 0 <= p < 1):
            refuse(rule, "dropout", "a number in [0, 1) by name of population")


Rule = EventProp | SurrogateBPTT
