"""What a C program takes: bytes of memory, and operations per step.

An operation is one addition, multiplication, comparison, division or exponential of numbers;
reading tables and counting loops come on top, in proportion.
"""

from dataclasses import dataclass

from mlgenn_delays.export.c.layout import CProgram, History, Neurons

# What a program takes besides its arrays, at most, compiled with -Os for a Cortex-M4 with its unit
# for floats: tests compile and run programs, and measure.
CODE_BYTES = 1536  # of functions, and of the library's that they call
CODE_OF_PART = 256  # of functions per population and projection
STACK_BYTES = 256
# With what `source.ADD` takes.
_READING = {"mean": 4, "sum": 4, "max": 1, "expweighted": 5, "softmax-sum": 9}


@dataclass(frozen=True)
class Limits:
    """Memory that a device has for the program.

    Attributes:
        ram: For variables and stack [bytes], None for any.
        flash: For constants and code [bytes], None for any.
    """

    ram: int | None = None
    flash: int | None = None

    def excess(self, costs: "Costs") -> int:
        """By how many bytes a program is too large, 0 if it fits."""
        pairs = ((costs.ram, self.ram), (costs.flash, self.flash))
        return sum(max(0, needed - limit) for needed, limit in pairs if limit is not None)


@dataclass(frozen=True)
class PerSpike:
    """Operations that one spike brings."""

    source: str  # population that spikes
    mean: float  # over its neurons
    most: int  # of any of its neurons


@dataclass(frozen=True)
class Costs:
    """What a program takes."""

    constant_bytes: int  # of constant arrays, in read-only memory
    state_bytes: int  # of variables
    code_bytes: int  # of functions, at most
    stack_bytes: int  # at most
    synapses: int  # left in the program
    neurons: int  # left in the program, output included
    silent: int  # operations of a step without spikes and input
    # The first per input spike (or input that is not 0), then per spike of each hidden population.
    spikes: tuple[PerSpike, ...]
    worst: int  # operations of a step in which everything spikes
    weights: str  # their kind: ``"float32"``, ``"int8"``, ``"int4"`` or ``"ternary"``

    @property
    def ram(self) -> int:
        """Bytes of RAM: state and stack."""
        return self.state_bytes + self.stack_bytes

    @property
    def flash(self) -> int:
        """Bytes of read-only memory: constants and code."""
        return self.constant_bytes + self.code_bytes

    @property
    def input_spike(self) -> PerSpike:
        """Operations that one input brings."""
        return self.spikes[0]

    def lines(self) -> list[str]:
        """Memory and operations in words, two lines."""
        return [
            f"C: {self.neurons} neurons, {self.synapses} synapses of {self.weights} weights; "
            f"RAM {self.ram} bytes ({self.state_bytes} of state, {self.stack_bytes} of stack), "
            f"flash {self.flash} ({self.constant_bytes} of constants, {self.code_bytes} of code)",
            f"operations: {self.silent} a silent step, {self.input_spike.mean:.1f} more an input, "
            f"at most {self.worst} a step",
        ]


def costs_of(layout: CProgram) -> Costs:
    """Count bytes and operations."""
    silent = sum(_silent(p) for p in layout.neurons)
    silent += sum(-(-h.width * _ages(layout, h) // layout.block) for h in layout.histories.values())
    spikes, worst = [], silent
    hidden = [(p.name, p.title, p.n, p.step.at_spike) for p in layout.hidden]
    for source, title, n, own in [(layout.input_name, "input", layout.inputs, 0), *hidden]:
        # A current is multiplied by the weight before it is added.
        each = 2 if layout.currents and source == layout.input_name else 1
        tables = [sender.table for sender in layout.from_source(source)]
        entries = each * sum(table.entries for table in tables)
        most = own + each * sum(table.most for table in tables)
        looked, compared = _looked_at(layout, source)
        searched = compared * -(-looked // layout.block)
        spikes.append(PerSpike(title, own + searched + entries / n, most + searched))
        worst += n * (own + looked * compared) + entries
        if layout.block > 1:  # synapses of spikes of this step, and of a block of arrivals
            late = sum(sender.table.entries for sender in layout.late(source))
            worst += n * compared + late * layout.block
    parts = len(layout.neurons) + len(layout.senders) + len(layout.gathers)
    shares = 4 * layout.output.n if layout.output.readout == "softmax-sum" else 0
    return Costs(
        code_bytes=CODE_BYTES + CODE_OF_PART * parts,
        stack_bytes=STACK_BYTES + shares,
        constant_bytes=layout.constant_bytes,
        state_bytes=layout.state_bytes,
        synapses=layout.synapses,
        neurons=sum(p.n for p in layout.neurons),
        silent=silent,
        spikes=tuple(spikes),
        worst=worst,
        weights=layout.weights,
    )


def _ages(layout: CProgram, history: History) -> int:
    """In how many slots of a history spikes are looked for."""
    late = layout.late(history.source)
    if not late:
        return 0
    first = max(0, min(s.shortest for s in late) - layout.block + 1)
    return 1 + max(s.longest for s in late) - first


def _looked_at(layout: CProgram, source: str) -> tuple[int, int]:
    """In how many slots of the history a spike is looked at, and how many comparisons its synapses
    take to find those of a delay.
    """
    compared = (
        max(1, s.table.most.bit_length()) if s.table.by_synapse else 1 for s in layout.late(source)
    )
    history = layout.histories.get(source)
    ages = _ages(layout, history) if history else 0
    return ages, sum(compared)


def _silent(p: Neurons) -> int:
    own = p.step.operations + (p.bias is not None)
    own += _READING[p.readout] if p.readout else p.refractory > 0
    gathered = 0
    for group in p.groups:
        own += sum(1 + (ring.scale is not None) for ring in group.rings)
        own += 3 if group.decay is not None else 0
        own += sum(1 + (gather.scale is not None) for gather in group.gathers)
        gathered += sum(2 * gather.table.entries for gather in group.gathers)
    return p.n * own + gathered
