"""A NIR graph as plain arrays, checked, and its branches: ways from neurons or input to neurons."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.tensors import checksum

_MEMBRANE = ("r", "v_leak")
_SPIKE = ("v_threshold", "v_reset")
# Nodes and their arrays.
FIELDS: dict[str, tuple[str, ...]] = {
    "Input": ("shape",),
    "Output": ("shape",),
    "Linear": ("weight",),
    "Affine": ("weight", "bias"),
    "Delay": ("delay",),
    "LI": ("tau", *_MEMBRANE),
    "LIF": ("tau", *_MEMBRANE, *_SPIKE),
    "CubaLI": ("tau_syn", "tau_mem", *_MEMBRANE, "w_in"),
    "CubaLIF": ("tau_syn", "tau_mem", *_MEMBRANE, *_SPIKE, "w_in"),
}
SPIKING = ("LIF", "CubaLIF")
_WEIGHTS = ("Linear", "Affine")
NEURONS = ("LI", "LIF", "CubaLI", "CubaLIF")
SECOND = 1000.0  # ms
PASS = "pass"  # what input and output of a graph within a graph become
_WITHOUT = {"v_reset": 0.0, "w_in": 1.0}  # what files may leave out
MOST = 2**25  # synapses of a branch
_DEEPEST = 4
_WIDEST = 2**22  # values of an input: no file has to back them


@dataclass(frozen=True)
class Node:
    """A node."""

    kind: str  # its type, a key of `FIELDS`
    values: dict[str, np.ndarray]  # its arrays by name, as `FIELDS` says


@dataclass
class Graph:
    """A graph."""

    nodes: dict[str, Node] = field(default_factory=dict)  # by name
    edges: list[tuple[str, str]] = field(default_factory=list)  # from node to node
    metadata: dict[str, str] = field(default_factory=dict)  # texts by name

    def size(self, name: str) -> int:
        """How many neurons or values a node of neurons or an Input has."""
        values = self.nodes[name].values
        return int(values["shape"].ravel()[0]) if "shape" in values else values["r"].size

    def add(self, name: str, kind: str, **values: Any) -> str:
        """Add a node; return its name, made of letters and digits and new."""
        name = self._free(name)
        arrays = {key: np.asarray(values[key]) for key in FIELDS[kind]}
        self.nodes[name] = Node(kind, arrays)
        return name

    def connect(self, *names: str) -> None:
        """Add the edges of a chain of nodes."""
        self.edges += list(zip(names[:-1], names[1:], strict=True))

    def _free(self, name: str) -> str:
        """The name as tools can use it (a variable, say), unlike all others."""
        name = name.replace("->", "_to_")
        plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
        plain = plain if plain[0].isalpha() else f"n{plain}"
        found, k = plain, 1
        while found in self.nodes:
            found, k = f"{plain}_{k}", k + 1
        return found

    def checksum(self) -> str:
        """The CRC-32 of all but the metadata's own checksum."""
        arrays = {
            f"{name} {node.kind} {key}": array
            for name, node in self.nodes.items()
            for key, array in node.values.items()
        }
        edges = json.dumps(sorted(self.edges))
        return str(checksum(arrays, {**self.metadata, "edges": edges}))


def graph_of(tree: dict[str, Any]) -> Graph:
    """The graph of a file, from what `read_hdf5` gives; unknown nodes are an InputError."""
    top = tree.get("node")
    if not isinstance(top, dict) or top.get("type") != "NIRGraph":
        raise InputError("it must have a NIR graph at /node")
    graph = Graph()
    _fill(graph, top, "", 0)
    extra = top.get("metadata", {})
    if isinstance(extra, dict):
        graph.metadata = {key: text for key, text in extra.items() if isinstance(text, str)}
    if len(set(graph.edges)) != len(graph.edges):
        raise InputError("it must have each edge once")
    return graph


def _fill(graph: Graph, top: dict[str, Any], prefix: str, depth: int) -> None:
    """Add nodes and edges of a graph, and of the graphs in it."""
    nodes, edges = top.get("nodes"), top.get("edges")
    if isinstance(edges, np.ndarray) and not edges.size:
        edges = []
    if not isinstance(nodes, dict) or not isinstance(edges, list) or depth > _DEEPEST:
        raise InputError(f"a graph must have nodes and edges, at most {_DEEPEST} deep")
    for name, entry in nodes.items():
        kind = entry.get("type") if isinstance(entry, dict) else None
        if kind == "NIRGraph":
            _fill(graph, entry, f"{prefix}{name}.", depth + 1)
        else:
            graph.nodes[prefix + name] = _node(prefix + name, kind, entry, inner=depth > 0)
    for edge in edges:
        graph.edges.append(_edge(nodes, edge, prefix))


