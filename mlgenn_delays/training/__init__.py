"""Training: the epoch loop, run directories, checkpoints and resuming."""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "History": "mlgenn_delays.runs.history",
    "RunDirectory": "mlgenn_delays.runs.directory",
    "Trainer": "mlgenn_delays.training.trainer",
    "describe_environment": "mlgenn_delays.runs.directory",
}
__all__ = ["History", "RunDirectory", "Trainer", "describe_environment"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
