"""NIR files of other tools."""

from typing import Annotated, Any

from mlgenn_delays.network import Network
from mlgenn_delays.neurons.declare import READOUTS
from mlgenn_delays.settings import one_of, says, settings


@settings(kw_only=True)
class NIR:
    """What a NIR file of another tool does not say.

    Example:
        >>> from mlgenn_delays.imports import NIR
        >>> NIR(euler=True).readout
        'mean'
    """

    euler: Annotated[
        bool, says("Whether its time constants are those of Euler's method at dt; see `read_nir`.")
    ] = False
    readout: Annotated[str, one_of(*READOUTS), says("Of the output, if that does not spike.")] = (
        "mean"
    )

    def network(self, source: Any, dt: float) -> Network:
        """The network of a file, for steps of dt [ms]."""
        from mlgenn_delays.export.nir.read import read_network

        return read_network(source, dt=dt, euler=self.euler, readout=self.readout)
