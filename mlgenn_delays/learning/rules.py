"""Learning rules: which gradient, and what is done with it."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated

from mlgenn_delays.learning.delay_kernels import DelayKernel, Dirac
from mlgenn_delays.learning.optimisers import Adam, Optimiser, SpikeCount
from mlgenn_delays.learning.surrogates import Atan, Surrogate
from mlgenn_delays.settings import NonNegative, Share, says, settings

Revive = Annotated[
    NonNegative,
    says(
        "Added, after each epoch, to the input weights of spiking neurons that were silent in all "
        "of it."
    ),
]
L1 = Annotated[NonNegative, says("Strength of the sum of the weights' magnitudes in the loss.")]
Dropout = Annotated[Share, says("Probability that a neuron is silent to its targets for a trial.")]
# The gradient is the exact one at the weights and delays with which its batch ran. Not late are the
# gradients of the last batch of an epoch, and of one after which a rewiring pass is due.
Pipelined = Annotated[
    bool,
    says(
        "Whether gradients are applied a batch late, so that GeNN runs the backward pass of a "
        "batch together with the forward pass of the next; faster on a GPU, not on a CPU."
    ),
]
Weights = Annotated[Optimiser, says("Optimiser of the weights, a learning rate, or None.")]
Delays = Annotated[Optimiser, says("Optimiser of the delays, a learning rate, or None.")]
Counts = Annotated[SpikeCount, says("Regularisation of every spiking population.")]
# Spikes of neurons that are not silent are scaled by 1 / (1 - p).
Dropouts = Annotated[Mapping[str, Dropout], says("Dropout probability by population.")]


@settings
class EventProp:
    """Event-based gradients of weights and delays, exact in continuous time (Wunderlich and
    Pehle 2021; Mészáros, Knight and Nowotny 2025), needing `Exponential` synapses.

    Example:
        >>> from mlgenn_delays import EventProp
        >>> EventProp(weights=0.01, delays=None).weights.learning_rate
        0.01
    """

    weights: Weights = field(default_factory=lambda: Adam(1e-3))
    delays: Delays = field(default_factory=lambda: Adam(0.1))
    spike_count: Counts = field(default_factory=SpikeCount)
    revive: Revive = 0.0
    dropout: Dropouts = field(default_factory=dict)
    l1: L1 = 0.0
    pipelined: Pipelined = False


@settings
class SurrogateBPTT:
    """Backpropagation through time of the step equations, with a surrogate derivative of the
    spike and nothing through the reset (Neftci, Mostafa and Zenke 2019; Mészáros, Knight and
    Nowotny 2024).

    Example:
        >>> from mlgenn_delays import SurrogateBPTT, Triangle
        >>> SurrogateBPTT(surrogate=Triangle(width=0.5)).kernel
        Dirac()
    """

    weights: Weights = field(default_factory=lambda: Adam(1e-3))
    delays: Delays = field(default_factory=lambda: Adam(0.1))
    surrogate: Annotated[Surrogate, says("Derivative of a spike with respect to V.")] = field(
        default_factory=Atan
    )
    kernel: Annotated[DelayKernel, says("How delays act while they are learned.")] = field(
        default_factory=Dirac
    )
    spike_count: Counts = field(default_factory=SpikeCount)
    revive: Revive = 0.0
    dropout: Dropouts = field(default_factory=dict)
    l1: L1 = 0.0
    pipelined: Pipelined = False


Rule = EventProp | SurrogateBPTT
