"""What a run was made with."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("numpy", "numba", "safetensors")


def describe_environment() -> dict[str, Any]:
    """Return versions, platform and processor count, ready for JSON.

    Nothing in it names the machine, its user or a folder.
    """
    from mlgenn_delays import __version__

    found = {"mlgenn_delays": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return {
        **found,
        "system": platform.system(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
    }
