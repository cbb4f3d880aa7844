"""What lies in memory while GeNN's code runs a network: every array, its type, size and content.

Population k is called pk in there and projection k qk, so that each name says whose array it is.
B examples run side by side, each with its own state; weights and delays are shared.
"""

import math
from dataclasses import dataclass

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.step_code import StepCode, Target, step_code
from mlgenn_delays.network import CurrentInput, Exponential, Network, Population, Projection
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.network.models import InputModel
from mlgenn_delays.neurons.declare import Neuron, ReadoutNeuron, SpikingNeuron
from mlgenn_delays.neurons.write import GENN
from mlgenn_delays.settings import is_number

LONGEST = 65535  # steps: what a delay's 16 bits hold
MOST = 2**32 - 1  # values of an array, whose index is an unsigned int
ROOM = 2**24  # bytes of all series, as far as a row of each fits
ROWS = 1024  # of a series at most
TYPES = {
    np.dtype(np.float32): "float",
    np.dtype(np.uint8): "uint8_t",
    np.dtype(np.uint16): "uint16_t",
    np.dtype(np.uint32): "uint32_t",
    np.dtype(np.int32): "int32_t",
}


@dataclass(frozen=True)
class Array:
    """An array on the device."""

    name: str  # in the code
    kind: str  # ``"STATE"``, ``"CONSTANT"`` or ``"SERIES"``
    type: np.dtype  # of its values
    size: int  # number of values; of a row, if it is a series
    content: np.ndarray | None = None  # of a constant array

    def __post_init__(self) -> None:
        if self.size > MOST:
            raise InputError(
                f"an array must have at most {MOST} values for GeNN, got {self.size} for "
                f"{self.name}; prune the network, shorten its delays or take a smaller batch size"
            )

    @property
    def c_type(self) -> str:
        """Type of its values in C."""
        return TYPES[self.type]

    @property
    def bytes(self) -> int:
        """Bytes of all values; of a row, if it is a series."""
        return self.size * self.type.itemsize


