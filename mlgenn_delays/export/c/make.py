"""The network as arrays of the C program.

Every arrival is at least one step after its cause (t + d + 1). So within a step, populations run
from the output backwards and send after they have read: a ring of D + 1 slots is enough for
delays of 0..D steps, and its slot of this step is free for the arrivals of D steps later.
A history of D + 1 slots is enough as well: that of this step is written after the oldest was read.

For each source, what its projections send waits either as arrivals in rings or as its history,
whichever is better by memory (`_cost`). If memory is left, rings that histories fill get longer.
"""

from dataclasses import replace

import numpy as np

from mlgenn_delays.bits import FLOAT, LARGEST
from mlgenn_delays.engines.shared.plan import Plan, make_plan, synapse_groups
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.c.costs import Limits, costs_of
from mlgenn_delays.export.c.layout import (
    CProgram,
    Gather,
    History,
    Neurons,
    Ring,
    Sender,
    State,
    SynapseGroup,
)
from mlgenn_delays.export.c.tables import Synapses, table
from mlgenn_delays.export.c.text import Constant, Names, Strings, real, reals, signed
from mlgenn_delays.export.step_code import Target, local_names, step_code
from mlgenn_delays.network import Network, Population, Projection
from mlgenn_delays.network.models import CurrentInput
from mlgenn_delays.neurons.declare import OUTPUT, Neuron, ReadoutNeuron
from mlgenn_delays.neurons.write import C
from mlgenn_delays.quantisation import Quantised

LANGUAGE = replace(C, number=real)
LARGEST_STATE = 2**31 - 1
BLOCKS = (2, 4, 8, 16, 32, 64)  # of steps, besides 1: the longer, the less work and the more memory


def make_layout(
    artifact: Artifact, quantised: Quantised | None, limits: Limits | None = None
) -> CProgram:
    """The program of the lowest price; with limits that of the fewest operations that fits, or the
    one that is nearest to fitting.
    """
    weights = {name: _weight(p, quantised) for name, p in artifact.network.projections.items()}
    layout = _choose(artifact, weights, quantised, limits, 1)
    for block in BLOCKS if limits else ():
        longer = _choose(artifact, weights, quantised, limits, block)
        if limits and limits.excess(costs_of(longer)):
            break
        layout = min(layout, longer, key=lambda each: _cost(each, limits))
    if layout.state_bytes > LARGEST_STATE or layout.inputs > 2**32 - 1:
        raise InputError(
            f"the network must fit into {LARGEST_STATE} bytes of state, got {layout.state_bytes}; "
            "shorten its delays"
        )
    return layout


def _choose(
    artifact: Artifact,
    weights: dict[str, np.ndarray],
    quantised: Quantised | None,
    limits: Limits | None,
    block: int,
) -> CProgram:
    """The program of the lowest cost in which a spike is looked at once in a block of steps."""
    layouts: dict[frozenset[str], CProgram] = {}

    def cost(back: frozenset[str]) -> tuple[float, ...]:
        if back not in layouts:
            layouts[back] = _Maker(artifact, weights, quantised, back, block).layout
        return _cost(layouts[back], limits)

    sources = list(dict.fromkeys(p.source for p in artifact.network.projections.values()))
    best = min((frozenset[str](), frozenset(sources)), key=cost)
    # One source after the other changes sides, until none makes it better.
    while (better := min([best, *(best ^ {source} for source in sources)], key=cost)) != best:
        best = better
    return layouts[best]


def _cost(layout: CProgram, limits: Limits | None) -> tuple[float, ...]:
    # A byte of state counts as four of constants, for microcontrollers have about four times as
    # much flash memory as RAM, or more.
    price = 4 * layout.state_bytes + layout.constant_bytes
    if limits is None:
        return (price,)
    costs = costs_of(layout)
    operations = costs.silent + sum(spike.mean for spike in costs.spikes)
    return limits.excess(costs), operations, price


def _weight(projection: Projection, quantised: Quantised | None) -> np.ndarray:
    if not np.isfinite(projection.weight).all():
        raise InputError(f"projection {projection.name!r} must have finite weights")
    if quantised is None:
        return projection.weight
    if not np.array_equal(quantised.weights(projection), projection.weight):
        raise InputError(
            f"projection {projection.name!r} must have the weights of the network that quantise "
            "returned, got others; give the artifact of that network"
        )
    return quantised.values[projection.name]


