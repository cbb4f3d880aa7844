"""What lies in a run directory, where one can be made, and its lock: one training at a time."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from mlgenn_delays.errors import DelaysnnError, InputError, WorkError
from mlgenn_delays.files import PART, check_writable, unfinished

LOCK = ".lock"
CHECKPOINT_FOLDER, CHECKPOINTS = "checkpoints", ("last", "best")
SNAPSHOTS, SNAPSHOT = "snapshots", re.compile(r"epoch-(\d{4,})\.safetensors")
RECIPE = "recipe.toml"
ENVIRONMENT = "environment.json"
INIT = "init.safetensors"
RECORD = "data.safetensors"
SESSIONS = "sessions.json"
METRICS = "metrics.csv"
NETWORK = "network.safetensors"
RESULTS = "results.png"
COST = "cost.json"
STATE = "state.safetensors"
# What the system says where a disk or a quota is full.
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def _any_of(*names: str) -> str:
    return "(" + "|".join(map(re.escape, names)) + ")"


_TOP = _any_of(RECIPE, ENVIRONMENT, INIT, RECORD, SESSIONS, METRICS, NETWORK, RESULTS, COST)
_KEPT = _any_of(NETWORK, STATE)
# The temporary files of write_atomic that a kill may leave behind, by name.
LEFTOVER = unfinished(f"{_TOP}|{_KEPT}|{SNAPSHOT.pattern}")
# Folders of `check_writable`, of the same moment or of a process that was killed in it.
_CHECK = re.compile(rf"\..*{re.escape(PART)}")
# All files of a run and what `delaysnn analyse` adds, by path within it.
_FILES = re.compile(
    rf"{_TOP}|{re.escape(LOCK)}|{CHECKPOINT_FOLDER}/{_any_of(*CHECKPOINTS)}/{_KEPT}"
    rf"|{SNAPSHOTS}/{SNAPSHOT.pattern}|analysis/.*"
)


def snapshot_name(epoch: int) -> str:
    """Name of an epoch's network file among the snapshots."""
    return f"epoch-{epoch:04}.safetensors"


def foreign(run: Path, besides: tuple[str, ...] = ()) -> list[str]:
    """Files in a folder that no run has, by path within it, in order; names in `besides` pass."""
    files = [path for path in run.rglob("*") if path.is_symlink() or not path.is_dir()]
    return sorted(
        path.relative_to(run).as_posix()
        for path in files
        if path.name not in besides
        and not LEFTOVER.fullmatch(path.name)
        and not _FILES.fullmatch(path.relative_to(run).as_posix())
    )


def begun(path: Path) -> bool:
    """Whether a folder holds more than what a process leaves that is killed while making a run.

    That is its lock and, only beside it, what is written before recipe.toml.
    """
    names = {entry.name for entry in path.iterdir() if not _CHECK.fullmatch(entry.name)}
    if LOCK not in names:
        return bool(names)
    left = names - {LOCK, ENVIRONMENT, INIT}
    return any(not LEFTOVER.fullmatch(name) for name in left)


def instead_of(path: Path) -> str:
    """What to do where something that is no run directory was given as one."""
    if any(path.glob(f"*/{RECIPE}")) or any(path.glob(f"*/*/{RECIPE}")):
        return f"give one of the runs in it, which delaysnn runs {quote(str(path))} lists"
    return "give the folder that delaysnn train made"


def check_free(path: Path | str) -> None:
    """Reject a folder that is not new or empty (but for what a kill left) and writable.

    Raises:
        InputError: It holds files, a file stands in its way, or the system forbids writing there.
        WorkError: The disk is full.
    """
    path = Path(path)
    try:
        above = next(each for each in (path, *path.parents) if each.exists())
        if not above.is_dir():
            raise InputError(
                f"a run must be made in a folder, got {path}, where {above} is a file; "
                "choose another folder with --out"
            )
        if above == path and begun(path):
            what = "one that holds a run" if (path / RECIPE).exists() else "one with files in it"
            raise InputError(
                f"{path} must be a new or empty folder, got {what}; "
                "continue with --resume (resume=True), or choose another folder with --out"
            )
        check_writable(above)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> DelaysnnError:
    """The error for a folder that cannot be made or written: a full disk is no bad input."""
    kind = WorkError if error.errno in FULL else InputError
    return kind(
        f"cannot write to the folder {path}: {error.strerror or error}; "
        "choose another folder with --out"
    )


def in_use(folder: Path) -> bool:
    """Whether a training holds the lock of a folder; false where there are no locks."""
    try:
        import fcntl

        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NONBLOCK)
    except (ImportError, OSError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


# What file systems without locks answer (some of those of clusters); training continues there.
_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; the system releases it however the process ends.

    Raises:
        InputError: Another training holds it.
        WorkError: The folder cannot be written.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise WorkError(
            f"cannot write {folder / LOCK}: {error.strerror or error}; choose another folder"
        ) from error
    try:
        _take(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"another training is writing to {folder}; wait for it, or choose another folder"
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise WorkError(f"cannot lock {folder}: {error.strerror or error}") from error
