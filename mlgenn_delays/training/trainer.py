"""The trainer: epochs, validation, the best network, run directories and resuming."""

import math
import zlib
from contextlib import ExitStack
from time import perf_counter
from types import NoneType
from typing import get_args

from mlgenn_delays.data.augment import Augment
from mlgenn_delays.data.batching import epoch_batches
from mlgenn_delays.data.checks import check_number
from mlgenn_delays.data.types import Data
from mlgenn_delays.engines.base import (
    ENGINES,
    CompiledNetwork,
    EpochResult,
    Evaluation,
    compile_network,
)
from mlgenn_delays.errors import DivergedError, InputError, nearest
from mlgenn_delays.learning import Rule
from mlgenn_delays.network import Network
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.rewiring import Rewiring
from mlgenn_delays.training.checkpoint import Checkpoint, Setting
from mlgenn_delays.training.checks import (
    check_augment,
    check_data,
    check_settings,
    check_splits,
)
from mlgenn_delays.training.history import History, Row, make_row
from mlgenn_delays.training.progress import Progress, check_kind, make_progress
from mlgenn_delays.training.run import RunDirectory

# A mean loss so many times that of guessing (the logarithm of the number of classes) has exploded.
EXPLODED = 100.0


class Trainer:
    """Trains a network on one split, chooses the best epoch on another.

    The given network stays as it is: take the trained one from `network`. Two trainings with
    equal arguments and data give equal networks, bit for bit, on an engine that can (``"cpu"``).

    Arguments:
        network: The network to start from.
        rule: What is learned and how.
        rewiring: How structure is learned, or None to keep it.
        epochs: Epochs, at least 1.
        batch_size: Examples a batch, at least 1.
        seed: Seed of shuffling, augmentation, dropout and rewiring, at least 0.
        threads: Threads, all cores if None; results do not depend on it.
        engine: Name of an engine.
        augment: Random changes to the training examples, or None.
        patience: Stop after so many epochs without a better best one, or None for never.
        run: Where to keep metrics and checkpoints, or None to keep all in memory.
        progress: ``"bar"``, ``"plain"``, ``"none"``, or ``"auto"``: a bar on a terminal.

    Attributes:
        history: The `History` of the last `fit`, also after one that failed.

    Raises:
        InputError: An argument is off; the text names it.
    """

    def __init__(
        self,
        network: Network,
        rule: Rule,
        *,
        rewiring: Rewiring | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        seed: int = 0,
        threads: int | None = None,
        engine: str = "cpu",
        augment: Augment | None = None,
        patience: int | None = None,
        run: RunDirectory | None = None,
        progress: str = "auto",
    ) -> None:
        _check_types(network, rule, rewiring, engine, augment, run)
        check_number("epochs", epochs, 1, integer=True)
        check_number("batch_size", batch_size, 1, integer=True)
        check_number("seed", seed, 0, integer=True)
        for name, value in (("threads", threads), ("patience", patience)):
            if value is not None:
                check_number(name, value, 1, integer=True)
        check_kind(progress)
        self.rule = rule
        self.rewiring = rewiring
        self.epochs = int(epochs)
        self.batch_size = int(batch_size)
        self.seed = int(seed)
        self.threads = threads
        self.engine = engine
        self.augment = augment
        self.patience = None if patience is None else int(patience)
        self.run = run
        self.progress = progress
        self.history = History()
        self._start = network.copy()
        self._last = self._start
        self._network = self._start
        self._compiled: CompiledNetwork | None = None

    @property
    def network(self) -> Network:
        """The network: of the best epoch so far where `fit` had validation data, else of the last.

        Before `fit` it is the one to start from, after a `DivergedError` the last good one.
        """
        return self._network

    def check(self, train: Data, validation: Data | None = None) -> None:
        """Refuse what `fit` would refuse of these data, before anything is written.

        Arguments:
            train: As of `fit`.
            validation: As of `fit`.

        Raises:
            InputError: Data, augmentation or patience do not fit, or the engine cannot run the
                network, the rule or the rewiring.
        """
        self._check_data(train, validation)
        self._compile(self.epochs * self._batches(train))

    def fit(self, train: Data, validation: Data | None = None, *, resume: bool = False) -> History:
        """Train from the start, or go on with a run.

        Arguments:
            train: What is learned.
            validation: What chooses the best epoch and stops early; None if nothing shall.
            resume: Go on after the last finished epoch of the run, if it has any. All that
                matters must be as it was; threads and progress may differ.

        Returns:
            The metrics of all epochs, those before resuming included.

        Raises:
            InputError: The data do not fit the network, the run is in use or has been trained
                before, or a resumed run was started otherwise.
            DivergedError: The loss exploded or was not finite. The last good network is kept.
            WorkError: A file cannot be written; the last finished epoch is kept.
        """
        self._check_data(train, validation)
        if resume and self.run is None:
            raise InputError("resume must have a run directory, got a trainer with run=None")
        settings = self._settings(train, validation)
        sizes = {population.name: population.n for population in self._start.spiking()}
        batches = self._batches(train)
        with ExitStack() as stack:
            checkpoint = None
            if self.run is not None:
                stack.enter_context(self.run.lock())
                checkpoint = _open_checkpoint(self.run, resume)
            progress = make_progress(self.progress, self.epochs, batches, sizes)
            stack.enter_context(progress)
            if checkpoint is not None:
                check_settings(checkpoint.settings, settings)
            self._begin(checkpoint, self.epochs * batches)
            if self._finished():
                progress.message(_nothing_left(self.history))
            while not self._finished():
                self._epoch(train, validation, settings, progress)
        return self.history

    def evaluate(self, data: Data) -> Evaluation:
        """Answer every example of a split with `network`, in the order of the split.

        After `fit` with validation data this is the network of the best epoch.

        Raises:
            InputError: The data do not fit the network.
        """
        check_data(self._start, "data", data)
        if self._compiled is None:
            self._compiled = self._compile(1)
        self._compiled.push(self._network)
        return self._answer(self._compiled, data)

    def _check_data(self, train: Data, validation: Data | None) -> None:
        """Refuse data that do not fit the network and the settings."""
        check_splits(self._start, train, validation)
        check_augment(self.augment, train)
        if self.patience is not None and validation is None:
            raise InputError(f"patience must have validation data, got patience {self.patience}")

    def _batches(self, train: Data) -> int:
        """Return the number of batches of an epoch."""
        return math.ceil(len(train) / self.batch_size)

    def _compile(self, total_steps: int) -> CompiledNetwork:
        """Return the starting network, compiled."""
        return compile_network(
            self._start.copy(),
            self.rule,
            rewiring=self.rewiring,
            total_steps=total_steps,
            seed=self.seed,
            engine=self.engine,
            threads=self.threads,
        )

    def _settings(self, train: Data, validation: Data | None) -> dict[str, Setting]:
        """Return all that a resumed training must have in common with its first part."""
        return {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "patience": self.patience,
            "engine": self.engine,
            "rule": repr(self.rule),
            "rewiring": None if self.rewiring is None else repr(self.rewiring),
            "augment": None if self.augment is None else repr(self.augment),
            "network": repr(self._start),
            "starting values": zlib.crc32(to_bytes(self._start)),
            "training examples": len(train),
            "validation examples": 0 if validation is None else len(validation),
            "steps of a trial": train.n_steps,
        }

    def _begin(self, checkpoint: Checkpoint | None, total_steps: int) -> None:
        """Set everything to the start, or to a checkpoint."""
        compiled = self._compile(total_steps)
        if checkpoint is None:
            self.history = History()
            self._last = self._network = self._start
        else:
            assert self.run is not None
            compiled.load_state(checkpoint.state)
            last = compiled.pull().copy()
            self.run.write_derived(checkpoint, to_bytes(last))
            self.history = checkpoint.history
            self._last = last
            self._network = Network.load(self.run.network_path("best"))
        self._compiled = compiled

    def _finished(self) -> bool:
        """Return whether no epoch is left, noting an early stop."""
        history = self.history
        waited = self.patience is not None and history.epochs_without_better >= self.patience
        history.stopped_early = waited and len(history) < self.epochs
        return waited or len(history) >= self.epochs

    def _epoch(
        self,
        train: Data,
        validation: Data | None,
        settings: dict[str, Setting],
        progress: Progress,
    ) -> None:
        """Train one more epoch, measure it and commit it."""
        began = perf_counter()
        epoch = len(self.history) + 1
        compiled = self._compiled
        assert compiled is not None
        progress.begin_epoch(epoch)
        try:
            result, answer = self._learn(compiled, epoch, train, validation, progress)
        except DivergedError as error:
            self._network, self._compiled = self._last, None
            raise self._diverged(epoch, error) from error
        last = compiled.pull().copy()
        row = make_row(epoch, result, answer, perf_counter() - began)
        self._keep(compiled, last, row, settings, progress)

    def _learn(
        self,
        compiled: CompiledNetwork,
        epoch: int,
        train: Data,
        validation: Data | None,
        progress: Progress,
    ) -> tuple[EpochResult, Evaluation | None]:
        """Train an epoch and answer the validation data, refusing losses that make no sense."""
        batches = epoch_batches(
            train, self.batch_size, seed=self.seed, epoch=epoch, augment=self.augment
        )
        result = compiled.train_epoch(batches, epoch=epoch, on_batch=progress.batch)
        bound = EXPLODED * math.log(max(2, self._start.output().n))
        if not result.loss <= bound:
            raise DivergedError(f"the mean loss was {result.loss:.4g}, above {bound:.4g}")
        if validation is None:
            return result, None
        answer = self._answer(compiled, validation)
        if not math.isfinite(answer.loss):
            raise DivergedError(f"the validation loss was {answer.loss}")
        return result, answer

    def _keep(
        self,
        compiled: CompiledNetwork,
        last: Network,
        row: Row,
        settings: dict[str, Setting],
        progress: Progress,
    ) -> None:
        """Take a finished epoch into history, network and run directory."""
        better = self.history.add(row)
        self._last = last
        if better:
            self._network = last
        if self.run is not None:
            best = to_bytes(self._network)
            checkpoint = Checkpoint(settings, self.history, compiled.state(), best)
            self.run.commit(checkpoint, best if better else to_bytes(last))
        progress.end_epoch(row, better)
        if len(self.history) == 1:
            self._tell_silent(row, progress)

    def _tell_silent(self, row: Row, progress: Progress) -> None:
        """Say that a population without spikes, which has no gradient, will not learn."""
        for population in self._start.spiking():
            name = population.name
            if row.get(f"silent_{name}") == population.n:
                progress.message(
                    f"no neuron of {name!r} spiked in epoch 1, so nothing is learned through it; "
                    "raise the weights onto it, or set regularisation.revive"
                )

    def _answer(self, compiled: CompiledNetwork, data: Data) -> Evaluation:
        """Answer a split in its own order."""
        return compiled.evaluate(
            epoch_batches(data, self.batch_size, seed=self.seed, epoch=0, shuffle=False)
        )

    def _diverged(self, epoch: int, error: DivergedError) -> DivergedError:
        """Return the error that says what was kept and what to try."""
        if self.run is not None and self.history.rows:
            kept = (
                f"the last good checkpoint, of epoch {epoch - 1}, is kept in "
                f"{self.run.checkpoint_path('last')}"
            )
        elif self.history.rows:
            kept = f"the trainer keeps the last good network, of epoch {epoch - 1}"
        else:
            kept = "no epoch was finished; the trainer keeps the network as it was at the start"
        return DivergedError(
            f"training diverged in epoch {epoch}: {str(error).rstrip('.')}; {kept}; lower "
            "learning.learning_rate (or delays.learning_rate), or set learning.clip, in a new run"
        )


