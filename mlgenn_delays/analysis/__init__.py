"""What emerged in trained networks, as numbers and figures."""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Analysis": "analyse",
    "Settings": "analyse",
    "analyse": "analyse",
    "findings": "findings",
    "pictures": "figures",
    "Afferents": "afferents",
    "Places": "afferents",
    "receptive_fields": "afferents",
    "Reach": "neighbours",
    "grouping": "grouping",
    "clusters": "clusters",
    "lifetimes": "lifetimes",
    "across": "survival",
    "staying": "survival",
    "activity": "activity",
    "tuning": "activity",
    "balance": "changes",
    "moved": "changes",
    "Recovery": "planted",
    "chance": "planted",
    "recovered": "planted",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
