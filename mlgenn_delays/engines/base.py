"""What every engine offers.

Shapes: B examples of a batch, N of a data set, K classes, S synapses, T steps.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Protocol

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.results import BatchResult, EpochResult, Evaluation, Gradients, Recording
from mlgenn_delays.network import Network


class CompiledNetwork(Protocol):
    """A network compiled for an engine, with the optimiser's state.

    The trial length is that of the batches it is given. Everything learned lives in here until
    `pull` copies it to the network.
    """

    network: Network

    def train_epoch(
        self,
        batches: Iterable[Batch],
        *,
        epoch: int,
        on_batch: Callable[[BatchResult], None] | None = None,
    ) -> EpochResult:
        """Learn from every batch in turn.

        Raises:
            DivergedError: Loss or gradients are not finite; the state is no longer of use.
        """

    def evaluate(self, batches: Iterable[Batch]) -> Evaluation:
        """Evaluate every batch, without learning or dropout."""

    def gradients(self, batch: Batch, *, epoch: int | None = None) -> Gradients:
        """Return the gradients of one batch, without learning or dropout.

        Arguments:
            batch: The batch; normalisation takes its statistics.
            epoch: Delay kernels are as wide as in this epoch; None for after their annealing.
        """

    def candidates(
        self, batch: Batch, projection: str, delay: np.ndarray | None = None,
        *, epoch: int | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Return candidate gradients: dL/dw of a synapse of weight 0 at each pair.

        Arguments:
            batch: As of `gradients`.
            projection: Its name.
            delay: (n_pre, n_post) delay of each pair [ms], or None for every whole step.
            epoch: As of `gradients`.

        Returns:
            (n_pre, n_post) float32, or with None (n_pre, n_post, D) for delays of 0..D-1 steps.
        """

    def record(self, batch: Batch, variables: Collection[str] = ()) -> Recording:
        """Return the spikes and output voltages of one batch, whatever its labels.

        Arguments:
            batch: The examples.
            variables: Names of variables of neurons to record in every step, such as ``V``, the
                adaptation current ``w`` of `AdaptiveLIF`, or ``I``, the synaptic current; of all
                populations that have them. The CPU engine computes them for any engine.

        Raises:
            InputError: No population has a variable of that name.
        """

    def pull(self) -> Network:
        """Copy what was learned, structure included, into `network` and return it."""

    def push(self, network: Network) -> None:
        """Copy weights, delays and structure from a network of the same synapse counts."""

    def state(self) -> dict[str, np.ndarray]:
        """Return all that training needs to resume bit for bit: parameters, moments, steps."""

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore a state.

        Raises:
            InputError: It is of a network of another structure.
        """
