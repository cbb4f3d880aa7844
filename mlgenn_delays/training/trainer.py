"""The trainer: epochs, validation, the best network, run directories and resuming."""

import math
import warnings
import zlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import islice
from time import perf_counter

from mlgenn_delays.data.augment.augment import Augment
from mlgenn_delays.data.batching import epoch_batches
from mlgenn_delays.data.types import Batch, Data
from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.engines.checks import Trials, check_sizes
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.ranks import Ranks
from mlgenn_delays.engines.results import EpochResult, Evaluation
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.learning import Rule
from mlgenn_delays.learning.losses import Loss, as_loss
from mlgenn_delays.network import Network
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.progress import check_progress
from mlgenn_delays.quantisation import Quantisation
from mlgenn_delays.rewiring import Rewiring
from mlgenn_delays.runs.checkpoint import REMEDY, SPACE, Checkpoint, Setting, keep, thin
from mlgenn_delays.runs.directory import STATE, RunDirectory
from mlgenn_delays.runs.history import (
    History,
    Row,
    check_columns,
    make_row,
    nothing_left,
)
from mlgenn_delays.runs.record import check_resumed, fingerprints, keep_record, with_data
from mlgenn_delays.runs.sessions import session
from mlgenn_delays.settings import Count, NonNegative, Seed, check
from mlgenn_delays.training.callbacks import Callback, CallbackList, check_callbacks
from mlgenn_delays.training.checks import (
    BACKEND,
    capped_delays,
    check_arguments,
    check_augment,
    check_engine,
    check_splits,
    checked,
    described_learning,
    diverged,
    length_before,
    loss_bound,
    starting_network,
    what_is_learned,
)
from mlgenn_delays.training.epoch_line import EpochProgress
from mlgenn_delays.training.trained import Trained
from mlgenn_delays.untrusted import as_damaged


