"""Weights as small integers times a scale, and delays on a grid.

A weight w of a synapse is held as an integer q, and acts as w' = q s:

    int8, int4   s = max |w| / 127, or / 7;                     q = round(w / s)
    ternary      D = 0.7 mean |w|;  s = mean of |w| above D;    q = sign(w) where |w| > D, else 0

max and mean run over the synapses of one projection onto one neuron, or over all of a projection.
The significand of s has so few bits that q s is exact in float32. So weights on the grid stay as
they are when they are quantised again, which gives the same q and s.

The threshold D is that of: Li, Liu, Wang, Zhang, Yan, Ternary weight networks, 2016,
https://arxiv.org/abs/1605.04711.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from mlgenn_delays.bits import BITS, FLOAT, LARGEST
from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Network, Projection
from mlgenn_delays.settings import Time, must_be, one_of, says, settings

SIGNIFICAND = 16  # bits of a scale; with 7 of an integer less than the 24 of a float32
_SLACK = 1e-6  # of times that should be whole steps [steps]
THRESHOLD = 0.7  # of ternary weights, as a share of their mean magnitude

Kind = Annotated[str, one_of(*BITS)]
Per = Annotated[str, one_of("neuron", "projection")]


@settings(table=True)
class Quantisation:
    """How weights and delays are quantised; the defaults change nothing.

    Example:
        >>> from mlgenn_delays import Quantisation
        >>> Quantisation(weights="int4", delay_step=2.0).is_identity
        False
    """

    weights: Annotated[Kind, says("Kind of the weights: float32, or integers times a scale.")] = (
        FLOAT
    )
    per: Annotated[
        Per, says("What has a scale of its own: each neuron in each projection, or a projection.")
    ] = "neuron"
    delay_step: Annotated[
        Time, says("Delays are multiples of it; 0 for any delay. It must be a multiple of dt.")
    ] = 0.0
    delay_values: Annotated[
        tuple[Time, ...],
        Field(strict=False),
        says("Delays that there may be [ms], multiples of dt, in the place of delay_step."),
    ] = ()

    def __post_init__(self) -> None:
        if self.delay_step and self.delay_values:
            raise self._refused("delay_step", "0 with delay_values", "give one of them")

    def _refused(self, field: str, wanted: str, remedy: str) -> InputError:
        """The error about a field, by the key that recipes have for it."""
        return InputError(must_be(f"quantisation.{field}", wanted, getattr(self, field), remedy))

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return self.weights == FLOAT and not self.has_grid

    @property
    def has_grid(self) -> bool:
        """Whether delays lie on a grid."""
        return bool(self.delay_step or self.delay_values)

    def in_words(self) -> list[str]:
        """What is quantised, in phrases."""
        found = [f"{self.weights} weights with a scale per {self.per}"] * (self.weights != FLOAT)
        if self.delay_values:
            found.append(f"delays of {', '.join(f'{each:g}' for each in self.delay_values)} ms")
        return found + [f"delays in steps of {self.delay_step:g} ms"] * bool(self.delay_step)

    def told(self) -> dict[str, str]:
        """What `mlgenn_delays.export.artifact.About` says of the weights."""
        known = {"quantised": self.weights, "per": self.per}
        return {} if self.weights == FLOAT else known

    def grid(self, name: str, max_delay: float, dt: float) -> np.ndarray:
        """The delays that a projection may have, ascending, in whole steps of dt, float32.

        Arguments:
            name: Name of the projection, for errors.
            max_delay: Its longest delay [ms].
            dt: Time step [ms].

        Raises:
            InputError: A delay is no multiple of dt, or none is as short as `max_delay`.
        """
        given = np.array(self.delay_values or [self.delay_step], float) / dt
        steps, longest = np.rint(given), int(max_delay / dt + _SLACK)
        whole = np.allclose(steps, given, rtol=0, atol=_SLACK)
        if not whole or (self.delay_step and not steps[0]):
            field = "delay_values" if self.delay_values else "delay_step"
            close = ", ".join(f"{each * dt:g}" for each in np.unique(np.maximum(1, steps)))
            raise self._refused(field, f"in multiples of dt ({dt:g} ms)", f"take {close}")
        if not self.delay_values:
            return np.arange(0, longest + 1, int(steps[0]), dtype=np.float32)
        allowed = np.unique(steps[steps <= longest]).astype(np.float32)
        if not len(allowed):
            wanted = f"up to {max_delay:g} ms, the longest delay of {name!r}"
            raise self._refused("delay_values", wanted, "add shorter ones, or raise max_delay")
        return allowed

    def check(self, network: Network) -> None:
        """Reject what has nothing to be quantised.

        Raises:
            InputError: No weight is learned, no projection has more than one delay to choose from,
                or delays are no multiples of dt.
        """
        projections = list(network.projections.values())
        if self.weights != FLOAT and not any(p.n_synapses for p in projections if not p.frozen):
            given = ", ".join(f"{p.name!r} (frozen)" for p in projections) or "no projection"
            raise self._refused(
                "weights", f"{FLOAT} for a network without weights that are learned",
                f"it has {given}; leave quantisation out",
            )  # fmt: skip
        if self.has_grid:
            self.check_grids({p.name: p.max_delay for p in projections}, network.dt)

    def check_grids(self, longest: Mapping[str, float], dt: float) -> None:
        """Reject grids of projections, by their longest delays [ms], as `check` does."""
        grids = [self.grid(name, max_delay, dt) for name, max_delay in longest.items()]
        if not any(len(grid) > 1 for grid in grids):
            most = max(longest.values(), default=0.0)
            field = "delay_values" if self.delay_values else "delay_step"
            raise self._refused(
                field, f"so that there are two delays within the longest, {most:g} ms",
                "take shorter ones, or raise delays.max",
            )  # fmt: skip


def nearest(delay: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The values of an ascending grid nearest to delays, float32; halfway goes up."""
    middle = (grid[1:] + grid[:-1]) / np.float32(2)
    return grid[np.searchsorted(middle, delay, side="right")]


