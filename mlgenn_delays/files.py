"""Files that are either wholly there or not at all, and folders in the one order of their names.

What is not finished has a name that ends in ``.delaysnn-part`` and is locked while its process
lives. What a killed process left is removed by the next one that writes to the same folder.

Folders of data are listed sorted, through symbolic links, never in a loop. A file system answers in
an order of its own, which a copy on another one does not share: whoever reads a folder must go by
names alone.
"""

import os
import re
import shutil
import stat
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from mlgenn_delays.errors import InputError, WorkError


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


_KEPT = 30 * 24 * 3600.0  # for how long what can be made anew is kept unused [s]
PART = ".delaysnn-part"  # the end of names of unfinished files and folders
_LOCK = ".lock"  # the file that is locked in an unfinished folder
_STALE = 6 * 3600.0  # age from which what nobody locks is removed [s]
# The same where the system has no locks, so that nobody knows who still writes.
_STALE_UNKNOWN = 7 * 24 * 3600.0


def unfinished(names: str) -> re.Pattern[str]:
    """Pattern of the names that `write_atomic` gives to unfinished files of matching names."""
    return re.compile(rf"\.({names})\..{{8}}{re.escape(PART)}")


def as_path(path: object) -> Path:
    """Return a path that somebody gave.

    Raises:
        InputError: It is none.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"path must be text or a Path, got {type(path).__name__}")
    return Path(path)


def write_atomic(path: Path | str, content: bytes | str) -> None:
    """Write a file so that a crash leaves either the old content or the new one.

    Raises:
        WorkError: The folder cannot be written or the disk is full; what was there stays.
    """
    with open_atomic(path) as file:
        file.write(encoded(content) if isinstance(content, str) else content)


def encoded(text: str) -> bytes:
    """Text as UTF-8, with escapes for bytes of file names that are none: JSON gives them back."""
    return text.encode("utf-8", "backslashreplace")


@contextmanager
def open_atomic(
    path: Path | str, *, sync: bool = True, remedy: str = "choose another folder with --out"
) -> Iterator[IO[bytes]]:
    """A file to write to, which gets its name when the context ends well.

    Without `sync` the system may lose the content if the power fails. Any `OSError` within the
    context becomes a `WorkError`, which says to free space or what `remedy` says.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(path.parent)
        handle, temporary = tempfile.mkstemp(PART, f".{path.name}.", path.parent)
        with os.fdopen(handle, "wb") as file:
            _lock(file.fileno())
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        raise WorkError(
            f"cannot write {path}: {error.strerror or error}; free space or {remedy}; "
            "files written before are untouched"
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


@contextmanager
def open_folder_atomic(path: Path) -> Iterator[Path]:
    """A folder to fill, which replaces nothing or an empty one when the context ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _unfinished_folder(f".{path.name}.", path.parent, path) as folder:
        yield folder


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder among the system's temporary ones, removed when the context ends."""
    with _unfinished_folder("delaysnn-", Path(tempfile.gettempdir())) as folder:
        yield folder


def check_writable(folder: Path) -> None:
    """Make a folder and those above it; raises `OSError` unless files can be made in it."""
    folder.mkdir(parents=True, exist_ok=True)
    with _unfinished_folder(".", folder):
        pass


@contextmanager
def _unfinished_folder(prefix: str, base: Path, path: Path | None = None) -> Iterator[Path]:
    """A new folder, in the end renamed to `path` if that is given, or else deleted."""
    remove_unfinished(base)
    folder = Path(tempfile.mkdtemp(PART, prefix, base))
    try:
        with open(folder / _LOCK, "wb") as lock:
            _lock(lock.fileno())
            yield folder
        if path is not None:
            (folder / _LOCK).unlink(missing_ok=True)
            _sync(folder)
            os.chmod(folder, 0o755)
            os.replace(folder, path)
            _sync_folder(path.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def remove_unfinished(folder: Path) -> None:
    """Delete what killed processes left unfinished in a folder, once per process and folder.

    Only what is the user's own, older than six hours and not locked; nothing here can fail.
    """
    _delete(folder, f"*{PART}", _is_abandoned)


def _delete(folder: Path, pattern: str, unwanted: Callable[[Path], bool]) -> None:
    with suppress(OSError):
        for path in list(folder.glob(pattern)):
            with suppress(OSError):
                if not unwanted(path):
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()


def _is_abandoned(path: Path) -> bool:
    """Whether an unfinished file or folder is old, one's own and of no living process."""
    status = path.lstat()
    age = time.time() - status.st_mtime
    if stat.S_ISLNK(status.st_mode) or age < _STALE or not _is_own(status):
        return False
    locked = path / _LOCK if stat.S_ISDIR(status.st_mode) else path
    try:
        with open(locked, "r+b") as file:
            free = _lock(file.fileno())
    except FileNotFoundError:  # its process ended between making the folder and its lock
        free = True
    return age >= _STALE_UNKNOWN if free is None else free


def _lock(descriptor: int) -> bool | None:
    """Lock an open file until it is closed; whether that worked, None without locks."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def _sync(folder: Path) -> None:
    for place, _, files in os.walk(folder):
        for name in files:
            descriptor = os.open(os.path.join(place, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        _sync_folder(Path(place))


def _sync_folder(folder: Path) -> None:
    """Force a rename to disk, where the system lets a folder be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cache_folder() -> Path:
    """``DELAYSNN_CACHE``, or ``delaysnn`` in the system's cache folder of the user.

    On Linux that folder is ``XDG_CACHE_HOME`` or ``~/.cache``. Earlier versions used these on
    every system: what they left there stays in use.
    """
    own = os.environ.get("DELAYSNN_CACHE")
    if own:
        return Path(own)
    from platformdirs import user_cache_path

    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    before = Path(base, "delaysnn")
    return before if before.is_dir() else user_cache_path("delaysnn", appauthor=False)


def remove_unused(base: Path, pattern: str) -> None:
    """Delete cache entries that match a pattern and were not used for 30 days; ignore errors."""
    limit = time.time() - _KEPT
    _delete(base, pattern, lambda path: path.stat().st_mtime < limit)


def cache_folders() -> tuple[Path, ...]:
    """Where to keep what can be made anew, best first: `cache_folder`, then a temporary one.

    The second, ``delaysnn-UID`` among the system's temporary folders, is for machines on which the
    first cannot be written, such as containers and cluster nodes.
    """
    own = f"delaysnn-{os.geteuid()}" if hasattr(os, "geteuid") else "delaysnn"
    with suppress(OSError):
        return cache_folder(), Path(tempfile.gettempdir()) / own
    return (cache_folder(),)


def make_private(folder: Path) -> None:
    """Make a folder and those above it; raises `OSError` if others may write it."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o755)
    if not is_trusted(folder):
        raise PermissionError(f"others may write {folder}")


def is_trusted(path: Path) -> bool:
    """Whether only the user or the superuser may change a file or folder; a link does not count."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return not stat.S_ISLNK(status.st_mode) and may_trust(status)


def may_trust(status: os.stat_result) -> bool:
    """The same for what the system says of a file."""
    if not hasattr(os, "geteuid"):  # not a POSIX system
        return True
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022


def _is_own(status: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
