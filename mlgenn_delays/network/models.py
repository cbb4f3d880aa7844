"""Populations, and the models of inputs and synapses: settings that check themselves.

One step of `dt` ms with e = exp(-dt/tau_syn), s = (tau_syn/dt)(1 - e):

    Exponential      inSyn += arrivals;  I = s inSyn;  inSyn *= e
    Delta            I = arrivals

`Exponential` is mlGeNN's with ``scale_i``. The neurons are in `mlgenn_delays.neurons.models`.

Normalisation is of a population's synaptic current, per neuron over batch and time:

    I' = gain (I - mean) / sqrt(variance + EPSILON) + offset

Training takes mean and variance of the batch and keeps running ones, which evaluation uses (Ioffe
and Szegedy 2015); gain and offset are learned. `Network.folded` folds it into weights and bias.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, TypeGuard

import numpy as np

from mlgenn_delays.distributions import Distribution, PerNeuron, Varying, draw_within
from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.neurons.declare import Neuron, ReadoutNeuron, SpikingNeuron
from mlgenn_delays.settings import (
    INT32_MAX,
    LONGEST,
    Count,
    PositiveTime,
    is_number,
    says,
    settings,
)
from mlgenn_delays.untrusted import shown

MOST_NEURONS = INT32_MAX  # of a population: their numbers are int32

Channels = Annotated[Count, says("Number of channels.")]
SHORTEST = Neuron.shortest  # tau_syn of Exponential synapses [steps]
TauSyn = Annotated[PositiveTime, says("Time constant of Exponential synapses.")]


@settings
class SpikeInput:
    """n channels whose spikes are the data.

    Example:
        >>> from mlgenn_delays import SpikeInput
        >>> SpikeInput(700).n
        700
    """

    n: Channels
    spiking: ClassVar[bool] = True


@settings
class CurrentInput:
    """n channels whose real values, one sample per step, are the data.

    Example:
        >>> from mlgenn_delays import CurrentInput
        >>> CurrentInput(40).spiking
        False
    """

    n: Channels
    spiking: ClassVar[bool] = False


@settings
class Exponential:
    """A synapse whose current decays exponentially.

    The time constant belongs to the postsynaptic neurons: where it differs, it has one value for
    each of them.

    Example:
        >>> from mlgenn_delays import Exponential
        >>> Exponential(tau_syn=5.0)
        Exponential(tau_syn=5.0)
    """

    tau_syn: Annotated[TauSyn, Varying(TauSyn)] = 5.0
    learn: Annotated[bool, says("Whether tau_syn is learned, one value per neuron.")] = False

    def __repr__(self) -> str:
        return f"Exponential(tau_syn={self.tau_syn}{', learn=True' if self.learn else ''})"

    def drawn(self, target: str, n: int, dt: float, rng: np.random.Generator) -> "Exponential":
        """The same with a value for each of n postsynaptic neurons, where it has to have one.

        Raises:
            InputError: It is too short for steps of dt [ms], or has another number of values.
        """
        tau: Any = self.tau_syn
        if isinstance(tau, Distribution):
            tau = draw_within(f"tau_syn onto {target!r}", tau, rng, n, SHORTEST * dt, LONGEST)
        if self.learn and not isinstance(tau, PerNeuron):
            tau = PerNeuron([tau] * n)
        wrong = isinstance(tau, PerNeuron) and len(tau) != n
        if wrong or np.min(tau) < SHORTEST * dt:
            raise InputError(
                f"tau_syn onto {target!r} must be a number or {n} of them, >= {SHORTEST:g} dt "
                f"({SHORTEST * dt:g} ms), got {tau}"
            )
        return replace(self, tau_syn=tau)


@settings
class Delta:
    """A synapse whose current lasts one step.

    Example:
        >>> from mlgenn_delays import Delta
        >>> Delta()
        Delta()
    """


InputModel = SpikeInput | CurrentInput
PopulationModel = InputModel | SpikingNeuron | ReadoutNeuron
SynapseModel = Exponential | Delta
INPUT_MODELS: dict[str, type[InputModel]] = {m.__name__: m for m in (SpikeInput, CurrentInput)}
SYNAPSE_MODELS = {m.__name__: m for m in (Exponential, Delta)}


LONGEST_NAME = 200  # characters


EPSILON = 1e-5
FIELDS = ("mean", "variance", "gain", "offset")


@dataclass
class Normalisation:
    """Statistics and affine map of n neurons' currents.

    Attributes:
        mean: (n,) float32 running mean of the current.
        variance: (n,) float32 running variance, >= 0.
        gain: (n,) float32, >= 0 so that a synapse keeps its sign when folded.
        offset: (n,) float32.

    Example:
        >>> from mlgenn_delays.network import Normalisation
        >>> Normalisation.start(5).gain.tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0]
    """

    mean: np.ndarray
    variance: np.ndarray
    gain: np.ndarray
    offset: np.ndarray

    @staticmethod
    def start(n: int) -> "Normalisation":
        """Normalisation of n neurons before any training."""
        zeros, ones = np.zeros(n, np.float32), np.ones(n, np.float32)
        return Normalisation(zeros, ones, ones.copy(), zeros.copy())

    def factor(self) -> np.ndarray:
        """What the current is multiplied by, (n,) float32."""
        root = np.sqrt(self.variance.astype(np.float64) + EPSILON)
        return (self.gain / root).astype(np.float32)

    def shift(self) -> np.ndarray:
        """What is added after that, (n,) float32."""
        return (self.offset - self.mean * self.factor()).astype(np.float32)

    def check(self, where: str, n: int) -> None:
        """Raise an `InputError` for other shapes than (n,) and values out of range."""
        for name in FIELDS:
            array = getattr(self, name)
            if array.shape != (n,) or not np.isfinite(array).all():
                raise InputError(
                    f"{name} of the normalisation of {where} must be finite and of shape ({n},), "
                    f"got shape {array.shape}"
                )
        for name in ("variance", "gain"):
            if getattr(self, name).min() < 0:
                raise InputError(f"{name} of the normalisation of {where} must be >= 0")


@dataclass
class Population:
    """n neurons of one model.

    Attributes:
        name: Unique in its network.
        model: `SpikeInput`, `CurrentInput`, or neurons such as `LIF` and `LeakyIntegrator`.
        bias: (n,) float32, a constant current added to the synaptic current of every step.
        normalisation: Of the synaptic current, before the bias is added, or None.
        learn: Names of the parameters of its neurons that are learned, one value per neuron.
    """

    name: str
    model: PopulationModel
    bias: np.ndarray
    normalisation: Normalisation | None = None
    learn: tuple[str, ...] = ()

    def __repr__(self) -> str:
        more = ", normalised" if self.normalisation is not None else ""
        more += f", learns {' and '.join(self.learn)}" if self.learn else ""
        return f"Population({self.name!r}, {self.model}{more})"

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.model.n


def check_name(what: str, name: str) -> None:
    """Reject a name of a population or projection that files and figures cannot hold."""
    good = isinstance(name, str) and 0 < len(name) <= LONGEST_NAME
    if not good or "/" in name or not name.isprintable():
        raise InputError(
            f"the name of a {what} must be printable, at most {LONGEST_NAME} characters long and "
            f"without '/', got {shown(name)}"
        )


def check_roles(source: Population, target: Population) -> None:
    """Reject a projection from the output, onto an input, or recurrent and normalised."""
    if isinstance(source.model, ReadoutNeuron):
        raise InputError(
            f"the source of a projection must be a population that spikes, got {source.name!r}"
        )
    if isinstance(target.model, InputModel):
        raise InputError(
            "the target of a projection must be a population of neurons, got the input "
            f"{target.name!r}"
        )
    if source.name == target.name and target.normalisation is not None:
        raise InputError(
            f"a recurrent projection must have a population without normalisation, got "
            f"{target.name!r}: its current is not known before its spikes"
        )


def learning(where: str, model: PopulationModel, names: tuple[str, ...]) -> PopulationModel:
    """A model whose parameters of some names have a value per neuron, to be learned."""
    known = [n for n in model.parameters() if n != model.refractory] if _is_neuron(model) else []
    for name in names:
        if name not in known:
            raise InputError(
                f"learn of population {where} must be of its parameters "
                f"({', '.join(known) or 'it has none'}), got {name!r}{nearest(name, known)}"
            )
    own = {name: getattr(model, name) for name in names}
    whole: dict[str, Any] = {
        name: [value] * model.n for name, value in own.items() if is_number(value)
    }
    return replace(model, **whole)


def _is_neuron(model: PopulationModel) -> TypeGuard[Neuron]:
    return isinstance(model, Neuron)


def check_synapse(synapse: SynapseModel, target: Population) -> None:
    """Reject a synapse that the neurons of a population do not take."""
    takes = target.model.synapses if isinstance(target.model, Neuron) else ()
    if takes and type(synapse).__name__ not in takes:
        raise InputError(
            f"synapses onto the {type(target.model).__name__} {target.name!r} must be "
            f"{' or '.join(takes)}, got {synapse}; give {takes[0]}(), or make it a LIF"
        )
