"""What a recipe may say. Times are in ms, unless a key says steps.

Populations are called ``input``, ``hidden1``, ``hidden2`` ... and ``output``; projections
``input->hidden1``, ``hidden1->hidden1`` (recurrent) and so on, in that order.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.learning.schedules import SCHEDULES
from mlgenn_delays.network.models import READOUTS
from mlgenn_delays.recipe.fields import (
    Count,
    NonNegative,
    Positive,
    PositiveTime,
    Section,
    Share,
    Time,
    Whole,
    either,
    one_of,
    today,
)

ScheduleName = Annotated[str, one_of(lambda: tuple(SCHEDULES))]
Text = Annotated[str, Field(min_length=1)]
if TYPE_CHECKING:
    Shares = float | tuple[float, ...]
    Names = str | tuple[str, ...]
else:
    Shares = either(Share, "number", Annotated[tuple[Share, ...], Field(strict=False)])
    Names = either(
        Annotated[str, AfterValidator(lambda word: _all(word))],
        "word",
        Annotated[tuple[Text, ...], Field(strict=False)],
    )


def _all(word: str) -> str:
    """Refuse any word but ``all``."""
    if word != "all":
        raise ValueError(f"must be 'all' or a list, such as ['hidden1'], got {word!r}")
    return word


def _zero(value: float) -> float:
    """Refuse anything but 0."""
    if value != 0:
        raise ValueError(f"{value:g} is not there yet; what works today: 0")
    return value


def _check_schedule(name: str, options: dict[str, float], where: str) -> None:
    """Refuse options that the schedule does not have or take."""
    kind = SCHEDULES[name]
    known = list(getattr(kind, "__dataclass_fields__", {}))
    for key in options:
        if key not in known:
            having = ", ".join(known) or "no options"
            raise ValueError(
                f"there is no key '{where}.{key}' (schedule {name!r} has {having})"
                f"{nearest(key, known)}"
            )
    try:
        kind(**options)
    except Exception as error:
        raise ValueError(f"{where}: {error}") from error


class Data(Section):
    """[data]: what is learned from; further keys are the options of the data set."""

    model_config = ConfigDict(extra="allow")

    dataset: str = Field(description="Name of the data set.")
    encoding: Annotated[str, today("spikes", planned=("currents",))] = Field(
        "spikes", description="How examples drive the input: as spikes."
    )

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, table: Any) -> Any:
        """Check the options of the data set and write out their defaults."""
        if not isinstance(table, dict) or not isinstance(table.get("dataset"), str):
            return table
        from mlgenn_delays.data.registry import options_table, parse_options

        own = {key: table[key] for key in cls.model_fields if key in table}
        try:
            given = {key: value for key, value in table.items() if key not in own}
            resolved = options_table(parse_options(table["dataset"], given))
        except InputError as error:
            raise ValueError(f"data: {error}") from error
        return {key: value for key, value in resolved.items() if key not in cls.model_fields} | own

    @property
    def options(self) -> dict[str, Any]:
        """The options of the data set, as `mlgenn_delays.data.parse_options` takes them."""
        return dict(self.model_extra or {})


class Layer(Section):
    """[[network.layers]]: a hidden layer and the projections onto it."""

    size: Count = Field(description="Number of neurons.")
    model: Annotated[str, today("LIF", planned=("SeedLIF",))] = Field(
        "LIF", description="Neuron model."
    )
    tau_mem: PositiveTime = Field(20.0, description="Membrane time constant [ms].")
    v_thresh: Positive = Field(1.0, description="Firing threshold.")
    tau_refrac: Time = Field(0.0, description="Refractory period [ms].")
    synapse: Annotated[str, today("Exponential", planned=("Delta",))] = Field(
        "Exponential", description="Model of the synapses onto the layer."
    )
    tau_syn: PositiveTime = Field(5.0, description="Synaptic time constant [ms].")
    weight_mean: float = Field(
        0.03, description="Mean of the starting weights from the layer before (Normal)."
    )
    weight_sd: NonNegative = Field(
        0.01, description="Standard deviation of the starting weights from the layer before."
    )
    recurrent: bool = Field(False, description="Whether the layer projects to itself as well.")
    recurrent_weight_mean: float = Field(
        0.0, description="Mean of the starting recurrent weights (Normal)."
    )
    recurrent_weight_sd: NonNegative = Field(
        0.02, description="Standard deviation of the starting recurrent weights."
    )
    normalise: Annotated[bool, today(False, planned=(True,))] = Field(
        False, description="Normalisation over batch and time."
    )
    dropout: Share = Field(
        0.0, description="Probability that a neuron is silent to its targets for a trial."
    )


class Readout(Section):
    """[network.readout]: leaky integrators, one a class, and how they are read."""

    kind: Annotated[str, one_of(lambda: READOUTS)] = Field(
        "mean", description="What of the voltage over the trial is the answer."
    )
    tau_mem: PositiveTime = Field(20.0, description="Membrane time constant [ms].")
    tau_syn: PositiveTime = Field(5.0, description="Synaptic time constant [ms].")
    weight_mean: float = Field(0.0, description="Mean of the starting weights (Normal).")
    weight_sd: NonNegative = Field(0.03, description="Standard deviation of the starting weights.")


class NetworkSection(Section):
    """[network]: populations and projections."""

    dt: PositiveTime = Field(1.0, description="Length of a time step [ms].")
    sparsity: Shares = Field(
        0.0,
        description="Share of absent synapses, in [0, 1): of each projection, or one a projection.",
    )
    dale: Annotated[bool, today(False, planned=(True,))] = Field(
        False, description="Whether all synapses of a neuron have one sign."
    )
    layers: Annotated[tuple[Layer, ...], Field(strict=False)] = Field(
        description="Hidden layers, from the input on."
    )
    readout: Readout = Field(Readout(), description="The output.")

    def projections(self) -> list[str]:
        """Return the names of the projections, in order."""
        names, before = [], "input"
        for number, layer in enumerate(self.layers, 1):
            names.append(f"{before}->hidden{number}")
            before = f"hidden{number}"
            if layer.recurrent:
                names.append(f"{before}->{before}")
        return [*names, f"{before}->output"]

    @model_validator(mode="after")
    def _consistent(self) -> "NetworkSection":
        if not self.layers:
            raise ValueError("network.layers must be a list with at least one entry, got []")
        names = self.projections()
        if isinstance(self.sparsity, tuple) and len(self.sparsity) != len(names):
            raise ValueError(
                f"network.sparsity must be one number, or {len(names)} for {', '.join(names)}; "
                f"got {len(self.sparsity)}"
            )
        return self


class Delays(Section):
    """[delays]: of all projections, or of some."""

    learn: bool = Field(True, description="Whether delays are learned.")
    granularity: Literal["synapse", "axon", "fixed"] = Field(
        "synapse",
        description="A delay each synapse, each presynaptic neuron (axon), or one a projection.",
    )
    kernel: Annotated[str, today("dirac", planned=("gaussian",))] = Field(
        "dirac", description="How a delay acts: at one step."
    )
    max: Time = Field(description="Largest delay that learning may reach [ms].")
    initial: Literal["uniform", "zero", "constant"] = Field(
        "uniform", description="Start: uniform over 0..initial_max, zero, or all initial_max."
    )
    initial_max: Time = Field(0.0, description="Largest delay at the start [ms].")
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
        _check_schedule(self.schedule, self.schedule_options, "delays.schedule_options")
        return self


class Learning(Section):
    """[learning]: the rule, and the optimiser of the weights (Adam)."""

    rule: Annotated[str, today("eventprop", planned=("surrogate",))] = Field(
        "eventprop", description="Learning rule."
    )
    epochs: Count = Field(description="Passes over the training examples.")
    batch_size: Count = Field(32, description="Examples a batch.")
    learning_rate: NonNegative = Field(
        1e-3, description="Learning rate of the weights; 0 keeps them as they start."
    )
    schedule: ScheduleName = Field("constant", description="Schedule of that learning rate.")
    schedule_options: dict[str, float] = Field({}, description="Settings of the schedule.")
    beta1: Share = Field(0.9, description="Adam's decay of the first moment.")
    beta2: Share = Field(0.999, description="Adam's decay of the second moment.")
    clip: NonNegative = Field(
        0.0, description="Largest L2 norm of the weights' gradient; 0 for no bound."
    )
    patience: Whole = Field(
        0, description="Stop after so many epochs without a better validation; 0 never stops."
    )

    @model_validator(mode="after")
    def _schedule_fits(self) -> "Learning":
        _check_schedule(self.schedule, self.schedule_options, "learning.schedule_options")
        return self


class Regularisation(Section):
    """[regularisation]."""

    spikes_target: NonNegative = Field(14.0, description="Wanted spikes a neuron and trial.")
    spikes_strength: NonNegative = Field(
        0.0, description="Pull towards them; see `mlgenn_delays.SpikeCount`."
    )
    revive: NonNegative = Field(
        0.0, description="Added after an epoch to the input weights of silent neurons."
    )
    l1: Annotated[float, AfterValidator(_zero)] = Field(
        0.0, description="L1 on weights: only 0 for now."
    )


class Augmentation(Section):
    """[augmentation]: random changes of training examples, drawn anew each epoch."""

    shift: Whole = Field(0, description="Largest shift along the channels.")
    jitter: Time = Field(0.0, description="Standard deviation of spike times [ms].")
    drop: Share = Field(0.0, description="Probability that a spike is left out.")
    time_shift: Time = Field(0.0, description="Largest shift of a whole example [ms].")
    group: Whole = Field(
        0, description="Channels a group, within which a shift moves; 0 for the data set's own."
    )


class Rewiring(Section):
    """[rewiring]: structure learning, which is not there yet."""

    rule: Annotated[str, today("none", planned=("deep_r", "rigl", "set"))] = Field(
        "none", description="Structure learning: none for now."
    )


class Expected(Section):
    """[expected]: what was measured with this recipe."""

    metric: Text = Field("test accuracy", description="What is measured.")
    accuracy: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Mean over the seeds, of 1."
    )
    seeds: Count | None = Field(None, description="Number of seeds measured.")
    minutes: Positive | None = Field(None, description="Wall-clock time of one training [min].")
    machine: Text | None = Field(None, description="Class of the machine measured on.")


class Recipe(Section):
    """A network, its task and its training."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(
        description="Name of the recipe: letters, digits, '.', '_' and '-'."
    )
    summary: str = Field("", description="What it is, in one line.")
    seed: Whole = Field(0, description="Seed of every random draw.")
    data: Data
    network: NetworkSection
    delays: Delays
    learning: Learning
    regularisation: Regularisation = Regularisation()
    augmentation: Augmentation = Augmentation()
    rewiring: Rewiring = Rewiring()
    expected: Expected = Expected()

    @model_validator(mode="after")
    def _delays_fit(self) -> "Recipe":
        if self.delays.layers != "all":
            names = self.network.projections()
            known = [*dict.fromkeys(name.split("->")[1] for name in names), *names]
            for name in self.delays.layers:
                if name not in known:
                    raise ValueError(
                        f"delays.layers must be of {', '.join(known)}; "
                        f"got {name!r}{nearest(name, known)}"
                    )
        return self

    def has_delays(self, projection: str) -> bool:
        """Return whether a projection has delays of its own."""
        chosen = self.delays.layers
        return chosen == "all" or projection in chosen or projection.split("->")[1] in chosen
