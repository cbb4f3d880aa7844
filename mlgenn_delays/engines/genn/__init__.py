"""Networks in GeNN, through mlGeNN: on its single-threaded CPU backend and on CUDA."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlgenn_delays.engines.shared.context import Core
    from mlgenn_delays.engines.shared.simulation import Passes


def genn_passes(
    backend: str, batch_size: int, communicator: str | None
) -> "Callable[[Core, bool, bool], Passes]":
    """Return what makes GeNN's way through a batch.

    Arguments:
        backend: ``"single_threaded_cpu"`` or ``"cuda"``.
        batch_size: Examples of a batch, which CUDA runs side by side; the CPU backend runs them
            one by one.
        communicator: ``"mpi"`` to share every batch among its ranks, or None.

    Raises:
        InputError: GeNN is not installed, or lacks the backend or what the communicator needs.
    """
    from mlgenn_delays.engines.genn.checks import check_backend

    check_backend(backend)
    ranks, device = None, None
    if communicator is not None:
        from mlgenn_delays.engines.genn import mpi as shared

        ranks = shared.communicator(communicator)
        batch_size = -(-batch_size // ranks.num_ranks)
        device = shared.own_gpu(ranks) if backend == "cuda" else None

    def make(core: "Core", keeps: bool, rewired: bool) -> "Passes":
        from mlgenn_delays.engines.genn.compiler import Target
        from mlgenn_delays.engines.genn.simulation import GeNNPasses

        target = Target(backend, batch_size if backend == "cuda" else 1, device)
        passes = GeNNPasses(core, keeps=keeps, rewired=rewired, target=target)
        return passes if ranks is None else shared.RankedPasses(core, passes, ranks)

    return make
