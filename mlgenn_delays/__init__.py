"""Spiking neural networks whose synaptic delays and sparse structure are learned."""

from typing import Any

from mlgenn_delays.lazy import lazily

__version__ = "0.1.0"
_FORMER = {"SeedLI": "EulerLI", "SeedLIF": "EulerLIF"}
_load, _names = lazily(__name__, __file__)
__all__ = ["__version__", *_names]


def __getattr__(name: str) -> Any:
    return _load(_FORMER.get(name, name))


def __dir__() -> list[str]:
    return sorted(__all__)
