"""Networks in GeNN, through mlGeNN: on its single-threaded CPU backend and on CUDA."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlgenn_delays.engines.shared.simulation import Simulation, SimulationContext


def genn_simulation(
    backend: str, batch_size: int, communicator: str | None
) -> "Callable[[SimulationContext, bool, bool], Simulation]":
    """Return a function that makes GeNN's simulation; the arguments are `compile_network`'s."""
    from mlgenn_delays.engines.genn.checks import check_backend

    check_backend(backend)
    ranks, device = None, None
    if communicator is not None:
        from mlgenn_delays.engines.genn import mpi

        ranks = mpi.communicator(communicator)
        batch_size = -(-batch_size // ranks.num_ranks)
        device = mpi.own_gpu(ranks) if backend == "cuda" else None

    def make(context: "SimulationContext", keeps: bool, rewired: bool) -> "Simulation":
        from mlgenn_delays.engines.genn.compiler import Target
        from mlgenn_delays.engines.genn.simulation import GeNNSimulation

        target = Target(backend, batch_size if backend == "cuda" else 1, device)
        simulation = GeNNSimulation(context, keeps=keeps, rewired=rewired, target=target)
        if ranks is None:
            return simulation
        return mpi.DistributedSimulation(context, simulation, ranks)

    return make
