"""Models of populations and synapses: frozen settings that check themselves.

One step of `dt` ms with a = exp(-dt/tau_mem), e = exp(-dt/tau_syn), s = (tau_syn/dt)(1 - e):

    Exponential      inSyn += arrivals;  I = s inSyn;  inSyn *= e
    Delta            I = arrivals
    LIF              V = a V + (1 - a)(I + bias) unless refractory;  V >= v_thresh: spike, V = 0
    LeakyIntegrator  V = a V + (1 - a)(I + bias)
    SeedLIF          V > v_thresh: spike, V = 0;  else V = (1 - dt/tau_mem) V + I + bias
    SeedLI           V = (1 - dt/tau_mem) V + I + bias

`LIF`, `LeakyIntegrator` and `Exponential` are mlGeNN's `LeakyIntegrateFire`, `LeakyIntegrate` and
`Exponential` with ``scale_i``; `SeedLIF` and `SeedLI` are the neurons of Mészáros, Knight and
Nowotny (2024), whose synapses are `Delta`.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from mlgenn_delays.checks import check_number, check_word

READOUTS = ("mean", "sum", "max", "expweighted", "softmax-sum")
# The longest time of a model or delay [ms], eleven days: steps of any dt in use fit an int64.
LONGEST = 1e9
MOST_NEURONS = 2**31 - 1  # of a population: their numbers are int32


def _check_time(model: object, name: str, *, open_low: bool) -> None:
    """Refuse what is no time [ms], or one beyond all sense."""
    check_number(model, name, 0, LONGEST, open_low=open_low, unit="ms")


def _check_readout(model: "LeakyIntegrator | SeedLI") -> None:
    """Refuse settings that a population which is read out cannot have."""
    _check_size(model)
    _check_time(model, "tau_mem", open_low=True)
    check_word(model, "readout", READOUTS)


def _check_size(model: object) -> None:
    """Refuse a population size that is no positive whole number, or that no file can hold."""
    check_number(model, "n", 1, MOST_NEURONS, whole=True)


@dataclass(frozen=True)
class SpikeInput:
    """n channels whose spikes are the data.

    Arguments:
        n: Number of channels.
    """

    n: int
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_size(self)


@dataclass(frozen=True)
class CurrentInput:
    """n channels whose real values, a sample a step, are the data.

    Arguments:
        n: Number of channels.
    """

    n: int
    spiking: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_size(self)


@dataclass(frozen=True)
class LIF:
    """n leaky integrate-and-fire neurons, reset to 0.

    Arguments:
        n: Number of neurons.
        tau_mem: Membrane time constant [ms].
        v_thresh: Firing threshold.
        tau_refrac: Refractory period [ms], in which V stays at 0 and inSyn goes on decaying.
    """

    n: int
    tau_mem: float = 20.0
    v_thresh: float = 1.0
    tau_refrac: float = 0.0
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_size(self)
        _check_time(self, "tau_mem", open_low=True)
        check_number(self, "v_thresh", 0, open_low=True)
        _check_time(self, "tau_refrac", open_low=False)

    def refractory_steps(self, dt: float) -> int:
        """Return the number of steps in which V stays, for a step of dt [ms]."""
        return math.ceil(self.tau_refrac / dt - 1e-6)


@dataclass(frozen=True)
class SeedLIF:
    """n leaky integrate-and-fire neurons in the discrete form of Mészáros et al. (2024).

    A step tests V first; what arrives in the step of a spike is discarded. Synapses onto it must
    be `Delta`.

    Arguments:
        n: Number of neurons.
        tau_mem: Membrane time constant [ms], at least dt.
        v_thresh: Firing threshold.
    """

    n: int
    tau_mem: float = 100.5
    v_thresh: float = 1.0
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_size(self)
        _check_time(self, "tau_mem", open_low=True)
        check_number(self, "v_thresh", 0, open_low=True)


@dataclass(frozen=True)
class LeakyIntegrator:
    """n leaky integrators without threshold, read out as the answer of the network.

    Arguments:
        n: Number of neurons: one a class.
        tau_mem: Membrane time constant [ms].
        readout: What of V over the trial is the logit: ``"mean"``, ``"sum"``, ``"max"``,
            ``"expweighted"`` (mean of exp(-t/T) V) or ``"softmax-sum"`` (sum of softmax(V[t])).
    """

    n: int
    tau_mem: float = 20.0
    readout: str = "mean"
    spiking: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_readout(self)


@dataclass(frozen=True)
class SeedLI:
    """n leaky integrators without threshold, integrating as `SeedLIF`; read out as the answer.

    Arguments:
        n: Number of neurons: one a class.
        tau_mem: Membrane time constant [ms], at least dt.
        readout: See `LeakyIntegrator`.
    """

    n: int
    tau_mem: float = 100.5
    readout: str = "softmax-sum"
    spiking: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_readout(self)


@dataclass(frozen=True)
class Exponential:
    """A synapse whose current decays exponentially.

    Arguments:
        tau_syn: Synaptic time constant [ms].
    """

    tau_syn: float = 5.0

    def __post_init__(self) -> None:
        _check_time(self, "tau_syn", open_low=True)


@dataclass(frozen=True)
class Delta:
    """A synapse whose current lasts one step."""


InputModel = SpikeInput | CurrentInput
SpikingModel = LIF | SeedLIF
OutputModel = LeakyIntegrator | SeedLI
PopulationModel = InputModel | SpikingModel | OutputModel
SynapseModel = Exponential | Delta
POPULATION_MODELS: dict[str, type[PopulationModel]] = {
    m.__name__: m for m in (SpikeInput, CurrentInput, LIF, SeedLIF, LeakyIntegrator, SeedLI)
}
SYNAPSE_MODELS = {m.__name__: m for m in (Exponential, Delta)}
