"""Optimiser settings."""

from dataclasses import dataclass, field

from mlgenn_delays.checks import check_kind, check_number
from mlgenn_delays.learning.schedules import SCHEDULES, Constant, Schedule


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015), with its schedule and gradient clipping.

    Arguments:
        learning_rate: Base rate: per weight unit, or in steps for delays.
        beta1: Decay of the first moment, in [0, 1).
        beta2: Decay of the second moment, in [0, 1).
        epsilon: Added to the root of the second moment, above 0.
        schedule: Factor on the rate by step.
        clip: Largest L2 norm of the gradient over all projections, or None for no bound.
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    schedule: Schedule = field(default_factory=Constant)
    clip: float | None = None

    def __post_init__(self) -> None:
        check_number(self, "learning_rate", 0)
        check_number(self, "beta1", 0, 1, open_high=True)
        check_number(self, "beta2", 0, 1, open_high=True)
        check_number(self, "epsilon", 0, open_low=True)
        check_kind(self, "schedule", *SCHEDULES.values())
        check_number(self, "clip", 0, open_low=True, none=True)
