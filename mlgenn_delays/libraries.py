"""Libraries that keep files of their own, imported so that these have a place.

Where neither the user's folder nor the library's can be written, as in containers and on cluster
nodes, librosa cannot even be imported, and matplotlib makes its list of fonts at every start.
"""

import os
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mlgenn_delays.files import cache_folders, check_writable

# Where librosa's compiled functions are declared that the package calls.
_LIBROSA = ("core.audio", "core.spectrum", "filters", "util.utils")


def import_librosa() -> Any:
    """Import librosa so that its compiled functions are cached as those of the package are."""
    from mlgenn_delays.kernels import stored_in

    with stored_in(librosa_folders()):
        for module in _LIBROSA:
            import_module(f"librosa.{module}")
    return import_module("librosa")


def librosa_folders() -> tuple[Path, ...]:
    """The folders that are searched for librosa's compiled functions, best first."""
    from mlgenn_delays.kernels import store_folders

    try:
        return store_folders(f"librosa-{version('librosa')}")
    except PackageNotFoundError:
        return store_folders("librosa")


def prepare_matplotlib() -> None:
    """Give matplotlib a folder for its list of fonts if it has none; call before importing it."""
    if os.environ.get("MPLCONFIGDIR"):
        return
    home = Path(os.path.expanduser("~"))
    places = {"XDG_CONFIG_HOME": home / ".config", "XDG_CACHE_HOME": home / ".cache"}
    if all(_may_write(Path(os.environ.get(name) or usual)) for name, usual in places.items()):
        return
    for folder in cache_folders():
        with suppress(OSError):
            check_writable(folder / "matplotlib")
            os.environ["MPLCONFIGDIR"] = str(folder / "matplotlib")
            return


def _may_write(folder: Path) -> bool:
    """Whether files can be made in a folder, which need not be there yet."""
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    return there.is_dir() and os.access(there, os.W_OK)
