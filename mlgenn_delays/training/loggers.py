"""Callbacks that keep the metrics of every epoch: in a CSV file, for TensorBoard, for W&B."""

import csv
import time
from collections.abc import Iterator
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from mlgenn_delays.errors import InputError
from mlgenn_delays.files import write_atomic
from mlgenn_delays.runs.history import PARTS
from mlgenn_delays.training.callbacks import Callback, Logs
from mlgenn_delays.untrusted import read_csv, reason


def _numbers(logs: Logs) -> Iterator[tuple[str, float]]:
    """What a logger logs: all that was measured, but for the number of the epoch."""
    return ((k, v) for k, v in logs.items() if k != "epoch" and isinstance(v, (int, float)))


def _need(package: str, what: str) -> None:
    if find_spec(package) is None:
        raise InputError(
            f'{what} needs the package {package}, got none; pip install "delaysnn[{package}]"'
        )


class CSVLogger(Callback):
    """Keeps a row per epoch in a CSV file, which is whole after every epoch.

    A run directory has such a file already, ``metrics.csv``; this one may lie anywhere, and has
    what other callbacks add to the logs. A new training replaces the file; a resumed one continues
    it, from the epoch that it resumes from.

    Arguments:
        path: The file.

    Raises:
        InputError: When a training resumes: the file is no table of epochs.
        WorkError: The file cannot be written.

    Example:
        >>> from mlgenn_delays import CSVLogger, EventProp, Trainer, load_dataset
        >>> from mlgenn_delays.recipe import build_network, load_recipe
        >>> data = load_dataset("yin-yang", options={"train": 30, "validation": 30}, dt=0.1)
        >>> network = build_network(load_recipe("yin-yang"), 5, 3, seed=0)
        >>> kept = CSVLogger("epochs.csv")
        >>> trainer = Trainer(network, EventProp(), epochs=2, progress="none", callbacks=[kept])
        >>> history = trainer.fit(data["train"], data["validation"])
        >>> open("epochs.csv").readline().split(",")[:3]
        ['epoch', 'train_loss', 'train_accuracy']
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._rows: dict[int, dict[str, Any]] = {}

    def on_train_begin(self, logs: Logs) -> None:
        """Take the rows of the epochs that a resumed training has finished."""
        self._rows = {number: {**row} for number, row in enumerate(self.trainer.history, 1)}
        if not self._rows or not self.path.exists():
            return
        try:
            header, lines = read_csv(self.path)
            place = header.index("epoch")
            kept = {int(line[place]): dict(zip(header, line, strict=True)) for line in lines}
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.path} must be the file of a CSVLogger: {reason(error)}; delete it, or give "
                "CSVLogger another path"
            ) from error
        for number in self._rows.keys() & kept.keys():
            self._rows[number] |= kept[number]

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Write the file with the row of the epoch."""
        self._rows[epoch] = {**logs}
        if not self.trainer.ranks.leads:
            return
        names = dict.fromkeys(name for row in self._rows.values() for name in row)
        text = StringIO()
        writer = csv.DictWriter(text, list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows[number] for number in sorted(self._rows))
        write_atomic(self.path, text.getvalue())


class TensorBoardLogger(Callback):
    """Writes the metrics of every epoch for TensorBoard; needs ``delaysnn[tensorboard]``.

    Metrics of training and validation have the same names in the folders ``train`` and
    ``validation``, so that TensorBoard draws both into one chart; all others are in ``train``. In
    a folder with earlier events, those of the epochs that are trained now are replaced.
    ``tensorboard --logdir FOLDER`` shows them, also while the training lasts.

    Arguments:
        folder: Where to.

    Raises:
        InputError: The package tensorboard is not installed.

    Example:
        >>> from mlgenn_delays import EventProp, TensorBoardLogger, Trainer, load_dataset
        >>> from mlgenn_delays.recipe import build_network, load_recipe
        >>> data = load_dataset("yin-yang", options={"train": 30, "validation": 30}, dt=0.1)
        >>> network = build_network(load_recipe("yin-yang"), 5, 3, seed=0)
        >>> board = TensorBoardLogger("events")
        >>> trainer = Trainer(network, EventProp(), epochs=2, progress="none", callbacks=[board])
        >>> history = trainer.fit(data["train"], data["validation"])
    """

    def __init__(self, folder: Path | str) -> None:
        _need("tensorboard", "TensorBoardLogger")
        self.folder = Path(folder)
        self._writers: dict[str, Any] = {}

    def on_train_begin(self, logs: Logs) -> None:
        """Start new files of events."""
        self.on_train_end(logs)  # of a training that failed

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Write the events of the epoch."""
        if not self.trainer.ranks.leads:
            return
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        by_part: dict[str, list[Any]] = {}
        for key, value in _numbers(logs):
            part, _, name = key.partition("_")
            part, tag = (part, name) if part in PARTS else (PARTS[0], key)
            by_part.setdefault(part, []).append(Summary.Value(tag=tag, simple_value=value))
        for part, values in by_part.items():
            summary = Summary(value=values)
            writer = self._writer(part, epoch)
            writer.add_event(Event(wall_time=time.time(), step=epoch, summary=summary))
            writer.flush()

    def on_train_end(self, logs: Logs) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _writer(self, part: str, epoch: int) -> Any:
        """The writer of a folder; its first event replaces what is there from an epoch on."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if part not in self._writers:
            self._writers[part] = EventFileWriter(str(self.folder / part))
            start = SessionLog(status=SessionLog.START)
            self._writers[part].add_event(
                Event(wall_time=time.time(), step=epoch, session_log=start)
            )
        return self._writers[part]


class WandbLogger(Callback):
    """Logs the metrics of every epoch to Weights & Biases; needs ``delaysnn[wandb]``.

    It logs to the run that is active, else it begins one with the settings of the trainer and ends
    it with the training. To resume one, give its ``id`` and ``resume="allow"``.

    Arguments:
        project: Of a run that it begins.
        config: Settings to keep in it beside the trainer's.
        init: Further arguments of ``wandb.init``, such as ``name``, or ``mode="offline"`` to write
            to the folder ``wandb`` only, from where ``wandb sync`` uploads.

    Raises:
        InputError: The package wandb is not installed.

    Example:
        >>> from mlgenn_delays import WandbLogger
        >>> logger = WandbLogger("delays", mode="offline")  # doctest: +SKIP
    """

    def __init__(
        self, project: str | None = None, *, config: dict[str, Any] | None = None, **init: Any
    ) -> None:
        _need("wandb", "WandbLogger")
        self._init = {"project": project, **init}
        self._config = config or {}
        self._run: Any = None
        self._began = False  # a run of its own

    def on_train_begin(self, logs: Logs) -> None:
        """Begin a run if none is active."""
        trainer = self.trainer
        if not trainer.ranks.leads:
            return
        import wandb

        self._began = wandb.run is None or (self._began and wandb.run is self._run)
        if self._began and wandb.run is not None:  # of a training that failed
            wandb.finish(exit_code=1)
        settings = {name: getattr(trainer, name) for name in ("epochs", "batch_size", "seed")}
        settings |= {
            name: repr(getattr(trainer, name)) for name in ("rule", "loss", "rewiring", "augment")
        }
        config = settings | self._config
        self._run = wandb.init(config=config, **self._init) if self._began else wandb.run

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Log the epoch, as the step of that number."""
        if self._run is not None:
            self._run.log(dict(_numbers(logs)), step=epoch)

    def on_train_end(self, logs: Logs) -> None:
        """End the run that it began."""
        if self._began and self._run is not None:
            self._run.finish()
            self._run, self._began = None, False
