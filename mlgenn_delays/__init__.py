"""Spiking neural networks whose synaptic delays and sparse structure are learned."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public name -> module. Loaded on first use (PEP 562), so that `delaysnn --help` stays quick.
_PUBLIC = {
    "LIF": "network",
    "CurrentInput": "network",
    "Delta": "network",
    "Exponential": "network",
    "LeakyIntegrator": "network",
    "SeedLI": "network",
    "SeedLIF": "network",
    "Network": "network",
    "Normal": "network",
    "Projection": "network",
    "SpikeInput": "network",
    "Uniform": "network",
    "Adam": "learning",
    "Atan": "learning",
    "Boxcar": "learning",
    "Constant": "learning",
    "Cosine": "learning",
    "Dirac": "learning",
    "EaseIn": "learning",
    "EventProp": "learning",
    "Gaussian": "learning",
    "OneCycle": "learning",
    "SpikeCount": "learning",
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
    "load": "export.model",
    "load_dataset": "data",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
