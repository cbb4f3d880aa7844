"""The parts of the C program: populations, rings, histories, projections, and their memory.

What is on its way waits in one of two places. A ring holds arrivals: a number per target neuron
and step to come. A history holds what the sources did: a bit per spike (a number per sampled
current) and step gone by; synapses then look back by their delay. With n sources, m targets and
delays of 0..D steps, that is 4 m (D + 1) bytes of ring, or n (D + 1) / 8 of history and 4 m B of a
ring of B steps: each spike is looked at once in a block of B steps, for arrivals in the next B.
"""

from dataclasses import dataclass, field

from mlgenn_delays.bits import FLOAT
from mlgenn_delays.export.c.tables import Table
from mlgenn_delays.export.c.text import (
    BYTES,
    Constant,
    Field,
    Strings,
    comment,
    state_bytes,
    unsigned,
)
from mlgenn_delays.export.step_code import StepCode


@dataclass(frozen=True)
class Ring:
    """Arrivals to come at a population, one slot per step."""

    name: str  # of the field in C
    kind: str  # ``"float"``, or an integer type for sums of quantised weights
    slots: int  # their number
    scale: str | None  # C of what the integers of neuron j are worth, or None


# Types of the words that spikes of a step are packed into, the widest first.
WORDS = ("uint32_t", "uint16_t", "uint8_t")


