"""What neurons of a recipe must be: declared, with parameters of theirs, linear for EventProp."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgenn_delays.distributions import Distribution, PerNeuron
from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.network import LIF, LeakyIntegrator
from mlgenn_delays.network.models import INPUT_MODELS, SHORTEST
from mlgenn_delays.neurons.declare import (
    Neuron,
    ReadoutNeuron,
    SpikingNeuron,
    is_built_in,
    model_names,
    neuron_models,
    parameter_fields,
)
from mlgenn_delays.neurons.linear import limit_of
from mlgenn_delays.neurons.stored import from_declaration
from mlgenn_delays.recipe.network_section import Layer, Readout
from mlgenn_delays.rng import generator
from mlgenn_delays.settings import fields_of
from mlgenn_delays.untrusted import shown

if TYPE_CHECKING:
    from mlgenn_delays.recipe.schema import Recipe


def neuron_tables(recipe: "Recipe") -> Iterator[tuple[str, Layer | Readout]]:
    """Each table with a neuron model, and its key."""
    for number, layer in enumerate(recipe.network.layers):
        yield f"network.layers.{number}", layer
    yield "network.readout", recipe.network.readout


def _base(table: Layer | Readout) -> Any:
    return SpikingNeuron if isinstance(table, Layer) else ReadoutNeuron


def _plain_keys(table: Layer | Readout) -> list[tuple[str, Any]]:
    """Name and default of the parameters that are keys of a table, those of all models."""
    plain: Any = LIF if isinstance(table, Layer) else LeakyIntegrator
    return [(name, default) for name, _, default in parameter_fields(_base(table), plain)]


def foreign_keys(recipe: "Recipe", table: Layer | Readout) -> list[str]:
    """Names of keys of a table that its model does not read."""
    model = recipe.neuron(table)
    own, others = is_built_in(model), [name for name, _ in _plain_keys(table) if name != "tau_syn"]
    if own:
        return [*(name for name in others if name not in model.parameters()), "parameters"]
    return others


def of_other_models(recipe: "Recipe") -> list[str]:
    """Dotted keys of parameters that a table has for other neuron models, left at their default."""
    return [
        f"{where}.{name}"
        for where, table in neuron_tables(recipe)
        for name, default in _plain_keys(table)
        if name in foreign_keys(recipe, table) and getattr(table, name) == default
    ]


def check_models(recipe: "Recipe") -> None:
    """Reject declarations that cannot be used, unknown models, and parameters a model lacks."""
    taken = [*INPUT_MODELS]
    for model in filter(is_built_in, neuron_models().values()):
        taken += [model.__name__, *model.former]
    for name, table in recipe.neurons.items():
        if name in taken:
            raise ValueError(f"neurons.{name} must have another name: {name} comes with delaysnn")
        try:
            from_declaration(name, table.declaration())
        except InputError as error:
            raise ValueError(f"neurons.{error}") from error
    for key, layer in neuron_tables(recipe):
        spiking = isinstance(layer, Layer)
        declared = [name for name, table in recipe.neurons.items() if table.spiking == spiking]
        known = (*dict.fromkeys((*model_names(_base(layer)), *declared)),)
        if layer.model in recipe.neurons and layer.model not in declared:
            raise ValueError(
                f"neurons.{layer.model}.spiking must be {str(spiking).lower()} for a model of "
                f"{key}, got {str(not spiking).lower()}"
            )
        if layer.model not in known:
            hint = nearest(layer.model, known) or "; or declare it in [neurons.NAME]"
            raise ValueError(
                f"{key}.model must be one of {', '.join(known)}, got {shown(layer.model)}{hint}"
            )
        _check_parameters(key, layer, recipe.neuron(layer))


def _check_parameters(key: str, table: Layer | Readout, model: type[Neuron]) -> None:
    """Reject parameters that a model does not have, and the lack of those that it needs."""
    if is_built_in(model):
        return
    with_model = f"with {key}.model = {table.model!r}"
    for name, default in _plain_keys(table):
        value = getattr(table, name)
        if name in model.parameters() and value != default and name != "tau_syn":
            raise ValueError(
                f"{key}.{name} must be {default:g} {with_model}, whose parameters have a table, "
                f"got {value}; give {key}.parameters.{name}"
            )
    for name in table.parameters:
        if name not in model.parameters():
            raise ValueError(
                f"there is no key '{key}.parameters.{name}' ({table.model} has "
                f"{', '.join(model.parameters()) or 'none'}){nearest(name, model.parameters())}"
            )
    for name in model.parameters():
        if fields_of(model)[name].is_required() and name not in table.parameters:
            raise ValueError(
                f"{key}.parameters.{name} must be given {with_model}, which has no default of it"
            )


def _made(recipe: "Recipe", key: str, table: Layer | Readout) -> Neuron:
    """The neurons of a table, as many as it says; an error names its key."""
    model: Any = recipe.neuron(table)
    where = key if is_built_in(model) else f"{key}.parameters"
    own = table.values_for(model)
    sizes = [len(value) for value in own.values() if isinstance(value, PerNeuron)]
    size = table.size if isinstance(table, Layer) else max(sizes, default=1)
    dt = recipe.network.dt
    try:
        made: Neuron = model(size, **own)
    except InputError as error:
        name, text = f"{model.__name__}.", str(error)
        if text.startswith(name):
            raise ValueError(f"{where}.{text.removeprefix(name)}") from error
        raise ValueError(f"{key}: {text}") from error
    short = made.too_short(dt)
    if short is not None:
        raise ValueError(
            f"{where}.{short[0]} must be {short[1].replace('dt', 'network.dt')} with "
            f"{key}.model = {table.model!r}, got {getattr(made, short[0])}"
        )
    return made


def check_neurons(recipe: "Recipe") -> None:
    """Reject settings a neuron model does not support, and normalisation of recurrent layers."""
    for key, table in neuron_tables(recipe):
        model: Any = recipe.neuron(table)
        plain = "LIF" if isinstance(table, Layer) else "LeakyIntegrator"
        if model.synapses and table.synapse not in model.synapses:
            raise ValueError(
                f"{key}.synapse must be {model.synapses[0]!r} with {key}.model = {table.model!r}, "
                f"got {table.synapse!r}; or set the model to {plain!r}"
            )
        known = [name for name in model.parameters() if name != model.refractory]
        known += [] if table.synapse == "Delta" or "tau_syn" in known else ["tau_syn"]
        for name in table.learn:
            if name not in known:
                raise ValueError(
                    f"{key}.learn must be of {', '.join(known)} with {key}.model = "
                    f"{table.model!r}, got {name!r}{nearest(name, known)}"
                )
        _made(recipe, key, table)
        tau, shortest = table.tau_syn, SHORTEST * recipe.network.dt
        given = not isinstance(tau, Distribution)
        if table.synapse == "Exponential" and given and np.min(tau) < shortest:
            raise ValueError(
                f"{key}.tau_syn must be >= {SHORTEST:g} network.dt ({shortest:g} ms), got {tau}"
            )
        if isinstance(table, Layer) and table.normalise and recipe.learning.pipelined:
            raise ValueError(
                f"{key}.normalise must be false with learning.pipelined = true, got true; leave "
                "one of them out"
            )
        if isinstance(table, Layer) and table.normalise and table.recurrent:
            raise ValueError(
                f"{key}.normalise must be false with {key}.recurrent = true, got true: a "
                "recurrent current is not known before its spikes; leave one of them out"
            )


def check_linear(recipe: "Recipe", key: str, table: Layer | Readout, instead: str) -> None:
    """Reject neurons that EventProp does not take, with what to do instead."""
    dt = recipe.network.dt
    made = _made(recipe, key, table)
    why = _not_linear(made.drawn(key, dt, lambda name: generator(recipe.seed, name, key)), dt)
    if why:
        base = _base(table)
        models: list[Any] = [m for m in neuron_models().values() if issubclass(m, base)]
        linear = [repr(m.__name__) for m in models if is_built_in(m) and not _not_linear(m(1), dt)]
        raise ValueError(
            f"{key}.model must be {' or '.join(sorted(linear))} with learning.rule = 'eventprop', "
            f"or another that is linear between spikes, got {table.model!r}: {why}{instead}"
        )


def _not_linear(made: Neuron, dt: float) -> str:
    """Why EventProp does not take a neuron, "" if it does."""
    if made.synapses and "Exponential" not in made.synapses:
        return f"it takes {made.synapses[0]} synapses only"
    try:
        limit_of(made, dt)
    except InputError as error:
        return str(error).removesuffix("; take SurrogateBPTT")
    return ""
