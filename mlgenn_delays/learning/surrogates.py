"""Surrogate derivatives of a spike with respect to V, where u = V - v_thresh:

    Atan       (slope/2) / (1 + (pi/2 slope u)^2)
    Triangle   height max(0, 1 - |u| / width)
    Boxcar     height  where |u| < width, else 0

`Triangle` and `Boxcar` have compact support: where V is far from the threshold nothing flows back,
so the backward pass only visits the events at which it is not (`compact`).
"""

from dataclasses import dataclass
from typing import ClassVar

from mlgenn_delays.checks import check_number


@dataclass(frozen=True)
class Atan:
    """Derivative of an arctangent (Fang et al. 2021; Mészáros et al. 2024 with slope 5).

    Arguments:
        slope: a above; the derivative at the threshold is slope / 2.
    """

    slope: float = 5.0
    compact: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_number(self, "slope", 0, open_low=True)


@dataclass(frozen=True)
class Triangle:
    """A triangle around the threshold (Esser et al. 2016).

    Arguments:
        width: Half its base, in units of V.
        height: Its value at the threshold.
    """

    width: float = 1.0
    height: float = 1.0
    compact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number(self, "width", 0, open_low=True)
        check_number(self, "height", 0, open_low=True)


@dataclass(frozen=True)
class Boxcar:
    """A constant around the threshold (Kaiser, Mostafa and Neftci 2020).

    Arguments:
        width: Half its base, in units of V.
        height: Its value.
    """

    width: float = 0.5
    height: float = 1.0
    compact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number(self, "width", 0, open_low=True)
        check_number(self, "height", 0, open_low=True)


Surrogate = Atan | Triangle | Boxcar
SURROGATES: dict[str, type[Surrogate]] = {"atan": Atan, "triangle": Triangle, "boxcar": Boxcar}