class Trainer(Trained):
    """Trains a network on one split, chooses the best epoch on another.

    The given network stays as it is: take the trained one from `network`. Two trainings with
    equal arguments and data give equal networks, bit for bit, on an engine that can (``"cpu"``).

    Arguments:
        network: The network to start from.
        rule: What is learned and how.
        loss: A name, such as ``"cross-entropy"``, its settings, or a function; see
            `mlgenn_delays.learning.losses`.
        rewiring: How structure is learned, or None to keep it.
        quantisation: How weights and delays are quantised while they are learned, or None.
        epochs: Epochs, at least 1.
        batch_size: Examples per batch, at least 1.
        seed: Seed of shuffling, augmentation, dropout and rewiring, at least 0.
        threads: Threads, all cores if None; results do not depend on it.
        engine: ``"cpu"`` or ``"genn"``.
        backend: Of GeNN, ``"single_threaded_cpu"`` or ``"cuda"``.
        communicator: ``"mpi"`` where several processes train, each of which makes the same trainer
            and calls the same methods; None for one.
        augment: Random changes to the training examples, or None.
        run: Where to keep metrics and checkpoints, or None to keep all in memory.
        snapshots: Space in the run for the network at several epochs, beside the first [MB]: as
            many as fit, evenly over the epochs. See `mlgenn_delays.runs.checkpoint`.
        progress: ``"bar"``, ``"plain"``, ``"none"``, or ``"auto"``: a bar on a terminal and in a
            notebook.
        callbacks: What is called at the begin and the end of the training, of epochs and batches,
            in this order; see `Callback`.

    Attributes:
        history: The `History` of the last `fit`, also after one that failed.
        stop_training: Whether the training ends after the epoch under way, as a callback may want.
        ranks: The processes that train together; the one that leads writes and shows progress.

    Raises:
        InputError: An argument is off; the text names it.

    Example:
        >>> from mlgenn_delays import EventProp, Trainer, load_dataset
        >>> from mlgenn_delays.recipe import build_network, load_recipe
        >>> data = load_dataset("yin-yang", options={"train": 30, "validation": 30}, dt=0.1)
        >>> network = build_network(load_recipe("yin-yang"), 5, 3, seed=0)
        >>> trainer = Trainer(network, EventProp(), epochs=2, progress="none")
        >>> len(trainer.fit(data["train"], data["validation"]))
        2
        >>> trainer
        Trainer(EventProp, 2 of 2 epochs, best 2, batches of 32, cpu)
        >>> trainer.predict(data["validation"]).shape
        (30,)
    """

    def __init__(
        self,
        network: Network,
        rule: Rule,
        *,
        loss: str | Loss = "cross-entropy",
        rewiring: Rewiring | None = None,
        quantisation: Quantisation | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        seed: int = 0,
        threads: int | None = None,
        engine: str = "cpu",
        backend: str = BACKEND,
        communicator: str | None = None,
        augment: Augment | None = None,
        run: RunDirectory | None = None,
        snapshots: float = SPACE,
        progress: str = "auto",
        callbacks: Sequence[Callback] = (),
    ) -> None:
        check_arguments(network, rule, rewiring, augment, run, quantisation)
        check_engine(engine, backend, communicator)
        check("epochs", epochs, Count)
        check("batch_size", batch_size, Count)
        check("seed", seed, Seed)
        if threads is not None:
            check("threads", threads, Count)
        check("snapshots", snapshots, NonNegative)
        check_progress(progress)
        self.rule = rule
        self.loss = as_loss(loss)
        self.rewiring = rewiring
        identity = quantisation is None or quantisation.is_identity
        self.quantisation = None if identity else quantisation
        self.epochs = int(epochs)
        self.batch_size = int(batch_size)
        self.seed = int(seed)
        self.threads = threads
        self.engine = engine
        self.backend = backend
        self.communicator = communicator
        self.augment = augment
        self._learned = rule, self.loss, rewiring, augment, self.quantisation
        self.run = run
        self.snapshots = float(snapshots)
        self.progress = progress
        self.callbacks = check_callbacks(callbacks)
        self.stop_training = False
        self.history = History()
        self.ranks = Ranks(communicator)
        self._given = network
        self._about: dict[str, object] = {}  # of what `fit` was given, for `save`
        self._start = network.copy()
        self._last = self._start
        self._network = self._start
        self._bound = math.inf  # of the mean loss
        self._prepared: tuple[int, CompiledNetwork] | None = None  # by `check`, for `fit`
        self._compiled: CompiledNetwork | None = None  # what learns
        self._evaluating: CompiledNetwork | None = None  # what only evaluates
        self._training = False

    def __repr__(self) -> str:
        rule, epochs = type(self.rule).__name__, f"{len(self.history)} of {self.epochs} epochs"
        found = f", best {self.history.best_epoch}" if len(self.history) else ""
        return f"Trainer({rule}, {epochs}{found}, batches of {self.batch_size}, {self.engine})"

    def check(self, train: Data, validation: Data | None = None) -> None:
        """Check data as `fit` would, without writing anything.

        Of several processes none returns before all have checked.

        Raises:
            InputError: Data, augmentation or callbacks do not fit, or the engine cannot run the
                network, the rule or the rewiring.
        """
        self._check_data(train, validation)
        batches = self._batches(train)
        compiled = self._compile(batches)
        self._prepared = batches, compiled
        if self.engine != "cpu":  # whether its code can be built shows when it first runs
            compiled.evaluate(islice(self._in_order(train), 1))
        self.ranks.wait()

    def fit(self, train: Data, validation: Data | None = None, *, resume: bool = False) -> History:
        """Train from the start, or resume a run.

        The network that the trainer was given stays as it is: what was learned is in `network`. A
        second call starts again from the one given; to train on, make a trainer of `network`, or
        resume a run with more epochs.

        Arguments:
            train: What is learned.
            validation: What chooses the best epoch and stops early; None if nothing shall.
            resume: Continue after the last finished epoch of the run, if it has any. All that
                matters must be as it was; engine, backend, threads and progress may differ, and
                there may be more epochs where no schedule and no rewiring depends on how many.

        Returns:
            The metrics of all epochs, those before resuming included.

        Raises:
            InputError: The data do not fit the network, the run is in use or has been trained
                before, or a resumed run was started otherwise.
            DivergedError: The loss exploded or was not finite. The last good network is kept.
            WorkError: A file cannot be written; the last finished epoch is kept.
            Exception: Whatever a callback raises; the last finished epoch is kept.
        """
        self._check_data(train, validation)
        if resume and self.run is None:
            raise InputError("resume needs a run directory, got a trainer with run=None")
        self._tell(resume)
        settings = self._settings(train, validation)
        splits = fingerprints(train, validation) if self.run or self.ranks.several else {}
        noted = with_data(settings, splits)
        self.ranks.agree(zlib.crc32(repr(noted).encode()))
        sizes = {population.name: population.n for population in self._start.spiking()}
        batches = self._batches(train)
        with ExitStack() as stack:
            checkpoint = None
            if self.run is not None:
                if self.ranks.leads:
                    stack.enter_context(self.run.lock())
                checkpoint = self.run.begin(resume, self.ranks.leads)
                if checkpoint is not None:
                    known = described_learning(*self._learned, recorded=checkpoint.settings)
                    known |= starting_network(self.run.path, checkpoint, self._start)
                    known |= length_before(checkpoint, self.epochs, self.rule, self.rewiring)
                    check_resumed(self.run.path, checkpoint, settings | known, splits)
                elif self.ranks.leads:
                    keep_record(self.run.path, splits)
            kind = self.progress if self.ranks.leads else "none"
            progress = stack.enter_context(EpochProgress(kind, self.epochs, batches, sizes))
            callbacks = CallbackList([progress, *self.callbacks], self)
            self._begin(checkpoint, train)
            stack.callback(self._end)
            callbacks.call("on_train_begin", {})
            self._agree_to_stop()
            if self._ended():
                progress.message(nothing_left(self.history))
            elif self.run is not None and self.ranks.leads:
                stack.enter_context(session(self.run.path, len(self.history), self.engine))
            logs: Row = {}
            while not self._ended():
                logs = self._epoch(train, validation, noted, callbacks)
            callbacks.call("on_train_end", logs)
        return self.history

    def _tell(self, resume: bool) -> None:
        if not self.ranks.leads:
            return
        if len(self.history) and not resume:
            warnings.warn(
                "fit starts again from the network that the trainer was given; to train on, make "
                "Trainer(trainer.network, ...), or resume a run with more epochs",
                stacklevel=3,
            )
        text = capped_delays(self._start, self.rule)
        if text:
            warnings.warn(text, stacklevel=3)

    def _check_data(self, train: Data, validation: Data | None) -> None:
        check_splits(self._start, self.loss, train, validation)
        side = 0 if self.engine == "cpu" else self.batch_size if self.backend == "cuda" else 1
        examples = max(len(train), 0 if validation is None else len(validation))
        trials = Trials(min(self.batch_size, examples), train.n_steps, self.threads, side)
        check_sizes(self._start, self.rule, self.rewiring, trials)
        check_augment(self.augment, train)
        for callback in self.callbacks:
            callback.check(train, validation)

    def _batches(self, train: Data) -> int:
        return math.ceil(len(train) / self.batch_size)

    def _compile(self, batches: int | None) -> CompiledNetwork:
        """Compile the starting network to learn from so many batches per epoch, or to evaluate."""
        learns = batches is not None
        return compile_network(
            self._start.copy(),
            self.rule,
            loss=self.loss,
            rewiring=self.rewiring if learns else None,
            quantisation=self.quantisation if learns else None,
            total_steps=self.epochs * (batches or 1),
            epoch_steps=batches,
            seed=self.seed,
            engine=self.engine,
            threads=self.threads,
            backend=self.backend,
            batch_size=self.batch_size,
            communicator=self.communicator,
            learns=learns,
        )

    def _settings(self, train: Data, validation: Data | None) -> dict[str, Setting]:
        """What a resumed training must share with its first part."""
        return {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "seed": self.seed,
            **described_learning(*self._learned),
            "network": repr(self._start),
            "starting values": zlib.crc32(to_bytes(self._start)),
            "training examples": len(train),
            "validation examples": 0 if validation is None else len(validation),
            "steps of a trial": train.n_steps,
        }

    def _begin(self, checkpoint: Checkpoint | None, train: Data) -> None:
        batches, compiled = self._prepared or (0, None)
        self._prepared = None
        if compiled is None or batches != self._batches(train):
            compiled = self._compile(self._batches(train))
        self._bound = loss_bound(compiled, self.loss, next(iter(self._in_order(train))))
        if checkpoint is None:
            self.history = History()
            self._last = self._network = self._start
            self._keep_snapshot(to_bytes(self._start))
        else:
            assert self.run is not None
            with as_damaged(self.run.checkpoint_path("last") / STATE, REMEDY):
                names = [p.name for p in self._start.spiking()]
                check_columns(checkpoint.history, names, rewired=self.rewiring is not None)
                compiled.load_state(checkpoint.state)
            last = compiled.pull().copy()
            if self.ranks.leads:
                self.run.write_derived(checkpoint, to_bytes(last))
                if length_before(checkpoint, self.epochs, self.rule, self.rewiring):
                    thin(self.run.path, space=self.snapshots, epochs=self.epochs)
            self.ranks.wait()  # for the file of the best network
            self.history = checkpoint.history
            self._last = last
            self._network = Network.load(self.run.network_path("best"))
        self._compiled, self._evaluating, self._training = compiled, None, True
        self._about = what_is_learned(self._start, train, self.quantisation)
        self.stop_training = False
        self.ranks.wait()  # no epoch is committed before all have read the last

    def _end(self) -> None:
        self._evaluating, self._training = None, False

    def _agree_to_stop(self) -> None:
        self.stop_training = self.ranks.any(self.stop_training)
        self.history.stopped_early = self.stop_training and len(self.history) < self.epochs

    def _ended(self) -> bool:
        return self.stop_training or len(self.history) >= self.epochs

    def _epoch(
        self,
        train: Data,
        validation: Data | None,
        settings: dict[str, Setting],
        callbacks: CallbackList,
    ) -> Row:
        """Train an epoch, keep it, and return its logs."""
        began = perf_counter()
        epoch = len(self.history) + 1
        compiled = self._compiled
        assert compiled is not None
        callbacks.call("on_epoch_begin", epoch, {})
        try:
            result, answer = self._learn(compiled, epoch, train, validation, callbacks)
            last = compiled.pull().copy()
            content = checked(last)
            self.ranks.agree_on_network(zlib.crc32(content))
        except DivergedError as error:
            self._network, self._compiled = self._last, None
            raise diverged(epoch, error, self.run) from error
        row = make_row(epoch, result, answer, perf_counter() - began)
        self._keep(compiled, last, content, row, settings)
        logs = dict(row)
        callbacks.call("on_epoch_end", epoch, logs)
        self._agree_to_stop()
        return logs

    def _learn(
        self,
        compiled: CompiledNetwork,
        epoch: int,
        train: Data,
        validation: Data | None,
        callbacks: CallbackList,
    ) -> tuple[EpochResult, Evaluation | None]:
        batches = epoch_batches(
            train, self.batch_size, seed=self.seed, epoch=epoch, augment=self.augment
        )
        result = compiled.train_epoch(
            callbacks.batches(batches), epoch=epoch, on_batch=callbacks.end_batch
        )
        if not result.loss <= self._bound:
            raise DivergedError(f"the mean loss was {result.loss:.4g}, above {self._bound:.4g}")
        if validation is None:
            return result, None
        answer = compiled.evaluate(self._in_order(validation))
        if not math.isfinite(answer.loss):
            raise DivergedError(f"the validation loss was {answer.loss}")
        return result, answer

    def _keep(
        self,
        compiled: CompiledNetwork,
        last: Network,
        content: bytes,
        row: Row,
        settings: dict[str, Setting],
    ) -> None:
        better = self.history.add(row)
        self._given.note_trained_copy()
        self._last = last
        if better:
            self._network = last
        if self.run is not None and self.ranks.leads:
            best = content if better else to_bytes(self._network)
            self._keep_snapshot(content)
            checkpoint = Checkpoint(settings, self.history, compiled.state(), best)
            self.run.commit(checkpoint, content)

    def _keep_snapshot(self, network: bytes) -> None:
        if self.run is not None and self.ranks.leads:
            epoch = len(self.history)
            keep(self.run.path, epoch, network, space=self.snapshots, epochs=self.epochs)

    def _in_order(self, data: Data) -> Iterable[Batch]:
        return epoch_batches(data, self.batch_size, seed=self.seed, epoch=0, shuffle=False)
