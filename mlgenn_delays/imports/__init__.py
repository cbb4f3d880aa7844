"""Trained networks of other tools as networks of ours: one door, `import_network`.

A kind of file is a class of settings, which say what the files do not; each has a method that reads
a source. What all of them make is a chain of layers (`chain`), or the graph of a NIR file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol

from mlgenn_delays.imports.dcls import SNNDelays
from mlgenn_delays.imports.mlgenn import MlGeNN
from mlgenn_delays.imports.nir import NIR
from mlgenn_delays.imports.norse import Norse
from mlgenn_delays.imports.snntorch import SnnTorch
from mlgenn_delays.network import Network
from mlgenn_delays.settings import TimeStep, check, one_of

__all__ = ["NIR", "MlGeNN", "Norse", "SNNDelays", "SnnTorch", "import_network"]


class Kind(Protocol):
    """What a tool's files do not say."""

    def network(self, source: Any, dt: float) -> Network:
        """The network of a source, for steps of dt [ms]."""


KINDS: dict[str, Any] = {
    "mlgenn": MlGeNN,
    "nir": NIR,
    "norse": Norse,
    "snn-delays": SNNDelays,
    "snntorch": SnnTorch,
}


def import_network(
    source: Path | str | Mapping[str, Any], kind: str, *, dt: float, **others: Any
) -> Network:
    """Make a network of one that another tool has trained.

    It spikes as the original does, a step later per layer: a connection takes a step here (as in
    mlGeNN, so that its networks spike when they did). A trial must be as many steps longer.
    Populations are called as those of recipes, `input`, `hidden1`, ..., `output`. A bias of
    PyTorch's layers comes from a population `bias` of one neuron, which spikes in every step: so it
    begins when the input does, and can be trained. Populations of NIR files keep their names, and
    a constant bias, from the first step on.

    Arguments:
        source: A file, or a folder of mlGeNN's checkpoints. Of PyTorch's tools a state dict:
            a .pt file (which needs PyTorch), a .safetensors file, or arrays by name.
        kind: ``"snn-delays"``, ``"snntorch"``, ``"norse"``, ``"mlgenn"`` or ``"nir"``.
        dt: Length of a step [ms].
        others: What files of the kind do not say: the fields of `SNNDelays`, `SnnTorch`, `Norse`,
            `MlGeNN` or `NIR`.

    Returns:
        The network, to be trained on, saved, or run.

    Raises:
        InputError: The source cannot be read, or has what no network here computes; the text names
            it.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays import import_network
        >>> state = {"0.weight": np.ones((3, 4)), "2.weight": np.ones((2, 3))}
        >>> network = import_network(state, "norse", dt=1.0, readout="max")
        >>> list(network.populations), network.populations["output"].model.readout
        (['input', 'hidden1', 'output'], 'max')
    """
    check("kind", kind, Annotated[str, one_of(*KINDS)])
    check("dt", dt, TimeStep)
    given = {key: tuple(v) if isinstance(v, list) else v for key, v in others.items()}
    wanted: Kind = KINDS[kind](**given)
    return wanted.network(source, float(dt))
