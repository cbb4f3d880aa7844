"""The parts of the C program: populations, rings, histories, projections, and their memory.

What is on its way waits in one of two places. A ring holds arrivals: a number per target neuron
and step to come. A history holds what the sources did: a bit per spike (a number per sampled
current) and step gone by; synapses then look back by their delay. With n sources, m targets and
delays of 0..D steps, that is 4 m (D + 1) bytes of ring, or n (D + 1) / 8 of history and 4 m of
arrivals of this step.

Synapses are tables: in rows of one source for spikes, or of one target for sampled currents that
are looked back at. A table is dense (every pair has a place, absent ones of weight 0) or sparse
(`rows` says where each row begins, `index` whose synapse it is), whichever takes fewer bytes.
Delays are one per synapse, one per row or one for all, as few as say the same.
"""

from dataclasses import dataclass, field

import numpy as np

from mlgenn_delays.export.c.text import (
    BYTES,
    Constant,
    Field,
    Strings,
    comment,
    integers,
    packed,
    reals,
    state_bytes,
    unsigned,
)
from mlgenn_delays.export.step_code import StepCode
from mlgenn_delays.network import Projection
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.quantisation import FLOAT


@dataclass(frozen=True)
class Synapses:
    """The synapses of a projection that can act within a trial."""

    pre: np.ndarray  # (S,) presynaptic neurons
    post: np.ndarray  # (S,) postsynaptic neurons
    delay: np.ndarray  # (S,) [steps]
    weight: np.ndarray  # (S,) float32, or int8 where weights are quantised
    bits: int  # of a weight: 32, 8, 4 or 2 (-1, 0 and 1)
    shape: tuple[int, int]  # neurons of source and target

    @staticmethod
    def of(
        projection: Projection,
        weight: np.ndarray,
        bits: int,
        shape: tuple[int, int],
        dt: float,
        steps: int,
    ) -> "Synapses":
        """Those of weight other than 0 whose arrivals are within a trial of T steps."""
        delay = delay_steps(projection, dt)
        kept = (weight != 0) & (delay + 1 < steps)
        pre, post = projection.pre(), projection.post
        return Synapses(pre[kept], post[kept], delay[kept], weight[kept], bits, shape)

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def longest(self) -> int:
        """The longest delay [steps]."""
        return int(self.delay.max(initial=0))

    @property
    def shortest(self) -> int:
        """The shortest delay [steps]."""
        return int(self.delay.min(initial=self.longest))

    def turned(self) -> "Synapses":
        """The same in rows of one target: source and target change places."""
        order = np.lexsort((self.pre, self.post))
        return Synapses(
            self.post[order], self.pre[order], self.delay[order], self.weight[order], self.bits,
            self.shape[::-1],
        )  # fmt: skip

    def by_delay(self) -> "Synapses":
        """The same, those of one source by their delays."""
        order = np.lexsort((self.post, self.delay, self.pre))
        return Synapses(
            self.pre[order], self.post[order], self.delay[order], self.weight[order], self.bits,
            self.shape,
        )  # fmt: skip


@dataclass(frozen=True)
class Table:
    """The arrays of a projection in C."""

    rows: Constant | None  # where each row begins, and the end, or None if dense
    index: Constant | None  # column of each synapse, or None if dense
    delay: Constant | None  # (rows, columns), (S,) or (rows,), or None if one number is all
    one_delay: int  # that number [steps]
    by_row: bool  # whether there is one delay per row
    weight: Constant  # (rows, columns) or (S,)
    columns: int  # of the table if dense
    most: int  # places of the longest row
    entries: int  # places of all rows

    @property
    def by_synapse(self) -> bool:
        """Whether there is one delay per synapse."""
        return self.delay is not None and not self.by_row

    def constants(self) -> list[Constant]:
        """All arrays."""
        return [a for a in (self.rows, self.index, self.delay, self.weight) if a is not None]

    @property
    def bytes(self) -> int:
        """Size of all arrays."""
        return sum(array.bytes for array in self.constants())


def table(name: str, synapses: Synapses, *, searched: bool = False) -> Table:
    """The smaller of both tables; there must be a synapse.

    Of those of one source that are searched for a delay, delays ascend: a dense table has none.
    """
    sparse = _sparse(name, synapses.by_delay() if searched else synapses)
    n_rows, columns = synapses.shape
    if n_rows * columns > 16 * len(synapses) or (searched and sparse.by_synapse):
        return sparse
    dense = _dense(name, synapses)
    return dense if dense.bytes <= sparse.bytes else sparse


def _sparse(name: str, s: Synapses) -> Table:
    counts = np.bincount(s.pre, minlength=s.shape[0])
    starts = np.concatenate([[0], np.cumsum(counts)])
    kind, delay = _delays(s)
    return Table(
        rows=integers(f"rows_{name}", starts),
        index=integers(f"index_{name}", s.post),
        delay=None if kind == "one" else integers(f"delay_{name}", delay),
        one_delay=s.longest,
        by_row=kind == "row",
        # A synapse that is there is no 0, so a sign is all of a ternary weight.
        weight=_weights(name, s.weight, 1 if s.bits == 2 else s.bits),
        columns=s.shape[1],
        most=int(counts.max()),
        entries=len(s),
    )


def _dense(name: str, s: Synapses) -> Table:
    kind, delay = _delays(s)
    weight = np.zeros(s.shape, s.weight.dtype)
    weight[s.pre, s.post] = s.weight
    if kind == "synapse":
        every = np.zeros(s.shape, np.int64)
        every[s.pre, s.post] = delay
        delay = every
    return Table(
        rows=None,
        index=None,
        delay=None if kind == "one" else integers(f"delay_{name}", delay),
        one_delay=s.longest,
        by_row=kind == "row",
        weight=_weights(name, weight, s.bits),
        columns=s.shape[1],
        most=s.shape[1],
        entries=weight.size,
    )


def _delays(s: Synapses) -> tuple[str, np.ndarray]:
    """Which places have delays of their own ("one" for all, "row" or "synapse"), and the delays."""
    if (s.delay == s.longest).all():
        return "one", s.delay
    row = np.zeros(s.shape[0], np.int64)
    row[s.pre] = s.delay
    if (row[s.pre] == s.delay).all() and s.shape[0] <= len(s):
        return "row", row
    return "synapse", s.delay


def _weights(name: str, values: np.ndarray, bits: int) -> Constant:
    if bits < 8:
        return packed(f"weight_{name}", values, bits)
    if bits == 8:
        return Constant(f"weight_{name}", "int8_t", values)
    return reals(f"weight_{name}", values)


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
