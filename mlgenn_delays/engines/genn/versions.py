"""Which versions of GeNN and mlGeNN are installed, and which are needed."""

import re
from importlib.metadata import PackageNotFoundError, version

# The oldest versions that the engine runs with.
OLDEST = {"pygenn": "5.4", "ml_genn": "2.3.1"}


def installed_version(name: str) -> str | None:
    """Return the version of a package, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def too_old() -> dict[str, str]:
    """Return the versions of those packages that are installed and too old, by name."""
    found = {name: installed_version(name) for name in OLDEST}
    return {
        name: has
        for name, has in found.items()
        if has is not None and _numbers(has) < _numbers(OLDEST[name])
    }


def _numbers(text: str) -> list[int]:
    """Return the numbers that a version begins with."""
    found = re.match(r"\d+(\.\d+)*", text)
    return [int(part) for part in found[0].split(".")] if found else []