class DeviceArrays:
    """The arrays of a network, as `prepare` gives it, for B examples side by side.

    Attributes:
        populations: Those that run, by k; an input that drives nothing is left out.
        projections: Those with synapses, by k.
        slots: Steps that a buffer of delays holds, a power of two: indices are then quick.
        arrays: By name.
        steps: Code of a step of neurons, by k; it reads the current as ``current`` and sets
            ``spike`` to 1 for a neuron that spikes.
    """

    def __init__(self, network: Network, batch_size: int) -> None:
        self.network, self.batch_size = network, batch_size
        self.projections = [p for p in network.projections.values() if p.n_synapses]
        sources = {p.source for p in self.projections}
        self.populations = [
            p
            for p in network.order()
            if not isinstance(p.model, InputModel) or p.name in sources
        ]  # fmt: skip
        self._sources = sources
        self._number = {p.name: k for k, p in enumerate(self.populations)}
        longest = max(map(self.longest, self.projections), default=0)
        self.slots = 1 << max(1, longest.bit_length())  # the least power of two above all delays
        self.arrays: dict[str, Array] = {}
        self.steps: dict[int, StepCode] = {}
        for k, population in enumerate(self.populations):
            self._add_population(k, population)
        for k, projection in enumerate(self.projections):
            self._add_projection(k, projection)

    def number(self, name: str) -> int:
        """The k of a population."""
        return self._number[name]

    def longest(self, projection: Projection) -> int:
        """The longest delay of a projection [steps]."""
        steps = int(delay_steps(projection, self.network.dt).max(initial=0))
        if steps > LONGEST:
            raise InputError(
                f"delays of projection {projection.name!r} must be at most {LONGEST} steps "
                f"for GeNN, got {steps}; lower its delays or raise dt"
            )
        return steps

    def spiking(self) -> list[int]:
        """The k of all populations of neurons that spike, in the network's order."""
        return [self.number(p.name) for p in self.network.spiking()]

    def rows(self) -> int:
        """How many steps the series hold."""
        row = sum(array.bytes for array in self.arrays.values() if array.kind == "SERIES")
        return max(1, min(ROWS, ROOM // row))

    def _add(
        self, name: str, kind: str, dtype: type[np.generic], size: int,
        content: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self.arrays[name] = Array(name, kind, np.dtype(dtype), size, content)

    def _constant(self, name: str, content: np.ndarray) -> None:
        self._add(name, "CONSTANT", content.dtype.type, content.size, content)

    def _add_population(self, k: int, population: Population) -> None:
        model, many = population.model, self.batch_size * population.n
        if isinstance(model, InputModel):
            currents = isinstance(model, CurrentInput)
            self._add(f"Input_p{k}", "SERIES", np.float32 if currents else np.uint8, many)
            if currents:
                self._add(f"Value_p{k}", "STATE", np.float32, many)
        else:
            self._add_neurons(k, population, many)
        if isinstance(model, SpikingNeuron):
            self._add(f"Fired_p{k}", "SERIES", np.uint8, many)
        if isinstance(model, ReadoutNeuron):
            self._add(f"Voltage_p{k}", "SERIES", np.float32, many)
        if population.name in self._sources:
            self._add(f"spk_p{k}", "STATE", np.uint32, many)
            self._add(f"spkCnt_p{k}", "STATE", np.uint32, self.batch_size)

    def _add_neurons(self, k: int, population: Population, many: int) -> None:
        model, dt = population.model, self.network.dt
        assert isinstance(model, Neuron)
        for m in range(len(model.equations.states)):
            self._add(f"State{m}_p{k}", "STATE", np.float32, many)
        self.steps[k] = step = step_code(model, dt, _target(model, k))
        for m, array in enumerate(step.arrays):
            self._constant(f"Constant{m}_p{k}", array)
        if population.bias.any():
            self._constant(f"Bias_p{k}", population.bias.astype(np.float32))
        if model.refractory_steps(dt):
            self._add(f"Wait_p{k}", "STATE", np.int32, many)

    def _add_projection(self, k: int, projection: Projection) -> None:
        many = self.batch_size * self.network.populations[projection.target].n
        self._add(f"outPost_q{k}", "STATE", np.float32, many)
        self._add(f"denDelay_q{k}", "STATE", np.float32, many * self.slots)
        self._add(f"denDelayPtr_q{k}", "STATE", np.uint32, 1)
        tau_syn = getattr(projection.synapse, "tau_syn", 0.0)
        if not is_number(tau_syn):
            raise InputError(
                f"tau_syn of projection {projection.name!r} must be one for all neurons in GeNN's "
                f"code, got {tau_syn}; export a bundle or C, or take CubaLIF neurons"
            )
        delay = delay_steps(projection, self.network.dt)
        longest = self.longest(projection)
        self._add_synapses(k, projection, f"g_q{k}", projection.weight.astype(np.float32))
        if longest:
            kind = np.uint8 if longest < 256 else np.uint16
            self._add_synapses(k, projection, f"d_q{k}", delay.astype(kind))
        if not self.network.is_dense(projection):
            self._add_synapses(k, projection, f"ind_q{k}", projection.post.astype(np.uint32))
            self._constant(f"rowLength_q{k}", np.diff(projection.indptr).astype(np.uint32))

    def stride(self, projection: Projection) -> int:
        """The places of a row of synapses."""
        return max(1, int(np.diff(projection.indptr).max(initial=0)))

    def _add_synapses(self, k: int, projection: Projection, name: str, values: np.ndarray) -> None:
        """Add an array with a row of equal length per presynaptic neuron, from values (S,)."""
        if self.network.is_dense(projection):
            return self._constant(name, values)
        stride = self.stride(projection)
        n_pre = len(projection.indptr) - 1
        self._add(name, "CONSTANT", values.dtype.type, n_pre * stride)
        padded = np.zeros(n_pre * stride, values.dtype)
        shift = np.arange(n_pre) * stride - projection.indptr[:-1]
        padded[np.repeat(shift, np.diff(projection.indptr)) + np.arange(len(values))] = values
        return self._constant(name, padded)


def _target(model: Neuron, k: int) -> Target:
    """How GeNN's code of population k is written."""
    states = model.equations.states
    return Target(
        GENN, "scalar", lambda name: f"State{states.index(name)}_p{k}", "current",
        lambda m: f"(Constant{m}_p{k})", ("spike = 1;",),
    )  # fmt: skip


def current_of(projection: Projection, dt: float) -> tuple[float, float]:
    """The current that inSyn of 1 gives, and what is left of it after a step of dt [ms]."""
    if not isinstance(projection.synapse, Exponential):
        return 1.0, 0.0
    decay = math.exp(-dt / projection.synapse.tau_syn)
    return projection.synapse.tau_syn / dt * (1.0 - decay), decay
