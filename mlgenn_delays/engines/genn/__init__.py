"""Networks in GeNN, through mlGeNN: on its single-threaded CPU backend and on CUDA."""

from collections.abc import Callable

from mlgenn_delays.engines.cpu.passes import Core, Passes


def genn_passes(backend: str, batch_size: int) -> Callable[[Core, bool, bool], Passes]:
    """Return what makes GeNN's way through a batch.

    Arguments:
        backend: ``"single_threaded_cpu"`` or ``"cuda"``.
        batch_size: Examples side by side; the CPU backend runs them one by one whatever it is.

    Raises:
        InputError: GeNN is not installed, or lacks the backend.
    """
    from mlgenn_delays.engines.genn.checks import check_backend

    check_backend(backend)

    def make(core: Core, keeps: bool, rewired: bool) -> Passes:
        from mlgenn_delays.engines.genn.compiler import Target
        from mlgenn_delays.engines.genn.passes import GeNNPasses

        side = batch_size if backend == "cuda" else 1
        return GeNNPasses(core, keeps=keeps, rewired=rewired, target=Target(backend, side))

    return make
