"""Networks in GeNN, through mlGeNN: on its single-threaded CPU backend and on CUDA."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlgenn_delays.engines.shared.simulation import Simulation, SimulationContext


def genn_simulation(
    backend: str, batch_size: int
) -> "Callable[[SimulationContext, bool, bool], Simulation]":
    """Return a function that makes GeNN's simulation; the arguments are `compile_network`'s."""
    from mlgenn_delays.engines.genn.checks import check_backend

    check_backend(backend)

    def make(context: "SimulationContext", keeps: bool, rewired: bool) -> "Simulation":
        from mlgenn_delays.engines.genn.compiler import Target
        from mlgenn_delays.engines.genn.mpi import DistributedSimulation, own_gpu
        from mlgenn_delays.engines.genn.simulation import GeNNSimulation

        ranks, cuda = context.ranks, backend == "cuda"
        side = -(-batch_size // ranks.number) if cuda else 1
        target = Target(backend, side, own_gpu(ranks) if cuda and ranks.several else None)
        simulation = GeNNSimulation(context, keeps=keeps, rewired=rewired, target=target)
        return DistributedSimulation(context, simulation) if ranks.several else simulation

    return make
