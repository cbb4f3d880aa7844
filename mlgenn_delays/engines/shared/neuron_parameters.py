"""Parameters of neurons while they are learned.

Each is moved on a scale x of its own, on which no step leaves its range, and kept by its value v:

    v > 0 (time constants, thresholds)   x = log v;                      v > the least of its range
    low < v < high                       x = log((v - low) / (high - v))
    any other                            x = v, clipped to its range

The optimiser sees dL/dx = dL/dv dv/dx, and its step dx gives v(x + dx). What kernels read of the
parameters are constants c of them (`Equations.constants_at`): dL/dv = sum_c dL/dc dc/dv.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from mlgenn_delays.distributions import PerNeuron, float32_range
from mlgenn_delays.engines.shared.plan import of_synapse, synapse_groups
from mlgenn_delays.errors import DivergedError
from mlgenn_delays.network import Exponential, Network, Population
from mlgenn_delays.network.models import SHORTEST
from mlgenn_delays.neurons.declare import Neuron
from mlgenn_delays.settings import LONGEST, bounds_of, fields_of, unit_of

TINY = 1e-30  # of complex steps
FARTHEST = 200.0  # that a step goes on a logarithmic scale: across any range


class Learned:
    """One learned parameter of n neurons.

    Attributes:
        value: (n,) float32.
        value_first, value_second: Adam's moments on the scale x.
        by_value: (n,) float64, dL/dv of the last batch, summed over it.
    """

    def __init__(self, n: int, low: float, high: float) -> None:
        # Float32 has no number between 0 and its smallest.
        self.low = max(low, float(np.finfo(np.float32).tiny)) if low > 0 else max(low, -LONGEST)
        self.high = min(high, LONGEST)
        self.value, self.value_first, self.value_second = np.zeros((3, n), np.float32)
        self.by_value = np.zeros(n)

    @property
    def scale(self) -> str:
        """The scale of x: log, logit or plain."""
        if self.high < LONGEST:
            return "logit" if self.low > -LONGEST else "plain"
        return "log" if self.low > 0 else "plain"

    def slope(self) -> np.ndarray:
        """dv/dx, float64 (n,)."""
        v = self.value.astype(np.float64)
        if self.scale == "log":
            return v
        if self.scale == "logit":
            return (v - self.low) * (self.high - v) / (self.high - self.low)
        return np.ones_like(v)

    def move(self, step: np.ndarray) -> None:
        """Go a step dx (n,)."""
        v, dx = self.value.astype(np.float64), step.astype(np.float64)
        factor = np.exp(np.clip(dx, -FARTHEST, FARTHEST))
        if self.scale == "log":
            v = v * factor
        elif self.scale == "logit":
            odds = (v - self.low) / (self.high - v) * factor
            v = (self.low + self.high * odds) / (1.0 + odds)
        else:
            v = v + dx
        self.value[:] = np.where(dx == 0.0, self.value, np.clip(v, *self.ends()))

    def ends(self) -> np.ndarray:
        """The least and the largest value; rounding must not reach a bound either."""
        ends = np.array(float32_range(self.low, self.high))
        return np.nextafter(ends, ends[::-1]) if self.scale == "logit" else ends


class LearnedNeurons:
    """The learned parameters of a population."""

    def __init__(self, population: Population, dt: float) -> None:
        model: Any = population.model
        assert isinstance(model, Neuron)
        self.model, self.dt = model, dt
        self.learned: dict[str, Learned] = {}
        for name in population.learn:
            info = fields_of(type(model))[name]
            low, high = bounds_of(info)
            if unit_of(info) == "ms":
                low = max(low, model.shortest * dt)
            self.learned[name] = Learned(model.n, low, high)
        self.names = model.equations.depending(population.learn)
        self.read(population)

    def read(self, population: Population) -> None:
        """Take the values of a population."""
        self.model = population.model  # type: ignore[assignment]
        for name, each in self.learned.items():
            each.value[:] = getattr(self.model, name)

    def _parameters(self) -> dict[str, Any]:
        own = {n: each.value.astype(np.float64) for n, each in self.learned.items()}
        return self.model.values() | own

    def current(self) -> Neuron:
        """The model with the values."""
        own: Any = {name: PerNeuron(each.value) for name, each in self.learned.items()}
        return replace(self.model, **own)  # type: ignore[type-var]

    def write(self, population: Population) -> None:
        """Put the values into a population."""
        own: Any = self.current()
        population.model = own

    def constants(self) -> dict[str, Any]:
        """What the equations read, float64, numbers or (n,).

        Raises:
            DivergedError: The parameters have come where one of them is not finite.
        """
        found = self.model.equations.constants_at(self._parameters(), self.dt)
        for name, value in found.items():
            if not np.isfinite(value).all():
                raise DivergedError(
                    f"the learned {', '.join(self.learned)} of {type(self.model).__name__} made "
                    f"{name} not finite, at too high a learning rate of neurons"
                )
        return found

    def take_gradients(self, by_constant: np.ndarray) -> None:
        """Take dL/dc (L, n) of the constants `names`."""
        known = self._parameters()
        for name, each in self.learned.items():
            moved = known | {name: known[name] + 1j * TINY}
            slopes = self.model.equations.constants_at(moved, self.dt)
            parts = (
                by * np.imag(slopes[constant]) / TINY
                for constant, by in zip(self.names, by_constant, strict=True)
            )
            each.by_value = np.zeros(self.model.n) + sum(parts)


class LearnedSynapses:
    """The learned time constants of a group of synapses onto a population; see `synapse_groups`."""

    def __init__(self, network: Network, population: str, group: int) -> None:
        self.population, self.group, self.dt = population, group, network.dt
        synapse = synapse_groups(network, population)[group]
        self.projections = [p.name for p in network.incoming(population) if p.synapse == synapse]
        n = network.populations[population].n
        self.learned = Learned(n, SHORTEST * network.dt, LONGEST)
        self.read(network)

    @staticmethod
    def of(network: Network) -> dict[str, "LearnedSynapses"]:
        """All of a network, by ``population/synapseG``."""
        found = {}
        for name in network.populations:
            for g, synapse in enumerate(synapse_groups(network, name)):
                if isinstance(synapse, Exponential) and synapse.learn:
                    found[f"{name}/synapse{g}"] = LearnedSynapses(network, name, g)
        return found

    def read(self, network: Network) -> None:
        """Take the values of a network."""
        synapse: Any = network.projections[self.projections[0]].synapse
        self.learned.value[:] = synapse.tau_syn

    def write(self, network: Network) -> None:
        """Put the values into a network."""
        values: Any = PerNeuron(self.learned.value)
        synapse = Exponential(values, learn=True)
        for name in self.projections:
            network.projections[name].synapse = synapse

    def constants(self) -> tuple[np.ndarray, np.ndarray]:
        """Decay and scale of each neuron, float64 (n,)."""
        return of_synapse(self.learned.value.astype(np.float64), self.dt)

    def take_gradients(self, by_synapse: np.ndarray) -> None:
        """Take dL/d(scale, decay), (n, 2)."""
        decay, scale = of_synapse(self.learned.value.astype(np.float64) + 1j * TINY, self.dt)
        slopes = np.stack([np.imag(scale), np.imag(decay)], 1) / TINY
        self.learned.by_value = (by_synapse * slopes).sum(1)
