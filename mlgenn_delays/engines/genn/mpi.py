"""One training on several GPUs: each rank runs its part of every batch.

The ranks are those of mlGeNN's communicator. What they found is summed over them after each way
through a batch, so that all of them have the whole batch's logits and gradients, make the same
optimiser step and the same rewiring, and stay equal. Sums over ranks are rounded in another order
than those of one rank alone.
"""

from typing import Any

import numpy as np

from mlgenn_delays.data.types import Batch, examples
from mlgenn_delays.engines.genn import gpus
from mlgenn_delays.engines.genn.simulation import GeNNSimulation
from mlgenn_delays.engines.metrics import metric_for
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.engines.shared.scoring import Scores
from mlgenn_delays.engines.shared.simulation import ForwardResult, Simulation, SimulationContext
from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.machine import chunks

COMMUNICATORS = ("mpi",)


def communicator(name: str) -> Any:
    """Return mlGeNN's communicator of a name, with ``rank``, ``num_ranks`` and ``reduce_sum``."""
    if name not in COMMUNICATORS:
        raise InputError(
            f"communicator must be one of {', '.join(COMMUNICATORS)}, got {name!r}"
            f"{nearest(name, COMMUNICATORS)}"
        )
    from mlgenn_delays.engines.genn.checks import available_backends

    available_backends()
    try:
        from ml_genn.communicators import MPI

        return MPI()
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"the communicator 'mpi' must have mpi4py and an MPI library, got {error}; "
            'pip install "delaysnn[mpi]", and start with mpiexec -n RANKS delaysnn train ...'
        ) from error


def own_gpu(ranks: Any) -> int:
    """Return which GPU of its machine this rank takes: that of its number among the ranks there."""
    from mpi4py import MPI

    here = ranks.comm.Split_type(MPI.COMM_TYPE_SHARED)
    own, there = here.Get_rank(), here.Get_size()
    here.Free()
    if there > gpus.count():
        raise InputError(
            "a communicator with the backend 'cuda' must have a GPU per rank, got "
            f"{there} ranks on a machine with {gpus.count()}; start fewer with mpiexec -n"
        )
    return int(own)


class DistributedSimulation(Simulation):
    """A `Simulation` whose batches several ranks share, each with a `simulation` of its own."""

    def __init__(self, context: SimulationContext, simulation: GeNNSimulation, ranks: Any) -> None:
        self.context = context
        self._simulation = simulation
        self._ranks = ranks

    def _own(self, size: int) -> tuple[int, int]:
        """Return which examples of a batch are this rank's; the ranks behind the last have none."""
        parts = chunks(size, self._ranks.num_ranks)
        return parts[self._ranks.rank] if self._ranks.rank < len(parts) else (size, size)

    def _gathered(self, own: np.ndarray | None, size: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return rows of all ranks, (size, *shape), of this rank's."""
        low, high = self._own(size)
        whole = np.zeros((size, *shape), np.float64)
        if own is not None:
            whole[low:high] = own
        total: np.ndarray = self._ranks.reduce_sum(whole)
        return total

    def _part(self, batch: Batch, spike_scale: np.ndarray) -> tuple[Batch, np.ndarray] | None:
        """Return this rank's examples and their spike scale; None if it has none."""
        low, high = self._own(len(batch))
        if low == high:
            return None
        own = spike_scale[low:high] if len(spike_scale) > 1 else spike_scale
        return examples(batch, low, high), own

    def refresh(self) -> None:
        """Read changed weights, delays and structure; see `Simulation`."""
        self._simulation.refresh()

    def forward(
        self, batch: Batch, spike_scale: np.ndarray, *, width: float | None, pending: bool = False,
        scored: bool = True,
    ) -> ForwardResult:  # fmt: skip
        """Run a batch; see `Simulation`."""
        size, part = len(batch), self._part(batch, spike_scale)
        own = part and self._simulation.forward(*part, width=width, pending=pending, scored=scored)
        neurons = int(self.context.plan.first[-1])
        counts = self._gathered(own.counts if own else None, size, (neurons,))
        whole = counts.astype(np.int64)
        if part:
            self._simulation.counts = whole
        return ForwardResult(
            self._scores(own.scores if own else None, batch) if scored else None, whole
        )

    def _scores(self, own: Scores | None, batch: Batch) -> Scores:
        """Return the scores of all ranks, of this rank's; each keeps dL/dV of its own."""
        size, classes = len(batch), self.context.network.output().n
        logits = self._gathered(own.logits if own else None, size, (classes,))
        loss = self._gathered(own.loss if own else None, size, ())
        metric = metric_for(batch.targets)
        statistics = self._gathered(own.statistics if own else None, size, (metric.size(classes),))
        return Scores(logits.astype(np.float32), loss.astype(np.float32), statistics)

    def backward(self, batch: Batch, spike_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of the batch just run; see `Simulation`."""
        part = self._part(batch, spike_scale)
        both = np.zeros((2, len(self.context.parameters.weight)), np.float32)
        if part:
            both[:] = self._simulation.backward(*part)
        for _, each in self.context.parameters.learned():
            own = each.by_value if part else np.zeros_like(each.by_value)
            each.by_value = self._ranks.reduce_sum(own)
        by_weight, by_delay = self._ranks.reduce_sum(both)
        return by_weight, by_delay

    def correlate(
        self, batch: Batch, spike_scale: np.ndarray, q: int, first: np.ndarray, size: int
    ) -> np.ndarray:
        """Return the adjoints of a projection's pairs; see `Simulation`."""
        part = self._part(batch, spike_scale)
        table = np.zeros((*first.shape, size), np.float32)
        if part:
            table[:] = self._simulation.correlate(*part, q, first, size)
        total: np.ndarray = self._ranks.reduce_sum(table)
        return total

    def recording(self, batch: Batch) -> Recording:
        """Return spikes and voltages of the batch just run, which every rank runs whole for it."""
        quiet = np.ones((1, int(self.context.plan.first[-1])), np.float32)
        self._simulation.forward(batch, quiet, width=None, scored=False)
        return self._simulation.recording(batch)