def _nothing_left(history: History) -> str:
    """Return the words for a training that is resumed after its end."""
    why = "stopped early" if history.stopped_early else "finished"
    return (
        f"nothing to do: the training {why} after {len(history)} epochs, "
        f"the best of them epoch {history.best_epoch}"
    )


def _open_checkpoint(run: RunDirectory, resume: bool) -> Checkpoint | None:
    """Return the checkpoint to go on from, under the lock of the run."""
    if not resume and run.has_checkpoint:
        raise InputError(
            f"the run {run.path} must have no finished epoch to train from the start; "
            "go on with --resume (resume=True), or choose another folder with --out"
        )
    run.remove_leftovers()
    return run.load_checkpoint()


def _check_types(
    network: object, rule: object, rewiring: object, engine: object, augment: object, run: object
) -> None:
    """Refuse arguments of another kind, and networks without one input and one output."""
    for name, value, kind in (
        ("network", network, Network),
        ("rule", rule, Rule),
        ("rewiring", rewiring, Rewiring | None),
        ("augment", augment, Augment | None),
        ("run", run, RunDirectory | None),
    ):
        if not isinstance(value, kind):
            kinds = get_args(kind) or (kind,)
            wanted = " or ".join("None" if k is NoneType else k.__name__ for k in kinds)
            raise InputError(f"Trainer must have {name} of type {wanted}, got {value!r}")
    assert isinstance(network, Network)
    network.input()
    network.output()
    if engine not in ENGINES:
        hint = nearest(engine, ENGINES) if isinstance(engine, str) else ""
        raise InputError(
            f"Trainer must have engine one of {', '.join(ENGINES)}, got {engine!r}{hint}"
        )
