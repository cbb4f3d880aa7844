"""What every export is made of: a network ready for inference, and what must be known to use it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.prepare import Kept, prepare
from mlgenn_delays.network import Network

# Neurons x steps: 1 GiB of float32.
LARGEST_TRACE = 2**28
_Text = Annotated[str, Field(max_length=1000)]


class Measured(BaseModel):
    """An accuracy that was measured.

    Attributes:
        split: Of the data.
        accuracy: Correct / total.
        n: Examples, None if not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: _Text
    accuracy: Annotated[float, Field(ge=0, le=1)]
    n: Annotated[int, Field(ge=1)] | None = None


class About(BaseModel):
    """What must be known to use a network, as plain data for JSON.

    Attributes:
        n_steps: T, length of a trial.
        labels: Name of each class.
        data: The data set that it was trained on, as the ``[data]`` table of a recipe: how
            recordings or images become spikes or currents. Empty if not known.
        recipe: Name of the recipe, empty if not known.
        recipe_sha256: SHA-256 of the run's recipe.toml, empty if not known.
        epoch: Epoch of the network, None if not known.
        measured: Accuracies of the network; with int8, of the rounded one.
        quantised: "int8" if weights were rounded to 8 bits, else None.
        version: Version of delaysnn that made it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_steps: Annotated[int, Field(ge=1, le=2**31 - 1)]
    labels: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=1_000_000)]
    data: dict[str, Any] = {}
    recipe: _Text = ""
    recipe_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    epoch: Annotated[int, Field(ge=0)] | None = None
    measured: tuple[Measured, ...] = ()
    quantised: Annotated[str, Field(pattern="^int8$")] | None = None
    version: _Text = ""

    @model_validator(mode="after")
    def _known(self) -> "About":
        """Reject options that the data set does not have."""
        try:
            _ = self.options
        except InputError as error:
            raise ValueError(f"data: {error}") from error
        return self

    @cached_property
    def options(self) -> Any:
        """The options of the data set, None if that is not known."""
        from mlgenn_delays.data.registry import parse_options

        table = dict(self.data)
        return parse_options(str(table.pop("dataset", None)), table) if table else None

    @staticmethod
    def of_json(text: str | bytes) -> "About":
        """Return what JSON tells.

        Raises:
            InputError: It tells something else.
        """
        try:
            return About.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(": ".join([*map(str, first["loc"]), first["msg"]])) from error


@dataclass(frozen=True)
class Artifact:
    """A network for inference; see `of`.

    Attributes:
        network: As `prepare` gives it: one input, one output, no normalisation, each synapse with
            a delay of its own in whole steps.
        kept: By population that spikes, the indices (n,) int64 of its neurons before those that
            cannot matter were left out.
        sizes: Neurons of each population before that.
        about: What must be known to use it.
    """

    network: Network
    kept: Kept
    sizes: dict[str, int]
    about: About

    def __post_init__(self) -> None:
        network = self.network
        network.input()
        outputs, n_labels = network.output().n, len(self.about.labels)
        if outputs != n_labels:
            raise InputError(
                f"the network must have one output a label, got {outputs} outputs and {n_labels} "
                "labels"
            )
        neurons = sum(population.n for population in network.populations.values())
        if neurons * self.about.n_steps > LARGEST_TRACE:
            raise InputError(
                f"neurons x steps must be at most {LARGEST_TRACE}, got {neurons} x "
                f"{self.about.n_steps}; shorten the trial"
            )
        network.order()
        self._check_network()
        self._check_kept()

    def _check_network(self) -> None:
        """Reject a network that `prepare` does not give."""
        for name, population in self.network.populations.items():
            if population.normalisation is not None or not np.isfinite(population.bias).all():
                raise InputError(
                    f"population {name!r} must have a finite bias and no normalisation"
                )
        for name, p in self.network.projections.items():
            steps = p.delay / self.network.dt
            if p.granularity != "synapse" or not np.allclose(
                steps, np.round(steps), rtol=0, atol=1e-6
            ):
                raise InputError(f"projection {name!r} must have a whole delay [steps] a synapse")

    def _check_kept(self) -> None:
        """Reject indices that neurons cannot have had."""
        if not isinstance(self.sizes, dict) or not all(
            isinstance(size, int) and 0 < size <= 2**31 for size in self.sizes.values()
        ):
            raise InputError("sizes must have a number of neurons for each population")
        for population in self.network.spiking():
            kept, size = self.kept.get(population.name), self.sizes.get(population.name)
            if (
                kept is None
                or not isinstance(size, int)
                or kept.shape != (population.n,)
                or (np.diff(kept) <= 0).any()
                or kept[0] < 0
                or kept[-1] >= size
            ):
                raise InputError(
                    f"neurons of population {population.name!r} must have had ascending indices "
                    f"below {size}, one for each of {population.n}"
                )

    @staticmethod
    def of(network: Network, about: About) -> "Artifact":
        """Return the artifact of a trained network.

        Raises:
            InputError: It has no single input and output, or another number of classes than
                labels.
        """
        small, kept = prepare(network)
        sizes = {name: population.n for name, population in network.populations.items()}
        return Artifact(small, kept, sizes, about)
