"""A network: named populations and the projections between them."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.files import as_path, write_atomic
from mlgenn_delays.machine import check_memory
from mlgenn_delays.network import initialise, storage
from mlgenn_delays.network.initialise import Initial
from mlgenn_delays.network.models import (
    INPUT_MODELS,
    SYNAPSE_MODELS,
    Exponential,
    InputModel,
    Normalisation,
    Population,
    PopulationModel,
    SynapseModel,
    check_name,
    check_roles,
    check_synapse,
    learning,
)
from mlgenn_delays.network.projection import Projection
from mlgenn_delays.neurons.declare import (
    Neuron,
    ReadoutNeuron,
    SpikingNeuron,
    neuron_models,
)
from mlgenn_delays.rng import generator
from mlgenn_delays.settings import Seed, TimeStep, check
from mlgenn_delays.untrusted import shown

if TYPE_CHECKING:
    from mlgenn_delays.hardware import Hardware


class Network:
    """Populations and projections as plain data, the same for every engine.

    Arguments:
        dt: Length of a time step [ms].
        seed: Seed of connectivity and starting values.

    Attributes:
        populations: By name, in the order in which they were added.
        projections: By name, in the order in which they were added.

    Raises:
        InputError: ``dt`` is no positive number, or ``seed`` no whole one.

    Example:
        >>> from mlgenn_delays import Exponential, LeakyIntegrator, Network, SpikeInput
        >>> network = Network(dt=1.0, seed=0)
        >>> _ = network.add("in", SpikeInput(3)), network.add("out", LeakyIntegrator(2))
        >>> network.connect("in", "out", Exponential(5.0), weight=0.5, delay=3.0).n_synapses
        6
    """

    def __init__(self, dt: float = 1.0, seed: int = 0) -> None:
        check("Network.dt", dt, TimeStep)
        check("Network.seed", seed, Seed)
        self.dt, self.seed = float(dt), int(seed)
        self.populations: dict[str, Population] = {}
        self.projections: dict[str, Projection] = {}
        self._trained_copy = False  # whether a trainer has trained a copy of it

    def add(
        self, name: str, model: PopulationModel, bias: Initial = 0.0, *, normalise: bool = False,
        learn: Iterable[str] = (),
    ) -> Population:  # fmt: skip
        """Add a population.

        Arguments:
            name: Its name, unique, without ``/``.
            model: Its model, with its size.
            bias: Constant current: a number, an array (n,) or a distribution.
            normalise: Whether its synaptic current is normalised; see `normalisation`.
            learn: Names of the parameters of its neurons that are learned: time constants,
                thresholds, adaptation.

        Raises:
            InputError: The name is taken or unusable, the bias has another shape, or the model
                cannot be stepped by this dt or normalised.
        """
        check_name("population", name)
        if not isinstance(model, PopulationModel):
            raise InputError(
                f"model of {name!r} must be one of "
                f"{', '.join([*INPUT_MODELS, *neuron_models()])}, got {model!r}; give an instance, "
                "such as LIF(128)"
            )
        if name in self.populations:
            raise InputError(f"the name of a population must be new, got {name!r} again")
        check_memory(
            f"population {name!r}",
            f"{model.n} neurons, which need",
            30 * model.n,
            "make it smaller (network.layers.0.size for the first layer)",
        )
        names = (learn,) if isinstance(learn, str) else tuple(learn)
        if names:
            model = learning(repr(name), model, names)
        if isinstance(model, Neuron):
            model = model.drawn(name, self.dt, lambda key: generator(self.seed, key, name))
        rng = generator(self.seed, "bias", name)
        array = initialise.values(f"bias of {name!r}", bias, rng, model.n).astype(np.float32)
        self._check_model(name, model, normalise)
        normalisation = Normalisation.start(model.n) if normalise else None
        self.populations[name] = Population(name, model, array, normalisation, names)
        return self.populations[name]

    def _check_model(self, name: str, model: PopulationModel, normalise: bool) -> None:
        if isinstance(model, Neuron):
            short = model.too_short(self.dt)
            if short is not None:
                raise InputError(
                    f"{short[0]} of {type(model).__name__} {name!r} must be {short[1]}, got "
                    f"{getattr(model, short[0])}"
                )
            model.constants(self.dt)
        if normalise and isinstance(model, InputModel):
            raise InputError(f"normalise must be of a population of neurons, got input {name!r}")

    def connect(
        self,
        source: str,
        target: str,
        synapse: SynapseModel,
        *,
        weight: Initial,
        delay: Initial = 0.0,
        max_delay: float | None = None,
        density: float | None = None,
        synapses: int | None = None,
        reach_all: bool = False,
        granularity: str = "synapse",
        signs: str = "free",
        one_to_one: bool = False,
        frozen: bool = False,
        name: str | None = None,
    ) -> Projection:
        """Connect two populations, or one with itself.

        Arguments:
            source: Name of the presynaptic population, which must spike or be an input.
            target: Name of the postsynaptic population.
            synapse: `Exponential` or `Delta`.
            weight: Number, array (S,), distribution, or matrix (n_pre, n_post), which then says
                which pairs have a synapse: all but those of NaN. Arrays may be tensors.
            delay: Number, array or distribution [ms], or matrix (n_pre, n_post) of which the
                synapses take theirs; draws are clipped to 0..max_delay.
            max_delay: Largest delay that learning may reach [ms]. If None, the largest given, so
                that learning can only shorten delays; `Trainer` warns of that.
            density: Share of all pairs that have a synapse, in (0, 1]; all, if None.
            synapses: Their number, instead of a density.
            reach_all: Whether every postsynaptic neuron has a synapse if there are enough for that.
                Synapses are drawn uniformly among all pairs; those onto neurons with several then
                move to neurons without any.
            granularity: ``"synapse"``, ``"axon"`` or ``"fixed"``.
            signs: ``"free"``, or fixed at random for structure learning: ``"synapse"`` (one per
                synapse) or ``"dale"`` (one per presynaptic neuron). Weights then take that sign.
            one_to_one: Whether neuron i projects to neuron i alone, of as many.
            frozen: Whether training leaves weights, delays and structure as they are; gradients
                of neurons flow through them all the same.
            name: ``"source->target"`` if None.

        Raises:
            InputError: A population is unknown or cannot take that role, or a value is off.
        """
        pre, post_population = self._population(source), self._population(target)
        check_roles(pre, post_population)
        name = name or f"{source}->{target}"
        if not isinstance(synapse, SynapseModel):
            raise InputError(
                f"synapse of {name!r} must be one of {', '.join(SYNAPSE_MODELS)}, got {synapse!r}"
            )
        check_name("projection", name)
        if name in self.projections:
            raise InputError(f"the name of a projection must be new, got {name!r} again")
        check_synapse(synapse, post_population)
        if isinstance(synapse, Exponential):
            # Projections that say the same of their synapses share the values: one inSyn.
            rng = generator(self.seed, "tau_syn", target)
            synapse = synapse.drawn(target, post_population.n, self.dt, rng)
        indptr, post, weight = initialise.pairs(
            name, (pre.n, post_population.n), weight, density, synapses,
            generator(self.seed, "connectivity", name), reach_all=reach_all, signs=signs,
            one_to_one=one_to_one,
        )  # fmt: skip
        projection = Projection(
            name, source, target, synapse, indptr, post,
            weight=np.zeros(len(post), np.float32), delay=np.zeros(0), max_delay=np.inf,
            granularity=granularity, frozen=frozen, capped=max_delay is None,
        )  # fmt: skip
        rng = generator(self.seed, "weight", name)
        drawn = initialise.values(f"weight of {name!r}", weight, rng, len(post))
        projection.weight = drawn.astype(np.float32)
        sign = initialise.pair_signs(signs, self.seed, name, pre.n, post_population.n)
        if sign is not None:
            projection.sign = sign[projection.pre(), post]
            projection.weight = np.abs(projection.weight) * projection.sign
        initialise.set_delays(
            projection, delay, max_delay, (pre.n, post_population.n),
            generator(self.seed, "delay", name),
        )  # fmt: skip
        projection.check(pre.n, post_population.n)
        self.projections[name] = projection
        return projection

    def _population(self, name: str) -> Population:
        if not isinstance(name, str):
            raise InputError(f"a population must be given by its name, got {shown(name)}")
        if name not in self.populations:
            known = list(self.populations)
            raise InputError(
                f"there is no population {name!r}{nearest(name, known)}; known: {', '.join(known)}"
            )
        return self.populations[name]

    def weight_matrix(self, name: str) -> np.ndarray:
        """The weights of a projection, (n_pre, n_post) float32, NaN where there is no synapse.

        Arguments:
            name: Of the projection, ``"source->target"`` unless chosen.

        Raises:
            InputError: There is no such projection, or the matrix does not fit into memory.

        Example:
            >>> import numpy as np
            >>> from mlgenn_delays import Exponential, LeakyIntegrator, Network, SpikeInput
            >>> network = Network()
            >>> _ = network.add("in", SpikeInput(2)), network.add("out", LeakyIntegrator(2))
            >>> weights = np.array([[0.5, np.nan], [0.25, -1.0]])
            >>> _ = network.connect("in", "out", Exponential(5.0), weight=weights, delay=3.0)
            >>> network.weight_matrix("in->out").tolist()
            [[0.5, nan], [0.25, -1.0]]
        """
        projection = self._projection(name)
        return self._matrix(projection, projection.weight)

    def delay_matrix(self, name: str) -> np.ndarray:
        """The delays of a projection [ms], (n_pre, n_post) float64, NaN without a synapse.

        Arguments and errors are those of `weight_matrix`.
        """
        projection = self._projection(name)
        return self._matrix(projection, projection.delay_per_synapse())

    def dead_synapses(self, name: str) -> np.ndarray:
        """Which synapses of a projection lie on no path from the input to the output, (S,) bool.

        They carry no gradient, and nothing depends on them.

        Arguments:
            name: Of the projection.

        Raises:
            InputError: There is no such projection, no input or no output.

        Example:
            >>> import numpy as np
            >>> from mlgenn_delays import EulerLI, EulerLIF, Delta, Network, SpikeInput
            >>> network = Network()
            >>> _ = network.add("in", SpikeInput(1)), network.add("hidden", EulerLIF(2))
            >>> _ = network.add("out", EulerLI(1))
            >>> _ = network.connect("in", "hidden", Delta(), weight=1.0)
            >>> weights = np.array([[0.5], [np.nan]])
            >>> _ = network.connect("hidden", "out", Delta(), weight=weights)
            >>> network.dead_synapses("in->hidden").tolist()
            [False, True]
        """
        from mlgenn_delays.network.paths import dead_synapses

        return dead_synapses(self, self._projection(name).name)

    def _matrix(self, projection: Projection, values: np.ndarray) -> np.ndarray:
        n_pre, n_post = (self.populations[p].n for p in (projection.source, projection.target))
        check_memory(
            f"the matrix of {projection.name!r}",
            f"{n_pre} x {n_post} pairs of neurons, which need",
            values.itemsize * n_pre * n_post,
            "take its arrays pre(), post, weight and delay_per_synapse()",
        )
        found = np.full((n_pre, n_post), np.nan, values.dtype)
        found[projection.pre(), projection.post] = values
        return found

    def _projection(self, name: str) -> Projection:
        if not isinstance(name, str):
            raise InputError(f"a projection must be given by its name, got {shown(name)}")
        if name not in self.projections:
            known = list(self.projections)
            raise InputError(
                f"there is no projection {name!r}{nearest(name, known)}; known: {', '.join(known)}"
            )
        return self.projections[name]

    def incoming(self, name: str) -> list[Projection]:
        """Projections onto a population."""
        return [p for p in self.projections.values() if p.target == name]

    def order(self) -> list[Population]:
        """Populations so that each comes after all that project to it.

        Raises:
            InputError: Populations project to each other in a circle (a population may project
                to itself).
        """
        waiting = dict(self.populations)
        ordered: list[Population] = []
        while waiting:
            free = [
                population
                for name, population in waiting.items()
                if not any(p.source in waiting and not p.recurrent for p in self.incoming(name))
            ]
            if not free:
                raise InputError(
                    f"the populations {', '.join(waiting)} must not project to each other in a "
                    "circle; merge them into one population with a recurrent projection"
                )
            ordered += free
            for population in free:
                del waiting[population.name]
        return ordered

    def output(self) -> Population:
        """The population that is read out.

        Raises:
            InputError: There is not exactly one population of readout neurons.
        """
        found = [p for p in self.populations.values() if isinstance(p.model, ReadoutNeuron)]
        if len(found) != 1:
            raise InputError(
                "a network must have one population of readout neurons, such as LeakyIntegrator, "
                f"got {len(found)}"
            )
        return found[0]

    def input(self) -> Population:
        """The population that the data drives.

        Raises:
            InputError: There is not exactly one input population.
        """
        found = [p for p in self.populations.values() if isinstance(p.model, InputModel)]
        if len(found) != 1:
            raise InputError(f"a network must have one input population, got {len(found)}")
        return found[0]

    def n_synapses(self) -> int:
        """Number of synapses of all projections."""
        return sum(p.n_synapses for p in self.projections.values())

    def is_dense(self, projection: Projection) -> bool:
        """Whether every pair of neurons of a projection has a synapse."""
        pairs = self.populations[projection.source].n * self.populations[projection.target].n
        return projection.n_synapses == pairs

    def spiking(self) -> list[Population]:
        """Populations of neurons that spike, in the order in which they were added."""
        return [p for p in self.populations.values() if isinstance(p.model, SpikingNeuron)]

    def folded(self) -> "Network":
        """The network for inference: normalisation folded into weights and bias.

        It computes the same: each incoming weight of a normalised neuron is multiplied by its
        gain / sqrt(variance), and the rest is a constant current.
        """
        network = self.copy()
        for population in network.populations.values():
            if population.normalisation is None:
                continue
            factor = population.normalisation.factor()
            for projection in network.incoming(population.name):
                projection.weight = projection.weight * factor[projection.post]
            population.bias = population.bias + population.normalisation.shift()
            population.normalisation = None
        return network

    def limit(self, hardware: "Hardware") -> None:
        """Move synapses at random, as few as may be, so that the network keeps limits of hardware.

        Each projection keeps the number of its synapses. Weights and delays move along; signs are
        those of the presynaptic neuron where each has one.

        Arguments:
            hardware: The limits; see `Hardware`.

        Raises:
            InputError: A projection has more synapses than there is room for, or delays may get
                longer than there may be.

        Example:
            >>> import numpy as np
            >>> from mlgenn_delays import Exponential, Hardware, LeakyIntegrator, Network
            >>> from mlgenn_delays import SpikeInput
            >>> network = Network()
            >>> _ = network.add("in", SpikeInput(5)), network.add("out", LeakyIntegrator(3))
            >>> _ = network.connect("in", "out", Exponential(), weight=0.5, synapses=6)
            >>> network.limit(Hardware(fan_in=2))
            >>> np.bincount(network.projections["in->out"].post).tolist()
            [2, 2, 2]
        """
        from mlgenn_delays.network.limits import limit

        limit(self, hardware)

    def pruned(self, density: float) -> "Network":
        """A copy with only the synapses of each projection whose weights are largest in magnitude.

        Magnitudes are those at inference, with normalisation. Frozen projections, and those that
        have no more synapses than that, stay.

        Arguments:
            density: Share of all pairs of neurons that keep a synapse, in (0, 1].

        Raises:
            InputError: The density leaves a projection without a synapse.

        Example:
            >>> import numpy as np
            >>> from mlgenn_delays import Exponential, LeakyIntegrator, Network, SpikeInput
            >>> network = Network()
            >>> _ = network.add("in", SpikeInput(2)), network.add("out", LeakyIntegrator(2))
            >>> weights = np.array([[0.5, -0.75], [0.25, -1.0]])
            >>> _ = network.connect("in", "out", Exponential(5.0), weight=weights)
            >>> network.pruned(density=0.5).weight_matrix("in->out").tolist()
            [[nan, -0.75], [nan, -1.0]]
        """
        from mlgenn_delays.network.prune import pruned

        return pruned(self, density)

    def copy(self) -> "Network":
        """An independent copy."""
        from copy import deepcopy

        network = deepcopy(self)
        network._trained_copy = False
        return network

    def note_trained_copy(self) -> None:
        """Note that a trainer trained a copy of it, so that who takes it for the other is told."""
        self._trained_copy = True

    def warn_of_trained_copy(self, act: str) -> None:
        """Warn where it is only what a trainer started from: `act` says what is done to it."""
        if self._trained_copy:
            warnings.warn(
                f"the network that is {act} is the one that a trainer started from, with the "
                "values of before the training; the trained one is trainer.network (to do this on "
                "purpose, take network.copy())",
                stacklevel=3,
            )

    def save(self, path: Path | str) -> None:
        """Write the network to one safetensors file, whole or not at all; `load` opens it.

        `Trainer.save` writes the trained network, and beside it what its classes are called.
        There is a warning where this is the network that a `Trainer` started from.

        Raises:
            InputError: A value is not finite or out of range; nothing is written.
            WorkError: The file cannot be written.
        """
        self.warn_of_trained_copy("saved")
        write_atomic(as_path(path), storage.to_bytes(self))

    @staticmethod
    def load(path: Path | str) -> "Network":
        """Read a network from a safetensors file.

        Raises:
            InputError: The file is missing, damaged, no network, or from a newer version.
        """
        return storage.load(Network, path)

    def __repr__(self) -> str:
        start = ", as before the training: see network of the trainer" * self._trained_copy
        lines: Iterable[str] = [f"Network(dt={self.dt:g} ms{start})"]
        lines = [*lines, *(f"  {p.name}: {p.model}" for p in self.populations.values())]
        lines = [*lines, *(
            f"  {p.name}: {p.in_words()}" for p in self.projections.values()
        )]  # fmt: skip
        return "\n".join(lines)
