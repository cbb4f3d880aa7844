"""Sweeps: a recipe over a grid of settings and seeds, resumable, on this machine or a cluster.

from mlgenn_delays.sweep import Sweep, read_results

sweep = Sweep("digits", "DIR", grid={"delays.learn": [True, False]}, seeds=3)
rows = sweep.run()
rows = read_results("DIR")   # the same, later
"""

from importlib import import_module
from typing import Any

_PUBLIC = {"Sweep": "sweep", "read_results": "results", "summarise": "results"}
__all__ = ["Sweep", "read_results", "summarise"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
