"""Neurons in files: a declaration as plain data, and the model that it declares.

A file names the neurons that come with the package and declares all others, so that it can be read
where the module that declared them is not there. Equations are parsed, never run as Python.
"""

import ast
import warnings
from collections.abc import Iterator
from functools import lru_cache
from keyword import iskeyword
from textwrap import dedent
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from mlgenn_delays.errors import InputError
from mlgenn_delays.neurons.checks import MOST_TEXT
from mlgenn_delays.neurons.declare import (
    Neuron,
    Readout,
    ReadoutNeuron,
    SpikingNeuron,
    is_built_in,
    make_model,
    neuron_models,
)
from mlgenn_delays.settings import (
    Integer,
    Number,
    Unit,
    check,
    fields_of,
    limits_of,
    one_of,
    says,
    unit_of,
)
from mlgenn_delays.untrusted import first_problem, shown

LONGEST_NAME = 100
MOST_DECLARED = 100  # neurons
MOST_PARAMETERS = 100
_Word = Annotated[str, Field(max_length=100)]


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _called(name: str) -> str:
    if not name.isidentifier() or iskeyword(name):
        raise ValueError("must be a name of Python")
    return name


def _called_like_class(name: str) -> str:
    # It becomes part of the names of files.
    if not name.isascii() or not name.isidentifier() or len(name) > LONGEST_NAME:
        raise ValueError("must have a name of letters from A to Z, digits and _")
    return name


NeuronName = Annotated[str, AfterValidator(_called_like_class)]
ParameterName = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(_called)]
# How the bounds of a declaration are called in annotations.
_BOUNDS = {"minimum": "ge", "above": "gt", "maximum": "le", "below": "lt"}


class DeclaredParameter(_Plain):
    """What a declaration says of a parameter."""

    unit: Annotated[str, one_of("1", "ms", "1/ms")] = Field(
        "1", description="Its unit; 1 for a number without one."
    )
    meaning: Annotated[str, Field(max_length=1000)] = Field("", description="Its meaning.")
    whole: bool = Field(False, description="Whether it is a whole number.")
    minimum: Number | None = Field(None, description="Smallest value.")
    above: Number | None = Field(None, description="Bound that all values are larger than.")
    maximum: Number | None = Field(None, description="Largest value.")
    below: Number | None = Field(None, description="Bound that all values are smaller than.")
    default: Number | None = Field(
        None, description="Its value where none is given; without it, one must be given."
    )

    @field_validator("default")
    @classmethod
    def _in_range(cls, default: float | None, info: ValidationInfo) -> float | None:
        if default is not None:
            plain = int(default) if info.data.get("whole") and default == int(default) else default
            try:
                check("", plain, _kind(info.data))
            except InputError as error:
                raise ValueError(str(error).strip()) from None
        return default


class Parameter(DeclaredParameter):
    """A parameter with its name."""

    name: ParameterName


class Equations(_Plain):
    """What declares a neuron, apart from its parameters; see `Neuron`."""

    step: Annotated[str, Field(max_length=MOST_TEXT)] = Field(
        description="Its equations of a time step."
    )
    refractory: _Word = Field(
        "", description="Name of the parameter that is the refractory period, '' if none is."
    )
    synapses: Annotated[list[_Word], Field(max_length=20)] = Field(
        [], description="Models of the synapses that it takes; [] for any."
    )
    shortest: Annotated[Number, Field(ge=0), Unit("steps")] = Field(
        Neuron.shortest, description="Shortest time constant that its equations stand."
    )


class Declaration(Equations):
    """What a file says of a neuron."""

    spiking: bool
    readout: _Word | None = None  # how V is read if nothing is said
    parameters: Annotated[list[Parameter], Field(max_length=MOST_PARAMETERS)] = []


def declarations(models: set[type[Neuron]]) -> dict[str, Any]:
    """The declarations of those models that do not come with the package, by name, for JSON.

    Raises:
        InputError: Two have one name, or one cannot be declared in a file.
    """
    own = sorted((m for m in models if not is_built_in(m)), key=lambda m: m.__name__)
    for model in own:
        if sum(each.__name__ == model.__name__ for each in models) > 1:
            raise InputError(
                f"neurons of a network must have different names, got two called {model.__name__}"
            )
    return {m.__name__: _declaration(m).model_dump(exclude_defaults=True) for m in own}


