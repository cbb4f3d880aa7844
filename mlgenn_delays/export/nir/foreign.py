"""NIR graphs of other tools as networks.

A file's LIF becomes a `LIF`, its CubaLIF a `CubaLIF`, or with a v_leak a `LIF` with `Exponential`
synapses, whose current has no part in it. Weights hold r and w_in: see `write` for the equations.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlgenn_delays.distributions import few
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.nir.graph import (
    NEURONS,
    PASS,
    SECOND,
    SPIKING,
    Branch,
    Graph,
    Synapses,
    Tracer,
)
from mlgenn_delays.network import LIF, LeakyIntegrator, Network, Projection, SpikeCounter
from mlgenn_delays.network.models import Delta, Exponential, SpikeInput, SynapseModel
from mlgenn_delays.neurons.declare import SpikingNeuron
from mlgenn_delays.neurons.models.cuba_lif import CubaLIF
from mlgenn_delays.settings import LONGEST

_SAME = 1e-6  # relative: time constants that are one


@dataclass(frozen=True)
class Reading:
    """What a file of another tool does not tell; see `read_nir`."""

    dt: float
    euler: bool
    readout: str


def foreign(graph: Graph, reading: Reading) -> Network:
    """The network of a graph; see `read_nir`."""
    network = Network(dt=reading.dt)
    tracer = Tracer(graph, _sizes(graph))
    branches = tracer.run()
    _check_nodes(graph, tracer)
    maker = _Maker(graph, reading, network, branches, tracer.sizes)
    for name, node in graph.nodes.items():
        if node.kind == "Input":
            network.add(name, SpikeInput(tracer.sizes[name]))
        elif node.kind in NEURONS and name not in tracer.filters:
            maker.neurons(name)
    for branch in branches:
        maker.connect(branch)
    _count_spikes(network, tracer.outputs[0])
    return network


def _check_nodes(graph: Graph, tracer: Tracer) -> None:
    """Reject nodes that are not connected, and several inputs or outputs."""
    for kind in ("Input", "Output"):
        found = [name for name, node in graph.nodes.items() if node.kind == kind]
        if len(found) != 1:
            raise InputError(f"the graph must have one {kind}, got {len(found)}")
    if len(tracer.outputs) != 1:
        raise InputError(f"the Output must come after one node, got {len(tracer.outputs)}")
    for name, node in graph.nodes.items():
        if name not in tracer.seen and node.kind not in ("Input", *NEURONS):
            raise InputError(f"{node.kind} {name!r} must come after neurons or the Input")
        if node.kind in ("LI", "CubaLI") and name not in (*tracer.filters, *tracer.outputs):
            raise InputError(f"{node.kind} {name!r} must lead to the Output")


def _sizes(graph: Graph) -> dict[str, int]:
    """How many neurons each input and each node of neurons has."""
    before: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for first, second in graph.edges:
        before[second].append(first)
    sizes: dict[str, int] = {}
    for name, node in graph.nodes.items():
        if node.kind == "Input":
            sizes[name] = graph.size(name)
        elif node.kind in NEURONS:
            size = graph.size(name)
            sizes[name] = size if size > 1 else _rows(graph, before, name)
    return sizes


def _rows(graph: Graph, before: dict[str, list[str]], name: str) -> int:
    """How many values a matrix before a node gives it, 1 if there is none."""
    waiting, seen = [name], {name}
    while waiting:
        for each in before[waiting.pop()]:
            node = graph.nodes[each]
            if "weight" in node.values:
                return len(node.values["weight"])
            if each not in seen and node.kind in (PASS, "Delay"):
                seen.add(each)
                waiting.append(each)
    return 1


class _Maker:
    """Makes populations and projections of nodes and branches."""

    def __init__(
        self, graph: Graph, reading: Reading, network: Network, branches: list[Branch],
        sizes: dict[str, int],
    ) -> None:  # fmt: skip
        self.graph, self.reading, self.network = graph, reading, network
        self.branches, self.sizes = branches, sizes

    def tau(self, name: str, key: str) -> Any:
        """A time constant of a node [ms], or those of its neurons."""
        tau = self.graph.nodes[name].values[key] * SECOND
        dt = self.network.dt
        if not self.reading.euler:
            return few(tau)
        if (tau < dt * (1 - _SAME)).any():
            raise InputError(
                f"{key} of node {name!r} must be >= dt ({dt:g} ms), got {tau.min():g} ms"
            )
        # With tau = dt nothing is left after a step: as with a very short time constant.
        least = np.maximum(tau, dt * (1 + _SAME))
        ours = np.where(tau > dt * (1 + _SAME), -dt / np.log1p(-dt / least), dt / 200)
        return few(np.where(tau > LONGEST, tau, ours))

    def neurons(self, name: str) -> None:
        node, n = self.graph.nodes[name], self.sizes[name]
        values = {key: np.broadcast_to(array, (n,)) for key, array in node.values.items()}
        tau: Any = self.tau(name, "tau_mem" if node.kind.startswith("Cuba") else "tau")
        bias = values["v_leak"] + self._bias(name, n)
        if node.kind not in SPIKING:
            self.network.add(name, LeakyIntegrator(n, tau, self.reading.readout), bias=bias)
            return
        if values["v_reset"].any():
            raise InputError(f"v_reset of node {name!r} must be 0")
        threshold = few(values["v_threshold"])
        if self._has_current(name):
            tau_syn = self.tau(name, "tau_syn")
            self.network.add(name, CubaLIF(n, tau, threshold, tau_syn), bias=bias)
        else:
            self.network.add(name, LIF(n, tau, threshold), bias=bias)

    def _has_current(self, name: str) -> bool:
        """Whether a node's current is that of a `CubaLIF`: it has all that drives the neuron."""
        node = self.graph.nodes[name]
        return node.kind == "CubaLIF" and not node.values["v_leak"].any()

    def _gain(self, name: str) -> np.ndarray:
        """What weights onto a node are multiplied by, (n,)."""
        values, n = self.graph.nodes[name].values, self.sizes[name]
        gain = np.broadcast_to(values["r"], (n,))
        if "tau_syn" in values:
            gain = gain * values["w_in"] * self.network.dt / np.asarray(self.tau(name, "tau_syn"))
        return gain

    def _bias(self, name: str, n: int) -> np.ndarray:
        """The constant current that Affine nodes bring to neurons, (n,)."""
        total = np.zeros(n)
        for branch in self.branches:
            if branch.target != name or branch.bias is None or not branch.bias.any():
                continue
            through = self.graph.nodes[name].kind.startswith("Cuba") and not self._has_current(name)
            if branch.synapse or through:
                raise InputError(
                    f"Affine {branch.name!r} must have no bias, for it would go through the "
                    f"synapses of {name!r}; set it to 0, or make it v_leak"
                )
            self._check_rows(branch)
            total += self._gain(name) * branch.bias
        return total

    def _check_rows(self, branch: Branch) -> None:
        if branch.n_post != self.sizes[branch.target]:
            raise InputError(
                f"node {branch.target!r} must take {self.sizes[branch.target]} values, got "
                f"{branch.n_post} from {branch.name or branch.source!r}"
            )

    def connect(self, branch: Branch) -> None:
        """Add a branch's synapses to a projection that has none of these pairs yet."""
        self._check_rows(branch)
        synapse, gain = self._synapse(branch)
        n_post = self.sizes[branch.target]
        found = branch.synapses
        weight = found.weight * gain[found.post]
        found = Synapses(found.pre, found.post, weight, found.delay * SECOND)
        if not len(found.pre):
            return
        for old in self.network.projections.values():
            if (old.source, old.target, old.synapse) == (branch.source, branch.target, synapse):
                both = _joined(old, found)
                if _distinct(both, n_post):
                    self._put(old.name, branch, synapse, both)
                    return
        name, k = f"{branch.source}->{branch.target}", 1
        while name in self.network.projections:
            name, k = f"{branch.source}->{branch.target} {k}", k + 1
        if not _distinct(found, n_post):
            raise InputError(
                f"Linear {branch.name!r} must be alone between two populations, for two in a row "
                "make several synapses of a pair"
            )
        self._put(name, branch, synapse, found)

    def _put(self, name: str, branch: Branch, synapse: SynapseModel, found: Synapses) -> None:
        n_pre, n_post = self.sizes[branch.source], self.sizes[branch.target]
        order = np.lexsort((found.post, found.pre))
        counts = np.bincount(found.pre, minlength=n_pre)
        with np.errstate(over="ignore"):
            weight = found.weight[order].astype(np.float32)
        projection = Projection(
            name, branch.source, branch.target, synapse,
            indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            post=found.post[order].astype(np.int32), weight=weight,
            delay=found.delay[order], max_delay=float(found.delay.max(initial=0.0)),
        )  # fmt: skip
        projection.check(n_pre, n_post)
        if isinstance(synapse, Exponential):
            synapse.drawn(branch.target, n_post, self.network.dt, np.random.default_rng(0))
        self.network.projections[name] = projection

    def _synapse(self, branch: Branch) -> tuple[SynapseModel, np.ndarray]:
        """The synapse model of a branch, and what weights are multiplied by, (n_post,)."""
        name, gain = branch.target, self._gain(branch.target)
        if branch.synapse:
            own = self.graph.nodes[branch.synapse].values
            if own["v_leak"].any():
                raise InputError(f"v_leak of LI {branch.synapse!r} must be 0 before neurons")
            tau = self.tau(branch.synapse, "tau")
            return Exponential(tau), gain * own["r"] * self.network.dt / np.asarray(tau)
        if "tau_syn" not in self.graph.nodes[name].values or self._has_current(name):
            return Delta(), gain
        return Exponential(self.tau(name, "tau_syn")), gain


def _joined(old: Projection, found: Synapses) -> Synapses:
    return Synapses(
        np.concatenate([old.pre(), found.pre]),
        np.concatenate([old.post, found.post]),
        np.concatenate([old.weight, found.weight]),
        np.concatenate([old.delay, found.delay]),
    )


def _distinct(synapses: Synapses, n_post: int) -> bool:
    pairs = synapses.pre.astype(np.int64) * n_post + synapses.post
    return len(np.unique(pairs)) == len(pairs)


def _count_spikes(network: Network, last: str) -> None:
    """Add an output that counts the spikes of the last population, if that spikes."""
    population = network.populations[last]
    if not isinstance(population.model, SpikingNeuron):
        return
    name = next(each for each in (f"{last}{'_' * k}count" for k in range(1, 99))
                if each not in network.populations)  # fmt: skip
    network.add(name, SpikeCounter(population.n))
    network.connect(last, name, Delta(), weight=1.0, one_to_one=True, frozen=True)
