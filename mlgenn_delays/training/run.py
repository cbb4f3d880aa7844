"""A run directory: everything that one training leaves, whole after any crash.

    recipe.toml                   what was asked for; a folder with it is a run
    environment.json              what it was made with
    data.safetensors              which examples it is trained on, see `record`
    metrics.csv                   one row an epoch
    network.safetensors           the network of the best epoch
    checkpoints/best/             network.safetensors, state.safetensors of the best epoch
    checkpoints/last/             the same of the last finished epoch
    snapshots/                    networks of its course, see `mlgenn_delays.training.snapshots`

The commit of an epoch is checkpoints/last/state.safetensors, written last. All else but
snapshots can be made again from it, and is, when a training resumes.
"""

import errno
import json
import os
import re
import shlex
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mlgenn_delays.errors import DelaysnnError, InputError, WorkError, nearest
from mlgenn_delays.files import PART, write_atomic
from mlgenn_delays.training.checkpoint import Checkpoint
from mlgenn_delays.training.lock import LOCK, locked
from mlgenn_delays.training.snapshots import FOLDER as SNAPSHOTS
from mlgenn_delays.untrusted import MOST_TOML, read_text, reason

CHECKPOINTS = ("last", "best")
RECIPE = "recipe.toml"
ENVIRONMENT = "environment.json"
RECORD = "data.safetensors"
METRICS = "metrics.csv"
NETWORK = "network.safetensors"
STATE = "state.safetensors"
# The temporary files of write_atomic that a kill may leave behind.
_NAMES = "|".join(map(re.escape, (RECIPE, ENVIRONMENT, RECORD, METRICS, NETWORK, STATE)))
_NAMES += r"|epoch-\d{4,}\.safetensors"
# How the folder is called that `check_free` makes and removes at once.
_PROBE = ".delaysnn-"
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_LEFTOVER = re.compile(rf"\.({_NAMES})\..{{8}}({re.escape(PART)})?")


