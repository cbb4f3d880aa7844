"""One training on several GPUs: each rank runs its part of every batch; see `engines.ranks`.

What the ranks found is added up after each way through a batch. Sums over ranks are rounded in
another order than those of one rank alone.
"""

import numpy as np

from mlgenn_delays.data.types import Batch, examples
from mlgenn_delays.engines.genn import gpus
from mlgenn_delays.engines.genn.simulation import GeNNSimulation
from mlgenn_delays.engines.ranks import Range, Ranks
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.engines.shared.scoring import gather_scores
from mlgenn_delays.engines.shared.simulation import ForwardResult, Simulation, SimulationContext
from mlgenn_delays.errors import InputError


def own_gpu(ranks: Ranks) -> int:
    """Return which GPU of its machine this rank takes: that of its number among the ranks there."""
    own, there = ranks.here()
    if there > gpus.count():
        raise InputError(
            "a communicator with the backend 'cuda' must have a GPU per rank, got "
            f"{there} ranks on a machine with {gpus.count()}; start fewer with mpiexec -n"
        )
    return own


class DistributedSimulation(Simulation):
    """A `Simulation` whose batches several ranks share, each with a `simulation` of its own."""

    def __init__(self, context: SimulationContext, simulation: GeNNSimulation) -> None:
        self.context, self._ranks = context, context.ranks
        self._simulation = simulation

    def _own(self, size: int) -> Range:
        """Return which examples of a batch are this rank's; the ranks behind the last have none."""
        return self._ranks.shares(size)[self._ranks.rank]

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
        """Run a batch, which every rank runs whole for a recording; see `Simulation`."""
        if not scored:
            return self._simulation.forward(batch, spike_scale, width=width, scored=False)
        (low, high), part = self._own(len(batch)), self._part(batch, spike_scale)
        own = part and self._simulation.forward(*part, width=width, pending=pending)
        counts = np.zeros((len(batch), int(self.context.plan.first[-1])), np.int64)
        if part and own:
            counts[low:high] = own.counts
        shares = self._ranks.shares(len(batch))
        self._ranks.gather(counts, shares)
        if part:
            self._simulation.counts = counts
        classes = self.context.network.output().n
        scores = gather_scores(self._ranks, shares, own.scores if own else None, batch, classes)
        return ForwardResult(scores, counts)

    def backward(self, batch: Batch, spike_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of the batch just run; see `Simulation`."""
        part, shares = self._part(batch, spike_scale), self._ranks.shares(len(batch))
        both = np.zeros((len(self.context.parameters.weight), 2), np.float32)
        if part:
            both[:] = np.stack(self._simulation.backward(*part), 1)
        for _, each in self.context.parameters.learned():
            own = each.by_value if part else np.zeros_like(each.by_value)
            each.by_value = self._ranks.add(own, shares)
        by_weight, by_delay = np.ascontiguousarray(self._ranks.add(both, shares).T)
        return by_weight, by_delay

    def correlate(
        self, batch: Batch, spike_scale: np.ndarray, q: int, first: np.ndarray, size: int
    ) -> np.ndarray:
        """Return the adjoints of a projection's pairs; see `Simulation`."""
        part = self._part(batch, spike_scale)
        table = np.zeros((*first.shape, size), np.float32)
        if part:
            table[:] = self._simulation.correlate(*part, q, first, size)
        return self._ranks.add(table, self._ranks.shares(len(batch)))

    def recording(self, batch: Batch) -> Recording:
        """Return spikes and voltages of the batch just run."""
        return self._simulation.recording(batch)
