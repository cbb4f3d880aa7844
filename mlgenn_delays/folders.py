"""Folders that are either wholly there or not at all."""

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlgenn_delays.files import sync_folder

_OURS = "delaysnn-"
_PROBE = f".{_OURS}"
_STALE = 24 * 3600.0  # seconds; where the system cannot say whether somebody still writes
_TRIES = 100


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which gets its name when the context ends well.

    Until then it is a hidden one beside its place; those that killed processes left are removed.

    Arguments:
        path: The folder, which is not there or empty; folders above it are made.

    Raises:
        OSError: It cannot be written, or another process filled it meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
    temporary, descriptor = _held(path)
    try:
        yield temporary
        _sync(temporary)
        os.chmod(temporary, 0o755)
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def probe(folder: Path) -> None:
    """Check that a folder can be written; permissions do not tell all.

    Raises:
        OSError: The system refuses.
    """
    for left in folder.glob(f"{_PROBE}*"):  # empty, of a process that was killed in between
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > 60:
                left.rmdir()
    os.rmdir(tempfile.mkdtemp(prefix=_PROBE, dir=folder))


def is_probe(name: str) -> bool:
    """Return whether a name is that of a check of the same moment."""
    return name.startswith(_PROBE)


def _held(path: Path) -> tuple[Path, int | None]:
    """Make a hidden folder beside a path, locked while this process lives, where that is known."""
    for _ in range(_TRIES):
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.{_OURS}", dir=path.parent))
        descriptor = _lock(folder)
        if folder.is_dir():
            return folder, descriptor
        if descriptor is not None:  # removed as stale between the two steps
            os.close(descriptor)
    raise FileNotFoundError(2, "folders made in it disappear", str(path.parent))


def _remove_stale(path: Path) -> None:
    """Remove the hidden folders of a path which nobody fills any more."""
    for left in list(path.parent.glob(f".{glob.escape(path.name)}.{_OURS}*")):
        with suppress(OSError):
            if left.is_symlink() or not left.is_dir():
                continue
            descriptor = _lock(left)
            if descriptor is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(descriptor)
            elif not _locks() and time.time() - left.stat().st_mtime > _STALE:
                shutil.rmtree(left, ignore_errors=True)


def _locks() -> bool:
    """Return whether the system has locks at all."""
    return os.name == "posix"


def _lock(folder: Path) -> int | None:
    """Lock a folder; return its descriptor, None if another process holds it or nobody can."""
    if not _locks():
        return None
    import fcntl

    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _sync(folder: Path) -> None:
    """Force everything in a folder to disk."""
    for place, _, files in os.walk(folder):
        for name in files:
            descriptor = os.open(os.path.join(place, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(place))
