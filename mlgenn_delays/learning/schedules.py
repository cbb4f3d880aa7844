"""Learning-rate schedules: the factor on the base rate in each optimiser step.

Step k of n steps, k = 0 .. n-1:

    Constant   1
    EaseIn     min(1, start * growth^k)
    Cosine     last + (1 - last) (1 + cos(pi k / n)) / 2
    OneCycle   first -> peak -> last, each leg half a cosine; the first leg takes `rise` of n
"""

import math
from dataclasses import dataclass

from mlgenn_delays.checks import check_number


def _half_cosine(start: float, end: float, share: float) -> float:
    """Return the value a share (0..1) along half a cosine from start to end."""
    return end + (start - end) * (1.0 + math.cos(math.pi * share)) / 2.0


@dataclass(frozen=True)
class Constant:
    """The base rate throughout."""

    def factor(self, step: int, total: int) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True)
class EaseIn:
    """Exponential growth up to the base rate, then constant (the EventProp papers').

    Arguments:
        start: Factor of the first step, in (0, 1].
        growth: Factor between steps, above 1.
    """

    start: float = 1e-3
    growth: float = 1.05

    def __post_init__(self) -> None:
        check_number(self, "start", 0, 1, open_low=True)
        check_number(self, "growth", 1, open_low=True)

    def factor(self, step: int, total: int) -> float:
        """Return the factor of a step."""
        exponent = min(step, math.ceil(-math.log(self.start) / math.log(self.growth)))
        return min(1.0, self.start * self.growth**exponent)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from the base rate down.

    Arguments:
        last: Factor at the end, in [0, 1].
    """

    last: float = 0.0

    def __post_init__(self) -> None:
        check_number(self, "last", 0, 1)

    def factor(self, step: int, total: int) -> float:
        """Return the factor of a step."""
        return _half_cosine(1.0, self.last, min(1.0, step / max(1, total)))


@dataclass(frozen=True)
class OneCycle:
    """Up to a peak and down to almost nothing (Smith and Topin 2018).

    Arguments:
        peak: Factor at the peak.
        first: Factor of the first step.
        last: Factor of the last step.
        rise: Share of the steps that the way up takes, in (0, 1).
    """

    peak: float = 5.0
    first: float = 0.2
    last: float = 2e-5
    rise: float = 0.3

    def __post_init__(self) -> None:
        check_number(self, "peak", 0, open_low=True)
        check_number(self, "first", 0, self.peak)
        check_number(self, "last", 0, self.peak)
        check_number(self, "rise", 0, 1, open_low=True, open_high=True)

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
