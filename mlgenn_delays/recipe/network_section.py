"""[network]: layers, readout and synapse counts."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from mlgenn_delays.distributions import Varying
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning.rules import Dropout
from mlgenn_delays.network import LIF, LeakyIntegrator
from mlgenn_delays.network.models import Exponential, TauSyn
from mlgenn_delays.neurons.declare import (
    Neuron,
    Neurons,
    ReadoutNeuron,
    SpikingNeuron,
    is_built_in,
    model_names,
    parameter_fields,
)
from mlgenn_delays.neurons.declare import Readout as Reading
from mlgenn_delays.recipe.sections import Section, either
from mlgenn_delays.rewiring import synapse_counts
from mlgenn_delays.rewiring.densities import ALLOCATIONS
from mlgenn_delays.settings import (
    Count,
    NonNegative,
    Number,
    OneOf,
    Positive,
    Share,
    TimeStep,
    fields_of,
    one_of,
)

if TYPE_CHECKING:
    Shares = float | tuple[float, ...]
else:
    Shares = either(Share, "[number]", Annotated[tuple[Share, ...], Field(strict=False)])


class _Model(OneOf):
    """Names of neuron models, of which the recipe may declare more: it checks them."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return handler(source)


_MODEL = "Neuron model: one that comes with delaysnn, or one declared in [neurons.NAME]."
Parameters = Annotated[
    dict[str, Annotated[Number, Varying(Number)]],
    Field(
        description="Parameters of a model declared in [neurons.NAME]; those of other models are "
        "keys of this table."
    ),
]
Synapse = Annotated[
    str,
    one_of("Exponential", "Delta"),
    Field(description="Model of the synapses onto its neurons."),
]
Learn = Annotated[
    tuple[str, ...],
    Field(
        strict=False,
        description="Parameters of its neurons that are learned, one value per neuron, such as "
        "['tau_mem', 'v_thresh'], and tau_syn of the Exponential synapses onto it.",
    ),
]
WeightInit = Annotated[
    str,
    one_of("auto", "normal", "kaiming"),
    Field(
        description="Starting weights from the layer before: auto (found on the data, so that "
        "neurons spike and logits are of order 1; recurrent ones as well), normal, or kaiming "
        "(uniform up to sqrt(6 / neurons of that layer)). Left out where another key of the "
        "starting weights is given, normal."
    ),
]
WeightScale = Annotated[
    Positive,
    Field(description="What the starting weights from the layer before are multiplied by."),
]
Normalise = Annotated[
    bool, Field(description="Whether the synaptic current is normalised over batch and time.")
]
# Sizes of the populations that a projection connects; None where only the data know.
Shape = tuple[int | None, int | None]


class _Weighted(Section):
    """A table with starting weights: where any are given, they are not found automatically."""

    @model_validator(mode="before")
    @classmethod
    def _as_given(cls, table: Any) -> Any:
        if not isinstance(table, dict) or "weight_init" in table:
            return table
        given = any(str(key).removeprefix("recurrent_").startswith("weight_") for key in table)
        return table | {"weight_init": "normal" if given else "auto"}


class _WithNeurons(_Weighted):
    """A table with a neuron model and its parameters."""

    if TYPE_CHECKING:  # at run time, the order of their keys is that of the tables
        model: str
        parameters: Parameters
        learn: Learn

    def values_for(self, model: type[Neuron]) -> dict[str, Any]:
        """The parameters of its model, by name: its own keys, or what `parameters` gives."""
        if is_built_in(model):
            return {name: getattr(self, name) for name in model.parameters()}
        whole = {name for name, info in fields_of(model).items() if info.annotation is int}
        return {
            name: int(value) if name in whole and value == int(value) else value
            for name, value in self.parameters.items()
        }

    def learned_by(self, model: type[Neuron]) -> tuple[str, ...]:
        """Names of parameters of its neurons that are learned, without those of its synapses."""
        known = model.parameters()
        return tuple(name for name in self.learn if name != "tau_syn" or name in known)


