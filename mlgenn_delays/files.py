"""Files that are either wholly there or not at all, and where those go that can be made anew."""

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mlgenn_delays.errors import WorkError

_PART = "delaysnn-"  # in names of unfinished folders
_CHECK = f".{_PART}"
_STALE = 24 * 3600.0  # seconds; where the system cannot say whether somebody still writes
_TRIES = 100
_KEPT = 30 * 24 * 3600.0  # for how long what can be made anew is kept unused


def write_atomic(path: Path | str, content: bytes | str) -> None:
    """Write a file so that a crash leaves either the old content or the new one.

    The content goes to a temporary file in the same folder, is forced to disk and renamed.

    Raises:
        WorkError: The folder cannot be written or the disk is full; what was there stays.
    """
    with open_atomic(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def open_atomic(
    path: Path | str, *, sync: bool = True, remedy: str = "choose another folder with --out"
) -> Iterator[IO[bytes]]:
    """Give a file to write to, which gets its name when the context ends well.

    Arguments:
        path: The file; folders above it are made.
        sync: Whether to force it to disk before it is renamed: without, the system may lose the
            content if the power fails.
        remedy: What the error says to do, but for freeing space.

    Raises:
        WorkError: As `write_atomic`. Any `OSError` within the context counts as one of writing.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
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
        _sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def check_writable(folder: Path) -> None:
    """Require that files can be made in a folder; those above it are made.

    Raises:
        OSError: They cannot; permissions do not tell all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{_CHECK}*"):  # empty, of a process that was killed in between
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > 60:
                left.rmdir()
    os.rmdir(tempfile.mkdtemp(prefix=_CHECK, dir=folder))


def _held(path: Path) -> tuple[Path, int | None]:
    """Make a hidden folder beside a path, locked while this process lives, where that is known."""
    for _ in range(_TRIES):
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.{_PART}", dir=path.parent))
        descriptor = _lock(folder)
        if folder.is_dir():
            return folder, descriptor
        if descriptor is not None:  # removed as stale between the two steps
            os.close(descriptor)
    raise FileNotFoundError(2, "folders made in it disappear", str(path.parent))


def _remove_stale(path: Path) -> None:
    """Remove the hidden folders of a path which nobody fills any more."""
    for left in list(path.parent.glob(f".{glob.escape(path.name)}.{_PART}*")):
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
    """Return ``DELAYSNN_CACHE``, or ``delaysnn`` in ``XDG_CACHE_HOME`` or ``~/.cache``."""
    own = os.environ.get("DELAYSNN_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path(os.path.expanduser("~")) / ".cache") / "delaysnn"


def remove_unused(base: Path, pattern: str) -> None:
    """Remove what a cache has of a pattern and was not used for 30 days, as far as one may."""
    limit = time.time() - _KEPT
    with suppress(OSError):
        for path in list(base.glob(pattern)):
            with suppress(OSError):
                if path.stat().st_mtime >= limit:
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
