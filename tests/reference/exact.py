"""Exact event-driven simulation in continuous time, the yardstick of the EventProp gradients.

Neurons are those of `tests.reference.circuits`, linear between spikes; an arrival makes a synaptic
current jump by w, which decays with tau_syn. Between events a neuron is a homogeneous linear
system, moved on by its matrix exponential; the first crossing of the threshold is searched so
that none can be missed. The loss is the cross-entropy of the exact time mean of the readout's V.
Gradients are central differences; they need spike counts that do not change within the
difference.

To match the stepped model, an input spike of step t of dt ms comes at (t + 1) dt and V[t] is the
voltage at (t + 1) dt.
"""

import heapq
import math
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from mlgenn_delays.network import Network
from tests.reference import circuits
from tests.reference.circuits import Circuit, Motion
from tests.reference.forward import cross_entropy

Events = list[tuple[float, int]]


@dataclass
class Cell:
    """A neuron between events.

    Attributes:
        motion: Its system.
        total: Length of the trial [ms].
        z: Its state at the last event.
        time: Time of the last event [ms].
        resting: Whether it is refractory.
        version: Number of changes, which outdates the spike predicted before.
    """

    motion: Motion
    total: float
    z: np.ndarray
    time: float = 0.0
    resting: bool = False
    version: int = 0
    spikes: list[float] = field(default_factory=list)

    def advance(self, time: float) -> None:
        """Go on to a time before which there is no event."""
        matrix = self.motion.rest if self.resting else self.motion.flow
        self.z = circuits.flow(matrix, self.total).move(self.z, time - self.time)
        self.time = time

    def next_spike(self) -> float:
        """Return the time of the next spike if nothing else happens, infinity if there is none."""
        if self.resting:
            return math.inf
        flow = circuits.flow(self.motion.flow, self.total)
        return self.time + flow.first_crossing(self.z, self.motion.edge, self.total - self.time)


@dataclass(frozen=True)
class Edge:
    """Synapse s of a projection, onto current `slot` of z of neuron `j`."""

    projection: str
    s: int
    target: str
    j: int
    slot: int
    weight: float
    delay: float


@dataclass(frozen=True)
class Moment:
    """One event of a trial.

    Attributes:
        what: ``"arrival"``, ``"spike"``, ``"wake"`` (a refractory period ends) or ``"end"``.
        name, j: Where.
        time: [ms].
        before, after: z.
        resting: Whether the neuron is refractory afterwards.
        cause: Number of the spike in the trial that arrives, or ends its refractory period, or is
            this; -1 of an input spike.
        edge: Over which synapse it arrives.
    """

    what: str
    name: str
    j: int
    time: float
    before: np.ndarray
    after: np.ndarray
    resting: bool
    cause: int = -1
    edge: Edge | None = None


@dataclass(frozen=True)
class Outcome:
    """One exact trial: spike times [ms] by population, logits (K,), loss, events in order."""

    spikes: dict[str, list[list[float]]]
    logits: np.ndarray
    loss: float
    moments: list[Moment]

    def counts(self) -> list[int]:
        return [len(times) for neurons in self.spikes.values() for times in neurons]


class Trial:
    """A trial being run."""

    def __init__(self, circuit: Circuit, total: float) -> None:
        self.circuit, self.total, self.output = circuit, total, circuit.network.output().name
        self.cells = {name: _cells(circuit, name, total) for name in circuit.kinds}
        names = [*circuit.kinds, circuit.network.input().name]
        self.fan = {name: _fan_out(circuit, name) for name in names}
        self.queue: list[tuple] = []
        self.order = count()  # what happens at one time happens in the order it was caused in
        self.number = count()  # of spikes
        self.moments: list[Moment] = []

    def push(self, time: float, what: str, name: str, j: int, *details) -> None:
        if time < self.total:
            heapq.heappush(self.queue, (time, next(self.order), what, name, j, details))

    def emit(self, name: str, i: int, time: float, cause: int) -> None:
        for edge in self.fan[name][i]:
            self.push(time + edge.delay, "arrival", edge.target, edge.j, cause, edge)

    def predict(self, name: str, j: int) -> None:
        cell = self.cells[name][j]
        cell.version += 1
        if name != self.output:
            self.push(cell.next_spike(), "spike", name, j, cell.version)

    def run(self) -> None:
        while self.queue:
            time, _, what, name, j, details = heapq.heappop(self.queue)
            cell = self.cells[name][j]
            if what == "spike" and details[0] != cell.version:
                continue  # predicted before something else happened
            cell.advance(time)
            before, cause, edge = cell.z.copy(), -1, None
            if what == "arrival":
                cause, edge = details
                cell.z[edge.slot] += edge.weight
            elif what == "spike":
                cause = next(self.number)
                cell.z = cell.motion.jump @ cell.z
                assert cell.motion.edge @ cell.z < 1e-9, "a reset must leave it below threshold"
                cell.spikes.append(time)
                self.emit(name, j, time, cause)
                refractory = self.circuit.kinds[name].tau_refrac
                if refractory:
                    cell.resting = True
                    self.push(time + refractory, "wake", name, j, cause)
            else:
                (cause,) = details
                cell.resting = False
            after = cell.z.copy()
            self.moments.append(
                Moment(what, name, j, time, before, after, cell.resting, cause, edge)
            )
            self.predict(name, j)
        for name, group in self.cells.items():
            for j, cell in enumerate(group):
                cell.advance(self.total)
                end = Moment("end", name, j, self.total, cell.z, cell.z, cell.resting)
                self.moments.append(end)


