"""The state of a training as one safetensors file with JSON metadata; loading runs no code.

Tensors: ``state/<name>`` as the engine gives them, and ``best_network``, the bytes of the network
file of the best epoch. With them the state alone is enough to resume, whatever a crash did to the
other files of a run.

Snapshots are the network at several epochs of a run, kept for analysis and never read by training:
snapshots/epoch-0000.safetensors before the first epoch, epoch-0003 after the third, and so on. An
epoch's is written before it is committed, so that a resumed run leaves the files of an
uninterrupted one.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from mlgenn_delays import __version__
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.files import write_atomic
from mlgenn_delays.runs.files import SNAPSHOT, SNAPSHOTS, snapshot_name
from mlgenn_delays.runs.history import History, Row, check_rows
from mlgenn_delays.tensors import FileFormat, not_finite
from mlgenn_delays.untrusted import parse_json, shown

SPACE = 16.0  # MB


def interval(space: float, epochs: int, n_bytes: int) -> int:
    """Every how many epochs a network of `n_bytes` is kept to fit `space` [MB]; 0 for never."""
    fitting = min(epochs, int(space * 1e6 // n_bytes))
    return math.ceil(epochs / fitting) if fitting else 0


def keep(run: Path, epoch: int, network: bytes, *, space: float, epochs: int) -> None:
    """Write the network of an epoch, if it is one of those that are kept; 0 is the start."""
    if _is_kept(epoch, interval(space, epochs, len(network)), epochs):
        write_atomic(run / SNAPSHOTS / snapshot_name(epoch), network)


def _is_kept(epoch: int, every: int, epochs: int) -> bool:
    return epoch == 0 or (every > 0 and (epoch % every == 0 or epoch == epochs))


def thin(run: Path, *, space: float, epochs: int) -> None:
    """Delete the networks that a training of so many epochs would not have kept."""
    for epoch, path in kept(run).items():
        if not _is_kept(epoch, interval(space, epochs, path.stat().st_size), epochs):
            path.unlink(missing_ok=True)


def kept(run: Path) -> dict[int, Path]:
    """The network files that a run kept, by epoch, in order; older runs have none."""
    folder = run / SNAPSHOTS
    try:
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror or error}") from error
    found = {int(match[1]): folder / name for name in names if (match := SNAPSHOT.fullmatch(name))}
    return dict(sorted(found.items()))


REMEDY = "take another copy of the run, or start a new run from one of its networks"
FORMAT = FileFormat("delaysnn-checkpoint", 1, "delaysnn checkpoint", "", REMEDY)
MOST = 2**53  # of indices, signs and counts in a state
_PREFIX = "state/"
_BEST = "best_network"

Setting = str | int | float | bool | None


@dataclass(frozen=True)
class Checkpoint:
    """A training after a finished epoch.

    Attributes:
        settings: What the training was started with; a resumed one must have the same.
        state: `CompiledNetwork.state` after the last epoch.
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
        """The content of a file that `load` takes; raises `DivergedError` for NaN or infinity."""
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
        return FORMAT.pack(tensors, training=json.dumps(training))

    @staticmethod
    def load(path: Path | str) -> "Checkpoint":
        """Read a checkpoint; rejects a missing, damaged, foreign or newer file."""
        path = Path(path)
        tensors, metadata = FORMAT.read(path)
        with FORMAT.checked(path):
            return _rebuild(parse_json(metadata["training"]), tensors)


class _Training(BaseModel):
    """What the metadata tell of a training; `_summary` besides."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    history: list[Row]
    settings: dict[str, Setting]
    library_version: str


def _summary(history: History) -> dict[str, Any]:
    """The rows as a whole, for those who look into a file."""
    best = history.best
    return {
        "epoch": len(history),
        "best_epoch": history.best_epoch,
        f"best_validation_{history.metric.name}": history.score(),
        "best_validation_loss": best["validation_loss"],
        "epochs_without_better": history.epochs_without_better,
    }


def _rebuild(told: Any, tensors: dict[str, np.ndarray]) -> Checkpoint:
    training = _Training.model_validate(told)
    check_rows(training.history)
    history = History(training.history)
    summary = _summary(history)
    recorded = {key: told[key] for key in summary}
    if recorded != summary:
        raise ValueError(f"it records {recorded}, its history says {summary}")
    state = {k.removeprefix(_PREFIX): v for k, v in tensors.items() if k.startswith(_PREFIX)}
    _check_state(state)
    best = tensors[_BEST].astype(np.uint8, casting="equiv").tobytes()
    return Checkpoint(training.settings, history, state, best, training.library_version)


def _check_state(state: dict[str, np.ndarray]) -> None:
    broken = not_finite(state)
    if broken is not None:
        raise ValueError(f"{shown(broken)} of the training state is not finite")
    for name, array in state.items():
        if array.dtype.kind in "iu" and array.size and not -1 <= array.min() <= array.max() <= MOST:
            raise ValueError(f"{shown(name)} of the training state must be in -1..{MOST}")
