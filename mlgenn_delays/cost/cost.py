"""What a network costs, by the definitions of NeuroBench (Yik et al. 2025) where it has them.

    connection sparsity   1 - synapses of weight other than 0 / pairs of neurons, of all projections
    activation sparsity   1 - spikes / (neurons x steps), of the populations that spike
    dense operations      pairs of neurons x steps
    effective operations  what each neuron sends x its synapses of weight other than 0;
                          of spikes accumulations (ACs), of sampled currents multiply-accumulations
                          (MACs), for which samples of 0 do not count
    membrane updates      steps in which a neuron's voltage is another than before; the first counts

All of one inference, which is one trial of T steps, in the mean over the examples.
"""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Operations:
    """Synaptic operations of a projection per inference.

    Attributes:
        dense: Of hardware that skips nothing.
        effective: Of hardware that skips absent synapses, silent neurons and samples of 0.
        multiplies: Whether they are MACs: its source is sampled currents.
    """

    dense: float
    effective: float
    multiplies: bool


@dataclass(frozen=True)
class Bytes:
    """Memory of a format [bytes].

    Attributes:
        stored: What does not change: weights, delays, connectivity, constants.
        state: What changes while it runs; 0 of a file that runs nothing.
    """

    stored: int
    state: int

    @property
    def total(self) -> int:
        """Both."""
        return self.stored + self.state


@dataclass(frozen=True)
class DelayMemory:
    """What delays keep: an event is one spike (or sample other than 0) on its way in one synapse.

    Attributes:
        mean: Events in flight at the end of a step, in the mean over steps and examples.
        most: Most events in flight at the end of any step.
        rings: Size of ring buffers of arrivals, a float32 per target neuron and step up to the
            longest delay onto it [bytes].
        histories: Size of histories of what was sent, up to the longest delay: one bit per neuron
            that spikes and step, a float32 of sampled currents [bytes].
    """

    mean: float
    most: int
    rings: int
    histories: int


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        examples: How many it was counted on.
        steps: T of an inference.
        neurons: By population that is no input.
        connection_sparsity: In 0..1.
        operations: By projection.
        spikes: Per inference, by population that spikes.
        footprint: By format: ``bundle``, ``c`` (float32 weights), ``c_int8``, ``c_int4``,
            ``c_ternary``, ``genn`` (one example at a time); those that cannot hold the network are
            absent.
        membrane_updates: Per inference, by population that is no input; None if not counted.
        delays: What delays keep; None if not counted.

    Example:
        >>> from mlgenn_delays import Network, load_dataset
        >>> from mlgenn_delays.cost import measure_cost
        >>> data = load_dataset("digits", options={"both": True})["test"]
        >>> cost = measure_cost(Network.load("run/network.safetensors"), data)
        >>> cost.effective == cost.acs and cost.effective < cost.dense
        True
    """

    examples: int
    steps: int
    neurons: dict[str, int]
    connection_sparsity: float
    operations: dict[str, Operations]
    spikes: dict[str, float]
    footprint: dict[str, Bytes]
    membrane_updates: dict[str, float] | None = None
    delays: DelayMemory | None = None

    @property
    def activation_sparsity(self) -> float | None:
        """In 0..1; None without neurons that spike."""
        places = self.steps * sum(self.neurons[name] for name in self.spikes)
        return 1.0 - sum(self.spikes.values()) / places if places else None

    @property
    def dense(self) -> float:
        """Dense synaptic operations per inference."""
        return sum(each.dense for each in self.operations.values())

    @property
    def effective(self) -> float:
        """Effective synaptic operations per inference."""
        return sum(each.effective for each in self.operations.values())

    @property
    def macs(self) -> float:
        """Effective multiply-accumulations per inference."""
        return sum((each.effective for each in self.operations.values() if each.multiplies), 0.0)

    @property
    def acs(self) -> float:
        """Effective accumulations per inference."""
        return self.effective - self.macs

    @property
    def updates(self) -> float | None:
        """Membrane updates per inference; None if not counted."""
        return None if self.membrane_updates is None else sum(self.membrane_updates.values())

    def per_inference(self) -> dict[str, float | None]:
        """Everything that is counted per inference; None for what was not."""
        return {
            "dense": self.dense,
            "effective": self.effective,
            "macs": self.macs,
            "acs": self.acs,
            "membrane_updates": self.updates,
            "spikes": sum(self.spikes.values()),
        }

    def as_dict(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        counted = self.per_inference()
        return {
            "examples": self.examples,
            "steps": self.steps,
            "connection_sparsity": self.connection_sparsity,
            "activation_sparsity": self.activation_sparsity,
            "per_inference": counted,
            "per_step": {k: None if v is None else v / self.steps for k, v in counted.items()},
            "projections": {name: asdict(each) for name, each in self.operations.items()},
            "spikes": self.spikes,
            "membrane_updates": self.membrane_updates,
            "delays": None if self.delays is None else asdict(self.delays),
            "footprint": {name: asdict(each) for name, each in self.footprint.items()},
        }
