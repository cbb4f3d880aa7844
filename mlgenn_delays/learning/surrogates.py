"""Surrogate derivatives of a spike with respect to V, where u = V - v_thresh:

    Atan       (slope/2) / (1 + (pi/2 slope u)^2)
    Triangle   height max(0, 1 - |u| / width)
    Boxcar     height  where |u| < width, else 0

`Triangle` and `Boxcar` have compact support: where V is far from the threshold nothing flows back,
so the backward pass only visits the events at which it is not (`compact`).
"""

from typing import Annotated, ClassVar

from mlgenn_delays.settings import Positive, says, settings


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
