"""The one way in which folders of data are listed: sorted, through symbolic links, never in a loop.

A file system answers in an order of its own, which a copy on another one does not share: whoever
reads a folder must go by names alone.
"""

import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mlgenn_delays.errors import InputError


def list_files(
    folder: Path,
    wanted: Callable[[str], bool] = lambda name: True,
    *,
    deep: bool = True,
    hidden: str = ".",
) -> list[Path]:
    """The files in a folder, sorted by path; see `list_each`."""
    return list_each([folder], wanted, deep=deep, hidden=hidden)[folder]


def list_each(
    folders: Iterable[Path],
    wanted: Callable[[str], bool] = lambda name: True,
    *,
    deep: bool = True,
    hidden: str = ".",
) -> dict[Path, list[Path]]:
    """The files in each of several folders, sorted by path.

    Links to files and to folders are followed. A folder is listed once, and under its own name
    rather than that of a link; links to one that is listed already, or that contains the link, are
    left out with a warning.

    Arguments:
        folders: The folders.
        wanted: Which files to return, by their names.
        deep: Whether those of the folders in them count too.
        hidden: Files and folders whose names begin with one of these characters are left out.

    Raises:
        InputError: A folder cannot be listed.
    """
    walk = _Walk(wanted, deep, hidden)
    found: dict[Path, list[Path]] = {folder: [] for folder in folders}
    walk.above = {os.path.realpath(each) for f in found for each in f.absolute().parents}
    for folder in sorted(found, key=lambda each: (each.is_symlink(), each.parts)):
        walk.through(folder, folder, found[folder])
    while walk.links:  # of folders, which may have others in them
        links, walk.links = sorted(walk.links, key=lambda each: each[1].parts), []
        for root, link in links:
            walk.through(root, link, found[root])
    return {folder: sorted(files, key=lambda f: f.as_posix()) for folder, files in found.items()}


def list_folders(folder: Path, *, hidden: str = ".") -> list[Path]:
    """The folders directly in a folder, links to folders included, sorted by name."""
    return [Path(folder, each.name) for each in _entries(folder, hidden) if _is_folder(each)]


@dataclass
class _Walk:
    """Lists folders and those in them, each once; the settings are those of `list_each`.

    Attributes:
        above: Real paths of the folders that links must not lead up to.
        seen: Real paths of the folders listed so far.
        links: Links to folders that are still to be followed, each with the folder it is for.
    """

    wanted: Callable[[str], bool]
    deep: bool
    hidden: str
    above: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    links: list[tuple[Path, Path]] = field(default_factory=list)

    def through(self, root: Path, start: Path, found: list[Path]) -> None:
        """Add the files of a folder and of the real folders in it; note the links to folders."""
        waiting = [start]
        while waiting:
            folder = waiting.pop()
            real = os.path.realpath(folder)
            if real in self.seen or (real in self.above and folder != root):
                warnings.warn(
                    f"{folder} is left out: it leads to {real}, which is listed already or "
                    "contains it",
                    stacklevel=2,
                )
                continue
            self.seen.add(real)
            for entry in _entries(folder, self.hidden):
                path = Path(folder, entry.name)
                if not _is_folder(entry):
                    found += [path] if self.wanted(entry.name) else []
                elif self.deep and entry.is_symlink():
                    self.links.append((root, path))
                elif self.deep:
                    waiting.append(path)


def _entries(folder: Path, hidden: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if e.name[0] not in hidden), key=lambda e: e.name)
    except OSError as error:
        raise InputError(
            f"cannot list {error.filename or folder}: {error.strerror or error}; check permissions"
        ) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one; a link in a loop is neither."""
    try:
        return entry.is_dir()
    except OSError:
        return False
