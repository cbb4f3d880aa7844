"""Where values start: distributions to draw from, and values that differ between neurons."""

from typing import Annotated, Any

import numpy as np
from pydantic import GetCoreSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from mlgenn_delays.errors import InputError
from mlgenn_delays.settings import (
    NonNegative,
    Number,
    Positive,
    bounds_of,
    refuse,
    says,
    settings,
)

FLOAT32_MAX = float(np.finfo(np.float32).max)
MOST_DRAWS = 1000  # of one value, until it lies in its range


@settings
class Uniform:
    """Uniform over [low, high).

    Example:
        >>> from mlgenn_delays import Uniform
        >>> Uniform(0.0, 20.0).high
        20.0
    """

    low: Annotated[Number, says("Lower bound.")]
    high: Annotated[Number, says("Upper bound, at least the lower one.")]

    def __post_init__(self) -> None:
        if self.low > self.high:
            refuse(self, "low", f"a number <= high ({self.high:g})")

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """N draws, float64 (n,)."""
        return rng.uniform(self.low, self.high, n)


@settings
class Normal:
    """Normal with a mean and a standard deviation.

    Example:
        >>> from mlgenn_delays import Normal
        >>> Normal(0.03, 0.01).mean
        0.03
    """

    mean: Annotated[Number, says("Mean.")]
    sd: Annotated[NonNegative, says("Standard deviation.")]

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """N draws, float64 (n,)."""
        return rng.normal(self.mean, self.sd, n)


@settings
class Gamma:
    """Gamma with a mean and a shape; its standard deviation is mean / sqrt(shape).

    Perez-Nieves et al. (2021, doi 10.1038/s41467-021-26022-3) start time constants with shape 3.

    Example:
        >>> from mlgenn_delays import Gamma
        >>> Gamma(20.0).shape
        3.0
    """

    mean: Annotated[Positive, says("Mean.")]
    shape: Annotated[Positive, says("Shape; the larger, the narrower.")] = 3.0

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """N draws, float64 (n,)."""
        return rng.gamma(self.shape, self.mean / self.shape, n)


Distribution = Uniform | Normal | Gamma
DISTRIBUTIONS: dict[str, type[Distribution]] = {
    "uniform": Uniform, "normal": Normal, "gamma": Gamma,
}  # fmt: skip

_SAME = 1e-6  # relative: values of neurons that are one


class PerNeuron:
    """Values of a parameter that differ between the n neurons of a population; (n,) float32.

    Example:
        >>> from mlgenn_delays.distributions import PerNeuron
        >>> PerNeuron([10.0, 20.0, 30.0])
        3 values in 10..30
    """

    def __init__(self, values: Any) -> None:
        self.array = np.array(values, np.float32)
        self.array.setflags(write=False)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array, dtype)

    def __len__(self) -> int:
        return len(self.array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PerNeuron) and np.array_equal(self.array, other.array)

    def __hash__(self) -> int:
        return hash(self.array.tobytes())

    def __repr__(self) -> str:
        return f"{len(self)} values in {self.array.min():g}..{self.array.max():g}"


def few(values: np.ndarray) -> Any:
    """Values of neurons (n,) as a parameter: one number, where they are one."""
    low, high = float(values.min()), float(values.max())
    same = high - low <= _SAME * max(abs(low), abs(high))
    return float(values[0]) if same else PerNeuron(values)


class Varying:
    """For the annotation of a number that may differ between neurons.

    It then takes an array or list of them, a distribution, or a table of a recipe such as
    ``{normal = [20, 4]}`` as well.
    """

    also = " (or one per neuron, or a distribution)"  # for texts about what is allowed

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        low, high = bounds_of(self.kind)

        def check(value: Any, inner: Any) -> Any:
            if isinstance(value, dict):
                value = _of_table(value)
            if isinstance(value, Uniform | Normal | Gamma):
                return value
            if isinstance(value, PerNeuron | np.ndarray | list | tuple):
                return _checked(value, low, high)
            return inner(value)

        return core_schema.no_info_wrap_validator_function(
            check, handler(source), serialization=core_schema.plain_serializer_function_ser_schema(
                as_table
            ),
        )  # fmt: skip


def _checked(value: Any, low: float, high: float) -> PerNeuron:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise _BAD from error
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise _BAD
    if array.min() < low or array.max() > high or np.abs(array).max() > FLOAT32_MAX:
        raise _BAD
    return value if isinstance(value, PerNeuron) else PerNeuron(_rounded(array, low, high))


def float32_range(low: float, high: float) -> tuple[np.float32, np.float32]:
    """The least and the largest number of float32 in low..high."""
    least, most = (np.float32(np.clip(x, -FLOAT32_MAX, FLOAT32_MAX)) for x in (low, high))
    least = least if least >= np.float64(low) else np.nextafter(least, np.float32(np.inf))
    most = most if most <= np.float64(high) else np.nextafter(most, np.float32(-np.inf))
    return least, most


def _rounded(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values in low..high as float32, which rounding does not take out of it."""
    return np.clip(values.astype(np.float32), *float32_range(low, high))


NO_DISTRIBUTION = "no_distribution"  # kind of error: a table with other settings than one has
_BAD = PydanticCustomError("varying", "must be a number, one per neuron, or a distribution")


def _of_table(table: dict[str, Any]) -> Distribution:
    """The distribution that a table of a recipe means."""
    if len(table) == 1:
        name, given = next(iter(table.items()))
        if name in DISTRIBUTIONS and isinstance(given, list | tuple):
            try:
                return DISTRIBUTIONS[name](*given)
            except (InputError, TypeError) as error:
                raise PydanticCustomError(
                    NO_DISTRIBUTION, "{problem}", {"problem": str(error)}
                ) from error
    raise _BAD


def as_table(value: Any) -> Any:
    """A value as a recipe or a JSON file takes it."""
    if isinstance(value, PerNeuron):
        return [float(x) for x in value.array]
    for name, kind in DISTRIBUTIONS.items():
        if isinstance(value, kind):
            return {name: list(vars(value).values())}
    return value


def draw_within(
    what: str, source: Distribution, rng: np.random.Generator, n: int, low: float, high: float
) -> PerNeuron:
    """N values of a distribution within low..high; those outside are drawn again.

    Raises:
        InputError: It hardly ever gives such values.
    """
    out = source.draw(rng, n)
    for _ in range(MOST_DRAWS):
        outside = (out < low) | (out > high)
        if not outside.any():
            return PerNeuron(_rounded(out, low, high))
        out[outside] = source.draw(rng, int(outside.sum()))
    least = "> 0" if 0 < low < 1e-300 else f">= {low:g}"
    range_ = least if high >= FLOAT32_MAX else f"in {low:g}..{high:g}"
    raise InputError(f"{what} must be {range_}, got {source}, which hardly ever is")