def from_declaration(name: str, given: Any) -> type[Neuron]:
    """The model of a declaration.

    Arguments:
        name: Of the model.
        given: What `declarations` gave, or what a file holds in its place.

    Returns:
        The model known by that name if it has the same equations, else one of its own, which stays
        unknown to others.

    Raises:
        InputError: It declares no neuron.

    Example:
        >>> from mlgenn_delays.neurons.stored import from_declaration
        >>> model = from_declaration("Summing", {"spiking": True, "step": '''
        ...     V = V + I
        ...     spike = V >= 1
        ...     if spike: V = 0
        ... '''})
        >>> model(n=3).n
        3
    """
    try:
        _called_like_class(name if isinstance(name, str) else "")
    except ValueError as error:
        raise InputError(f"a neuron {error}, got {shown(name)}") from None
    try:
        declaration = Declaration.model_validate(given)
    except ValidationError as error:
        raise InputError(
            f"the declaration of neuron {name} is wrong: {first_problem(error)}"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        step = dedent(declaration.step).strip()  # as `make_model` keeps it
        made = _made(name, declaration.model_copy(update={"step": step}).model_dump_json())
    known = neuron_models().get(name)
    return known if known is not None and _same(known, declaration) else made


def _declaration(model: type[Neuron]) -> Declaration:
    fields = fields_of(model)
    readout = fields["readout"].get_default() if "readout" in fields else None
    try:
        return Declaration(
            spiking=model.spiking, step=model.step, refractory=model.refractory,
            synapses=[*model.synapses], shortest=model.shortest, readout=readout,
            parameters=[*_parameters(model)],
        )  # fmt: skip
    except ValidationError as error:
        raise InputError(
            f"{model.__name__} cannot be saved with a network: {first_problem(error)}"
        ) from None


def _parameters(model: type[Neuron]) -> Iterator[Parameter]:
    for name in model.parameters():
        info, unit = fields_of(model)[name], unit_of(fields_of(model)[name])
        if info.annotation not in (float, int):
            raise InputError(f"{model.__name__}.{name} must be a number to be saved with a network")
        yield Parameter(
            name=name, whole=info.annotation is int, unit=unit or "1",
            default=None if info.is_required() else info.get_default(),
            meaning=info.description or "",
            **{ours: limits_of(info).get(theirs) for ours, theirs in _BOUNDS.items()},
        )  # fmt: skip


def _same(model: type[Neuron], given: Declaration) -> bool:
    """Whether a model has the equations of a declaration, whatever ranges and defaults are."""
    own = _declaration(model)
    plain = own.model_dump(exclude={"step", "parameters", "readout"})
    if plain != given.model_dump(exclude={"step", "parameters", "readout"}):
        return False
    units = [[(p.name, p.unit, p.whole) for p in each.parameters] for each in (own, given)]
    lines = [ast.dump(ast.parse(dedent(each.step))) for each in (own, given)]
    return units[0] == units[1] and lines[0] == lines[1]


def _kind(parameter: dict[str, Any]) -> Any:
    """The annotation of a parameter: its type, range and unit."""
    found = {theirs: parameter.get(ours) for ours, theirs in _BOUNDS.items()}
    bounds = Field(**{key: value for key, value in found.items() if value is not None})
    kind: Any = Annotated[Integer if parameter.get("whole") else Number, bounds]
    unit = parameter.get("unit", "1")
    return kind if unit == "1" else Annotated[kind, Unit(unit)]


@lru_cache(maxsize=64)
def _made(name: str, text: str) -> type[Neuron]:
    """The model of a declaration, one for equal ones, so that its kernels are compiled once."""
    given = Declaration.model_validate_json(text)
    body: dict[str, Any] = {
        "__module__": __name__, "__doc__": f"n neurons {name}, as a file declares them.",
        "step": given.step, "refractory": given.refractory, "synapses": tuple(given.synapses),
        "shortest": given.shortest,
    }  # fmt: skip
    kinds: dict[str, Any] = {}
    for p in given.parameters:
        kinds[p.name] = Annotated[_kind(p.model_dump()), says(p.meaning)]
        if p.default is not None:
            body[p.name] = int(p.default) if p.whole else p.default
    if given.readout is not None:
        kinds["readout"], body["readout"] = Readout, given.readout
    base = SpikingNeuron if given.spiking else ReadoutNeuron
    try:
        return make_model(type(name, (base,), body | {"__annotations__": kinds}))
    except TypeError as error:  # of the order of its parameters
        raise InputError(f"the declaration of neuron {name} is wrong: {error}") from None