@dataclass(frozen=True)
class History:
    """What a population did in the last steps, one slot per step."""

    name: str  # of the field in C
    source: str  # the population, by its name in C
    n: int  # its neurons or channels
    slots: int  # steps
    kind: str  # ``"float"`` of sampled currents, else the type of words of one bit per spike

    @staticmethod
    def of_spikes(source: str, n: int, slots: int) -> "History":
        """Bits, in words that take few bytes and are few to look at."""
        kind = min(WORDS, key=lambda word: -(-n // (8 * BYTES[word])) * (1 + BYTES[word]))
        return History(f"spikes_{source}", source, n, slots, kind)

    @property
    def width(self) -> int:
        """Words, or numbers, of a slot."""
        return self.n if self.kind == "float" else -(-self.n // self.bits)

    @property
    def bits(self) -> int:
        """Spikes of a word."""
        return 8 * BYTES[self.kind]

    def put(self, row: str, index: str) -> str:
        """C that notes a spike in a slot."""
        word = f"{row}[{index} / {self.bits}u]"
        bit = f"((uint32_t)1 << ({index} % {self.bits}u))"
        return f"{word} = ({self.kind})({word} | {bit});"

    def field(self) -> Field:
        """Its part of the state."""
        extent = (self.slots, self.width) if self.slots > 1 else (self.width,)
        what = "inputs" if self.kind == "float" else "spikes, a bit each,"
        return Field(self.name, self.kind, extent, f"{what} of the last steps")


@dataclass(frozen=True)
class Sender:
    """A projection whose spikes, or currents, are added to a ring."""

    name: str
    title: str
    source: str
    ring: Ring
    table: Table
    late: bool  # whether spikes wait in the history of the source, and arrivals for no step
    shortest: int  # delay [steps]
    longest: int  # delay [steps]


@dataclass(frozen=True)
class Gather:
    """A projection whose target looks back at the currents of its source."""

    name: str
    title: str
    table: Table
    scale: str | None  # as of a ring


@dataclass
class SynapseGroup:
    """The synapses of one model onto a population."""

    name: str  # of the current's field in C, which `Exponential` alone has
    decay: str | None  # C of exp(-dt/tau_syn) of neuron j, None for `Delta`
    scale: str  # C of (tau_syn/dt)(1 - exp(-dt/tau_syn))
    constants: list[Constant] = field(default_factory=list)  # (n,) each, if they differ
    rings: list[Ring] = field(default_factory=list)  # where arrivals come from
    gathers: list[Gather] = field(default_factory=list)  # projections that look back


@dataclass(frozen=True)
class State:
    """A variable of a population that lasts."""

    local: str  # name of a neuron's value in a step
    field: str  # name of the field in C
    lasts: bool  # whether the next step reads it


@dataclass
class Neurons:
    """A population that is no input."""

    name: str  # in C
    title: str  # as the network has it
    n: int
    step: StepCode  # from the states of neuron j and `total` to its new states
    states: dict[str, State]  # by name in the equations, with V of a readout
    constants: list[Constant]  # (n,) each, those that differ between neurons
    refractory: int  # steps in which the states stay
    bias: Constant | None  # (n,), or None
    groups: list[SynapseGroup]  # by synapse model, only those with synapses
    readout: str | None  # None of hidden populations


@dataclass
class CProgram:
    """The whole program."""

    input_name: str  # in C
    inputs: int  # channels of the input
    steps: int  # T
    currents: bool  # whether the input is sampled currents
    # By source, whose last step or steps are kept.
    histories: dict[str, History] = field(default_factory=dict)
    # All populations but the input, each after its sources.
    neurons: list[Neurons] = field(default_factory=list)
    senders: list[Sender] = field(default_factory=list)  # all projections that add to a ring
    block: int = 1  # steps from one look at a spike in a history to the next
    synapses: int = 0
    weights: str = FLOAT  # their kind
    strings: Strings = field(default_factory=lambda: Strings((), ()))

    @property
    def hidden(self) -> list[Neurons]:
        """The populations that spike."""
        return [p for p in self.neurons if p.readout is None]

    @property
    def output(self) -> Neurons:
        """The population that is read out."""
        return next(p for p in self.neurons if p.readout is not None)

    @property
    def gathers(self) -> list[Gather]:
        """All projections that look back."""
        return [each for p in self.neurons for group in p.groups for each in group.gathers]

    @property
    def rings(self) -> dict[str, tuple[Ring, Neurons]]:
        """All rings by name, with their targets."""
        found = [(ring, p) for p in self.neurons for g in p.groups for ring in g.rings]
        return {ring.name: (ring, p) for ring, p in found}

    def from_source(self, source: str) -> list[Sender]:
        """The projections that send from a population, by its name in C."""
        return [sender for sender in self.senders if sender.source == source]

    def late(self, source: str) -> list[Sender]:
        """The projections that look back at the spikes of a population, by its name in C."""
        return [sender for sender in self.from_source(source) if sender.late]

    def prompt(self, source: str) -> list[Sender]:
        """The projections that send from a population at once, by its name in C."""
        return [sender for sender in self.from_source(source) if not sender.late]

    def cursors(self) -> list[int]:
        """The numbers of slots of all rings and histories that need a place."""
        slots = {ring.slots for ring, _ in self.rings.values()}
        slots |= {history.slots for history in self.histories.values()}
        slots |= {self.block} if any(sender.late for sender in self.senders) else set()
        return sorted(n for n in slots if n > 1)

    def constants(self) -> list[Constant]:
        """All constant arrays."""
        found = [p.bias for p in self.neurons]
        found += [array for p in self.neurons for array in p.constants]
        for own in [s.table for s in self.senders] + [g.table for g in self.gathers]:
            found += own.constants()
        return [array for array in found if array is not None]

    def fields(self) -> list[Field]:
        """The state, widest types first."""
        found = [Field("steps", "uint32_t", (), "steps since the reset")]
        found += [history.field() for history in self.histories.values()]
        for ring, p in self.rings.values():
            extent = (ring.slots, p.n) if ring.slots > 1 else (p.n,)
            found.append(Field(ring.name, ring.kind, extent, "arrivals to come"))
        for p in self.neurons:
            found += _own_fields(p)
        found += [
            Field(f"at_{n}", unsigned(n - 1), (), f"slot of this step in rings of {n}")
            for n in self.cursors()
        ]
        wide = {"uint8_t": 1, "int8_t": 1, "uint16_t": 2, "int16_t": 2}
        return sorted(found, key=lambda each: -wide.get(each.kind, 4))

    @property
    def state_bytes(self) -> int:
        """Size of the state."""
        return state_bytes(self.fields())

    @property
    def constant_bytes(self) -> int:
        """Size of the constant arrays, with names and labels."""
        return sum(array.bytes for array in self.constants()) + self.strings.bytes


def _own_fields(p: Neurons) -> list[Field]:
    found = [Field(s.field, "float", (p.n,), comment(name)) for name, s in p.states.items()]
    for group in p.groups:
        if group.decay is not None:
            found.append(Field(group.name, "float", (p.n,), "synaptic current"))
    if p.readout is not None:
        found.append(Field("total", "float", (p.n,), "what is read out"))
        if p.readout != "max":
            found.append(Field("lost", "float", (p.n,), "what rounding took from it"))
        return found
    if p.refractory:
        kind = unsigned(p.refractory)
        found.append(Field(f"held_{p.name}", kind, (p.n,), "refractory steps left"))
    return found
