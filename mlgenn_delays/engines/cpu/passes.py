"""What the ways through a batch have in common: `event_passes`, `series_passes`, and GeNN's.

On the CPU a batch is cut into chunks by its size alone. Each chunk's examples are run in order and
its gradients summed in order, then the chunks' in order: so no result depends on the threads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.base import Recording
from mlgenn_delays.engines.cpu.parameters import Parameters
from mlgenn_delays.engines.cpu.plan import Layout, Plan
from mlgenn_delays.engines.cpu.workers import Workers, chunks
from mlgenn_delays.learning import EventProp, Rule
from mlgenn_delays.network import Network

CHUNKS = 16  # of a batch: enough for 16 cores, few enough that their gradients fit in memory
CHUNK_BYTES = 2**28  # for the gradients of all chunks together


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


@dataclass
class Core:
    """What the passes work on; everything but rule and workers is renewed with the structure."""

    network: Network
    rule: Rule
    workers: Workers
    plan: Plan
    layout: Layout
    parameters: Parameters

    def spread(self, n: int, task: Callable[[int, int], None]) -> None:
        """Run task(low, high) over parts of range(n), whose cut does not matter."""
        parts = chunks(n, self.workers.threads)
        self.workers.run(lambda k: task(*parts[k]), len(parts))

    def over_chunks(
        self, size: int, most: int, pool: "SimpleQueue[Any]", task: Callable[..., None]
    ) -> int:
        """Run task(chunk, low, high, scratch) over the chunks of a batch; return their number."""
        parts = chunks(size, min(most, (size + 1) // 2))

        def one(k: int) -> None:
            scratch = pool.get()
            try:
                task(k, *parts[k], scratch)
            finally:
                pool.put(scratch)

        self.workers.run(one, len(parts))
        return len(parts)

    def pull(self, counts: np.ndarray) -> np.ndarray:
        """Return what the spike-count regularisation adds at each spike, (N,) float32."""
        settings = self.rule.spike_count
        mean = counts.sum(0) / len(counts)
        return (settings.strength * (mean - settings.target)).astype(np.float32)


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


class LatePasses:
    """Passes that keep the gradients of a batch while the next one runs, for pipelined rules."""

    def __init__(self, passes: Passes) -> None:
        self._passes = passes
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []
        self.refresh, self.keep_statistics = passes.refresh, passes.keep_statistics
        self.correlate, self.recording = passes.correlate, passes.recording

    def forward(
        self, batch: Batch, gains: np.ndarray, *, width: float | None, late: bool = False
    ) -> Outcome:
        """Run a batch, and back where it is learned; see `Passes`."""
        outcome = self._passes.forward(batch, gains, width=width)
        self._kept = self._kept if late else []
        if width is not None:
            by_weight, by_delay = self._passes.backward(batch, gains)
            self._kept.append((by_weight.copy(), by_delay.copy()))
        return outcome

    def backward(self, batch: Batch, gains: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients that were kept first; see `Passes`."""
        return self._kept.pop(0)


def cpu_passes(core: Core, keeps: bool, rewired: bool) -> Passes:
    """Return the CPU engine's way through a batch that the rule needs.

    Arguments:
        core: What it works on.
        keeps: Whether adjoints are kept, for `Passes.correlate`.
        rewired: Whether the structure will change, which needs no preparation here.
    """
    if isinstance(core.rule, EventProp):
        from mlgenn_delays.engines.cpu.event_passes import EventPasses

        passes: Passes = EventPasses(core, keeps=keeps)
    else:
        from mlgenn_delays.engines.cpu.series_passes import SeriesPasses

        passes = SeriesPasses(core)
    return LatePasses(passes) if core.rule.pipelined else passes
