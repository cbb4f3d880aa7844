"""What happens beside a training, epoch by epoch: the base class, early stopping, and the calls."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mlgenn_delays.data.types import Batch, Data
from mlgenn_delays.engines.metrics import ACCURACY, METRIC_OF
from mlgenn_delays.engines.results import BatchResult
from mlgenn_delays.errors import InputError
from mlgenn_delays.runs.history import Row
from mlgenn_delays.settings import Count, check

if TYPE_CHECKING:
    from mlgenn_delays.training.trainer import Trainer

Logs = Row


class Callback:
    """What a `Trainer` calls while it trains; derive from it and define the methods you need.

    Names and order are those of Keras. Epochs and batches count from 1, as in `History`. A callback
    changes nothing of what is learned, but it may end the training: after
    ``self.trainer.stop_training = True`` no further epoch begins. An error that it raises ends
    `Trainer.fit` with its own traceback; the last finished epoch is then in the run directory
    already, and the run can be resumed. Of several processes that train together each calls its
    callbacks; write only where ``self.trainer.ranks.leads``.

    Attributes:
        trainer: The trainer, from `on_train_begin` on. Its `history` has all finished epochs, its
            `last_network` is the network of the last of them, its `network` that of the best.

    Example:
        >>> from mlgenn_delays import Callback, EventProp, Trainer, load_dataset
        >>> from mlgenn_delays.recipe import build_network, load_recipe
        >>> class Delays(Callback):
        ...     def on_train_begin(self, logs):
        ...         self.mean = []
        ...
        ...     def on_epoch_end(self, epoch, logs):
        ...         projection = self.trainer.last_network.projections["input->hidden1"]
        ...         self.mean.append(projection.delay.mean())
        >>> data = load_dataset("yin-yang", options={"train": 30, "validation": 30}, dt=0.1)
        >>> network = build_network(load_recipe("yin-yang"), 5, 3, seed=0)
        >>> delays = Delays()
        >>> trainer = Trainer(network, EventProp(), epochs=2, progress="none", callbacks=[delays])
        >>> history = trainer.fit(data["train"], data["validation"])
        >>> len(delays.mean)
        2
    """

    trainer: "Trainer"

    def check(self, train: Data, validation: Data | None) -> None:
        """Raise an `InputError` for data that do not do, before anything else happens."""

    def on_train_begin(self, logs: Logs) -> None:
        """Called before the first epoch, or the first after resuming.

        Arguments:
            logs: Empty.
        """

    def on_train_end(self, logs: Logs) -> None:
        """Called after the last epoch; not where an error or an interruption ends the training.

        Arguments:
            logs: Those of the last epoch; empty if no epoch was left.
        """

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Called before an epoch.

        Arguments:
            epoch: Its number, from 1.
            logs: Empty.
        """

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Called after an epoch was validated and its checkpoint kept.

        Arguments:
            epoch: Its number, from 1.
            logs: The row of `History`: ``epoch``, ``train_loss``, ``train_accuracy``,
                ``validation_loss`` and so on. All callbacks get the same dictionary in their order;
                what one adds, later ones find, and loggers log.
        """

    def on_batch_begin(self, batch: int, logs: Logs) -> None:
        """Called before a batch of training.

        Arguments:
            batch: Its number in the epoch, from 1.
            logs: Empty.
        """

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """Called after a batch of training; the engine may be at the next one already.

        Arguments:
            batch: Its number in the epoch, from 1.
            logs: Means over the epoch so far: ``train_loss``, ``train_accuracy`` (``train_nrmse``
                for target series) and ``spikes_<population>`` (per neuron and example).
        """


class EarlyStopping(Callback):
    """Ends a training when no better epoch comes; `History` says which of two is better.

    It looks at the whole history: a resumed training stops where it would have without.

    Arguments:
        patience: Stop after so many epochs without a better best one, at least 1.

    Raises:
        InputError: Patience is off, or at `Trainer.fit`, there are no validation data.

    Example:
        >>> from mlgenn_delays import EarlyStopping
        >>> stopping = EarlyStopping(patience=5)  # for callbacks=[stopping] of a Trainer
    """

    def __init__(self, patience: int) -> None:
        check("patience", patience, Count)
        self.patience = int(patience)

    def check(self, train: Data, validation: Data | None) -> None:
        """Reject a training without validation data."""
        if validation is None:
            raise InputError(
                f"patience needs validation data, got patience {self.patience} and none; give them "
                "to fit, or leave early stopping out"
            )

    def on_train_begin(self, logs: Logs) -> None:
        """Stop at once where a resumed training has stopped."""
        self.on_epoch_end(len(self.trainer.history), logs)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Stop if no better epoch came for too long."""
        if self.trainer.history.ended(self.trainer.epochs, self.patience):
            self.trainer.stop_training = True


class CallbackList:
    """The callbacks of one call of `Trainer.fit`, called in their order."""

    def __init__(self, callbacks: Sequence[Callback], trainer: "Trainer") -> None:
        self._callbacks = callbacks
        self._means = RunningMeans()
        for callback in callbacks:
            callback.trainer = trainer

    def call(self, hook: str, *arguments: object) -> None:
        """Call the method of that name of each."""
        for callback in self._callbacks:
            getattr(callback, hook)(*arguments)

    def batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches of an epoch; the callbacks are called before each."""
        self._means = RunningMeans()
        for number, batch in enumerate(batches, 1):
            self.call("on_batch_begin", number, {})
            yield batch

    def end_batch(self, result: BatchResult) -> None:
        """Call the callbacks after a batch."""
        self._means.add(result)
        self.call("on_batch_end", self._means.batches, self._means.logs())


class RunningMeans:
    """Means over the batches of an epoch so far."""

    def __init__(self) -> None:
        self.batches, self.n, self.loss, self.metric = 0, 0, 0.0, ACCURACY
        self.spikes: dict[str, float] = {}
        self.statistics: Any = 0

    def add(self, result: BatchResult) -> None:
        """Add a batch."""
        self.batches, self.n = self.batches + 1, self.n + result.n
        self.loss += result.loss * result.n
        self.metric = METRIC_OF[result.metric]
        self.statistics = result.statistics + self.statistics
        for name, spikes in result.spikes.items():
            self.spikes[name] = self.spikes.get(name, 0.0) + spikes * result.n

    def logs(self) -> Logs:
        """The means, under the names of `History`."""
        score = float(self.metric.value(self.statistics, self.n))
        found: Logs = {"train_loss": self.loss / self.n, f"train_{self.metric.name}": score}
        return found | {f"spikes_{name}": total / self.n for name, total in self.spikes.items()}


def check_callbacks(callbacks: object) -> list[Callback]:
    """The callbacks of a trainer as a list; rejects what is none."""
    found: list[Callback] = []
    for each in callbacks if isinstance(callbacks, Iterable) else [callbacks]:
        if not isinstance(each, Callback):
            remedy = "give an instance of it" if isinstance(each, type) else "derive from Callback"
            raise InputError(f"callbacks must be a list of Callback, got {each!r}; {remedy}")
        found.append(each)
    return found
