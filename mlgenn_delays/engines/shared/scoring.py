"""Between forward and backward pass: logits, loss and dL/dV of the output voltages.

Shapes: B examples of a batch, K output neurons, T steps. A loss is a sum over examples, so a batch
may be scored part by part. A loss that looks at more than the voltage (spikes of an output that
spikes, say) gets it as a further field of `Outputs`.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.metrics import metric_for
from mlgenn_delays.engines.ranks import Range, Ranks
from mlgenn_delays.engines.shared.readout import (
    SOFTMAX_SUM,
    compare_examples,
    drive_examples,
    entropy_examples,
    error_drive_examples,
    read_out_examples,
    share_out_examples,
)
from mlgenn_delays.engines.shared.spike_trains import Filter, Spread
from mlgenn_delays.learning.losses import (
    CrossEntropy,
    Loss,
    MeanSquaredError,
    SpikeCountLoss,
    SpikeTimeLoss,
    check_result,
    first_step,
)


class Outputs(NamedTuple):
    """What the output population did in a batch."""

    voltage: np.ndarray  # (B, K, T) float32
    logits: np.ndarray  # (B, K) float32


class Scores(NamedTuple):
    """What a loss says of the outputs of a batch."""

    logits: np.ndarray  # (B, K) float32
    loss: np.ndarray  # (B,) float32
    statistics: np.ndarray  # (B, m) float64, see `engines.metrics`
    drive: np.ndarray | None = None  # (B, K, T) float32 dL/dV of each example, only in training


def joined(parts: list[Scores]) -> Scores:
    """Return the scores of examples that were scored one part after the other, without dL/dV."""
    names = ("logits", "loss", "statistics")
    return Scores(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def gather_scores(
    ranks: Ranks, shares: list[Range], own: Scores | None, batch: Batch, classes: int
) -> Scores:
    """Return the scores of all examples of a batch, of which each rank has its share.

    A rank without examples has None. dL/dV stays where it is: only one rank alone gets its own.
    """
    if not ranks.several and own is not None:
        return own
    size, (low, high) = len(batch), shares[ranks.rank]
    found = Scores(
        np.empty((size, classes), np.float32),
        np.empty(size, np.float32),
        np.empty((size, metric_for(batch.targets).size(classes))),
    )
    for rows, part in zip(found[:3], own[:3] if own else [None] * 3, strict=True):
        if part is not None:
            rows[low:high] = part
        ranks.gather(rows, shares)
    return found


def read_out(readout: int, voltage: np.ndarray, spread: Spread) -> np.ndarray:
    """Return the logits (B, K) of output voltages (B, K, T)."""
    logits = np.empty(voltage.shape[:2], np.float32)
    spread(len(voltage), lambda low, high: read_out_examples(readout, voltage, logits, low, high))
    return logits


def score(
    loss: Loss,
    readout: int,
    dt: float,
    voltage: np.ndarray,
    batch: Batch,
    spread: Spread,
    *,
    learns: bool,
    trains: Filter | None = None,
) -> Scores:
    """Return the scores of a batch with output voltages (B, K, T).

    `trains` filters target spike trains, for a loss of those.
    """
    if isinstance(loss, CrossEntropy):
        return _entropy(loss, readout, voltage, batch, spread, learns)
    outputs = Outputs(voltage, read_out(readout, voltage, spread))
    if isinstance(loss, SpikeCountLoss):
        return _count_error(loss, outputs, batch, spread, learns)
    if isinstance(loss, SpikeTimeLoss):
        assert trains is not None and batch.targets is not None
        batch = replace(batch, targets=trains.filtered(batch.targets, spread))
    statistics = _statistics(outputs, batch, first_step(loss, dt), spread)
    if isinstance(loss, MeanSquaredError | SpikeTimeLoss):
        return _squared_error(first_step(loss, dt), outputs, batch, statistics, spread, learns)
    shown = voltage.view()
    shown.flags.writeable = False
    result = loss(shown, batch.labels if batch.targets is None else batch.targets)
    values, drive = check_result(result, voltage.shape)
    return Scores(outputs.logits, values, statistics, drive if learns else None)


def _statistics(outputs: Outputs, batch: Batch, first: int, spread: Spread) -> np.ndarray:
    voltage, logits = outputs
    if batch.targets is None:
        correct: np.ndarray = logits.argmax(1) == batch.labels
        return correct[:, None].astype(np.float64)
    targets = batch.targets
    sums = np.empty((len(voltage), 1 + 3 * voltage.shape[1]))
    spread(
        len(voltage), lambda low, high: compare_examples(voltage, targets, first, sums, low, high)
    )
    return sums


def _entropy(
    settings: CrossEntropy,
    readout: int,
    voltage: np.ndarray,
    batch: Batch,
    spread: Spread,
    learns: bool,
) -> Scores:
    logits, labels = np.empty(voltage.shape[:2], np.float32), batch.labels
    smoothing = np.float32(settings.label_smoothing)
    loss = np.empty(len(voltage), np.float32)
    drive = np.empty_like(voltage) if learns else None

    def task(low: int, high: int) -> None:
        if drive is not None and readout == SOFTMAX_SUM:
            share_out_examples(voltage, logits, drive, low, high)
        else:
            read_out_examples(readout, voltage, logits, low, high)
        entropy_examples(logits, labels, smoothing, loss, low, high)
        if drive is not None:
            drive_examples(readout, voltage, logits, labels, smoothing, drive, low, high)

    spread(len(voltage), task)
    statistics = _statistics(Outputs(voltage, logits), batch, 0, spread)
    return Scores(logits, loss, statistics, drive)


def _count_error(
    settings: SpikeCountLoss, outputs: Outputs, batch: Batch, spread: Spread, learns: bool
) -> Scores:
    voltage, classes = outputs.voltage, outputs.voltage.shape[1]
    wanted = np.where(np.arange(classes) == batch.labels[:, None], settings.correct, settings.wrong)
    error = voltage.sum(2, dtype=np.float64) - wanted
    drive = None
    if learns:
        drive = np.empty_like(voltage)
        drive[:] = (2.0 / classes * error)[:, :, None]
    loss = np.square(error).mean(1).astype(np.float32)
    return Scores(outputs.logits, loss, _statistics(outputs, batch, 0, spread), drive)


def _squared_error(
    first: int,
    outputs: Outputs,
    batch: Batch,
    statistics: np.ndarray,
    spread: Spread,
    learns: bool,
) -> Scores:
    voltage, targets = outputs.voltage, batch.targets
    assert targets is not None
    classes, steps = voltage.shape[1:]
    loss = statistics[:, 1 : 1 + classes].sum(1) / (classes * (steps - first))
    drive = None
    if learns:
        drive = by_voltage = np.empty_like(voltage)
        spread(
            len(voltage),
            lambda low, high: error_drive_examples(voltage, targets, first, by_voltage, low, high),
        )
    return Scores(outputs.logits, loss.astype(np.float32), statistics, drive)
