"""A run directory: everything that one training leaves, whole after any crash.

    recipe.toml                   what was asked for; a folder with it is a run
    environment.json              what it was made with
    init.safetensors              the network that it starts from, where one was given
    data.safetensors              which examples it is trained on, see `record`
    sessions.json                 when it was begun, resumed and ended, see `sessions`
    metrics.csv                   one row per epoch
    network.safetensors           the network of the best epoch
    results.png                   learning curves and confusion matrix, once it ends
    checkpoints/best/             network.safetensors, state.safetensors of the best epoch
    checkpoints/last/             the same of the last finished epoch
    snapshots/                    networks at several epochs, see `mlgenn_delays.runs.checkpoint`

A new folder has its first three files from the moment it is there; in a folder that was there,
recipe.toml is written last. The commit of an epoch is checkpoints/last/state.safetensors, written
last. All else but snapshots can be made again from it, and is, when a training resumes; where it
is damaged itself, training resumes from checkpoints/best/state.safetensors.
"""

import errno
import json
import os
import platform
import shlex
import warnings
from contextlib import AbstractContextManager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.files import as_path, open_folder_atomic, write_atomic
from mlgenn_delays.runs.checkpoint import Checkpoint
from mlgenn_delays.runs.files import (
    CHECKPOINT_FOLDER,
    CHECKPOINTS,
    ENVIRONMENT,
    INIT,
    LEFTOVER,
    METRICS,
    NETWORK,
    RECIPE,
    SNAPSHOTS,
    STATE,
    begun,
    check_free,
    instead_of,
    locked,
    unwritable,
)
from mlgenn_delays.runs.history import History
from mlgenn_delays.untrusted import MOST_TOML, read_text, reason

PACKAGES = ("numpy", "numba", "safetensors")
GENN_PACKAGES = ("pygenn", "ml_genn")


