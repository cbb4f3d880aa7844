"""When a training has diverged, and what its error says."""

import math
from collections.abc import Iterable

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.network import Network
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.runs.directory import RunDirectory

# A mean loss so many times that of the start has exploded.
EXPLODED = 100.0


def loss_bound(compiled: CompiledNetwork, first: Iterable[Batch]) -> float:
    """Return the mean loss above which a training has exploded.

    It is `EXPLODED` times that of the network at the start, at least of one that guesses. Logits
    that are sums over a trial start far above the loss of guessing, the logarithm of the number of
    classes.

    Arguments:
        compiled: The network at the start.
        first: What its loss is measured on.
    """
    guessing = math.log(max(2, compiled.network.output().n))
    try:
        start = compiled.evaluate(first).loss
    except DivergedError:  # as the first batch of the training will say
        start = 0.0
    return EXPLODED * (max(guessing, start) if math.isfinite(start) else guessing)


def checked(network: Network) -> bytes:
    """Return the network file of a finished epoch.

    Raises:
        DivergedError: Nothing could read it.
    """
    try:
        return to_bytes(network)
    except InputError as error:
        raise DivergedError(str(error)) from error


def diverged(epoch: int, error: DivergedError, run: RunDirectory | None) -> DivergedError:
    """Return the error of a training that diverged: what was kept and what to try.

    Arguments:
        epoch: In which it did.
        error: What was found.
        run: Where the training is kept, if anywhere.
    """
    if epoch == 1:
        kept = "no epoch was finished; the trainer keeps the network as it was at the start"
    elif run is not None:
        kept = (
            f"the last good checkpoint, of epoch {epoch - 1}, is kept in "
            f"{run.checkpoint_path('last')}"
        )
    else:
        kept = f"the trainer keeps the last good network, of epoch {epoch - 1}"
    return DivergedError(
        f"training diverged in epoch {epoch}: {str(error).rstrip('.')}; {kept}; lower "
        "learning.learning_rate (or delays.learning_rate), set learning.clip, or remove extreme "
        "values from the data (delaysnn data check), in a new run"
    )
