"""Learning rules: which gradient, and what is done with it.

How a delay acts while it is learned: the weights of the steps 0..max delay around it. Evaluation
always takes the delay rounded to a step.

    Dirac      one step, the delay rounded; its gradient is the difference of one step later
    Gaussian   K[k] ~ exp(-((k - delay) / width)^2 / 2), of sum 1, width = |sigma| + 0.27

(Khalfaoui-Hassani, Pellegrini and Masquelier 2023; Hammouamri et al. 2024.)

Surrogate derivatives of a spike with respect to V, where u = V - v_thresh:

    Atan       (slope/2) / (1 + (pi/2 slope u)^2)
    Triangle   height max(0, 1 - |u| / width)
    Boxcar     height  where |u| < width, else 0

`Triangle` and `Boxcar` have compact support: where V is far from the threshold nothing flows back,
so the backward pass only visits the events at which it is not (`compact`).
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, ClassVar

from mlgenn_delays.learning.optimisers import Adam, Optimiser, SpikeCount
from mlgenn_delays.settings import NonNegative, Positive, Share, Unit, refuse, says, settings

LEAST_WIDTH = 0.27  # [steps]; added to sigma, so that a kernel never collapses between two steps


@settings
class Dirac:
    """A delay acts in one step.

    Example:
        >>> from mlgenn_delays import Dirac
        >>> Dirac().width(epoch=1)
        0.0
    """

    def width(self, epoch: int) -> float:
        """Return 0: it has no width."""
        return 0.0


@settings
class Gaussian:
    """A delay acts over steps around it, ever fewer as sigma falls.

    Example:
        >>> from mlgenn_delays import Gaussian
        >>> Gaussian(12.0, 0.23, epochs=10).sigma(epoch=1)
        12.0
    """

    sigma_start: Annotated[Positive, Unit("steps"), says("Sigma in the first epoch.")] = 12.0
    sigma_end: Annotated[Positive, Unit("steps"), says("Sigma at the end.")] = 0.23
    epochs: Annotated[
        NonNegative,
        says("Epochs in which sigma falls exponentially; a quarter of all in the paper."),
    ] = 0.0

    def __post_init__(self) -> None:
        if self.sigma_end > self.sigma_start:
            refuse(self, "sigma_end", f"<= sigma_start ({self.sigma_start:g} steps)")

    def sigma(self, epoch: int) -> float:
        """Return sigma in an epoch, counted from 1 [steps]."""
        share = 1.0 if self.epochs == 0 else min(1.0, (epoch - 1) / self.epochs)
        return self.sigma_start * (self.sigma_end / self.sigma_start) ** share

    def width(self, epoch: int) -> float:
        """Return the width of the kernel in an epoch [steps]."""
        return self.sigma(epoch) + LEAST_WIDTH


DelayKernel = Dirac | Gaussian


@settings
class Atan:
    """Derivative of an arctangent (Fang et al. 2021; Mészáros et al. 2024 with slope 5).

    Example:
        >>> from mlgenn_delays import Atan
        >>> Atan(slope=2.0).compact
        False
    """

    slope: Annotated[Positive, says("The derivative at the threshold is slope / 2.")] = 5.0
    compact: ClassVar[bool] = False


@settings
class Triangle:
    """A triangle around the threshold (Esser et al. 2016).

    Example:
        >>> from mlgenn_delays import Triangle
        >>> Triangle(width=0.5)
        Triangle(width=0.5, height=1.0)
    """

    width: Annotated[Positive, says("Half its base, in units of V.")] = 1.0
    height: Annotated[Positive, says("Its value at the threshold.")] = 1.0
    compact: ClassVar[bool] = True


@settings
class Boxcar:
    """A constant around the threshold (Kaiser, Mostafa and Neftci 2020).

    Example:
        >>> from mlgenn_delays import Boxcar
        >>> Boxcar().compact
        True
    """

    width: Annotated[Positive, says("Half its base, in units of V.")] = 0.5
    height: Annotated[Positive, says("Its value.")] = 1.0
    compact: ClassVar[bool] = True


Surrogate = Atan | Triangle | Boxcar
SURROGATES: dict[str, type[Surrogate]] = {"atan": Atan, "triangle": Triangle, "boxcar": Boxcar}


Revive = Annotated[
    NonNegative,
    says(
        "Added, after each epoch, to the input weights of spiking neurons that were silent in all "
        "of it."
    ),
]
L1 = Annotated[NonNegative, says("Strength of the sum of the weights' magnitudes in the loss.")]
# The gradient by a spike is this times the synapses that its neuron has at the time.
Operations = Annotated[
    NonNegative,
    says(
        "Added to the loss per synaptic operation of an example: the spikes of hidden neurons, "
        "times the synapses that each sends them to; 1e-6 to 1e-4 saves operations."
    ),
]
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
Neurons = Annotated[
    Optimiser,
    says(
        "Optimiser of the neurons' parameters that a population says are learned, a learning rate "
        "on the scale of each (logarithms of time constants), or None."
    ),
]
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
    neurons: Neurons = field(default_factory=lambda: Adam(1e-2))
    operations: Operations = 0.0


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
    neurons: Neurons = field(default_factory=lambda: Adam(1e-2))
    operations: Operations = 0.0


Rule = EventProp | SurrogateBPTT
