"""The tables of a recipe besides [network]."""

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    Tag,
    model_validator,
)

from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.learning.losses import (
    LOSSES,
    Correct,
    CrossEntropy,
    MeanSquaredError,
    Smoothing,
    SpikeCountLoss,
    Start,
    Wrong,
)
from mlgenn_delays.learning.optimisers import (
    SCHEDULES,
    Adam,
    Beta1,
    Beta2,
    SpikeCount,
    Strength,
    Target,
)
from mlgenn_delays.learning.rules import (
    L1,
    SURROGATES,
    EventProp,
    Operations,
    Pipelined,
    Revive,
)
from mlgenn_delays.recipe.left_to_data import BATCH, BATCHES_AT_LEAST, EPOCHS
from mlgenn_delays.rewiring import RULES, SET, RigL
from mlgenn_delays.rewiring.base import DeadFirst, GrowDelay
from mlgenn_delays.rewiring.magnitude_pruning import Decay, DropFraction, Until
from mlgenn_delays.rewiring.rigl import Averaging, Form
from mlgenn_delays.settings import (
    INT32_MAX,
    Count,
    Integer,
    NonNegative,
    OneOf,
    Positive,
    Probability,
    Time,
    Whole,
    one_of,
)


class Section(BaseModel):
    """A table of a recipe: frozen, with no key but those it names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def either(first: Any, first_tag: str, values: Any) -> Any:
    """Return the type of one value or a list of values, telling them apart by being a list.

    Tags stand in brackets in the place of an error, as pydantic's own, for they are no keys.
    """

    def which(value: Any) -> str:
        return "[list]" if isinstance(value, (list, tuple)) else first_tag

    return Annotated[
        Annotated[first, Tag(first_tag)] | Annotated[values, Tag("[list]")],
        Discriminator(which),
    ]


ScheduleName = Annotated[str, OneOf(lambda: tuple(SCHEDULES))]
Text = Annotated[str, Field(min_length=1)]
if TYPE_CHECKING:
    Names = str | tuple[str, ...]
else:
    Names = either(
        Annotated[str, AfterValidator(lambda word: _all(word))],
        "[word]",
        Annotated[tuple[Text, ...], Field(strict=False)],
    )


def _all(word: str) -> str:
    if word != "all":
        raise ValueError(f"must be 'all' or a list, such as ['hidden1'], got {word!r}")
    return word


def _check_options(kind: type, what: str, options: dict[str, float], where: str) -> None:
    known = [field.name for field in fields(kind)]
    for key in options:
        if key not in known:
            having = ", ".join(known) or "no options"
            raise ValueError(
                f"there is no key '{where}.{key}' ({what} has {having}){nearest(key, known)}"
            )
    try:
        kind(**options)
    except Exception as error:
        raise ValueError(f"{where}: {error}") from error


def _check_schedule(name: str, options: dict[str, float], where: str) -> None:
    _check_options(SCHEDULES[name], f"schedule {name!r}", options, where)


class Data(Section):
    """[data]: what is learned from; further keys are the options of the data set."""

    model_config = ConfigDict(extra="allow")

    dataset: str = Field(description="Name of the data set.")

    _parsed: Any = PrivateAttr(None)

    @model_validator(mode="wrap")
    @classmethod
    def _resolve(cls, table: Any, make: ModelWrapValidatorHandler[Self]) -> Self:
        """Check the options of the data set and write out their defaults."""
        if not isinstance(table, dict) or not isinstance(table.get("dataset"), str):
            return make(table)
        from mlgenn_delays.data.registry import options_table, parse_options

        given = {key: value for key, value in table.items() if key != "dataset"}
        try:
            parsed = parse_options(table["dataset"], given)
        except InputError as error:
            text = str(error)
            raise ValueError(text if text.startswith("data.") else f"data: {text}") from error
        section = make({"dataset": table["dataset"]} | options_table(parsed))
        section._parsed = parsed
        return section

    @property
    def parsed(self) -> Any:
        """The options of the data set, as `mlgenn_delays.data.parse_options` returns them."""
        return self._parsed

    @property
    def options(self) -> dict[str, Any]:
        """The options of the data set, as `mlgenn_delays.data.parse_options` takes them."""
        return dict(self.model_extra or {})

    @property
    def encoding(self) -> str:
        """How examples drive the input, an option of the data set: as "spikes" or "currents"."""
        return str(self.options["encoding"])


class Delays(Section):
    """[delays]: of all projections, or of some."""

    learn: bool = Field(True, description="Whether delays are learned.")
    granularity: Literal["synapse", "axon", "fixed"] = Field(
        "synapse",
        description="One delay per synapse, per presynaptic neuron (axon), or per projection.",
    )
    kernel: Annotated[str, one_of("dirac", "gaussian")] = Field(
        "dirac",
        description="How a delay acts while it is learned: at one step, or over steps around it.",
    )
    sigma_start: NonNegative = Field(
        0.0, description="Sigma of the gaussian at the start [steps]; 0 for half the steps of max."
    )
    sigma_end: Positive = Field(0.23, description="Sigma of the gaussian at last [steps].")
    sigma_epochs: NonNegative = Field(
        0.0, description="Epochs in which sigma falls; 0 for a quarter of all."
    )
    max: Time = Field(description="Largest delay that learning may reach [ms].")
    initial: Literal["uniform", "zero", "constant"] = Field(
        "uniform", description="Start: uniform over 0..initial_max, zero, or all initial_max."
    )
    initial_max: Time = Field(0.0, description="Largest delay at the start [ms].")
    recurrent_initial: Literal["same", "zero"] = Field(
        "same", description="Start of a layer's delays to itself: as the others, or zero."
    )
    learning_rate: NonNegative = Field(0.1, description="Learning rate of the delays [steps].")
    schedule: ScheduleName = Field("constant", description="Schedule of that learning rate.")
    schedule_options: dict[str, float] = Field({}, description="Settings of the schedule.")
    clip: NonNegative = Field(
        0.0, description="Largest L2 norm of the delays' gradient; 0 for no bound."
    )
    layers: Names = Field(
        "all",
        description="Which projections have delays: all, or a list of layers (every projection "
        "onto them) and projections, such as ['hidden1', 'hidden1->output']; the others act at "
        "once.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Delays":
        if self.initial_max > self.max:
            raise ValueError(
                f"delays.initial_max must be <= delays.max ({self.max:g} ms), "
                f"got {self.initial_max:g}"
            )
        if self.learn and self.granularity == "fixed":
            raise ValueError(
                "delays.granularity 'fixed' is never learned: give delays.learn = false as well, "
                "or granularity 'synapse' or 'axon'"
            )
        if self.sigma_start and self.sigma_end > self.sigma_start:
            raise ValueError(
                f"delays.sigma_end must be <= delays.sigma_start ({self.sigma_start:g} steps), "
                f"got {self.sigma_end:g}"
            )
        _check_schedule(self.schedule, self.schedule_options, "delays.schedule_options")
        return self


class Learning(Section):
    """[learning]: the rule, and the optimiser of the weights (Adam)."""

    rule: Annotated[str, one_of("eventprop", "surrogate")] = Field(
        "eventprop",
        description="Learning rule: EventProp, or backpropagation through time with a surrogate "
        "derivative of the spike.",
    )
    surrogate: Annotated[str, OneOf(lambda: tuple(SURROGATES))] = Field(
        "atan", description="Surrogate derivative of rule surrogate."
    )
    surrogate_options: dict[str, float] = Field(
        {}, description="Its settings: slope of atan; width and height of triangle and boxcar."
    )
    epochs: Whole = Field(
        description="Passes over the training examples; 0 for as many as make `steps` optimiser "
        f"steps, within {EPOCHS[0]}..{EPOCHS[1]}."
    )
    batch_size: Whole = Field(
        32,
        description=f"Examples per batch; 0 for a {BATCHES_AT_LEAST}th of the training examples, "
        f"rounded down to a power of two within {BATCH[0]}..{BATCH[1]}.",
    )
    steps: Count = Field(1500, description="Optimiser steps that epochs = 0 aims at.")
    learning_rate: NonNegative = Field(
        1e-3, description="Learning rate of the weights; 0 keeps them as they start."
    )
    neuron_learning_rate: NonNegative = Field(
        1e-2,
        description="Learning rate of the parameters in learn of a layer, on the scale of each: "
        "the logarithm of time constants and thresholds; 0 keeps them as they start.",
    )
    schedule: ScheduleName = Field("constant", description="Schedule of that learning rate.")
    schedule_options: dict[str, float] = Field({}, description="Settings of the schedule.")
    beta1: Beta1 = Adam.beta1
    beta2: Beta2 = Adam.beta2
    clip: NonNegative = Field(
        0.0, description="Largest L2 norm of the weights' gradient; 0 for no bound."
    )
    pipelined: Pipelined = EventProp.pipelined
    patience: Whole = Field(
        0, description="Stop after so many epochs without a better validation; 0 never stops."
    )
    snapshots: NonNegative = Field(
        16.0,
        description="Space in the run for snapshots of the network [MB], evenly over the epochs, "
        "as `delaysnn analyse` takes them; the one at the start is always kept.",
    )

    @model_validator(mode="after")
    def _options_fit(self) -> "Learning":
        _check_schedule(self.schedule, self.schedule_options, "learning.schedule_options")
        _check_options(
            SURROGATES[self.surrogate],
            f"surrogate {self.surrogate!r}",
            self.surrogate_options,
            "learning.surrogate_options",
        )
        return self


class LossSection(Section):
    """[loss]: what of the output's voltage is learned."""

    kind: Annotated[str, OneOf(lambda: tuple(LOSSES))] = Field(
        "cross-entropy",
        description="For classes: cross-entropy, or squared error of spike counts. For target "
        "series: mean squared error of the output's voltage, or distance of spike trains.",
    )
    label_smoothing: Smoothing = CrossEntropy.label_smoothing
    start: Start = MeanSquaredError.start
    correct: Correct = SpikeCountLoss.correct
    wrong: Wrong = SpikeCountLoss.wrong

    @model_validator(mode="after")
    def _consistent(self) -> "LossSection":
        if self.correct <= self.wrong:
            raise ValueError(
                f"loss.correct must be > loss.wrong ({self.wrong:g}), got {self.correct:g}"
            )
        return self


