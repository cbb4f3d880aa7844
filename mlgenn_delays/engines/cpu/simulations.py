"""Which simulation of the CPU engine runs a rule."""

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.shared.context import SimulationContext
from mlgenn_delays.engines.shared.simulation import ForwardResult, Simulation
from mlgenn_delays.learning import EventProp


def cpu_simulation(context: SimulationContext, keeps: bool, rewired: bool) -> Simulation:
    """Return the simulation of the CPU engine that a rule needs.

    Arguments:
        context: What it works on.
        keeps: Whether adjoints are kept, for `Simulation.correlate`.
        rewired: Whether the structure will change, which needs no preparation here.
    """
    if isinstance(context.rule, EventProp):
        from mlgenn_delays.engines.cpu.event_simulation import EventSimulation

        simulation: Simulation = EventSimulation(context, keeps=keeps)
    else:
        from mlgenn_delays.engines.cpu.timestep_simulation import TimestepSimulation

        simulation = TimestepSimulation(context)
    return PipelinedSimulation(simulation) if context.rule.pipelined else simulation


class PipelinedSimulation:
    """Goes back through every batch at once and keeps its gradients until they are asked for."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []
        self.refresh, self.keep_statistics = simulation.refresh, simulation.keep_statistics
        self.correlate, self.recording = simulation.correlate, simulation.recording

    def forward(
        self, batch: Batch, spike_scale: np.ndarray, *, width: float | None, pending: bool = False
    ) -> ForwardResult:
        """Run a batch, and back through it in training; see `Simulation`."""
        outcome = self._simulation.forward(batch, spike_scale, width=width)
        self._kept = self._kept if pending else []
        if width is not None:
            by_weight, by_delay = self._simulation.backward(batch, spike_scale)
            self._kept.append((by_weight.copy(), by_delay.copy()))
        return outcome

    def backward(self, batch: Batch, spike_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the oldest gradients that were kept; see `Simulation`."""
        return self._kept.pop(0)
