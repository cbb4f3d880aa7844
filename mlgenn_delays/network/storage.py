"""Networks on disk: one safetensors file with JSON metadata; no pickle, loading runs no code."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgenn_delays.distributions import PerNeuron
from mlgenn_delays.errors import InputError
from mlgenn_delays.files import as_path
from mlgenn_delays.network.models import (
    FIELDS,
    INPUT_MODELS,
    SYNAPSE_MODELS,
    Exponential,
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
from mlgenn_delays.neurons.declare import Neuron, model_of
from mlgenn_delays.neurons.stored import MOST_DECLARED, declarations, from_declaration
from mlgenn_delays.tensors import FileFormat, not_finite
from mlgenn_delays.untrusted import parse_json

if TYPE_CHECKING:
    from mlgenn_delays.network.network import Network

REMEDY = "take another copy or checkpoint of the network"
# Version 2: normalisation of a population, EulerLIF and EulerLI.
FORMAT = FileFormat(
    "delaysnn-network", 2, "delaysnn network", "; give a path to a .safetensors file", REMEDY
)
_ARRAYS = {
    "indptr": np.int64,
    "post": np.int32,
    "weight": np.float32,
    "delay": np.float64,
    "sign": np.int8,
}


def tensors_of(network: "Network") -> dict[str, np.ndarray]:
    """The arrays of a network by name, for `rebuild`."""
    tensors: dict[str, np.ndarray] = {}
    for population in network.populations.values():
        tensors[f"population/{population.name}/bias"] = population.bias
        for key, value in vars(population.model).items():
            if isinstance(value, PerNeuron):
                tensors[f"population/{population.name}/{key}"] = value.array
        if population.normalisation is not None:
            for key in FIELDS:
                tensors[f"population/{population.name}/{key}"] = getattr(
                    population.normalisation, key
                )
    for projection in network.projections.values():
        for key, kind in _ARRAYS.items():
            array = getattr(projection, key)
            if array is not None:
                tensors[f"projection/{projection.name}/{key}"] = array.astype(kind)
        tau = getattr(projection.synapse, "tau_syn", None)
        if isinstance(tau, PerNeuron):
            tensors[f"projection/{projection.name}/tau_syn"] = tau.array
    return tensors


def to_bytes(network: "Network", about: str = "") -> bytes:
    """The content of the network's safetensors file; equal networks give equal bytes.

    Arguments:
        network: The network.
        about: What must be known to use it, as JSON of `mlgenn_delays.export.artifact.About`.

    Raises:
        InputError: `load` would reject it, because a value is not finite or out of range.
    """
    text, tensors = json.dumps(describe(network), sort_keys=True), tensors_of(network)
    rebuild(type(network), json.loads(text), tensors)
    return FORMAT.pack(tensors, network=text, **({"about": about} if about else {}))


def load(make: "type[Network]", path: Path | str) -> "Network":
    """Read a network of class `make` from a file of `to_bytes`, or reject the file."""
    return load_with_about(make, path)[0]


def load_with_about(make: "type[Network]", path: Path | str) -> "tuple[Network, str]":
    """The same, and what is said of its use; "" if nothing is."""
    path = as_path(path)
    tensors, metadata = FORMAT.read(path)
    with FORMAT.checked(path):
        network = rebuild(make, parse_json(metadata["network"]), tensors)
        return network, metadata.get("about", "")


def describe(network: "Network") -> dict[str, Any]:
    """All that is not an array, ready for JSON."""
    models = [p.model for p in network.populations.values()]
    declared = declarations({type(m) for m in models if isinstance(m, Neuron)})
    for name in INPUT_MODELS.keys() & declared.keys():
        raise InputError(f"a neuron must have a name of its own, got {name}, which is an input")
    return {
        **({"neurons": declared} if declared else {}),
        "dt": network.dt,
        "seed": network.seed,
        "populations": [
            {"name": p.name, "model": type(p.model).__name__, **_numbers(p.model)}
            | ({"learn": list(p.learn)} if p.learn else {})
            for p in network.populations.values()
        ],
        "projections": [
            {
                "name": p.name,
                "source": p.source,
                "target": p.target,
                "synapse": {"model": type(p.synapse).__name__, **_of_synapse(p.synapse)},
                "max_delay": p.max_delay,
                "granularity": p.granularity,
                **({"frozen": True} if p.frozen else {}),
            }
            for p in network.projections.values()
        ],
    }


def _numbers(model: PopulationModel) -> dict[str, Any]:
    """The settings of a model but for those that differ between neurons."""
    return {k: v for k, v in vars(model).items() if not isinstance(v, PerNeuron)}


def _of_synapse(synapse: SynapseModel) -> dict[str, Any]:
    own = {k: v for k, v in vars(synapse).items() if not isinstance(v, PerNeuron)}
    return {k: v for k, v in own.items() if (k, v) != ("learn", False)}


def rebuild(
    make: "type[Network]", text: dict[str, Any], tensors: dict[str, np.ndarray]
) -> "Network":
    """The network of class `make` from what `describe` and `tensors_of` gave, checked.

    What is not of the right type raises what Python raises.
    """
    network = make(dt=text["dt"], seed=text["seed"])
    declared = _declared(text.get("neurons", {}))
    for entry in text["populations"]:
        settings = {k: v for k, v in entry.items() if k not in ("name", "model", "learn")}
        called = entry["model"]
        kind: Any = INPUT_MODELS.get(called) or declared.get(called) or model_of(called)
        for key in kind.parameters() if issubclass(kind, Neuron) else ():
            stored = f"population/{entry['name']}/{key}"
            if stored in tensors:
                settings[key] = PerNeuron(_array(tensors, stored, np.float32))
        model = kind(**settings)
        bias = _array(tensors, f"population/{entry['name']}/bias", np.float32)
        if bias.shape != (model.n,):
            raise InputError(f"bias of {entry['name']!r} must be of shape ({model.n},)")
        check_name("population", entry["name"])
        network.populations[entry["name"]] = Population(
            entry["name"], model, bias, _normalisation(tensors, entry["name"], model.n),
            tuple(entry.get("learn", ())),
        )  # fmt: skip
        learning(repr(entry["name"]), model, tuple(entry.get("learn", ())))
    for entry in text["projections"]:
        settings = dict(entry["synapse"])
        base = f"projection/{entry['name']}"
        if f"{base}/tau_syn" in tensors:
            settings["tau_syn"] = PerNeuron(_array(tensors, f"{base}/tau_syn", np.float32))
        synapse = SYNAPSE_MODELS[settings.pop("model")](**settings)
        arrays: dict[str, Any] = {
            key: _array(tensors, f"{base}/{key}", kind)
            for key, kind in _ARRAYS.items()
            if key != "sign" or f"{base}/sign" in tensors
        }
        common: dict[str, Any] = {k: v for k, v in entry.items() if k != "synapse"}
        projection = Projection(synapse=synapse, **common, **arrays)
        source, target = (network.populations[p] for p in (projection.source, projection.target))
        check_roles(source, target)
        check_synapse(synapse, target)
        if isinstance(synapse, Exponential):
            synapse.drawn(target.name, target.n, network.dt, np.random.default_rng(0))
        projection.check(source.n, target.n)
        check_name("projection", projection.name)
        network.projections[projection.name] = projection
    _check_folded(network)
    return network


def _declared(given: dict[str, Any]) -> dict[str, type[Neuron]]:
    if len(given) > MOST_DECLARED:
        raise InputError(f"there must be at most {MOST_DECLARED} neurons, got {len(given)}")
    return {name: from_declaration(name, each) for name, each in given.items()}


def _check_folded(network: "Network") -> None:
    if not any(p.normalisation is not None for p in network.populations.values()):
        return
    broken = not_finite(tensors_of(network.folded()))
    if broken is not None:
        raise InputError(f"{broken} must be finite with the normalisation folded into it")


def _normalisation(tensors: dict[str, np.ndarray], population: str, n: int) -> Normalisation | None:
    base = f"population/{population}"
    if not any(f"{base}/{key}" in tensors for key in FIELDS):
        return None
    found = Normalisation(**{key: _array(tensors, f"{base}/{key}", np.float32) for key in FIELDS})
    found.check(repr(population), n)
    return found


def _array(tensors: dict[str, np.ndarray], key: str, kind: type) -> np.ndarray:
    if key not in tensors:
        raise InputError(f"tensor {key} is missing")
    if tensors[key].dtype != kind:
        raise InputError(f"tensor {key} must be {np.dtype(kind)}, got {tensors[key].dtype}")
    return tensors[key]
