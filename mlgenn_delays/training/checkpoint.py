"""The state of a training as one safetensors file with JSON metadata; loading runs no code.

Tensors: ``state/<name>`` as the engine gives them, and ``best_network``, the bytes of the network
file of the best epoch. With them the state alone is enough to go on, whatever a crash did to the
other files of a run.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays import __version__
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.tensors import not_finite, pack, read, verify
from mlgenn_delays.training.history import History

FORMAT = "delaysnn-checkpoint"
VERSION = 1
_PREFIX = "state/"
_BEST = "best_network"

Setting = str | int | float | bool | None


@dataclass(frozen=True)
class Checkpoint:
    """A training after a finished epoch.

    Attributes:
        settings: What the training was started with; a resumed one must have the same.
        history: The epochs so far.
        state: `CompiledNetwork.state` after the last of them.
        best_network: Content of the network file of the best epoch.
        library_version: Version of delaysnn that wrote it.
    """

    settings: dict[str, Setting]
    history: History
    state: dict[str, np.ndarray]
    best_network: bytes
    library_version: str = __version__

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    def to_bytes(self) -> bytes:
        """Return the checkpoint as the content of a safetensors file that `load` takes.

        Raises:
            DivergedError: The state holds NaN or infinity.
        """
        try:
            _check_state(self.state)
        except ValueError as error:
            raise DivergedError(str(error)) from error
        tensors = {_PREFIX + name: np.asarray(array) for name, array in self.state.items()}
        tensors[_BEST] = np.frombuffer(self.best_network, np.uint8)
        training = {
            **_summary(self.history),
            "history": self.history.rows,
            "settings": self.settings,
            "library_version": self.library_version,
        }
        metadata = {
            "format": FORMAT,
            "version": str(VERSION),
            "training": json.dumps(training),
        }
        return pack(tensors, metadata)

    @staticmethod
    def load(path: Path | str) -> "Checkpoint":
        """Read a checkpoint.

        Raises:
            InputError: The file is missing, damaged, no checkpoint, or from a newer version.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"there is no checkpoint file {path}")
        try:
            tensors, metadata = read(path)
        except (OSError, ValueError) as error:
            raise _damaged(path, str(error)) from error
        if metadata.get("format") != FORMAT:
            raise InputError(f"{path} must be a delaysnn checkpoint, got another safetensors file")
        version = metadata.get("version", "")
        if version != str(VERSION):
            raise InputError(
                f"{path} must have format version <= {VERSION}, got {version!r}; "
                "it was written by a newer delaysnn: upgrade to resume it"
            )
        try:
            verify(tensors, metadata)
            return _rebuild(json.loads(metadata["training"]), tensors)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise _damaged(path, f"{type(error).__name__} {error}") from error


def _summary(history: History) -> dict[str, Any]:
    """Return what the rows say as a whole, for those who look into a file."""
    best = history.best
    return {
        "epoch": len(history),
        "best_epoch": history.best_epoch,
        "best_validation_accuracy": best["validation_accuracy"],
        "best_validation_loss": best["validation_loss"],
        "epochs_without_better": history.epochs_without_better,
    }


def _rebuild(training: dict[str, Any], tensors: dict[str, np.ndarray]) -> Checkpoint:
    """Return the checkpoint that the metadata and the tensors tell of, checked."""
    rows = training["history"]
    if not rows:
        raise ValueError("it has no epoch")
    for number, row in enumerate(rows, 1):
        _check_row(row, number)
    history = History(rows)
    summary = _summary(history)
    recorded = {key: training[key] for key in summary}
    if recorded != summary:
        raise ValueError(f"it records {recorded}, its history says {summary}")
    state = {k.removeprefix(_PREFIX): v for k, v in tensors.items() if k.startswith(_PREFIX)}
    _check_state(state)
    best = tensors[_BEST].astype(np.uint8, casting="equiv").tobytes()
    return Checkpoint(
        dict(training["settings"]), history, state, best, str(training["library_version"])
    )


def _check_state(state: dict[str, np.ndarray]) -> None:
    """Refuse a state that no training can go on from."""
    broken = not_finite(state)
    if broken is not None:
        raise ValueError(f"{broken} of the training state is not finite")


def _check_row(row: dict[str, Any], number: int) -> None:
    """Refuse a row of metrics that `make_row` would not have made."""
    if row["epoch"] != number:
        raise ValueError(f"row {number} is of epoch {row['epoch']!r}")
    for key in ("train_loss", "train_accuracy", "seconds"):
        if not isinstance(row[key], float):
            raise ValueError(f"row {number} has {key} {row[key]!r}")
    pair = (row["validation_loss"], row["validation_accuracy"])
    if pair != (None, None) and not all(isinstance(value, float) for value in pair):
        raise ValueError(f"row {number} has validation_loss and validation_accuracy {pair!r}")
    if not all(value is None or isinstance(value, (int, float)) for value in row.values()):
        raise ValueError(f"row {number} holds something that is no number")


def _damaged(path: Path, why: str) -> InputError:
    """Return the error for a file that cannot be used."""
    return InputError(
        f"{path} is damaged: {why}; take another copy of the run, or start a new run from one of "
        "its networks"
    )