@np.errstate(over="ignore", invalid="ignore")  # a training that diverges says so itself
def to_integers(
    weight: np.ndarray, owner: np.ndarray, n: int, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Quantise weights.

    Arguments:
        weight: (S,) float32, finite.
        owner: (S,) in 0..n-1: which scale each weight has.
        n: Number of scales.
        kind: ``"int8"``, ``"int4"`` or ``"ternary"``.

    Returns:
        The integers (S,) int8, and the scales (n,) float32, 0 where all weights are 0.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays.quantisation import to_floats, to_integers
        >>> weight, owner = np.array([0.5, -1.0, 0.1], np.float32), np.zeros(3, int)
        >>> q, scale = to_integers(weight, owner, 1, "ternary")
        >>> q.tolist(), scale.tolist(), to_floats(q, scale, owner).tolist()
        ([1, -1, 0], [0.75], [0.75, -0.75, 0.0])
    """
    magnitude = np.abs(weight).astype(np.float64)
    if kind == "ternary":
        acts = magnitude > THRESHOLD * _mean(magnitude, owner, n)[owner]
        scale = _short(_mean(magnitude[acts], owner[acts], n))
        q = np.where(acts & (scale[owner] > 0), np.sign(weight), 0)
        return q.astype(np.int8), scale
    largest = np.zeros(n)
    np.maximum.at(largest, owner, magnitude)
    scale = _short(largest / LARGEST[kind])
    own = scale[owner].astype(np.float64)
    q = np.rint(np.divide(weight, own, out=np.zeros_like(magnitude), where=own > 0))
    return np.clip(q, -LARGEST[kind], LARGEST[kind]).astype(np.int8), scale


def to_floats(q: np.ndarray, scale: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """The weights that integers stand for, float32(q) float32(scale), which is exact; (S,).

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays.quantisation import to_floats
        >>> q, scale = np.array([1, -2], np.int8), np.array([0.5, 0.25], np.float32)
        >>> to_floats(q, scale, owner=np.array([0, 1])).tolist()
        [0.5, -0.5]
    """
    return q.astype(np.float32) * scale[owner]


def _mean(values: np.ndarray, owner: np.ndarray, n: int) -> np.ndarray:
    """Mean of the values of each owner, (n,) float64; 0 where it has none."""
    return np.bincount(owner, values, n) / np.maximum(1, np.bincount(owner, minlength=n))


def _short(scale: np.ndarray) -> np.ndarray:
    """Scales as float32 of so few bits that their products with the integers are exact."""
    significand, exponent = np.frexp(scale)
    wanted = np.ldexp(np.rint(np.ldexp(significand, SIGNIFICAND)), exponent - SIGNIFICAND)
    short = wanted.astype(np.float32)
    low = short < wanted  # only below the least normal number: up, so that the integers suffice
    short[low] = np.nextafter(short[low], np.float32(np.inf))
    return short


@dataclass(frozen=True)
class Quantised:
    """Integer weights of a network.

    Attributes:
        kind: ``"int8"``, ``"int4"`` or ``"ternary"``.
        values: (S,) int8 by projection, in the order of its synapses.
        scales: (n_post,) float32 by projection, equal ones where the projection has one scale; 0
            where all weights of a neuron are 0.

    Raises:
        InputError: The arrays are of other types, or a value is beyond the largest of the kind.
    """

    kind: str
    values: dict[str, np.ndarray]
    scales: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        if self.kind not in LARGEST:
            raise InputError(f"Quantised must be one of {', '.join(LARGEST)}, got {self.kind!r}")
        largest = LARGEST[self.kind]
        if self.values.keys() != self.scales.keys():
            raise InputError("Quantised must have values and scales of the same projections")
        for name, q in self.values.items():
            if q.dtype != np.int8 or q.ndim != 1 or (np.abs(q.astype(int)) > largest).any():
                raise InputError(
                    f"Quantised must have int8 values in -{largest}..{largest} of {name!r}"
                )
            scale = self.scales[name]
            fine = (scale >= 0) & (scale < np.inf)
            if scale.dtype != np.float32 or scale.ndim != 1 or not fine.all():
                raise InputError(f"Quantised must have finite float32 scales >= 0 of {name!r}")

    @staticmethod
    def of(network: Network, kind: str, scales: dict[str, np.ndarray]) -> "Quantised":
        """The integers of a network whose weights are integers times scales already."""
        values = {}
        for name, p in network.projections.items():
            own = scales[name][p.post]
            q = np.divide(p.weight, own, out=np.zeros_like(p.weight), where=own > 0)
            values[name] = np.rint(q).astype(np.int8)
        return Quantised(kind, values, scales)

    def weights(self, projection: Projection) -> np.ndarray:
        """The weights that the integers stand for, (S,) float32."""
        q, scale = self.values.get(projection.name), self.scales.get(projection.name)
        synapses, post = projection.n_synapses, projection.post
        if q is None or scale is None or len(q) != synapses or len(scale) <= post.max(initial=-1):
            raise InputError(
                f"Quantised must have the {synapses} synapses of projection {projection.name!r}; "
                "use the network that quantise returned with it"
            )
        return to_floats(q, scale, post)


def quantise(
    network: Network, kind: str = "int8", per: str = "neuron"
) -> tuple[Network, Quantised]:
    """Quantise the weights of a network.

    Arguments:
        network: A network without normalisation; it stays as it is.
        kind: ``"int8"``, ``"int4"`` or ``"ternary"``.
        per: ``"neuron"`` for a scale per neuron and projection, or ``"projection"``.

    Returns:
        The network with the weights q s, which any engine can run, and the integers. Quantising
        it again changes nothing.

    Raises:
        InputError: A population is normalised, or a weight is not finite.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays import Exponential, LeakyIntegrator, Network, SpikeInput
        >>> from mlgenn_delays.quantisation import quantise
        >>> network = Network()
        >>> _ = network.add("in", SpikeInput(2)), network.add("out", LeakyIntegrator(1))
        >>> weights = np.array([[0.5], [-0.25]])
        >>> _ = network.connect("in", "out", Exponential(5.0), weight=weights)
        >>> rounded, integers = quantise(network, "ternary")
        >>> integers.values["in->out"].tolist(), rounded.projections["in->out"].weight.tolist()
        ([1, 0], [0.5, 0.0])
    """
    for population in network.populations.values():
        if population.normalisation is not None:
            raise InputError(
                f"population {population.name!r} must have no normalisation to be quantised; "
                "fold it in with Network.folded()"
            )
    rounded, values, scales = network.copy(), {}, {}
    for name, p in rounded.projections.items():
        if not np.isfinite(p.weight).all():
            raise InputError(f"projection {name!r} must have finite weights to be quantised")
        n_post = network.populations[p.target].n
        values[name], scales[name] = integers_of(p.weight, p.post, n_post, kind, per)
    quantised = Quantised(kind, values, scales)
    for p in rounded.projections.values():
        p.weight = quantised.weights(p)
    return rounded, quantised


def integers_of(
    weight: np.ndarray, post: np.ndarray, n_post: int, kind: str, per: str
) -> tuple[np.ndarray, np.ndarray]:
    """The integers (S,) int8 and scales (n_post,) of a projection's weights onto neurons post."""
    if per == "neuron":
        return to_integers(weight, post, n_post, kind)
    q, scale = to_integers(weight, np.zeros(len(weight), np.int64), 1, kind)
    return q, np.repeat(scale, n_post)
