"""Optimiser settings."""

from dataclasses import dataclass, field
from math import inf

from mlgenn_delays.errors import InputError
from mlgenn_delays.learning.schedules import Constant, Schedule


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
        for name, good, rule in (
            ("learning_rate", 0 <= self.learning_rate < inf, ">= 0"),
            ("beta1", 0 <= self.beta1 < 1, "in [0, 1)"),
            ("beta2", 0 <= self.beta2 < 1, "in [0, 1)"),
            ("epsilon", self.epsilon > 0, "> 0"),
            ("clip", self.clip is None or self.clip > 0, "> 0 or None"),
        ):
            if not good:
                raise InputError(f"Adam must have {name} {rule}, got {getattr(self, name)!r}")
