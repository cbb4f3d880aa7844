"""The networks that a run keeps of its course: how it began, and what it was after some epochs.

    snapshots/epoch-0000.safetensors        before the first epoch
    snapshots/epoch-0003.safetensors        after the third, and so on

They are network files like any other. Training never reads them; they are what analysis tells
lifetimes of synapses, and before from after, by. An epoch's is written before it is committed, so
that a resumed run leaves the same files as an uninterrupted one.
"""

import math
from pathlib import Path

from mlgenn_delays.errors import InputError
from mlgenn_delays.files import write_atomic
from mlgenn_delays.runs.files import SNAPSHOT, SNAPSHOTS, snapshot_name

SPACE = 16.0  # MB


def interval(space: float, epochs: int, n_bytes: int) -> int:
    """Return every how many epochs a network is kept, the last epoch always; 0 for never.

    Arguments:
        space: Space for them all, that of the start aside [MB].
        epochs: Epochs of the whole training.
        n_bytes: Size of one.
    """
    fitting = min(epochs, int(space * 1e6 // n_bytes))
    return math.ceil(epochs / fitting) if fitting else 0


def keep(run: Path, epoch: int, network: bytes, *, space: float, epochs: int) -> None:
    """Write the network of an epoch, where it is one of those that are kept.

    Arguments:
        run: The run directory.
        epoch: Number of the epoch, 0 for the start, which takes the place of that of a training
            that was stopped before it had finished an epoch.
        network: Content of its network file.
        space: As of `interval`.
        epochs: As of `interval`.

    Raises:
        WorkError: The file cannot be written.
    """
    path = run / SNAPSHOTS / snapshot_name(epoch)
    every = interval(space, epochs, len(network))
    if epoch == 0 or (every > 0 and (epoch % every == 0 or epoch == epochs)):
        write_atomic(path, network)


def kept(run: Path) -> dict[int, Path]:
    """Return the network files that a run kept, by epoch, in order; older runs have none.

    Arguments:
        run: The run directory.

    Raises:
        InputError: The folder cannot be read.
    """
    folder = run / SNAPSHOTS
    try:
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror or error}") from error
    found = {int(match[1]): folder / name for name in names if (match := SNAPSHOT.fullmatch(name))}
    return dict(sorted(found.items()))
