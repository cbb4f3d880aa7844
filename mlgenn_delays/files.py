"""Files that are either wholly there or not at all, and where those go that can be made anew."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mlgenn_delays.errors import WorkError

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
            sync_folder(path.parent)
    except OSError as error:
        raise WorkError(
            f"cannot write {path}: {error.strerror or error}; free space or {remedy}; "
            "files written before are untouched"
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
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