class RunDirectory:
    """A run directory; made by `create` or `open`.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @staticmethod
    def create(
        path: Path | str, recipe_text: str = "", environment: dict[str, Any] | None = None
    ) -> "RunDirectory":
        """Make a run directory.

        Arguments:
            path: The folder; it must be new or empty.
            recipe_text: Content of recipe.toml.
            environment: What the run is made with; `describe_environment` if None.

        Raises:
            InputError: As `check_free`.
            WorkError: The disk is full, or a file cannot be written.
        """
        if environment is None:
            from mlgenn_delays.training.environment import describe_environment

            environment = describe_environment()
        run = RunDirectory(path)
        check_free(run.path)
        _make_folder(run.path)
        with run.lock():
            check_free(run.path)  # another process may have been quicker
            text = json.dumps(environment, indent=2, ensure_ascii=False) + "\n"
            write_atomic(run.path / ENVIRONMENT, text)
            write_atomic(run.path / RECIPE, recipe_text)
        return run

    @staticmethod
    def open(path: Path | str) -> "RunDirectory":
        """Return an existing run directory.

        Raises:
            InputError: It is none.
        """
        run = RunDirectory(path)
        if not run.path.exists():
            raise InputError(f"there is no run {run.path}; train one with --out {run.path}")
        if not (run.path / RECIPE).is_file():
            raise InputError(
                f"{run.path} must be a run directory, got {_what(run.path)} without {RECIPE}"
            )
        return run

    def recipe_text(self) -> str:
        """Return the content of recipe.toml.

        Raises:
            InputError: It cannot be read.
        """
        path = self.path / RECIPE
        try:
            return read_text(path, MOST_TOML)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path}: {reason(error)}") from error

    def checkpoint_path(self, checkpoint: str) -> Path:
        """Return the folder of the ``"last"`` or the ``"best"`` checkpoint, there or not.

        Raises:
            InputError: The name is neither.
        """
        if checkpoint not in CHECKPOINTS:
            raise InputError(
                f"checkpoint must be one of {', '.join(CHECKPOINTS)}, got {checkpoint!r}"
                f"{nearest(checkpoint, CHECKPOINTS)}"
            )
        return self.path / "checkpoints" / checkpoint

    def network_path(self, checkpoint: str = "best") -> Path:
        """Return the network file of the ``"last"`` or the ``"best"`` checkpoint.

        Raises:
            InputError: The name is neither, no epoch has been finished, or the file is gone.
        """
        path = self.checkpoint_path(checkpoint) / NETWORK
        copy = self.path / NETWORK  # as it is where checkpoints were not copied along
        if checkpoint == "best" and not self.has_checkpoint and copy.is_file():
            return copy
        if not path.is_file() and self.has_checkpoint:
            again = f"delaysnn train --resume --out {shlex.quote(str(self.path))}"
            raise InputError(f"the {checkpoint} network {path} is missing; {again} makes it again")
        if not path.is_file():
            raise InputError(
                f"the run {self.path} has no {checkpoint} checkpoint, for no epoch was finished; "
                "train it with --resume"
            )
        return path

    @property
    def has_checkpoint(self) -> bool:
        """Whether an epoch has been committed."""
        return (self.checkpoint_path("last") / STATE).exists()

    def load_checkpoint(self) -> Checkpoint | None:
        """Return the last commit, or None if there is none.

        Raises:
            InputError: The file is damaged, foreign or from a newer version.
        """
        if not self.has_checkpoint:
            return None
        return Checkpoint.load(self.checkpoint_path("last") / STATE)

    def begin(self, resume: bool, leads: bool) -> Checkpoint | None:
        """Return the checkpoint that a training goes on from, None where it starts anew.

        Arguments:
            resume: Whether it may go on.
            leads: Whether the process leads, under the lock; it removes what a kill left behind.

        Raises:
            InputError: It may not and an epoch is finished, or as `load_checkpoint`.
        """
        if not resume and self.has_checkpoint:
            raise InputError(
                f"the run {self.path} must have no finished epoch to train from the start; "
                "go on with --resume (resume=True), or choose another folder with --out"
            )
        if leads:
            self.remove_leftovers()
        return self.load_checkpoint()

    def commit(self, checkpoint: Checkpoint, last_network: bytes) -> None:
        """Write all files of a finished epoch, the commit last.

        Arguments:
            checkpoint: The training after the epoch.
            last_network: Content of the network file of the epoch.

        Raises:
            WorkError: A file cannot be written; the last commit is whole.
        """
        state = checkpoint.to_bytes()
        if checkpoint.history.best_epoch == checkpoint.epoch:
            write_atomic(self.checkpoint_path("best") / STATE, state)
        self.write_derived(checkpoint, last_network)
        write_atomic(self.checkpoint_path("last") / STATE, state)

    def write_derived(self, checkpoint: Checkpoint, last_network: bytes) -> None:
        """Write those files that follow from a checkpoint, where they differ from it.

        Raises:
            WorkError: A file cannot be written.
        """
        for path, content in (
            (self.checkpoint_path("best") / NETWORK, checkpoint.best_network),
            (self.path / NETWORK, checkpoint.best_network),
            (self.checkpoint_path("last") / NETWORK, last_network),
            (self.path / METRICS, checkpoint.history.to_csv().encode()),
        ):
            if _content(path) != content:
                write_atomic(path, content)

    def lock(self) -> AbstractContextManager[None]:
        """Return a context in which no other training writes to the run.

        Raises:
            InputError: On entry, another one does.
            WorkError: On entry, the folder cannot be written.
        """
        return locked(self.path)

    def remove_leftovers(self) -> None:
        """Remove the temporary files of writes that were killed; only under the lock."""
        checkpoints = [self.checkpoint_path(name) for name in CHECKPOINTS]
        folders = [self.path, self.path / SNAPSHOTS, *checkpoints]
        for path in [p for folder in folders if folder.is_dir() for p in folder.iterdir()]:
            if _LEFTOVER.fullmatch(path.name):
                path.unlink(missing_ok=True)


def check_free(path: Path | str) -> None:
    """Refuse a folder in which no run can be made; nothing is left behind.

    Arguments:
        path: The folder; it must be new or empty, but for a lock, and writable.

    Raises:
        InputError: It holds files, a file stands in its way, or the system refuses to write there.
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
        if above == path:
            _refuse_content(path)
        # Permissions do not tell all: the system may refuse even the superuser.
        os.rmdir(tempfile.mkdtemp(prefix=_PROBE, dir=above))
    except OSError as error:
        raise _unwritable(path, error) from error


def _refuse_content(path: Path) -> None:
    """Refuse a folder that holds anything but a lock or a check of the same moment."""
    names = {entry.name for entry in path.iterdir()}
    if any(name != LOCK and not name.startswith(_PROBE) for name in names):
        what = "one that holds a run" if RECIPE in names else "one with files in it"
        raise InputError(
            f"{path} must be a new or empty folder, got {what}; "
            "go on with --resume (resume=True), or choose another folder with --out"
        )


def _make_folder(path: Path) -> None:
    """Make a folder and those above it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> DelaysnnError:
    """Return the error for a folder that cannot be made or written: a full disk is no bad input."""
    kind = WorkError if error.errno in _FULL else InputError
    return kind(
        f"cannot write to the folder {path}: {error.strerror or error}; "
        "choose another folder with --out"
    )


def _content(path: Path) -> bytes | None:
    """Return the content of a file, or None if there is none."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _what(path: Path) -> str:
    """Return what a path is, in words."""
    return "a folder" if path.is_dir() else "a file"
