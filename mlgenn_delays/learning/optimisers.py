"""Optimisers, their learning-rate schedules, and regularisers, added after the mean over the batch.

A schedule is the factor on the base rate in each optimiser step. Step k of n, k = 0 .. n-1:

    Constant   1
    EaseIn     min(1, start * growth^k)
    Cosine     last + (1 - last) (1 + cos(pi k / n)) / 2
    OneCycle   first -> peak -> last, each leg half a cosine; the first leg takes `rise` of n

`follows_length` says whether the factor depends on n: then no epochs can be added later.
"""

import math
from dataclasses import field
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from mlgenn_delays.settings import (
    NonNegative,
    Number,
    OpenShare,
    Positive,
    Probability,
    Share,
    is_number,
    refuse,
    says,
    settings,
)

Target = Annotated[NonNegative, says("Wanted spikes per neuron and trial.")]
Strength = Annotated[
    NonNegative,
    says("Strength of the regularisation; mlGeNN's 5e-11 at tau_mem 20 ms is 2e-8 here."),
]


@settings
class SpikeCount:
    """Pull each hidden neuron's mean spike count over the batch towards a target.

    The loss strength/2 * sum_j (mean count_j - target)^2 has no gradient of its own; each spike
    of neuron j hands on strength * (mean count_j - target) as the adjoint of its voltage
    (Nowotny, Turner and Knight 2025, the regularisation of EventProp for SHD).

    Example:
        >>> from mlgenn_delays import SpikeCount
        >>> SpikeCount(target=14.0, strength=2e-8).target
        14.0
    """

    target: Target = 14.0
    strength: Strength = 0.0


def _half_cosine(start: float, end: float, share: float) -> float:
    """Return the value a share (0..1) along half a cosine from start to end."""
    return end + (start - end) * (1.0 + math.cos(math.pi * share)) / 2.0


@settings
class Constant:
    """The base rate throughout.

    Example:
        >>> from mlgenn_delays import Constant
        >>> Constant().factor(3, 10)
        1.0
    """

    follows_length: ClassVar[bool] = False

    def factor(self, step: int, total: int) -> float:
        """Return 1."""
        return 1.0


@settings
class EaseIn:
    """Exponential growth up to the base rate, then constant (the EventProp papers').

    Example:
        >>> from mlgenn_delays import EaseIn
        >>> round(EaseIn(start=0.5, growth=1.5).factor(1, 10), 3)
        0.75
    """

    follows_length: ClassVar[bool] = False

    start: Annotated[Number, Field(gt=0, le=1), says("Factor of the first step.")] = 1e-3
    growth: Annotated[Number, Field(gt=1), says("Factor between steps.")] = 1.05

    def factor(self, step: int, total: int) -> float:
        """Return the factor of a step."""
        exponent = min(step, math.ceil(-math.log(self.start) / math.log(self.growth)))
        return min(1.0, self.start * self.growth**exponent)


@settings
class Cosine:
    """Half a cosine from the base rate down.

    Example:
        >>> from mlgenn_delays import Cosine
        >>> Cosine(last=0.1).factor(0, 10)
        1.0
    """

    follows_length: ClassVar[bool] = True

    last: Annotated[Probability, says("Factor at the end.")] = 0.0

    def factor(self, step: int, total: int) -> float:
        """Return the factor of a step."""
        return _half_cosine(1.0, self.last, min(1.0, step / max(1, total)))


@settings
class OneCycle:
    """Up to a peak and down to almost nothing (Smith and Topin 2018).

    Example:
        >>> from mlgenn_delays import OneCycle
        >>> round(OneCycle(peak=5.0).factor(0, 100), 3)
        0.2
    """

    follows_length: ClassVar[bool] = True

    peak: Annotated[Positive, says("Factor at the peak.")] = 5.0
    first: Annotated[NonNegative, says("Factor of the first step, at most that at the peak.")] = 0.2
    last: Annotated[NonNegative, says("Factor of the last step, at most that at the peak.")] = 2e-5
    rise: Annotated[OpenShare, says("Share of the steps in which the factor rises.")] = 0.3

    def __post_init__(self) -> None:
        for name in ("first", "last"):
            if getattr(self, name) > self.peak:
                refuse(self, name, f"a number <= peak ({self.peak:g})")

    def factor(self, step: int, total: int) -> float:
        """Return the factor of a step."""
        share = min(1.0, step / max(1, total - 1))
        if share < self.rise:
            return _half_cosine(self.first, self.peak, share / self.rise)
        return _half_cosine(self.peak, self.last, (share - self.rise) / (1.0 - self.rise))


Schedule = Constant | EaseIn | Cosine | OneCycle
SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "ease-in": EaseIn,
    "cosine": Cosine,
    "one-cycle": OneCycle,
}


Beta1 = Annotated[Share, says("Adam's decay of the first moment.")]
Beta2 = Annotated[Share, says("Adam's decay of the second moment.")]


@settings
class Adam:
    """Adam (Kingma and Ba 2015), with its schedule and gradient clipping.

    Example:
        >>> from mlgenn_delays import Adam, Cosine
        >>> Adam(0.01, schedule=Cosine(last=0.1)).beta1
        0.9
    """

    learning_rate: Annotated[
        NonNegative, says("Base rate: per unit of weight, or in steps for delays.")
    ] = 1e-3
    beta1: Beta1 = 0.9
    beta2: Beta2 = 0.999
    epsilon: Annotated[Positive, says("Added to the root of the second moment.")] = 1e-8
    schedule: Annotated[Schedule, says("Factor on the rate by step.")] = field(
        default_factory=Constant
    )
    clip: Annotated[
        Positive | None,
        says("Largest L2 norm of the gradient over all projections; None for no bound."),
    ] = None


def _adam(value: object) -> object:
    """Return Adam with a number as its rate, and anything else as it is."""
    return Adam(value) if is_number(value) else value  # type: ignore[arg-type]


# Of what is learned; None for what is kept. A number is the rate of Adam.
Optimiser = Annotated[Adam | None, BeforeValidator(_adam)]
