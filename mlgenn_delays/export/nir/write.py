"""Writing a network as a NIR file: its populations and projections as nodes; times in seconds.

NIR's neurons are differential equations, and tools step them by Euler, where a spike is an input
of height 1 for one step:

    CubaLIF   i += dt/tau_syn (w_in x - i);  v += dt/tau_mem (v_leak - v + r i)
    LIF       v += dt/tau (v_leak - v + r x)

A spike has to make I jump by weight (tau_syn/dt)(1 - exp(-dt/tau_syn)), about the weight: so
r w_in = tau_syn/dt. How it is split is free; r = tau_mem/dt is what snnTorch asks for. With
tau' = dt/(1 - exp(-dt/tau)) in place of tau, Euler's step is our step. Those of `EulerLIF` and
`EulerLI` are Euler's as they are: r = tau/dt, or a threshold so much smaller. What a `CubaLIF`
gets is x, its bias with it; the current that synapses of a `LIF` make is i, so its bias is v_leak.
"""

import importlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.distributions import PerNeuron
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.nir.graph import MOST, SECOND, Graph
from mlgenn_delays.files import write_atomic
from mlgenn_delays.network import EulerLI, EulerLIF, Network, Projection, SpikeCounter
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.network.models import Delta, Exponential, Population, SynapseModel
from mlgenn_delays.network.storage import describe
from mlgenn_delays.neurons.declare import Neuron, ReadoutNeuron

FORMAT = "delaysnn-nir"
VERSION = "1"
LARGEST = 2**28  # numbers of all matrices: 1 GiB of float32
EDGES = ("delay", "synapse")


