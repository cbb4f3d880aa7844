"""What a run was made with."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("numpy", "numba", "safetensors")
GENN_PACKAGES = ("pygenn", "ml_genn")


def describe_environment(engine: str = "cpu", backend: str | None = None) -> dict[str, Any]:
    """Return engine, versions, platform and processor count, ready for JSON.

    Nothing in it names the machine, its user or a folder.

    Arguments:
        engine: What computes.
        backend: Of GeNN.
    """
    from mlgenn_delays import __version__

    found = {"mlgenn_delays": __version__, "python": platform.python_version()}
    for name in PACKAGES + (GENN_PACKAGES if engine == "genn" else ()):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return {
        "engine": engine,
        **({"backend": backend} if engine == "genn" else {}),
        **found,
        "system": platform.system(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
    }
