"""What a program takes: bytes, and operations a step.

An operation is one addition, multiplication, comparison, division or exponential of numbers;
reading tables and counting loops come on top, in proportion.
"""

from dataclasses import dataclass

from mlgenn_delays.export.c.layout import CProgram, Gather, Neurons, Sender, SynapseGroup

# With what `neurons.ADD` takes.
_READING = {"mean": 4, "sum": 4, "max": 1, "expweighted": 5, "softmax-sum": 9}


@dataclass(frozen=True)
class PerSpike:
    """Operations that one spike brings.

    Attributes:
        source: Population that spikes.
        mean: Over its neurons.
        most: Of any of its neurons.
    """

    source: str
    mean: float
    most: int


@dataclass(frozen=True)
class Figures:
    """What a program takes.

    Attributes:
        constant_bytes: Of constant arrays, in read-only memory.
        state_bytes: Of variables.
        synapses: Left in the program.
        neurons: Left in the program, output included.
        silent: Operations of a step without spikes and input.
        spikes: Operations of a spike, by hidden population; first those of an input spike, or of
            an input that is not 0.
        worst: Operations of a step in which everything spikes.
        int8: Whether weights are integers.
    """

    constant_bytes: int
    state_bytes: int
    synapses: int
    neurons: int
    silent: int
    spikes: tuple[PerSpike, ...]
    worst: int
    int8: bool

    @property
    def input_spike(self) -> PerSpike:
        """Operations that one input brings."""
        return self.spikes[0]

    def lines(self) -> list[str]:
        """Return them in words."""
        weights = "8-bit" if self.int8 else "32-bit"
        return [
            f"C: {self.constant_bytes} bytes of constants and {self.state_bytes} of state, "
            f"{self.neurons} neurons, {self.synapses} synapses of {weights} weights",
            f"operations: {self.silent} a silent step, {self.input_spike.mean:.1f} more an input, "
            f"at most {self.worst} a step",
        ]


def figures(layout: CProgram, text_bytes: int, int8: bool) -> Figures:
    """Return what a program takes, with text_bytes of names and labels."""
    spikes = tuple(
        _per_spike(layout.from_source(source), title, n, layout.currents and k == 0)
        for k, (source, title, n) in enumerate(_sources(layout))
    )
    silent = sum(_silent(p) for p in layout.neurons)
    return Figures(
        constant_bytes=layout.constant_bytes + text_bytes,
        state_bytes=layout.state_bytes,
        synapses=layout.synapses,
        neurons=sum(p.n for p in layout.neurons),
        silent=silent,
        spikes=spikes,
        worst=silent + sum(_all(layout, sender) for sender in layout.senders),
        int8=int8,
    )


def _sources(layout: CProgram) -> list[tuple[str, str, int]]:
    """Return name in C, name and size of all that sends, the input first."""
    hidden = [(p.name, p.title, p.n) for p in layout.hidden]
    return [(layout.input_name, "input", layout.inputs), *hidden]


def _per_spike(senders: list[Sender], title: str, n: int, currents: bool) -> PerSpike:
    """Return the operations of a spike, or of a value, of one source."""
    each = 2 if currents else 1
    entries = sum(s.table.entries for s in senders)
    return PerSpike(title, each * entries / n, each * sum(s.table.most for s in senders))


def _all(layout: CProgram, sender: Sender) -> int:
    """Return the operations of a projection all of whose sources spike."""
    values = layout.currents and sender.source == layout.input_name
    return sender.table.entries * (2 if values else 1)


def _silent(p: Neurons) -> int:
    own = (p.bias is not None) + sum(_of_group(group) for group in p.groups)
    own += 2 + (p.beta != 1)
    own += _READING[p.readout] if p.readout else 1 + (p.refractory > 0)
    return p.n * own + sum(_of_gather(g, p.n) for group in p.groups for g in group.gathers)


def _of_group(group: SynapseGroup) -> int:
    """Return the operations a neuron that the rings of a synapse model take."""
    rings = sum(1 + (ring.scale is not None) for ring in group.rings)
    return rings + (3 if group.decay is not None else 0)


def _of_gather(gather: Gather, n: int) -> int:
    return 2 * gather.table.entries + n * (1 + (gather.scale is not None))