class Builder:
    """Turns the network of an `Artifact` into a graph; edges and euler as in `write_nir`.

    Attributes:
        population: Its node, by name of a population.
        branches: The last Linear or Affine of each branch, by name of a projection.
        leaks: Populations whose bias is the v_leak of a CubaLIF or CubaLI.
    """

    def __init__(self, network: Network, edges: str, euler: bool) -> None:
        self.network, self.edges, self.euler = network, edges, euler
        self.dt = network.dt / SECOND
        self.graph = Graph()
        self.population: dict[str, str] = {}
        self.branches: dict[str, list[str]] = {}
        self.leaks: list[str] = []
        self.numbers = 0
        self.pending: dict[str, np.ndarray] = {}
        self.sinks: dict[tuple[str, SynapseModel], str] = {}

    def build(self) -> Graph:
        """The whole graph."""
        source = self.network.input()
        self.population[source.name] = self.graph.add(source.name, "Input", shape=[source.n])
        for population in self.network.order():
            if population is not source:
                self._neurons(population)
        # Recurrent ones last: what comes first carries a bias.
        for p in sorted(self.network.projections.values(), key=lambda p: p.recurrent):
            self.branches[p.name] = self._projection(p)
        output = self.network.output()
        end = self.graph.add("output", "Output", shape=[output.n])
        self.graph.connect(self.population[output.name], end)
        return self.graph

    def tau(self, given: Any) -> np.ndarray:
        """A time constant [s] of one in ms, or of one per neuron."""
        tau = np.asarray(given, np.float64)
        if not self.euler:
            return tau / SECOND
        return self.dt / -np.expm1(-self.network.dt / tau)

    def _neurons(self, population: Population) -> None:
        """Add the node of a population, and those of synapses that it needs beside."""
        model: Any = population.model
        if not model.nir:
            raise InputError(
                f"NIR has no node for {type(model).__name__} (population {population.name!r}); "
                "export a bundle, C or GeNN's code"
            )
        incoming = self.network.incoming(population.name)
        synapses = list(dict.fromkeys(p.synapse for p in incoming))
        # Synapses that are one with the neuron.
        cuba = len(synapses) == 1 and isinstance(synapses[0], Exponential)
        kind = f"Cuba{model.nir}" if cuba else model.nir
        # Without a Linear that reaches the neuron itself, a bias has to be its leak.
        direct = Delta() in synapses or not any(not p.recurrent for p in incoming)
        leak = np.zeros(population.n) if direct and not cuba else population.bias
        values = self._values(population, synapses[0] if cuba else None, leak)
        name = self.graph.add(population.name, kind, **values)
        self.population[population.name] = name
        if cuba and population.bias.any():
            self.leaks.append(population.name)
        for synapse in synapses:
            alone = cuba or isinstance(synapse, Delta)
            sink = name if alone else self._filter(population, synapse, name)
            self.sinks[population.name, synapse] = sink
        if direct and not cuba and population.bias.any():
            self.pending[name] = population.bias
        if all(p.recurrent for p in incoming):
            self._idle(population, name)

    def _values(
        self, population: Population, synapse: SynapseModel | None, leak: np.ndarray
    ) -> dict[str, Any]:
        model: Any = population.model
        own = {name: np.asarray(getattr(model, name), np.float64) for name in model.parameters()}
        # A counter is an Euler's integrator that forgets within a step.
        ones, tau_mem = np.ones(population.n), own.get("tau_mem", np.asarray(self.network.dt))
        seed = isinstance(model, EulerLIF | EulerLI | SpikeCounter)
        tau = tau_mem / SECOND if seed else self.tau(tau_mem)
        readout = isinstance(model, ReadoutNeuron)
        # V of EulerLIF in units of tau/dt: Norse takes r as 1, whatever it is.
        gain = tau / self.dt if seed else 1.0
        values = {"tau": tau * ones, "r": (gain if readout else 1.0) * ones}
        if isinstance(synapse, Exponential):
            own["tau_syn"] = np.asarray(synapse.tau_syn, np.float64)
        if "tau_syn" in own:
            tau_syn = own["tau_syn"]
            r = tau / self.dt
            values = {"tau_mem": tau * ones, "tau_syn": self.tau(tau_syn) * ones}
            values |= {"r": r * ones, "w_in": tau_syn / self.network.dt / r * ones}
        if not readout:
            values |= {"v_threshold": own["v_thresh"] / gain * ones, "v_reset": 0.0 * ones}
        return {**values, "v_leak": leak.astype(np.float64)}

    def _filter(self, population: Population, synapse: SynapseModel, neuron: str) -> str:
        """Add synapses as a node of their own: one of several kinds onto a population."""
        assert isinstance(synapse, Exponential)
        ones = np.ones(population.n)
        name = self.graph.add(
            f"{population.name}_synapse", "LI", tau=self.tau(synapse.tau_syn) * ones,
            r=np.asarray(synapse.tau_syn) / self.network.dt * ones, v_leak=0.0 * ones,
        )  # fmt: skip
        self.graph.connect(name, neuron)
        return name

    def _idle(self, population: Population, neuron: str) -> None:
        """Connect neurons that have only a bias, or each other, to the input by weights of 0."""
        source = self.network.input()
        weight = self._matrix(population.n, source.n)
        name = self._linear(f"{population.name}_idle", weight, neuron)
        self.graph.connect(self.population[source.name], name)

    def _projection(self, p: Projection) -> list[str]:
        """Add the branches of a projection; return the last node of each."""
        sink, source = self.sinks[p.target, p.synapse], self.population[p.source]
        if p.n_synapses > MOST:
            raise InputError(
                f"projection {p.name!r} must have at most {MOST} synapses in a NIR file, got "
                f"{p.n_synapses}; export a bundle"
            )
        kept = p.weight != 0  # a synapse without weight is none
        pre, post, weight = p.pre()[kept], p.post[kept], p.weight[kept]
        steps = delay_steps(p, self.network.dt)[kept]
        shape = (self.network.populations[p.target].n, self.network.populations[p.source].n)
        if self.edges == "synapse" and steps.any():
            return [self._by_synapse(p.name, source, sink, shape, pre, post, weight, steps)]
        found = []
        delays = np.unique(steps) if len(steps) else [0]
        for delay in delays:
            at = steps == delay
            matrix = self._matrix(*shape)
            matrix[post[at], pre[at]] = weight[at]
            name = p.name if len(delays) == 1 else f"{p.name}_{delay}"
            linear = self._linear(name, matrix, sink)
            each = np.full(shape[1], delay * self.dt)
            middle = [self.graph.add(f"{name}_delay", "Delay", delay=each)] if delay else []
            self.graph.connect(source, *middle, linear)
            found.append(linear)
        return found

    def _by_synapse(
        self, name: str, source: str, sink: str, shape: tuple[int, int], pre: np.ndarray,
        post: np.ndarray, weight: np.ndarray, steps: np.ndarray,
    ) -> str:  # fmt: skip
        """Add a branch with a delay per synapse: fan out, delay, weigh."""
        count = np.arange(len(pre))
        fan, matrix = self._matrix(len(pre), shape[1]), self._matrix(shape[0], len(pre))
        fan[count, pre], matrix[post, count] = 1.0, weight
        first = self.graph.add(f"{name}_fan", "Linear", weight=fan)
        delay = self.graph.add(f"{name}_delay", "Delay", delay=steps * self.dt)
        last = self._linear(name, matrix, sink)
        self.graph.connect(source, first, delay, last)
        return last

    def _matrix(self, n: int, m: int) -> np.ndarray:
        """Zeros (n, m), if there is room for them."""
        self.numbers += n * m
        if self.numbers > LARGEST:
            other = "delay" if self.edges == "synapse" else "synapse"
            raise InputError(
                f"a NIR file must have at most {LARGEST} numbers, and edges={self.edges!r} takes "
                f"more; NIR has full matrices only: try edges={other!r}, or train with fewer "
                "distinct delays or neurons"
            )
        return np.zeros((n, m), np.float32)

    def _linear(self, name: str, weight: np.ndarray, sink: str) -> str:
        """Add weights onto a node; they carry its bias if they are the first."""
        bias = self.pending.pop(sink, None)
        if bias is None:
            linear = self.graph.add(name, "Linear", weight=weight)
        else:
            linear = self.graph.add(name, "Affine", weight=weight, bias=bias)
        self.graph.connect(linear, sink)
        return linear


