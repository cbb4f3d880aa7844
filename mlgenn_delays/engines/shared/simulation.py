"""What engines differ in: a simulation runs a batch forwards and back."""

from typing import NamedTuple, Protocol

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.results import Recording


class ForwardResult(NamedTuple):
    """Result of the forward pass of a batch of B examples.

    Attributes:
        logits: (B, K) float32.
        loss: (B,) float32 cross-entropy.
        counts: (B, N) int64 spikes of every neuron, 0 for those that do not spike.
    """

    logits: np.ndarray
    loss: np.ndarray
    counts: np.ndarray


class Simulation(Protocol):
    """Runs batches forwards and back."""

    def refresh(self) -> None:
        """Read changed weights, delays and structure from the context."""

    def forward(
        self, batch: Batch, spike_scale: np.ndarray, *, width: float | None, pending: bool = False
    ) -> ForwardResult:
        """Run a batch.

        Arguments:
            batch: The batch.
            spike_scale: (B, N) or (1, N) float32, scale of each neuron's spikes.
            width: Width of the delay kernel in training [steps]; None in evaluation.
            pending: Whether `backward` of the batch before is still to come, which a pipelined
                rule allows.
        """

    def backward(self, batch: Batch, spike_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return dL/dw and dL/dd [1/step], each (S,), summed over the oldest batch that ran and
        did not go back yet.
        """

    def keep_statistics(self, size: int) -> None:
        """Update the running statistics with those of the last batch, of `size` examples."""

    def correlate(
        self, batch: Batch, spike_scale: np.ndarray, q: int, first: np.ndarray, size: int
    ) -> np.ndarray:
        """Return candidate gradients of all (pre, post) pairs and delays for the last batch.

        Arguments:
            batch: That batch.
            spike_scale: That of its forward pass.
            q: Index of the projection.
            first: (n_pre, n_post) int64 first delay of each pair [steps].
            size: Delays of a pair.

        Returns:
            (n_pre, n_post, size) float32: dL/dw of a synapse of weight 0 and delay first + k.
        """

    def recording(self, batch: Batch) -> Recording:
        """Return spikes and voltages of the batch just run."""