def run(given: Network | Circuit, events: Events, total: float, label: int = 0) -> Outcome:
    """Return one trial of `total` ms driven by input spikes (time [ms], channel).

    Delays are real-valued.
    """
    circuit = given if isinstance(given, Circuit) else Circuit(given)
    trial = Trial(circuit, total)
    for time, channel in sorted(events):
        trial.emit(circuit.network.input().name, channel, time, -1)
    for name, group in trial.cells.items():
        for j in range(len(group)):
            trial.predict(name, j)
    trial.run()
    spikes = {name: [c.spikes for c in trial.cells[name]] for name in circuit.spiking()}
    output = trial.cells[circuit.network.output().name]
    logits = np.array([cell.z[-1] for cell in output]) / total
    return Outcome(spikes, logits, cross_entropy(logits, label), trial.moments)


def _cells(circuit: Circuit, name: str, total: float) -> list[Cell]:
    """Return a population at rest."""
    out = []
    for j in range(circuit.network.populations[name].n):
        motion = circuits.real(circuits.motion(circuit, name, j))
        z = np.zeros(len(motion.edge))
        z[motion.size + len(circuit.incoming(name))] = 1.0
        out.append(Cell(motion, total, z))
    return out


def _fan_out(circuit: Circuit, name: str) -> list[list[Edge]]:
    """Return the outgoing synapses of each neuron."""
    network = circuit.network
    out: list[list[Edge]] = [[] for _ in range(network.populations[name].n)]
    for q in network.projections.values():
        if q.source == name:
            size = len(circuit.kinds[q.target].one(0).b)
            slot = size + circuit.incoming(q.target).index(q.name)
            for s, (i, delay) in enumerate(zip(q.pre(), q.delay_per_synapse(), strict=True)):
                weight = float(q.weight[s])
                out[i].append(Edge(q.name, s, q.target, int(q.post[s]), slot, weight, delay))
    return out


@dataclass(frozen=True)
class Gradients:
    """Of the loss of one trial.

    Attributes:
        weight: By projection, (S,).
        delay: By projection, in the shape of its delays [1/ms].
        parameter: By population and name, (n,).
    """

    weight: dict[str, np.ndarray]
    delay: dict[str, np.ndarray]
    parameter: dict[tuple[str, str], np.ndarray]

    @staticmethod
    def zeros(circuit: Circuit) -> "Gradients":
        """Zero everywhere; delays by synapse."""
        projections = circuit.network.projections
        return Gradients(
            {name: np.zeros(q.n_synapses) for name, q in projections.items()},
            {name: np.zeros(q.n_synapses) for name, q in projections.items()},
            {
                (name, key): np.zeros(len(values))
                for name, kind in circuit.kinds.items()
                for key, values in kind.parameters.items()
            },
        )


def differences(
    given: Network | Circuit,
    events: Events,
    total: float,
    label: int,
    step: float = 1e-4,
    parameters: tuple[str, ...] | None = None,
) -> Gradients:
    """Return the gradients by central differences.

    Arguments:
        given: The network.
        events, total, label: The trial, as in `run`.
        step: Of the differences; delays must be at least that long.
        parameters: Names of those to differentiate by, all if None, none if empty.

    Raises:
        AssertionError: A spike appears or vanishes within the difference.
    """
    work = deepcopy(given if isinstance(given, Circuit) else Circuit(given))
    base = run(work, events, total, label).counts()

    def by(array: np.ndarray, what: object) -> np.ndarray:
        out = np.zeros(len(array))
        for s in range(len(array)):
            kept, losses = array[s], []
            for shift in (step, -step):
                array[s] = kept + shift
                outcome = run(work, events, total, label)
                assert outcome.counts() == base, f"spikes change with {what}[{s}]"
                losses.append(outcome.loss)
            array[s] = kept
            out[s] = (losses[0] - losses[1]) / (2 * step)
        return out

    out = Gradients({}, {}, {})
    for name, q in work.network.projections.items():
        q.weight = q.weight.astype(np.float64)
        out.weight[name] = by(q.weight, name)
        out.delay[name] = np.zeros(1) if q.granularity == "fixed" else by(q.delay, name)
    for name, kind in work.kinds.items():
        for key, values in kind.parameters.items():
            if parameters is None or key.split()[0] in parameters:
                out.parameter[name, key] = by(values, (name, key))
    return out


def as_steps(events: Events, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (channels, steps) of input spikes in steps of `dt` ms: step t ends at (t + 1) dt."""
    channels = np.array([c for _, c in events], dtype=np.int64)
    steps = np.array([round(t / dt) - 1 for t, _ in events], dtype=np.int64)
    return channels, steps
