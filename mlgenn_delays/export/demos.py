"""Trained networks that come with the package, given by their names instead of a path."""

from importlib import resources
from pathlib import Path

_MODELS, _SUFFIX = "mlgenn_delays.models", ".safetensors"


def demo_names() -> tuple[str, ...]:
    """Return the names of the trained networks that come with the package.

    Example:
        >>> from mlgenn_delays.export.demos import demo_names
        >>> demo_names()
        ('digits-demo', 'fsdd-demo', 'words-demo')
    """
    names = [file.name for file in resources.files(_MODELS).iterdir()]
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def demo_or_path(model: Path) -> Path:
    """Return where a model is: at the path, or if nothing is there the demo of that name."""
    if model.exists() or str(model) not in demo_names():
        return model
    return Path(str(resources.files(_MODELS).joinpath(f"{model}{_SUFFIX}")))
