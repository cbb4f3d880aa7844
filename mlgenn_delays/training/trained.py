"""What a trainer has trained: its networks, and what they predict."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np

from mlgenn_delays.data.types import Batch, Data
from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.engines.results import Evaluation
from mlgenn_delays.errors import InputError
from mlgenn_delays.files import as_path, write_atomic
from mlgenn_delays.learning.losses import Loss
from mlgenn_delays.network import Network
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.runs.files import CHECKPOINTS
from mlgenn_delays.runs.history import History
from mlgenn_delays.settings import check, one_of
from mlgenn_delays.training.checks import as_taken, check_data


class Trained:
    """The networks of a `Trainer`, and what is done with them; its attributes are the trainer's."""

    loss: Loss
    batch_size: int
    seed: int
    history: History
    _start: Network
    _last: Network
    _network: Network
    _about: dict[str, object]  # what `fit` was given, for `save`
    _compiled: CompiledNetwork | None  # what learns
    _evaluating: CompiledNetwork | None  # what only evaluates
    _training: bool

    @property
    def network(self) -> Network:
        """The network: of the best epoch so far where `fit` had validation data, else of the last.

        Before `fit` it is the one to start from, after a `DivergedError` the last good one.
        """
        return self._network

    @property
    def last_network(self) -> Network:
        """The network of the last finished epoch, best or not; before it, the one to start from."""
        return self._last

    def save(self, path: Path | str, checkpoint: str = "best") -> None:
        """Write `network`, or `last_network`, to one file that `load` and `Network.load` open.

        The file also says what the classes are called and how long a trial is.

        Arguments:
            path: The file, ``.safetensors`` by custom.
            checkpoint: ``"best"`` for `network`, ``"last"`` for `last_network`.

        Raises:
            InputError: `fit` has trained nothing, or there is no such checkpoint.
            WorkError: The file cannot be written.
        """
        network = self._checkpoint(checkpoint)
        if not len(self.history):
            raise InputError("a trainer must have trained an epoch to save it, got none; call fit")
        write_atomic(as_path(path), to_bytes(network, json.dumps(self._about)))

    def predict(self, data: Data, checkpoint: str = "best") -> np.ndarray:
        """Predict the class of each example, by `network` or `last_network`; labels do not matter.

        Arguments:
            data: N examples.
            checkpoint: ``"best"`` for `network`, ``"last"`` for `last_network`.

        Returns:
            (N,) int64, the numbers of the classes; where data have targets, the series of the K
            outputs, (N, K, T) float32.

        Raises:
            InputError: The data do not fit the network, or there is no such checkpoint.
        """
        if getattr(data, "targets", None) is None:
            return self.evaluate(data, checkpoint).predictions
        compiled = self._ready(data, checkpoint)
        return np.concatenate([compiled.record(batch).voltage for batch in self._in_order(data)])

    def evaluate(self, data: Data, checkpoint: str = "best") -> Evaluation:
        """Evaluate `network`, or `last_network`, on a split, in the order of the split.

        Callbacks may call it as well; the training goes on as if they had not.

        Arguments:
            data: The split.
            checkpoint: ``"best"`` for `network`, ``"last"`` for `last_network`.

        Raises:
            InputError: The data do not fit the network, or there is no such checkpoint.
        """
        return self._ready(data, checkpoint).evaluate(self._in_order(data))

    def _ready(self, data: Data, checkpoint: str) -> CompiledNetwork:
        """What evaluates a checkpoint's network, on data that fit it."""
        network = self._checkpoint(checkpoint)
        check_data(self._start, self.loss, "data", data)
        compiled = self._evaluating or (None if self._training else self._compiled)
        if compiled is None:
            compiled = self._evaluating = self._compile(None)
        compiled.push(as_taken(compiled, network))
        return compiled

    def _checkpoint(self, checkpoint: str) -> Network:
        check("checkpoint", checkpoint, Annotated[str, one_of(*CHECKPOINTS)])
        return self._network if checkpoint == "best" else self._last

    def _compile(self, batches: int | None) -> CompiledNetwork:
        """Compile the starting network, to evaluate if `batches` is None."""
        raise NotImplementedError

    def _in_order(self, data: Data) -> Iterable[Batch]:
        """The batches of a split in its order."""
        raise NotImplementedError