class Layer(_WithNeurons):
    """[[network.layers]]: a hidden layer and the projections onto it."""

    size: Neurons
    model: Annotated[str, _Model(lambda: model_names(SpikingNeuron))] = Field(
        "LIF", description=_MODEL
    )
    for _name, _kind, _default in parameter_fields(SpikingNeuron, LIF):
        __annotations__[_name], locals()[_name] = _kind, _default
    del _name, _kind, _default
    parameters: Parameters = {}
    learn: Learn = ()
    synapse: Synapse = "Exponential"
    tau_syn: Annotated[TauSyn, Varying(TauSyn)] = Exponential.tau_syn
    weight_init: WeightInit = "auto"
    weight_mean: Number = Field(
        0.03, description="Mean of the starting weights from the layer before (normal)."
    )
    weight_sd: NonNegative = Field(
        0.01, description="Standard deviation of the starting weights from the layer before."
    )
    weight_scale: WeightScale = 1.0
    recurrent: bool = Field(False, description="Whether the layer projects to itself as well.")
    recurrent_weight_mean: Number = Field(
        0.0, description="Mean of the starting recurrent weights (normal)."
    )
    recurrent_weight_sd: NonNegative = Field(
        0.02, description="Standard deviation of the starting recurrent weights."
    )
    normalise: Normalise = False
    dropout: Dropout = 0.0


class Readout(_WithNeurons):
    """[network.readout]: output neurons, one per class, and how they are read."""

    kind: Reading = LeakyIntegrator.readout
    model: Annotated[str, _Model(lambda: model_names(ReadoutNeuron))] = Field(
        "LeakyIntegrator", description=_MODEL
    )
    for _name, _kind, _default in parameter_fields(ReadoutNeuron, LeakyIntegrator):
        __annotations__[_name], locals()[_name] = _kind, _default
    del _name, _kind, _default
    parameters: Parameters = {}
    learn: Learn = ()
    connection: Annotated[str, one_of("all", "one-to-one")] = Field(
        "all",
        description="How the last layer reaches the output: by learned synapses (all), or neuron "
        "by neuron (one-to-one), by synapses of weight 1 and delay 0 that are not learned, for "
        "which the last layer has one neuron per class or target series.",
    )
    synapse: Synapse = "Exponential"
    tau_syn: Annotated[TauSyn, Varying(TauSyn)] = Exponential.tau_syn
    weight_init: WeightInit = "auto"
    weight_mean: Number = Field(0.0, description="Mean of the starting weights (normal).")
    weight_sd: NonNegative = Field(0.03, description="Standard deviation of the starting weights.")
    weight_scale: WeightScale = 1.0
    normalise: Normalise = False

    @property
    def one_to_one(self) -> bool:
        """Whether the last layer reaches the output neuron by neuron."""
        return self.connection == "one-to-one"


