"""Several processes that train one network: which of them writes, where they wait."""

import os
from typing import Any

from mlgenn_delays.errors import InputError


class Ranks:
    """The processes that train together (communicator ``"mpi"``); with None this one alone."""

    def __init__(self, communicator: str | None) -> None:
        self._communicator: Any = None
        if communicator is not None:
            from mlgenn_delays.engines.genn.checks import available_backends

            available_backends()
            from mlgenn_delays.engines.genn import mpi

            self._communicator = mpi.communicator(communicator)

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes: rank 0, or the only one."""
        return self._communicator is None or bool(self._communicator.rank == 0)

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self._communicator is not None and bool(self._communicator.num_ranks > 1)

    def agree(self, value: int) -> None:
        """Reject, in all processes, a hash of settings and data that differs between them."""
        if self.several and len(set(self._communicator.comm.allgather(value))) > 1:
            raise InputError(
                "all ranks must train the same network with the same settings on the same data, "
                "got different ones; give every rank the same files, in the same versions"
            )

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.several:
            self._communicator.barrier()

    def end_all(self, code: int) -> None:
        """End all processes, if there are several: others would wait for a failed one for ever."""
        if self.several:
            self._communicator.comm.Abort(code)
            os._exit(code)  # where that returns