class _Maker:
    """Makes a layout, in which projections of some sources look back, those of others send."""

    def __init__(
        self,
        artifact: Artifact,
        weights: dict[str, np.ndarray],
        quantised: Quantised | None,
        back: frozenset[str],
        block: int,
    ) -> None:
        self.network: Network = artifact.network
        self.quantised, self.back, self.names = quantised, back, Names()
        source = self.network.input()
        self.input = source.name
        currents = isinstance(source.model, CurrentInput)
        steps = artifact.about.n_steps
        self.layout = CProgram(self.names.of(source.name), source.n, steps, currents, block=block)
        sizes = {name: p.n for name, p in self.network.populations.items()}
        bits = 1 + LARGEST[quantised.kind].bit_length() if quantised else 32
        self.synapses = {
            name: Synapses.of(
                p, weights[name], bits,
                (sizes[p.source], sizes[p.target]), self.network.dt, self.layout.steps,
            )
            for name, p in self.network.projections.items()
        }  # fmt: skip
        self.layout.synapses = sum(len(s) for s in self.synapses.values())
        plan, own = make_plan(self.network)
        self.c_names = {self.input: self.layout.input_name}
        self.c_names |= {n: self.names.of(n) for n in own.names if n != self.input}
        for p in self.network.spiking():
            self._remember(p.name, 0)
        for index, name in enumerate(own.names):
            if name != self.input:
                self.layout.neurons.append(self._neurons(plan, index, name))
        titles = tuple(p.title for p in self.layout.hidden)
        self.layout.strings = Strings(artifact.about.labels, titles)
        self.layout.weights = quantised.kind if quantised else FLOAT

    def _remember(self, name: str, longest: int) -> None:
        """Keep as much of what a population did as it takes to look back so many steps."""
        source, n = self.c_names[name], self.network.populations[name].n
        known = self.layout.histories.get(source)
        slots = max(longest + 1, known.slots if known else 0)
        if self.layout.currents and name == self.input:
            history = History("inputs", source, n, slots, "float")
        else:
            history = History.of_spikes(source, n, slots)
        self.layout.histories[source] = history

    def _neurons(self, plan: Plan, index: int, name: str) -> Neurons:
        population: Population = self.network.populations[name]
        model, c_name, bias = population.model, self.c_names[name], population.bias
        assert isinstance(model, Neuron)
        readout = model.readout if isinstance(model, ReadoutNeuron) else None
        held = model.refractory_steps(self.network.dt)
        if held > 2**32 - 1:
            raise InputError(
                f"population {name!r} must be refractory for less than 2^32 steps, got {held}"
            )
        states = self._states(model, c_name)
        spiked = [] if readout else [self.layout.histories[c_name].put("spiked", "j")]
        if held:
            spiked.append(f"state.held_{c_name}[j] = {held}u;")
        arrays = f"constant_{c_name}"
        target = Target(
            LANGUAGE, "float", lambda name: states[name].local, "total",
            lambda m: f"{arrays}_{m}[j]", tuple(spiked),
        )  # fmt: skip
        step = step_code(model, self.network.dt, target)
        groups = self._groups(plan, index, name)
        constants = [reals(f"{arrays}_{m}", array) for m, array in enumerate(step.arrays)]
        constants += [array for group in groups for array in group.constants]
        return Neurons(
            name=c_name,
            title=name,
            n=population.n,
            step=step,
            states=states,
            constants=constants,
            refractory=held,
            bias=reals(f"bias_{c_name}", bias) if bias.any() else None,
            groups=groups,
            readout=readout,
        )

    def _states(self, model: Neuron, c_name: str) -> dict[str, State]:
        """What is kept of neurons: their states, and V where a softmax reads that of all."""
        own, local = model.equations, local_names(model.equations)
        kept = dict.fromkeys(own.states)
        if isinstance(model, ReadoutNeuron) and model.readout == "softmax-sum":
            kept |= {OUTPUT: None}
        return {
            name: State(local[name], f"x_{self.names.of(f'{name} {c_name}')}", name in own.states)
            for name in kept
        }

    def _groups(self, plan: Plan, index: int, name: str) -> list[SynapseGroup]:
        found = []
        for g, synapse in enumerate(synapse_groups(self.network, name)):
            own = [
                p
                for p in self.network.incoming(name)
                if p.synapse == synapse and len(self.synapses[p.name])
            ]
            c_name = f"{self.c_names[name]}_{g}"
            group = _group(plan, index, g, c_name)
            self._fill(group, c_name, own)
            if own:
                found.append(group)
        return found

    def _fill(self, group: SynapseGroup, c_name: str, projections: list[Projection]) -> None:
        """Add projections to a group, those without integers to one ring."""
        shared = [p for p in projections if not self._exact(p) and not self._gathered(p)]
        common = None
        if shared:
            slots = max(self._slots(p) for p in shared)
            common = Ring(f"arrivals_{c_name}", "float", slots, None)
            if self.quantised is None:
                group.rings.append(common)
        for p in projections:
            self._add(group, p, common)

    def _exact(self, projection: Projection) -> bool:
        return self.quantised is not None and not self._from_currents(projection)

    def _from_currents(self, projection: Projection) -> bool:
        return self.layout.currents and projection.source == self.input

    def _gathered(self, projection: Projection) -> bool:
        return projection.source in self.back and self._from_currents(projection)

    def _late(self, projection: Projection) -> bool:
        """Whether spikes wait in the history of the source; those that act in a block do not."""
        longest = self.synapses[projection.name].longest
        return longest >= self.layout.block and projection.source in self.back

    def _slots(self, projection: Projection) -> int:
        """The slots of a ring for what a projection sends."""
        late = self._late(projection)
        return self.layout.block if late else 1 + self.synapses[projection.name].longest

    def _add(self, group: SynapseGroup, p: Projection, common: Ring | None) -> None:
        synapses = self.synapses[p.name]
        name = self.names.of(f"{self.c_names[p.source]}_{self.c_names[p.target]}")
        scale = None
        if self.quantised is not None:
            scale, arrays = _one_or_each(f"scale_{name}", self.quantised.scales[p.name])
            group.constants += arrays
        if self._gathered(p):
            own = table(name, synapses.turned())
            group.gathers.append(Gather(name, p.name, own, scale))
            self._remember(p.source, synapses.longest)
            return
        ring = common
        if scale is not None:
            kind = signed(_reach(synapses)) if self._exact(p) else "float"
            ring = Ring(f"arrivals_{name}", kind, self._slots(p), scale)
            group.rings.append(ring)
        assert ring is not None
        late = self._late(p)
        if late:
            self._remember(p.source, synapses.longest)
        self.layout.senders.append(
            Sender(
                name, p.name, self.c_names[p.source], ring, table(name, synapses, searched=late),
                late, synapses.shortest, synapses.longest,
            )
        )  # fmt: skip


