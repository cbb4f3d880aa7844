"""What a simulation is: a way through a batch, forwards and back, all that differs by engine."""

from typing import NamedTuple, Protocol

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.results import Recording


class Outcome(NamedTuple):
    """What a batch of B examples answered.

    Attributes:
        logits: (B, K) float32.
        loss: (B,) float32 cross-entropy.
        counts: (B, N) int64 spikes of every neuron, 0 for those that do not spike.
    """

    logits: np.ndarray
    loss: np.ndarray
    counts: np.ndarray


class Passes(Protocol):
    """A way through a batch, forwards and back."""

    def refresh(self) -> None:
        """Take note of changed weights and delays, and of a changed structure."""

    def forward(
        self, batch: Batch, gains: np.ndarray, *, width: float | None, late: bool = False
    ) -> Outcome:
        """Run a batch.

        Arguments:
            batch: The batch.
            gains: (B, N) or (1, N) float32, what a spike weighs.
            width: Width of the delay kernel in training [steps]; None to answer as in evaluation.
            late: Whether the gradients of the batch before are still to be asked for, which a
                pipelined rule allows.
        """

    def backward(self, batch: Batch, gains: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return dL/dw and dL/dd [1/step], each (S,), summed over a batch: the first of those run
        that was not asked for.
        """

    def keep_statistics(self, size: int) -> None:
        """Let the statistics of the batch just run, of `size` examples, into the running ones."""

    def correlate(
        self, batch: Batch, gains: np.ndarray, q: int, first: np.ndarray, size: int
    ) -> np.ndarray:
        """Return what each pair's adjoint sums to, by step of delay, in the batch just gone back.

        Arguments:
            batch: That batch.
            gains: Its gains.
            q: Index of the projection.
            first: (n_pre, n_post) int64 first delay of each pair [steps].
            size: Delays of a pair.

        Returns:
            (n_pre, n_post, size) float32: dL/dw of a synapse of weight 0 and delay first + k.
        """

    def recording(self, batch: Batch) -> Recording:
        """Return spikes and voltages of the batch just run."""
