"""A NIR graph as plain arrays, checked: nodes, edges between them, and texts beside it."""

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
NEURONS = ("LI", "LIF", "CubaLI", "CubaLIF")
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
    elif kind in ("Linear", "Affine"):
        _check_linear(name, kind, values)
    elif kind == "Delay" and (values["delay"] < 0).any():
        raise InputError(f"Delay {name!r} must have delays >= 0 s")
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
            raise InputError(f"{kind} {name!r} must have {key} > 0")
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