def _group(plan: Plan, index: int, g: int, c_name: str) -> SynapseGroup:
    own = slice(plan.first[index], plan.first[index + 1])
    if plan.instant[index, g]:
        return SynapseGroup(f"current_{c_name}", None, real(1.0))
    decay, decays = _one_or_each(f"decay_{c_name}", plan.decay[g, own])
    scale, scales = _one_or_each(f"scale_{c_name}", plan.scale[g, own])
    return SynapseGroup(f"current_{c_name}", decay, scale, decays + scales)


def _one_or_each(name: str, values: np.ndarray) -> tuple[str, list[Constant]]:
    """C of a number of neuron j, and the array that it takes if neurons differ."""
    if (values == values[0]).all():
        return real(values[0]), []
    return f"{name}[j]", [reals(name, values)]


def _reach(s: Synapses) -> int:
    """The largest sum of integer weights that any neuron may get in a step.

    Every synapse acts at most once in a step, so partial sums lie between the sum of a neuron's
    negative weights and that of its positive ones.
    """
    weight = s.weight.astype(np.int64)
    up = np.bincount(s.post, np.maximum(weight, 0), s.shape[1])
    down = np.bincount(s.post, np.maximum(-weight, 0), s.shape[1])
    return int(max(up.max(), down.max()))
