"""Which of several processes that train one network writes, and where they wait for each other."""

from typing import Any


class Ranks:
    """The processes that train together; without a communicator this one alone.

    Arguments:
        communicator: ``"mpi"``, or None.

    Raises:
        InputError: The communicator is unknown, or what it needs is not installed.
    """

    def __init__(self, communicator: str | None) -> None:
        self._communicator: Any = None
        if communicator is not None:
            from mlgenn_delays.engines.genn import ranks

            self._communicator = ranks.communicator(communicator)

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes: rank 0, or the only one."""
        return self._communicator is None or self._communicator.rank == 0

    def wait(self) -> None:
        """Return once all processes are here."""
        if self._communicator is not None and self._communicator.num_ranks > 1:
            self._communicator.barrier()