class Regularisation(Section):
    """[regularisation]."""

    spikes_target: Target = SpikeCount.target
    spikes_strength: Strength = SpikeCount.strength
    revive: Revive = EventProp.revive
    l1: L1 = EventProp.l1
    operations: Operations = EventProp.operations


class RewiringSection(Section):
    """[rewiring]: structure learning; settings that a rule does not have are rejected."""

    rule: Annotated[str, OneOf(lambda: ("none", *RULES))] = Field(
        "none", description="What learns the structure: none keeps it as it starts."
    )
    form: Form = RigL.form
    every: Annotated[Integer, Field(ge=-1, le=INT32_MAX)] = Field(
        -1, description="Batches between passes; 0 for once per epoch, -1 for the rule's own."
    )
    drop_fraction: DropFraction = SET.drop_fraction
    decay: Decay = SET.decay
    until: Until = SET.until
    gradient_averaging: Averaging = RigL.averaging
    grow_delay: GrowDelay = RigL.grow_delay
    dead_first: DeadFirst = RigL.dead_first

    @property
    def needs_signs(self) -> bool:
        """Whether the rule works on magnitudes of weights that keep their sign."""
        return self.rule == "deep_r" or (self.rule == "rigl" and self.form == "signed")


class Expected(Section):
    """[expected]: what was measured with this recipe."""

    published: Text | None = Field(
        None, description="What others measured with these settings, and where it says so."
    )
    metric: Text = Field("test accuracy", description="What is measured.")
    accuracy: Probability | None = Field(None, description="Mean over the seeds, of 1.")
    nrmse: NonNegative | None = Field(
        None, description="Mean normalised error over the seeds, of target series."
    )
    seeds: Count | None = Field(None, description="Number of seeds measured.")
    minutes: Positive | None = Field(None, description="Wall-clock time of one training [min].")
    machine: Text | None = Field(None, description="Class of the machine measured on.")
