"""Populations, and what projections between them must keep to."""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.network.models import (
    Delta,
    InputModel,
    OutputModel,
    PopulationModel,
    SeedLI,
    SeedLIF,
    SynapseModel,
)
from mlgenn_delays.network.normalisation import Normalisation
from mlgenn_delays.untrusted import shown

LONGEST_NAME = 200  # characters


@dataclass
class Population:
    """n neurons of one model.

    Attributes:
        name: Unique in its network.
        model: `SpikeInput`, `CurrentInput`, `LIF`, `SeedLIF`, `LeakyIntegrator` or `SeedLI`.
        bias: (n,) float32, a constant current added to the synaptic current of every step.
        normalisation: Of the synaptic current, before the bias is added, or None.
    """

    name: str
    model: PopulationModel
    bias: np.ndarray
    normalisation: Normalisation | None = None

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.model.n


def check_name(what: str, name: str) -> None:
    """Reject a name of a population or projection that files and figures cannot hold.

    Raises:
        InputError: It is empty, longer than 200 characters, or has ``/`` or a control character.
    """
    good = isinstance(name, str) and 0 < len(name) <= LONGEST_NAME
    if not good or "/" in name or not name.isprintable():
        raise InputError(
            f"a {what} must have a printable name of at most {LONGEST_NAME} characters without "
            f"'/', got {shown(name)}"
        )


def check_roles(source: Population, target: Population) -> None:
    """Reject a projection between populations that cannot take these roles.

    Raises:
        InputError: The source is read out, or the target is an input.
    """
    if isinstance(source.model, OutputModel):
        raise InputError(f"a projection must have a source that spikes, got {source.name!r}")
    if isinstance(target.model, InputModel):
        raise InputError(f"a projection must have a neuron target, got the input {target.name!r}")
    if source.name == target.name and target.normalisation is not None:
        raise InputError(
            f"a recurrent projection must have a population without normalisation, got "
            f"{target.name!r}: its current is not known before its spikes"
        )


def check_synapse(synapse: SynapseModel, target: Population) -> None:
    """Reject a synapse model that a target cannot have.

    Raises:
        InputError: The target is a `SeedLIF` or `SeedLI` and the synapse not `Delta`.
    """
    if isinstance(target.model, SeedLIF | SeedLI) and not isinstance(synapse, Delta):
        raise InputError(
            f"synapses onto the {type(target.model).__name__} {target.name!r} must be Delta, "
            f"got {synapse}; give Delta(), or make it a LIF"
        )
