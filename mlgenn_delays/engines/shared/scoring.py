"""What stands between the ways forwards and back: logits, loss and dL/dV of the output voltages.

Shapes: B examples of a batch, K output neurons, T steps.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.shared.readout import drive_examples, read_out_examples, score_examples

# Runs task(low, high) over parts of range(n), whose cut does not matter.
Spread = Callable[[int, Callable[[int, int], None]], None]


class Scores(NamedTuple):
    """What a loss says of the outputs of a batch."""

    logits: np.ndarray  # (B, K) float32
    loss: np.ndarray  # (B,) float32
    drive: np.ndarray | None  # (B, K, T) float32 dL/dV of each example, only in training
    correct: np.ndarray  # (B,) bool


def joined(parts: list[Scores]) -> Scores:
    """Return the scores of examples that were scored one part after the other, without dL/dV."""
    logits, loss, correct = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("logits", "loss", "correct")
    )
    return Scores(logits, loss, None, correct)


def read_out(readout: int, voltage: np.ndarray, spread: Spread) -> np.ndarray:
    """Return the logits (B, K) of output voltages (B, K, T)."""
    logits = np.empty(voltage.shape[:2], np.float32)
    spread(len(voltage), lambda low, high: read_out_examples(readout, voltage, logits, low, high))
    return logits


def score(
    readout: int, voltage: np.ndarray, batch: Batch, spread: Spread, *, learns: bool
) -> Scores:
    """Return the scores of a batch with output voltages (B, K, T)."""
    logits, labels = read_out(readout, voltage, spread), batch.labels
    loss = np.empty(len(voltage), np.float32)
    drive = np.empty_like(voltage) if learns else None

    def task(low: int, high: int) -> None:
        score_examples(logits, labels, loss, low, high)
        if drive is not None:
            drive_examples(readout, voltage, logits, labels, drive, low, high)

    spread(len(voltage), task)
    return Scores(logits, loss, drive, logits.argmax(1) == labels)