class NetworkSection(Section):
    """[network]: populations and projections."""

    dt: TimeStep = Field(1.0, description="Length of a time step [ms].")
    sparsity: Shares = Field(
        0.0,
        description="Share of absent synapses, in [0, 1): for all projections, or one for each.",
    )
    allocation: Annotated[str, one_of(*ALLOCATIONS)] = Field(
        "uniform",
        description="How a sparsity is spread over the projections: the same everywhere, or small "
        "projections denser (erdos-renyi).",
    )
    synapses: Annotated[tuple[Count, ...], Field(strict=False)] = Field(
        (), description="Number of synapses of each projection; [] for what the sparsity leaves."
    )
    dale: bool = Field(
        False, description="Whether all synapses of a neuron have one sign, drawn at random."
    )
    signs: Annotated[str, one_of("auto", "free", "synapse")] = Field(
        "auto",
        description="Signs of weights: free, one per synapse that stays, or what dale and the "
        "rewiring rule need (auto).",
    )
    layers: Annotated[tuple[Layer, ...], Field(strict=False)] = Field(
        description="Hidden layers, from the input on."
    )
    readout: Readout = Field(Readout(), description="The output.")

    def projections(self) -> list[str]:
        """Return the names of the projections that have settings, in order: not that onto the
        output where it is one to one.
        """
        names, before = [], "input"
        for number, layer in enumerate(self.layers, 1):
            names.append(f"{before}->hidden{number}")
            before = f"hidden{number}"
            if layer.recurrent:
                names.append(f"{before}->{before}")
        return names if self.readout.one_to_one else [*names, f"{before}->output"]

    def automatic(self) -> list[str]:
        """Return the names of the projections whose starting weights are found on the data."""
        tables = {f"hidden{number}": layer for number, layer in enumerate(self.layers, 1)}
        ends: dict[str, Layer | Readout] = {**tables, "output": self.readout}
        return [
            name for name in self.projections() if ends[name.split("->")[1]].weight_init == "auto"
        ]

    def shapes(self, n_inputs: int | None, n_classes: int | None) -> dict[str, Shape]:
        """Return the sizes of the two populations of every projection, by name."""
        sizes = {f"hidden{number}": layer.size for number, layer in enumerate(self.layers, 1)}
        known: dict[str, int | None] = {"input": n_inputs, **sizes, "output": n_classes}
        ends = (name.split("->") for name in self.projections())
        return {f"{pre}->{post}": (known[pre], known[post]) for pre, post in ends}

    def counts(self, n_inputs: int | None, n_classes: int | None) -> dict[str, int]:
        """Return the number of synapses of every projection whose sizes are known, by name."""
        last = len(self.layers) - 1
        if self.readout.one_to_one and n_classes not in (None, self.layers[last].size):
            raise InputError(
                f"network.layers.{last}.size must be {n_classes}, one neuron per class or target "
                "series, with network.readout.connection = 'one-to-one', got "
                f"{self.layers[last].size}; or set the connection to 'all'"
            )
        shapes = self.shapes(n_inputs, n_classes)
        known = {name: (a, b) for name, (a, b) in shapes.items() if a is not None and b is not None}
        if self.synapses:
            wanted = dict(zip(shapes, self.synapses, strict=True))
            for name, (pre, post) in known.items():
                if wanted[name] > pre * post:
                    raise InputError(
                        f"network.synapses must be in 1..{pre * post} for {name}, which has "
                        f"{pre} x {post} pairs, got {wanted[name]}"
                    )
            return {name: wanted[name] for name in known}
        sparsity: float | list[float]
        if isinstance(self.sparsity, tuple):
            given = dict(zip(shapes, self.sparsity, strict=True))
            sparsity = [given[name] for name in known]
        elif self.allocation == "erdos-renyi" and len(known) < len(shapes):
            return {}  # each count depends on all sizes
        else:
            sparsity = self.sparsity
        try:
            found = synapse_counts(sparsity, list(known.values()), self.allocation, list(known))
        except InputError as error:
            raise InputError(
                f"network.sparsity must leave every projection a synapse: {error}, or give more "
                "neurons, or the numbers themselves as network.synapses"
            ) from error
        return dict(zip(known, found, strict=True))

    def surely_sparse(self, projection: str) -> bool:
        """Return whether a projection has absent pairs whatever the data: its sparsity is not 0."""
        if isinstance(self.sparsity, tuple):
            return self.sparsity[self.projections().index(projection)] > 0
        return self.sparsity > 0

    @model_validator(mode="after")
    def _consistent(self) -> "NetworkSection":
        if not self.layers:
            raise ValueError("network.layers must be a list with at least one entry, got []")
        names = self.projections()
        listed = isinstance(self.sparsity, tuple)
        if isinstance(self.sparsity, tuple) and len(self.sparsity) != len(names):
            raise ValueError(
                f"network.sparsity must be one number, or {len(names)} for {', '.join(names)}; "
                f"got {len(self.sparsity)}"
            )
        if self.synapses and len(self.synapses) != len(names):
            raise ValueError(
                f"network.synapses must be one number for each of {', '.join(names)}, "
                f"got {len(self.synapses)}"
            )
        if self.synapses and self.sparsity != 0:
            raise ValueError(
                f"network.sparsity must be 0 where network.synapses is given, got "
                f"{self.sparsity!r}; leave one of them out"
            )
        if self.allocation != "uniform" and (listed or self.synapses):
            key = "network.sparsity" if listed else "network.synapses"
            raise ValueError(
                f"network.allocation must be 'uniform' where {key} is a list, got "
                f"{self.allocation!r}; give one network.sparsity for all, or leave it out"
            )
        if self.dale and self.signs != "auto":
            raise ValueError(
                f"network.signs must be 'auto' with network.dale = true, got {self.signs!r}; "
                "leave it out: each neuron then has one sign"
            )
        return self
