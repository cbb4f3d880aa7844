"""The branches of a graph: the ways from neurons or input to neurons, and their synapses."""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.nir.graph import MOST, NEURONS, PASS, SPIKING, Graph

_WEIGHTS = ("Linear", "Affine")


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


def is_filter(graph: Graph, name: str) -> bool:
    """Whether a node is an LI that acts as a synapse: it leads to other neurons alone."""
    after = [second for first, second in graph.edges if first == name]
    return (
        graph.nodes[name].kind == "LI"
        and bool(after)
        and all(graph.nodes[each].kind in ("LI", "LIF") and each != name for each in after)
    )


class Tracer:
    """Finds the branches of a graph, given the neurons of each input and spiking node."""

    def __init__(self, graph: Graph, sizes: dict[str, int]) -> None:
        self.graph, self.sizes = graph, sizes
        self.after: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for first, second in graph.edges:
            self.after[first].append(second)
        self.filters = {name for name in graph.nodes if is_filter(graph, name)}
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