def _edge(nodes: dict[str, Any], edge: Any, prefix: str) -> tuple[str, str]:
    """Check an edge; to and from a graph it goes to its input and from its output."""
    if not isinstance(edge, list) or len(edge) != 2 or not all(e in nodes for e in edge):
        raise InputError(f"an edge must be from a node to a node, got {str(edge)[:100]}")
    first, second = edge
    return prefix + _end(nodes, first, "Output"), prefix + _end(nodes, second, "Input")


def _end(nodes: dict[str, Any], name: str, kind: str) -> str:
    if nodes[name].get("type") != "NIRGraph":
        return name
    within = nodes[name].get("nodes", {})
    ends = [each for each, entry in within.items() if entry.get("type") == kind]
    if len(ends) != 1:
        raise InputError(f"graph {name!r} must have one {kind}, got {len(ends)}")
    return f"{name}.{ends[0]}"


def _node(name: str, kind: Any, entry: Any, *, inner: bool) -> Node:
    if kind not in FIELDS:
        raise InputError(
            f"node {name!r} must be one of {', '.join(FIELDS)}, got {str(kind)[:60]!r}"
        )
    unknown = set(entry) - set(FIELDS[kind]) - {"type", "metadata"}
    if unknown:
        raise InputError(f"{kind} {name!r} must have {', '.join(FIELDS[kind])}, got {unknown}")
    given = [key for key in FIELDS[kind] if key in entry or key not in _WITHOUT]
    values = {key: _numbers(name, key, entry.get(key)) for key in given}
    if kind in NEURONS:
        values = _neurons(name, kind, values)
    elif kind in _WEIGHTS:
        _check_linear(name, kind, values)
    elif kind == "Delay" and (values["delay"] < 0).any():
        raise InputError(f"delays of Delay {name!r} must be >= 0 s")
    elif kind == "Input":
        _check_input(name, values["shape"])
    return Node(PASS if inner and kind in ("Input", "Output") else kind, values)


def _numbers(name: str, key: str, found: Any) -> np.ndarray:
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iuf":
        raise InputError(f"{key} of node {name!r} must be numbers")
    if not np.isfinite(found).all():
        raise InputError(f"{key} of node {name!r} must be finite")
    return found


