"""What a simulation works on."""

from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np

from mlgenn_delays.engines.shared.parameters import Parameters
from mlgenn_delays.engines.shared.plan import Layout, Plan
from mlgenn_delays.engines.shared.threads import Workers, chunks
from mlgenn_delays.learning import Rule
from mlgenn_delays.network import Network


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