def describe_environment(engine: str = "cpu", backend: str | None = None) -> dict[str, Any]:
    """Engine, versions, platform and processor count, ready for JSON.

    Nothing in it names the machine, its user or a folder.

    Arguments:
        engine: What computes.
        backend: Of GeNN.

    Example:
        >>> from mlgenn_delays.training import describe_environment
        >>> describe_environment()["engine"]
        'cpu'
    """
    from mlgenn_delays import __version__

    found = {"mlgenn_delays": __version__, "python": platform.python_version()}
    for name in PACKAGES + (GENN_PACKAGES if engine == "genn" else ()):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return {
        "engine": engine,
        **({"backend": backend} if engine == "genn" else {}),
        **found,
        "system": platform.system(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
    }


class RunDirectory:
    """A run directory; made by `create` or `open`.

    Attributes:
        path: The folder.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from mlgenn_delays import RunDirectory
        >>> with TemporaryDirectory() as folder:
        ...     run = RunDirectory.create(f"{folder}/run", 'name = "mine"')
        ...     RunDirectory.open(run.path).recipe_text()
        'name = "mine"'
    """

    def __init__(self, path: Path | str) -> None:
        self.path = as_path(path)

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    @staticmethod
    def create(
        path: Path | str,
        recipe_text: str = "",
        environment: dict[str, Any] | None = None,
        init: bytes | None = None,
    ) -> "RunDirectory":
        """Make a run directory.

        Arguments:
            path: The folder; it must be new or empty.
            recipe_text: Content of recipe.toml.
            environment: What the run is made with; `describe_environment` if None.
            init: Content of the network file that it starts from, if one was given.

        Raises:
            InputError: As `check_free`.
            WorkError: The disk is full, or a file cannot be written.
        """
        if environment is None:
            environment = describe_environment()
        run = RunDirectory(path)
        check_free(run.path)
        text = json.dumps(environment, indent=2, ensure_ascii=False) + "\n"
        files: dict[str, str | bytes] = {ENVIRONMENT: text, RECIPE: recipe_text}
        if init is not None:
            files = {INIT: init, **files}
        try:
            run._make(files)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another process was quicker
                check_free(run.path)
            raise unwritable(run.path, error) from error
        return run

    def _make(self, files: dict[str, str | bytes]) -> None:
        """Write the files with which a run begins, the recipe last."""
        if not self.path.exists():
            with open_folder_atomic(self.path) as folder:
                for name, content in files.items():
                    write_atomic(folder / name, content)
            return
        with self.lock():  # a folder that is there may be one that cannot be replaced
            check_free(self.path)  # another process may have been quicker
            self.remove_leftovers()
            (self.path / INIT).unlink(missing_ok=True)
            for name, content in files.items():
                write_atomic(self.path / name, content)

    @staticmethod
    def open(path: Path | str) -> "RunDirectory":
        """An existing run directory.

        Raises:
            InputError: It is none.
        """
        run = RunDirectory(path)
        if not run.path.exists():
            raise InputError(
                f"there is no run {run.path}; train one with --out {run.path}, or give one that "
                "delaysnn runs lists"
            )
        if not (run.path / RECIPE).is_file():
            empty = run.path.is_dir() and not begun(run.path)
            nothing = "nothing was begun in it: train without --resume"
            raise InputError(
                f"{run.path} must be a run directory, got {_what(run.path)} without {RECIPE}; "
                f"{nothing if empty else instead_of(run.path)}"
            )
        return run

    def recipe_text(self) -> str:
        """Content of recipe.toml.

        Raises:
            InputError: It cannot be read.
        """
        path = self.path / RECIPE
        try:
            return read_text(path, MOST_TOML)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path}: {reason(error)}") from error

    def replace_recipe(self, text: str) -> None:
        """Write recipe.toml anew.

        Raises:
            InputError: Another training writes to the run.
            WorkError: The file cannot be written.
        """
        with self.lock():
            write_atomic(self.path / RECIPE, text)

    def checkpoint_path(self, checkpoint: str) -> Path:
        """Folder of the ``"last"`` or the ``"best"`` checkpoint, there or not.

        Raises:
            InputError: The name is neither.
        """
        if checkpoint not in CHECKPOINTS:
            raise InputError(
                f"checkpoint must be one of {', '.join(CHECKPOINTS)}, got {checkpoint!r}"
                f"{nearest(checkpoint, CHECKPOINTS)}"
            )
        return self.path / CHECKPOINT_FOLDER / checkpoint

    def network_path(self, checkpoint: str = "best") -> Path:
        """Network file of the ``"last"`` or the ``"best"`` checkpoint.

        Raises:
            InputError: The name is neither, no epoch has been finished, or the file is gone.
        """
        path = self.checkpoint_path(checkpoint) / NETWORK
        copy = self.path / NETWORK  # as it is where checkpoints were not copied along
        if checkpoint == "best" and not self.has_checkpoint and copy.is_file():
            return copy
        if not path.is_file() and self.has_checkpoint:
            raise InputError(
                f"the {checkpoint} network {path} is missing; {self.resume_command()} makes it "
                "again"
            )
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
        """The last commit, or None if there is none.

        Raises:
            InputError: The file is damaged, foreign or from a newer version.
        """
        checkpoint, fault = self.resumable()
        if fault and checkpoint is not None:
            again = self.resume_command()
            raise InputError(f"{fault}; {again} resumes from the best epoch, {checkpoint.epoch}")
        return checkpoint

    def history(self) -> History:
        """The finished epochs; where checkpoints were not copied along, those of metrics.csv.

        Raises:
            InputError: There is none, or as `load_checkpoint`.
        """
        checkpoint = self.load_checkpoint()
        if checkpoint is not None:
            return checkpoint.history
        path = self.path / METRICS
        history = History.read_csv(path) if path.is_file() else History()
        if not len(history):
            raise InputError(
                f"the run {self.path} must have a finished epoch, got none; train it with --resume"
            )
        return history

    def resumable(self) -> tuple[Checkpoint | None, str]:
        """The checkpoint to resume from, None if there is none, and what is wrong with the last.

        That is the last commit; where its file is damaged or gone, the state of the best epoch.

        Raises:
            InputError: The last commit is damaged, foreign or from a newer version, and there is
                no whole state of the best epoch.
        """
        fault: InputError | None = None
        path = self.checkpoint_path("last") / STATE
        if self.has_checkpoint:
            try:
                return Checkpoint.load(path), ""
            except InputError as error:
                fault = error
        try:
            best = Checkpoint.load(self.checkpoint_path("best") / STATE)
        except InputError:
            if fault is not None:
                raise fault from None
            return None, ""
        if fault is None and best.epoch == 1:  # killed within the first commit
            return None, ""
        return best, str(fault).partition("; ")[0] if fault else f"{path} is missing"

    def begin(self, resume: bool, leads: bool) -> Checkpoint | None:
        """The checkpoint that a training resumes from, None where it starts anew.

        Arguments:
            resume: Whether it may resume.
            leads: Whether the process leads, under the lock; it deletes what a kill left behind,
                and replaces a damaged commit by what a training can resume from.

        Raises:
            InputError: It may not and an epoch is finished, or as `resumable`.
        """
        if not resume and self.has_checkpoint:
            raise InputError(
                f"the run {self.path} must have no finished epoch to train from the start; "
                "continue with --resume (resume=True), or choose another folder with --out"
            )
        if leads:
            self.remove_leftovers()
        if not resume:
            return None
        checkpoint, fault = self.resumable()
        if fault and checkpoint is not None and leads:
            text = f"{fault}; resuming from the best epoch, {checkpoint.epoch}"
            warnings.warn(text, stacklevel=2)
            content = (self.checkpoint_path("best") / STATE).read_bytes()
            write_atomic(self.checkpoint_path("last") / STATE, content)
        return checkpoint

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
        """A context in which no other training writes to the run.

        Raises:
            InputError: On entry, another one does.
            WorkError: On entry, the folder cannot be written.
        """
        return locked(self.path)

    def resume_command(self) -> str:
        """The command that resumes the training."""
        return f"delaysnn train --resume --out {shlex.quote(str(self.path))}"

    def remove_leftovers(self) -> None:
        """Remove the temporary files of writes that were killed; only under the lock."""
        checkpoints = [self.checkpoint_path(name) for name in CHECKPOINTS]
        folders = [self.path, self.path / SNAPSHOTS, *checkpoints]
        for path in [p for folder in folders if folder.is_dir() for p in folder.iterdir()]:
            if LEFTOVER.fullmatch(path.name):
                path.unlink(missing_ok=True)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _what(path: Path) -> str:
    return "a folder" if path.is_dir() else "a file"
