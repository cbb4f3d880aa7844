"""Declaring a neuron: a settings class of its parameters, with the equations of a step.

    @neuron
    class Leaky(SpikingNeuron):
        '''n leaky integrate-and-fire neurons.'''

        tau_mem: TauMem = 20.0
        step = '''
            alpha = exp(-dt / tau_mem)
            V = alpha * V + (1 - alpha) * I
            spike = V >= 1
            if spike: V = 0
        '''

See `equations` for what a step may hold.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from textwrap import dedent
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Self,
    dataclass_transform,
    get_type_hints,
)

import numpy as np

from mlgenn_delays.distributions import Distribution, PerNeuron, Varying, draw_within
from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.neurons.checks import (
    check_class,
    check_equations,
    check_finite,
    check_reset,
    check_text,
    is_number_kind,
    power_of,
)
from mlgenn_delays.neurons.equations import Equations, read
from mlgenn_delays.settings import (
    INT32_MAX,
    Count,
    Positive,
    PositiveTime,
    Time,
    bounds_of,
    fields_of,
    must_be,
    one_of,
    refuse,
    says,
    settings,
    unit_of,
)

READOUTS = ("mean", "sum", "max", "expweighted", "softmax-sum")
OUTPUT = "V"  # the variable of a readout neuron that is read

Neurons = Annotated[Count, says("Number of neurons.")]
Classes = Annotated[Count, says("Number of neurons: one per class.")]
TauMem = Annotated[PositiveTime, says("Membrane time constant.")]
Threshold = Annotated[Positive, says("Firing threshold.")]
TauRefrac = Annotated[
    Time, says("Refractory period, in which the neuron stays as it is; LIF only.")
]
Readout = Annotated[
    str,
    one_of(*READOUTS),
    says(
        "What of V over the trial is the logit: mean, sum, max, expweighted (mean of exp(-t/T) V) "
        "or softmax-sum (sum of softmax(V[t]))."
    ),
]


class Neuron:
    """What all neurons have.

    Attributes:
        step: The equations of a step of time.
        refractory: Name of the parameter that is the refractory period, "" if there is none. A
            neuron stays as it is for so long after a spike.
        synapses: Names of the synapse models that it takes; any if empty.
        shortest: Shortest time constant that the equations stand [steps].
        former: Names that it had in files.
        nir: Node of NIR that computes the same, "LIF", "CubaLIF" or "LI", "" if there is none.
    """

    step: ClassVar[str]
    refractory: ClassVar[str] = ""
    synapses: ClassVar[tuple[str, ...]] = ()
    shortest: ClassVar[float] = 0.5
    former: ClassVar[tuple[str, ...]] = ()
    nir: ClassVar[str] = ""
    spiking: ClassVar[bool]
    equations: ClassVar[Equations]
    n: int

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        """Names of its parameters, those of the equations and the refractory period."""
        return tuple(name for name in fields_of(cls) if name not in ("n", "readout"))

    @classmethod
    def called(cls, name: str) -> bool:
        """Whether it has this name, or had it in files."""
        return name == cls.__name__ or name in cls.former

    def constants(self, dt: float) -> dict[str, Any]:
        """What the equations read of parameters and dt [ms], in their order; float64.

        Raises:
            InputError: One is not finite, or a step at rest gives what is not.
        """
        check_finite(type(self).__name__, self.equations, self.values(), dt)
        return self.equations.constants_at(self.values(), dt)

    def refractory_steps(self, dt: float) -> int:
        """Number of steps in which it stays as it is after a spike, for a step of dt [ms]."""
        import math

        period = getattr(self, self.refractory) if self.refractory else 0.0
        return min(math.ceil(period / dt - 1e-6), INT32_MAX)  # no trial is longer

    def too_short(self, dt: float) -> tuple[str, str] | None:
        """The first time constant too short for steps of dt [ms]: its name, what it must be."""
        least = f"{self.shortest:g} dt" if self.shortest != 1 else "dt"
        for name in self.parameters():
            value, unit = getattr(self, name), unit_of(fields_of(type(self))[name])
            if unit != "ms" or name == self.refractory or isinstance(value, Distribution):
                continue
            if np.min(value) < self.shortest * dt:
                return name, f">= {least} ({self.shortest * dt:g} ms)"
        return None

    def values(self) -> dict[str, Any]:
        """Its parameters by name: numbers, float64 (n,) where they differ, or distributions."""
        own = {name: getattr(self, name) for name in self.parameters()}
        return {k: np.float64(v.array) if isinstance(v, PerNeuron) else v for k, v in own.items()}

    def drawn(self, where: str, dt: float, rng: Callable[[str], np.random.Generator]) -> Self:
        """The same with values in place of distributions.

        Arguments:
            where: Name of the population, for errors.
            dt: Length of a step [ms]: no time constant is drawn too short for it.
            rng: Generator of a parameter's values, by its name.
        """
        found = {}
        for name in self.parameters():
            source = getattr(self, name)
            if isinstance(source, Distribution):
                info = fields_of(type(self))[name]
                low, high = bounds_of(info)
                if unit_of(info) == "ms":
                    low = max(low, self.shortest * dt)
                what = f"{name} of {where!r}"
                found[name] = draw_within(what, source, rng(name), self.n, low, high)
        return replace(self, **found) if found else self  # type: ignore[type-var]

    def __post_init__(self) -> None:
        if "equations" not in type(self).__dict__:
            raise InputError(f"{type(self).__name__} must be declared with @neuron above its class")
        for name in self.parameters():
            value = getattr(self, name)
            if isinstance(value, PerNeuron) and len(value) != self.n:
                refuse(self, name, f"a number or {self.n} of them")
        fixed = not any(isinstance(v, Distribution) for v in self.values().values())
        if self.spiking and fixed:
            check_reset(type(self).__name__, self.equations, self.values())


@settings
class SpikingNeuron(Neuron):
    """Base of neurons that spike.

    Example:
        >>> from mlgenn_delays import LIF, SpikingNeuron
        >>> issubclass(LIF, SpikingNeuron)
        True
    """

    n: Neurons
    spiking: ClassVar[bool] = True


@settings
class ReadoutNeuron(Neuron):
    """Base of neurons without a threshold, whose V is the prediction; with a field `readout`.

    Example:
        >>> from mlgenn_delays import LeakyIntegrator, ReadoutNeuron
        >>> issubclass(LeakyIntegrator, ReadoutNeuron)
        True
    """

    n: Classes
    spiking: ClassVar[bool] = False

    if TYPE_CHECKING:

        @property
        def readout(self) -> str:
            """How its V is read, one of `READOUTS`."""


NEURONS: dict[str, type[Neuron]] = {}
_BUILT_IN = "mlgenn_delays.neurons.models"
# What files have of a population beside the parameters of its neurons.
_OF_POPULATIONS = ("name", "model", "learn", "bias", "mean", "variance", "gain", "offset")


@dataclass_transform(frozen_default=True)
def neuron(cls: Any = None) -> Any:
    """Make a class a neuron model: settings, with equations that are read and checked.

    Arguments:
        cls: A class of `SpikingNeuron` or `ReadoutNeuron`, with annotated parameters and the
            equations of a `step`.

    Raises:
        InputError: The equations cannot be used, naming the line; or the name is one of a model
            that comes with the package.

    Example:
        >>> from mlgenn_delays import SpikingNeuron, TauMem, neuron
        >>> @neuron
        ... class Subtracting(SpikingNeuron):
        ...     tau_mem: TauMem = 20.0
        ...     step = '''
        ...         alpha = exp(-dt / tau_mem)
        ...         V = alpha * V + (1 - alpha) * I
        ...         spike = V >= 1
        ...         if spike: V = V - 1
        ...     '''
        >>> Subtracting(100, tau_mem=10.0).equations.states
        ('V',)
    """
    made = make_model(cls)
    if not is_built_in(made):
        taken = next(
            (m for m in neuron_models().values() if is_built_in(m) and m.called(made.__name__)),
            None,
        )
        if taken is not None:
            raise InputError(
                f"a neuron must have a name of its own, got {made.__name__}, one of delaysnn's"
            )
    NEURONS[made.__name__] = made
    return made


def make_model(cls: Any) -> Any:
    """What `neuron` makes of a class, without making it known by its name."""
    kinds = check_class(cls, (SpikingNeuron, ReadoutNeuron), Neuron)
    for name, kind in kinds.items():
        if is_number_kind(kind) and name != cls.refractory:
            cls.__annotations__[name] = Annotated[kind, Varying(kind)]
    for name in ("former", "nir"):  # not those of a neuron from which it inherits
        setattr(cls, name, cls.__dict__.get(name, getattr(Neuron, name)))
    cls.__doc__ = cls.__doc__ or f"n neurons {cls.__name__}."
    cls.step = dedent(cls.step).strip()
    check_text(cls.__name__, cls.step)
    try:
        made = settings(cls)
    except TypeError as error:  # of the order of its parameters
        raise InputError(f"{cls.__name__}: {error}") from None
    own = made.parameters()
    for name in own:
        if hasattr(Neuron, name) or name in _OF_POPULATIONS:
            raise InputError(
                f"{made.__name__}: a parameter must not be called {name!r}, a name that neurons or "
                "populations have already"
            )
    units = {name: power_of(made, name, unit_of(fields_of(made)[name])) for name in own}
    if made.refractory and units.pop(made.refractory, None) != 1:
        wanted = "the name of a parameter in ms"
        raise InputError(must_be(f"{made.__name__}.refractory", wanted, made.refractory))
    made.equations = read(made.__name__, made.step, units, made.spiking)
    check_equations(made.__name__, made.equations, tuple(units), OUTPUT)
    if not made.spiking and "readout" not in fields_of(made):
        raise InputError(f"{made.__name__} must have a field readout: Readout = 'mean'")
    given = {name: info.default for name, info in fields_of(made).items() if name in own}
    if not any(info.is_required() for name, info in fields_of(made).items() if name in own):
        made(1, **given)  # checks the defaults
    return made


def is_built_in(model: type[Neuron]) -> bool:
    """Whether a model comes with the package."""
    return model.__module__.startswith(_BUILT_IN)


@cache
def _load_models() -> None:
    package = import_module(_BUILT_IN)
    for module in iter_modules(package.__path__):
        import_module(f"{_BUILT_IN}.{module.name}")


def neuron_models() -> dict[str, type[Neuron]]:
    """All neuron models by name: those of the package, and what was declared since."""
    _load_models()
    return NEURONS


def model_names(base: type[Neuron]) -> tuple[str, ...]:
    """Names of the models of a base, present ones, then former ones."""
    models = [model for model in neuron_models().values() if issubclass(model, base)]
    return (*(m.__name__ for m in models), *(name for m in models for name in m.former))


def model_of(name: str) -> type[Neuron]:
    """The neuron model of a name, or of a former name in files.

    Raises:
        InputError: There is none.
    """
    for model in neuron_models().values():
        if model.called(name):
            return model
    raise InputError(
        f"a neuron must be one of {', '.join(neuron_models())}, got {name!r}"
        f"{nearest(name, tuple(neuron_models()))}; import the module that declares it first"
    )


def parameter_fields(base: type[Neuron], first: type[Neuron]) -> list[tuple[str, Any, Any]]:
    """Name, annotation and default of each parameter of the models of a base that come with the
    package; of a name that several have, those of `first`, or of the first that has it.
    """
    found: dict[str, tuple[str, Any, Any]] = {}
    for model in (first, *neuron_models().values()):
        if issubclass(model, base) and is_built_in(model):
            kinds = get_type_hints(model, include_extras=True)
            for name in model.parameters():
                found.setdefault(name, (name, kinds[name], fields_of(model)[name].default))
    return list(found.values())
