"""Which simulation of the CPU engine runs a rule."""

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.shared.context import Core
from mlgenn_delays.engines.shared.simulation import Outcome, Passes
from mlgenn_delays.learning import EventProp


def cpu_passes(core: Core, keeps: bool, rewired: bool) -> Passes:
    """Return the CPU engine's way through a batch that the rule needs.

    Arguments:
        core: What it works on.
        keeps: Whether adjoints are kept, for `Passes.correlate`.
        rewired: Whether the structure will change, which needs no preparation here.
    """
    if isinstance(core.rule, EventProp):
        from mlgenn_delays.engines.cpu.event_simulation import EventPasses

        passes: Passes = EventPasses(core, keeps=keeps)
    else:
        from mlgenn_delays.engines.cpu.timestep_simulation import SeriesPasses

        passes = SeriesPasses(core)
    return LatePasses(passes) if core.rule.pipelined else passes


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