def _neurons(name: str, kind: str, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parameters of neurons as arrays of one shape (n,)."""
    shapes = {array.shape for array in values.values() if array.size != 1}
    size = max((array.size for array in values.values()), default=0)
    if len(shapes) > 1 or not size or any(len(shape) != 1 for shape in shapes):
        raise InputError(f"{kind} {name!r} must have parameters of one shape (n,)")
    for key in ("tau", "tau_mem", "tau_syn", "v_threshold"):
        if key in values and (values[key] <= 0).any():
            raise InputError(f"{key} of {kind} {name!r} must be > 0")
    return {
        key: np.broadcast_to(values[key].ravel(), (size,)) if key in values
        else np.full(size, _WITHOUT[key])
        for key in FIELDS[kind]
    }  # fmt: skip


def _check_linear(name: str, kind: str, values: dict[str, np.ndarray]) -> None:
    shape = values["weight"].shape
    if len(shape) != 2 or not all(shape):
        raise InputError(f"{kind} {name!r} must have a weight of two dimensions, got {shape}")
    if kind == "Affine" and values["bias"].shape != shape[:1]:
        raise InputError(f"Affine {name!r} must have a bias of shape ({shape[0]},)")


def _check_input(name: str, shape: np.ndarray) -> None:
    given = shape.ravel()
    n = given[0] if given.size == 1 else 0
    if not 1 <= n <= _WIDEST or n != int(n):
        raise InputError(f"Input {name!r} must have shape (n,), n <= {_WIDEST}, got {given[:9]}")


@dataclass(frozen=True)
class Synapses:
    """What lies between a source and a node on the way from it; S ways."""

    pre: np.ndarray  # (S,) neuron of the source
    post: np.ndarray  # (S,) neuron of the node
    weight: np.ndarray  # (S,), a product of all on the way
    delay: np.ndarray  # (S,) [s], a sum

    def through(self, weight: np.ndarray) -> "Synapses":
        """What lies behind a matrix (n_post, n_pre)."""
        n = weight.shape[1]
        order = np.argsort(self.post, kind="stable")
        first = np.searchsorted(self.post[order], np.arange(n + 1))
        ways = int(np.count_nonzero(weight, axis=0) @ np.diff(first))
        if ways > MOST:
            raise InputError(f"a branch must have at most {MOST} synapses, got {ways}")
        pre, post = np.nonzero(weight.T)
        times = np.diff(first)[pre]
        # Each weight goes on with each of the ways that lead to its column.
        start = np.cumsum(times) - times
        place = np.arange(ways) - np.repeat(start - first[pre], times)
        own = order[place]
        by = np.repeat(weight[post, pre], times)
        return Synapses(self.pre[own], np.repeat(post, times), self.weight[own] * by,
                        self.delay[own])  # fmt: skip


@dataclass(frozen=True)
class Branch:
    """A way from a source to neurons."""

    source: str  # node of the neurons or the input
    target: str  # node of the neurons
    synapse: str  # LI node between, which acts as a synapse of the target, or empty
    name: str  # the last node with weights, or empty
    n_post: int  # neurons of the target, as far as the branch knows
    synapses: Synapses  # between them
    bias: np.ndarray | None  # (n_post,) of the last node with weights, or None


class Tracer:
    """Finds the branches of a graph, given the neurons of each input and spiking node."""

    def __init__(self, graph: Graph, sizes: dict[str, int]) -> None:
        self.graph, self.sizes = graph, sizes
        self.after: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for first, second in graph.edges:
            self.after[first].append(second)
        self.filters = {name for name in graph.nodes if self._is_filter(name)}
        self.found: list[Branch] = []
        self.outputs: list[str] = []
        self.seen: set[str] = set()
        self.left = 4 * (len(graph.nodes) + len(graph.edges)) + 16

    def run(self) -> list[Branch]:
        """All branches; `outputs` then has the nodes that lead to an Output."""
        for name, node in self.graph.nodes.items():
            sends = node.kind == "Input" or node.kind in SPIKING
            if sends:
                count = np.arange(self.sizes[name])
                one = np.ones(len(count), np.float32)
                start = Synapses(count, count, one, np.zeros(len(count)))
                self._from(Branch(name, "", "", "", len(count), start, None), name)
            elif node.kind in NEURONS and name not in self.filters:
                self._to_output(name, name)
        return self.found

    def _is_filter(self, name: str) -> bool:
        """Whether a node is an LI that acts as a synapse: it leads to other neurons alone."""
        kinds = self.graph.nodes
        after = self.after[name]
        leads_on = all(kinds[each].kind in ("LI", "LIF") and each != name for each in after)
        return kinds[name].kind == "LI" and bool(after) and leads_on

    def _to_output(self, source: str, name: str) -> None:
        """Follow the edges of neurons that do not spike, which lead to an Output alone."""
        for after in self.after[name]:
            kind = self.graph.nodes[after].kind
            self._visit(after)
            if kind == PASS:
                self._to_output(source, after)
            elif kind == "Output":
                self.outputs.append(source)
            else:
                raise InputError(
                    f"node {source!r} must lead to an Output, got {kind} {after!r}: what is no "
                    "spike is not sent on"
                )

    def _visit(self, name: str) -> None:
        """Mark a node as seen; reject ways without an end."""
        self.seen.add(name)
        self.left -= 1
        if self.left < 0:
            raise InputError(f"node {name!r} must not be on a circle without neurons that spike")

    def _from(self, way: Branch, name: str) -> None:
        for after in self.after[name]:
            self._visit(after)
            self._step(way, after)

    def _step(self, way: Branch, name: str) -> None:
        node = self.graph.nodes[name]
        if node.kind in NEURONS or node.kind == "Output":
            self._arrive(way, name)
            return
        if way.bias is not None and way.bias.any() and node.kind != PASS:
            raise InputError(
                f"Affine {way.name!r} must have no bias before {node.kind} {name!r}; set it to 0"
            )
        ways, n_post = way.synapses, way.n_post
        if node.kind in _WEIGHTS:
            weight = node.values["weight"]
            self._fits(name, weight.shape[1], n_post)
            now = Branch(way.source, "", "", name, len(weight), ways.through(weight),
                         node.values.get("bias"))  # fmt: skip
        elif node.kind == "Delay":
            delay = node.values["delay"].ravel()
            self._fits(name, len(delay) if len(delay) != 1 else n_post, n_post)
            delay = np.broadcast_to(delay, (n_post,))
            later = Synapses(ways.pre, ways.post, ways.weight, ways.delay + delay[ways.post])
            now = Branch(way.source, "", "", way.name, n_post, later, way.bias)
        elif node.kind == PASS:
            now = way
        else:
            raise InputError(f"node {name!r} must come before all neurons, got an {node.kind}")
        self._from(now, name)

    def _fits(self, name: str, n: int, wanted: int) -> None:
        if n != wanted:
            raise InputError(f"node {name!r} must take {wanted} values, got {n}")

    def _arrive(self, way: Branch, name: str) -> None:
        if self.graph.nodes[name].kind == "Output":
            if way.name or way.source == name:
                raise InputError(f"Output {name!r} must come after neurons, got {way.name!r}")
            self.outputs.append(way.source)
            return
        targets = self.after[name] if name in self.filters else [name]
        synapse = name if name in self.filters else ""
        for target in targets:
            self.seen.add(target)
            self.found.append(
                Branch(way.source, target, synapse, way.name, way.n_post, way.synapses, way.bias)
            )
