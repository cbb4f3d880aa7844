"""What a simulation works on."""

from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np

from mlgenn_delays.engines.shared.parameters import Parameters
from mlgenn_delays.engines.shared.plan import ParameterLayout, Plan
from mlgenn_delays.learning import Rule
from mlgenn_delays.machine import Workers, chunks
from mlgenn_delays.network import Network


@dataclass
class SimulationContext:
    """What a simulation works on; all but rule and workers is replaced with the structure."""

    network: Network
    rule: Rule
    workers: Workers
    plan: Plan
    layout: ParameterLayout
    parameters: Parameters

    def spread(self, n: int, task: Callable[[int, int], None]) -> None:
        """Run task(low, high) over parts of range(n), whose cut does not matter."""
        parts = chunks(n, self.workers.threads)
        self.workers.run(lambda k: task(*parts[k]), len(parts))

    def over_chunks(
        self, size: int, most: int, pool: "SimpleQueue[Any]", task: Callable[..., None]
    ) -> int:
        """Run task(chunk, low, high, buffers) over the chunks of a batch; return their number."""
        parts = chunks(size, min(most, (size + 1) // 2))

        def one(k: int) -> None:
            buffers = pool.get()
            try:
                task(k, *parts[k], buffers)
            finally:
                pool.put(buffers)

        self.workers.run(one, len(parts))
        return len(parts)

    def spike_count_gradient(self, counts: np.ndarray) -> np.ndarray:
        """Return dL/d(spike count) of the regularisation, (N,) float32: added at each spike."""
        settings = self.rule.spike_count
        mean = counts.sum(0) / len(counts)
        return (settings.strength * (mean - settings.target)).astype(np.float32)