def write_nir(
    artifact: Artifact, path: Path | str, *, edges: str = "delay", euler: bool = False
) -> None:
    """Write a NIR file: the network as a graph that other tools read.

    A projection becomes a branch for each of its delays, Delay and then Linear; without delay
    there is no Delay. Neurons become LIF (`Delta` synapses) or CubaLIF (`Exponential`, or
    neurons that are `CubaLIF`), those of the output LI or CubaLI; where synapses of several kinds
    reach a population, each Exponential kind is an LI of its own before it. A bias is that of the
    first Affine where synapses are `Delta`, else v_leak. Times are in seconds.

    A spike of step t over d steps acts in step t + d + 1. The Delay is d dt: the one step belongs
    to stepping. A tool that passes spikes on within a step runs each layer one step earlier
    (`EulerLIF` two).

    `read_nir` reads all of it again; what it must know besides is metadata of the graph. Synapses
    of weight 0 are left out. What other tools cannot know of is named in a warning: refractory
    periods, when `EulerLIF` spikes and what it discards then, projections that skip a layer, and a
    bias with Exponential synapses, which some tools get wrong.

    Arguments:
        artifact: The network.
        path: The file to write.
        edges: ``"delay"``, or ``"synapse"`` for one branch per projection in which each synapse has
            a channel of its own: a Linear of ones to all synapses, a Delay, and a Linear.
        euler: Whether time constants are those with which Euler's method at this dt computes
            exactly what delaysnn computes: dt / (1 - exp(-dt/tau)). They are the physical ones
            if not.

    Raises:
        InputError: The package nir is missing, NIR has no node for a neuron, the file would be too
            large, or edges is unknown.
        WorkError: The file cannot be written.
    """
    nir = _nir()
    if edges not in EDGES:
        raise InputError(f"edges must be one of {', '.join(EDGES)}, got {edges!r}")
    builder = Builder(artifact.network, edges, euler)
    graph = builder.build()
    for text in _losses(artifact.network, builder):
        warnings.warn(text, stacklevel=2)
    graph.metadata = _metadata(artifact, builder)
    graph.metadata["checksum"] = graph.checksum()
    content = io.BytesIO()
    nir.write(content, _as_nir(nir, graph))
    write_atomic(path, content.getvalue())


