"""Limits of the hardware that shall run a network, which its training keeps.

Synapses are counted per neuron over all projections. The neurons of a population lie on cores of
`neurons_per_core` each, in their order; a core holds the synapses onto its neurons.

What chips allow, with sources, is in ``hardware.toml``.
"""

import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from mlgenn_delays.bits import BITS, FLOAT
from mlgenn_delays.errors import InputError
from mlgenn_delays.settings import (
    Integer,
    OneOf,
    Whole,
    fields_of,
    must_be,
    refuse,
    says,
    settings,
)

if TYPE_CHECKING:
    from mlgenn_delays.network import Network, Projection
    from mlgenn_delays.quantisation import Quantisation

NO_PRESET = "none"
NO_LIMIT = 2**40  # of which sums fit into 64 bits


@cache
def presets() -> dict[str, dict[str, Any]]:
    """What each preset has: a summary, its limits, and the source of each in ``sources``."""
    text = resources.files("mlgenn_delays").joinpath("hardware.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@dataclass(frozen=True, eq=False)
class Room:
    """How many synapses there may still be: per source neuron, target neuron and core.

    Arguments:
        pre: (n_pre,) int64.
        post: (n_post,) int64.
        core: (cores,) int64.
        size: Neurons of a core: target neuron j lies on core j // size.
    """

    pre: np.ndarray
    post: np.ndarray
    core: np.ndarray
    size: int

    def without(self, pre: np.ndarray, post: np.ndarray) -> "Room":
        """What is left beside synapses (S,) int; below 0 where they are too many."""
        return Room(
            self.pre - np.bincount(pre, minlength=len(self.pre)),
            self.post - np.bincount(post, minlength=len(self.post)),
            self.core - np.bincount(post // self.size, minlength=len(self.core)),
            self.size,
        )

    def fits(self) -> bool:
        """Whether nothing is below 0."""
        return all((left >= 0).all() for left in (self.pre, self.post, self.core))

    def most(self) -> int:
        """The most synapses that there is room for, at most one per pair of neurons.

        It is the least cut between sources and targets: k sources are on the side of the cut where
        each target takes at most k, the others with the least room give all of it.
        """
        given = np.concatenate([[0], np.cumsum(np.sort(np.maximum(self.pre, 0)))])[::-1]
        post, core = np.maximum(self.post, 0), np.maximum(self.core, 0)
        firsts = np.arange(0, len(post), self.size)
        taken = (
            np.minimum(np.add.reduceat(np.minimum(post, k), firsts), core).sum()
            for k in range(len(self.pre) + 1)
        )
        return int(min(a + b for a, b in zip(given, taken, strict=True)))


@settings(kw_only=True, table=True)
class Hardware:
    """Limits of the hardware that shall run a network; the defaults limit nothing.

    A limit that is left out is that of the preset, if any; 0 is no limit.

    Example:
        >>> from mlgenn_delays import Hardware
        >>> Hardware(preset="loihi2", fan_in=32).limits.weight_bits
        8
    """

    preset: Annotated[
        str,
        OneOf(lambda: (NO_PRESET, *presets())),
        says("A chip whose limits hold where no others are given."),
    ] = NO_PRESET
    fan_in: Annotated[
        Whole | None, says("Most synapses onto a neuron, of all projections together.")
    ] = None
    fan_out: Annotated[
        Whole | None, says("Most synapses from a neuron, of all projections together.")
    ] = None
    input_fan_out: Annotated[
        Whole | None, says("Most synapses from an input channel; left out or 0, as fan_out.")
    ] = None
    neurons: Annotated[
        Whole | None, says("Most neurons of the network, without the channels of the input.")
    ] = None
    neurons_per_core: Annotated[
        Whole | None, says("Neurons of a population that share a core, in their order.")
    ] = None
    synapses_per_core: Annotated[
        Whole | None, says("Most synapses onto the neurons of a core; needs neurons_per_core.")
    ] = None
    longest_delay: Annotated[Whole | None, says("Longest delay [steps].")] = None
    delay_bits: Annotated[
        Annotated[Integer, Field(ge=0, le=31)] | None,
        says("Bits of a delay: it is a whole number of 0..2^bits - 1 steps."),
    ] = None
    delays: Annotated[
        tuple[Whole, ...] | None,
        Field(strict=False),
        says("Delays that there may be [steps]; [] for any."),
    ] = None
    weight_bits: Annotated[
        Annotated[Integer, Field(ge=0, le=64)] | None,
        says("Bits of a weight: 8 for int8, 4 for int4, 2 for ternary, 32 and more for float32."),
    ] = None
    ram: Annotated[
        Whole | None, says("Most bytes of RAM for state and stack of the network as C.")
    ] = None

    def __post_init__(self) -> None:
        limits = self._filled()
        if limits["synapses_per_core"] and not limits["neurons_per_core"]:
            refuse(self, "neurons_per_core", "> 0 with synapses_per_core")
        if self.weight_bits == 1:
            refuse(self, "weight_bits", "0 or >= 2", "a weight has at least the values -1, 0 and 1")

    def _filled(self) -> dict[str, Any]:
        figures, found = presets().get(self.preset, {}), {}
        for name in LIMITS:
            none: Any = [] if name == "delays" else 0
            given = getattr(self, name)
            found[name] = figures.get(name, none) if given is None else given
        return found | {"delays": tuple(found["delays"])}

    @cached_property
    def limits(self) -> "Hardware":
        """All limits, those of the preset as if they were given; 0 or () where there is none."""
        return Hardware(**self._filled())

    @property
    def is_identity(self) -> bool:
        """Whether nothing is limited."""
        return not any(self._filled().values())

    @property
    def limits_structure(self) -> bool:
        """Whether it limits which synapses there may be."""
        own = self.limits
        return bool(own.fan_in or own.fan_out or own.input_fan_out or own.synapses_per_core)

    @property
    def most_delay(self) -> int | None:
        """The longest delay that there may be [steps], or None for any."""
        own = self.limits
        given = [own.longest_delay] if own.longest_delay else []
        given += [2**own.delay_bits - 1] if own.delay_bits else []
        given += [max(own.delays)] if own.delays else []
        return min(given, default=None)

    def quantisation(self, dt: float, wanted: "Quantisation | None" = None) -> "Quantisation":
        """The quantisation of weights and delays that the hardware needs.

        Arguments:
            dt: Time step of the network [ms].
            wanted: What is wanted besides, within the limits.

        Returns:
            The largest kind of weights that `weight_bits` hold, and `delays` in ms, where `wanted`
            leaves them open. Delays are whole steps on any hardware.

        Raises:
            InputError: `wanted` has more bits, or other delays.
        """
        from mlgenn_delays.quantisation import Quantisation

        wanted = wanted or Quantisation()
        held = self.limits.weight_bits or BITS[FLOAT]
        if wanted.weights == FLOAT:
            largest = max((kind for kind in BITS if BITS[kind] <= held), key=BITS.__getitem__)
            wanted = replace(wanted, weights=largest)
        elif BITS[wanted.weights] > held:
            raise InputError(
                must_be("quantisation.weights", f"of at most {held} bits (hardware.weight_bits)",
                        wanted.weights, "leave it out for what fits")
            )  # fmt: skip
        if not self.limits.delays or self.limits.delays == (0,):
            return wanted
        allowed = tuple(k * dt for k in self.limits.delays)
        if wanted.has_grid and wanted.delay_values != allowed:
            raise InputError(
                "quantisation.delay_step and quantisation.delay_values must be left out with "
                f"hardware.delays = {list(self.limits.delays)}, got {wanted.delay_step:g} and "
                f"{list(wanted.delay_values)}"
            )
        return replace(wanted, delay_values=allowed)

    def room(
        self, network: "Network", projection: "Projection", but: "Collection[Projection]" = ()
    ) -> Room:
        """The room for the synapses of a projection beside those of others.

        Arguments:
            network: The network.
            projection: One of its projections.
            but: Others that are not counted.
        """
        source = network.populations[projection.source]
        target = network.populations[projection.target]
        size = self.limits.neurons_per_core if self.limits.synapses_per_core else 0
        size = min(size or target.n, target.n)
        room = Room(
            np.full(source.n, self._fan_out(network, source.name)),
            np.full(target.n, self.limits.fan_in or NO_LIMIT),
            np.full(-(-target.n // size), self.limits.synapses_per_core or NO_LIMIT),
            size,
        )
        none = np.zeros(0, np.int64)
        for other in network.projections.values():
            if other is projection or any(other is each for each in but):
                continue
            if other.source == source.name:
                room = room.without(other.pre(), none)
            if other.target == target.name:
                room = room.without(none, other.post)
        return room

    def told(self) -> str:
        """The limits of synapses, in words."""
        names = ("fan_in", "fan_out", "input_fan_out", "synapses_per_core", "neurons_per_core")
        return ", ".join(
            f"hardware.{name} = {getattr(self.limits, name)}"
            for name in names
            if getattr(self.limits, name)
        )

    def _fan_out(self, network: "Network", population: str) -> int:
        own = self.limits.input_fan_out if population == network.input().name else 0
        return own or self.limits.fan_out or NO_LIMIT

    # Checks

    def check(self, network: "Network") -> None:
        """Reject a network that breaks a limit, except that of memory.

        Memory is that of the C export: `mlgenn_delays.export.c.check_ram`.

        Raises:
            InputError: The text says which limit, by what, and what to change.
        """
        source = network.input().name
        neurons = sum(p.n for name, p in network.populations.items() if name != source)
        if self.limits.neurons and neurons > self.limits.neurons:
            raise InputError(
                must_be("hardware.neurons", f">= {neurons}, the neurons of the network",
                        self.limits.neurons, "make layers smaller (network.layers.0.size)")
            )  # fmt: skip
        self.check_delays(network)
        for key, most, has, where in self._counts(network):
            if has > most:
                raise InputError(
                    must_be(f"hardware.{key}", f">= {has}, which {where} has", most, MOVE)
                )

    def check_delays(self, network: "Network") -> None:
        """Reject delays that may get longer than there may be."""
        for name, projection in network.projections.items():
            self.check_delay(f"max_delay of {name!r}", projection.max_delay, network.dt)

    def check_delay(self, what: str, longest: float, dt: float) -> None:
        """Reject a longest delay [ms] beyond the longest that there may be."""
        most = self.most_delay
        if most is not None and round(longest / dt, 6) > most:
            given = {key: getattr(self.limits, key) for key in _DELAYS}
            limits = ", ".join(
                f"hardware.{key} = {list(value) if key == 'delays' else value}"
                for key, value in given.items()
                if value
            )
            raise InputError(
                f"{what} must be <= {most * dt:g} ms, {most} steps of {dt:g} ms, with {limits}; "
                f"got {longest:g} ms; shorten it (delays.max = {most * dt:g}), or take longer steps"
            )

    def _counts(self, network: "Network") -> Iterator[tuple[str, int, int, str]]:
        """Yield a limit of synapses, its value, what a neuron or core has at most, and which."""
        for name, population in network.populations.items():
            out, into = np.zeros(population.n, int), np.zeros(population.n, int)
            for projection in network.projections.values():
                if projection.source == name:
                    out += np.diff(projection.indptr)
                if projection.target == name:
                    into += np.bincount(projection.post, minlength=population.n)
            is_input = name == network.input().name
            key = "input_fan_out" if is_input and self.limits.input_fan_out else "fan_out"
            most = self._fan_out(network, name)
            yield key, most, int(out.max()), f"neuron {out.argmax()} of {name!r}"
            if self.limits.fan_in:
                yield (
                    "fan_in",
                    self.limits.fan_in,
                    int(into.max()),
                    f"neuron {into.argmax()} of {name!r}",
                )
            if self.limits.synapses_per_core and self.limits.neurons_per_core:
                cores = np.add.reduceat(
                    into, np.arange(0, population.n, self.limits.neurons_per_core)
                )
                where = f"core {cores.argmax()} of {name!r}"
                yield "synapses_per_core", self.limits.synapses_per_core, int(cores.max()), where


LIMITS = tuple(name for name in fields_of(Hardware) if name != "preset")
_DELAYS = ("longest_delay", "delay_bits", "delays")
MOVE = (
    "raise it, make the network sparser (network.sparsity), or move synapses with "
    "network.limit(hardware)"
)
