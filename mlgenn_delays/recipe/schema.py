"""What a recipe may say. Times are in ms, unless a key says steps.

Populations are called ``input``, ``hidden1``, ``hidden2`` ... and ``output``; projections
``input->hidden1``, ``hidden1->hidden1`` (recurrent) and so on, in that order.
"""

from typing import Annotated

from pydantic import Field, model_validator

from mlgenn_delays.data.augment.augment import Augment
from mlgenn_delays.errors import InputError
from mlgenn_delays.neurons.declare import Neuron, model_of
from mlgenn_delays.neurons.stored import MOST_DECLARED, NeuronName, from_declaration
from mlgenn_delays.quantisation import Quantisation
from mlgenn_delays.recipe import cross_checks
from mlgenn_delays.recipe.network_section import Layer, NetworkSection, Readout
from mlgenn_delays.recipe.neurons_section import NeuronTable
from mlgenn_delays.recipe.sections import (
    Data,
    Delays,
    Expected,
    Learning,
    LossSection,
    Regularisation,
    RewiringSection,
    Section,
)
from mlgenn_delays.settings import Whole


class Recipe(Section):
    """A network, its task and its training."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(
        description="Name of the recipe: letters, digits, '.', '_' and '-'."
    )
    summary: str = Field("", description="What it is, in one line.")
    seed: Whole = Field(0, description="Seed of every random draw.")
    data: Data
    neurons: Annotated[dict[NeuronName, NeuronTable], Field(max_length=MOST_DECLARED)] = Field(
        {}, description="Neurons that the recipe declares, by name."
    )
    network: NetworkSection
    delays: Delays
    learning: Learning
    loss: LossSection = LossSection()
    regularisation: Regularisation = Regularisation()
    augmentation: Augment = Augment()
    rewiring: RewiringSection = RewiringSection()
    quantisation: Quantisation = Quantisation()
    expected: Expected = Expected()

    @model_validator(mode="after")
    def _fit_together(self) -> "Recipe":
        try:
            for check in cross_checks.CHECKS:
                check(self)
        except InputError as error:  # which pydantic does not take
            raise ValueError(str(error)) from error
        return self

    def neuron(self, table: Layer | Readout) -> type[Neuron]:
        """The neuron model of a layer or of the readout."""
        declared = self.neurons.get(table.model)
        if declared is None:
            return model_of(table.model)
        return from_declaration(table.model, declared.declaration())

    def has_delays(self, projection: str) -> bool:
        """Return whether a projection has delays of its own."""
        chosen = self.delays.layers
        return chosen == "all" or projection in chosen or projection.split("->")[1] in chosen

    def is_dense(self) -> bool:
        """Return whether every pair of connected neurons has a synapse, whatever the data."""
        shares = self.network.sparsity
        listed = shares if isinstance(shares, tuple) else (shares,)
        return not self.network.synapses and not any(listed)

    def signs(self) -> str:
        """Return the signs of weights for `Network.connect`: "free", "synapse" or "dale"."""
        if self.network.dale:
            return "dale"
        if self.network.signs != "auto":
            return self.network.signs
        return "synapse" if self.rewiring.needs_signs else "free"
