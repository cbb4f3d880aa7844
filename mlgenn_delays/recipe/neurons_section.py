"""[neurons.NAME]: neurons that a recipe declares."""

from typing import Annotated, Any

from pydantic import Field

from mlgenn_delays.network import LeakyIntegrator
from mlgenn_delays.neurons.stored import (
    MOST_PARAMETERS,
    DeclaredParameter,
    Equations,
    ParameterName,
)
from mlgenn_delays.recipe.network_section import Synapse


class NeuronTable(Equations):
    """[neurons.NAME]: a neuron, for `model` of a layer or of the readout."""

    spiking: bool = Field(
        True, description="Whether it spikes; false for one whose V is the output."
    )
    synapses: Annotated[list[Synapse], Field(max_length=20)] = Field(
        [], description="Models of the synapses that it takes; [] for any."
    )
    parameters: Annotated[
        dict[ParameterName, DeclaredParameter], Field(max_length=MOST_PARAMETERS)
    ] = Field({}, description="Its parameters, by name.")

    def declaration(self) -> dict[str, Any]:
        """What `from_declaration` takes."""
        given = [{"name": name} | each.model_dump() for name, each in self.parameters.items()]
        return self.model_dump(exclude={"parameters"}) | {
            "readout": None if self.spiking else LeakyIntegrator.readout,
            "parameters": sorted(given, key=lambda each: each["default"] is not None),
        }
