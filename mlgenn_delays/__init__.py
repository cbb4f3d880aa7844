"""Spiking neural networks whose synaptic delays and sparse structure are learned."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def lazily(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package whose names load on first use (PEP 562), from `modules`.

    So `delaysnn --help` stays quick. A module is in the package, or beside it with a dot in front.
    """

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{modules[name]}", package), name)

    return load


_PUBLIC = {
    "LIF": "network",
    "AdaptiveLIF": "neurons.models.adaptive_lif",
    "BalancedResonator": "neurons.models.balanced_resonator",
    "CubaLIF": "neurons.models.cuba_lif",
    "TwoCompartmentLIF": "neurons.models.two_compartment_lif",
    "CurrentInput": "network",
    "Delta": "network",
    "Exponential": "network",
    "LeakyIntegrator": "network",
    "EulerLI": "network",
    "EulerLIF": "network",
    "SpikeCounter": "network",
    "Network": "network",
    "Gamma": "distributions",
    "Normal": "distributions",
    "Projection": "network",
    "SpikeInput": "network",
    "Uniform": "distributions",
    "ReadoutNeuron": "neurons.declare",
    "SpikingNeuron": "neurons.declare",
    "neuron": "neurons.declare",
    "Number": "settings",
    "Positive": "settings",
    "PositiveTime": "settings",
    "Readout": "neurons.declare",
    "TauMem": "neurons.declare",
    "Threshold": "neurons.declare",
    "Time": "settings",
    "Adam": "learning",
    "Atan": "learning",
    "Boxcar": "learning",
    "Constant": "learning",
    "Cosine": "learning",
    "CrossEntropy": "learning",
    "Dirac": "learning",
    "EaseIn": "learning",
    "EventProp": "learning",
    "Gaussian": "learning",
    "MeanSquaredError": "learning",
    "OneCycle": "learning",
    "SpikeCount": "learning",
    "SpikeCountLoss": "learning",
    "SpikeTimeLoss": "learning",
    "SurrogateBPTT": "learning",
    "Triangle": "learning",
    "DeepR": "rewiring",
    "RigL": "rewiring",
    "SET": "rewiring",
    "Augment": "data",
    "CurrentData": "data.types",
    "SpikeData": "data.types",
    "StreamedSpikes": "data.types",
    "RunDirectory": "training",
    "Trainer": "training",
    "Model": "export.model",
    "Prediction": "export.model",
    "compile_network": "engines.compile",
    "initialise_weights": "training",
    "load": "export.model",
    "load_dataset": "data",
}
_FORMER = {"SeedLI": "EulerLI", "SeedLIF": "EulerLIF"}
__all__ = ["__version__", *_PUBLIC]
_load = lazily(__name__, _PUBLIC)


def __getattr__(name: str) -> Any:
    return _load(_FORMER.get(name, name))


def __dir__() -> list[str]:
    return sorted(__all__)
