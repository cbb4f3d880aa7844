"""Optimiser settings."""

from dataclasses import field
from typing import Annotated

from pydantic import BeforeValidator

from mlgenn_delays.learning.schedules import Constant, Schedule
from mlgenn_delays.settings import NonNegative, Positive, Share, is_number, says, settings

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