def _nir() -> Any:
    try:
        return importlib.import_module("nir")
    except ImportError as error:
        raise InputError('NIR export needs the package nir; pip install "delaysnn[nir]"') from error


def _metadata(artifact: Artifact, builder: Builder) -> dict[str, str]:
    kept = {name: index.tolist() for name, index in artifact.kept.items()}
    scales = artifact.quantised.scales if artifact.quantised is not None else {}
    told = {name: scale.tolist() for name, scale in scales.items()}
    return {
        **({"scales": json.dumps(told, sort_keys=True)} if told else {}),
        "format": FORMAT,
        "version": VERSION,
        "about": artifact.about.model_dump_json(),
        "network": json.dumps(_described(artifact.network), sort_keys=True),
        "sizes": json.dumps(artifact.sizes, sort_keys=True),
        "kept": json.dumps(kept, sort_keys=True),
        "populations": json.dumps(builder.population, sort_keys=True),
        "projections": json.dumps(builder.branches, sort_keys=True),
    }


def _described(network: Network) -> dict[str, Any]:
    """All of a network that is no array of the graph."""
    text = describe(network)
    for entry in text["populations"]:
        own = vars(network.populations[entry["name"]].model).items()
        entry |= {key: value.array.tolist() for key, value in own if isinstance(value, PerNeuron)}
    for entry in text["projections"]:
        tau_syn = getattr(network.projections[entry["name"]].synapse, "tau_syn", None)
        if isinstance(tau_syn, PerNeuron):
            entry["synapse"]["tau_syn"] = tau_syn.array.tolist()
    return text


def _as_nir(nir: Any, graph: Graph) -> Any:
    """The graph as nir has it, checked by nir."""
    nodes = {}
    for name, node in graph.nodes.items():
        values = dict(node.values)
        if node.kind in ("Input", "Output"):
            values = {f"{node.kind.lower()}_type": node.values["shape"]}
        nodes[name] = getattr(nir, node.kind)(**values)
    return nir.NIRGraph(nodes=nodes, edges=list(graph.edges), metadata=dict(graph.metadata))


def _losses(network: Network, builder: Builder) -> list[str]:
    """What other tools will not know of, in words."""
    models = {name: population.model for name, population in network.populations.items()}
    dt = network.dt
    resting = [n for n, m in models.items() if isinstance(m, Neuron) and m.refractory_steps(dt)]
    seeds = [n for n, m in models.items() if isinstance(m, EulerLIF)]
    found = []
    if resting:
        found.append(f"NIR has no refractory period: other tools run {_list(resting)} without")
    if seeds:
        found.append(
            f"NIR has no EulerLIF: {_list(seeds)} spikes in the step after V passes the threshold "
            "and discards what arrives in that step; other tools may do neither"
        )
    if builder.leaks:
        found.append(
            f"the bias of {_list(builder.leaks)} is v_leak in NIR, which some tools reject "
            "(snnTorch) or give to the synapse too (Norse 1.1)"
        )
    skipping = _skipping(network)
    if skipping:
        found.append(
            f"{_list(skipping)} skip a layer: tools that pass spikes on within a step let them "
            "act later than those through the layer, by a step per layer"
        )
    return found


def _list(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _skipping(network: Network) -> list[str]:
    """The projections that do not go from a layer to the next."""
    depth: dict[str, int] = {}
    for population in network.order():
        before = [depth[p.source] for p in network.incoming(population.name) if not p.recurrent]
        depth[population.name] = 1 + max(before, default=-1)
    return [
        name
        for name, p in network.projections.items()
        if not p.recurrent and depth[p.target] != depth[p.source] + 1
    ]
