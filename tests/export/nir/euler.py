"""A slow reading of NIR graphs: neurons by Euler's method, a spike of height 1 for one step.

What a node of neurons or the input gives in a step acts on other neurons in the next one; LI nodes
before neurons (their synapses) act in the same step. Delays are whole steps.
"""

import numpy as np

TIE = 1e-5


class Walk:
    """One trial of a graph.

    Arguments:
        graph: As `nir.read` gives it.
        given: (T, C) input.
        dt: [s].
        seeds: Nodes that test V before they step it, and then discard what arrives.
    """

    def __init__(self, graph, given: np.ndarray, dt: float, seeds: set[str]) -> None:
        self.graph, self.given, self.dt, self.seeds = graph, given, dt, seeds
        self.kind = {name: type(node).__name__ for name, node in graph.nodes.items()}
        self.before = {name: [a for a, b in graph.edges if b == name] for name in graph.nodes}
        self.state = {name: (0.0, 0.0) for name in graph.nodes}
        self.out: dict[str, list[np.ndarray]] = {name: [] for name in graph.nodes}
        self.tie = len(given)

    def value(self, name: str, t: int) -> np.ndarray:
        """Return what a node gives in step t."""
        node, kind = self.graph.nodes[name], self.kind[name]
        if kind == "Input":
            return self.given[t] if t >= 0 else np.zeros(self.given.shape[1])
        if kind in ("LIF", "CubaLIF"):
            return self.out[name][t] if t >= 0 else np.zeros(node.v_threshold.shape)
        if kind == "Delay":
            steps = np.rint(node.delay / self.dt).astype(int)
            found = np.zeros(len(steps))
            for d in np.unique(steps):
                found[steps == d] = self.total(name, t - d)[steps == d]
            return found
        bias = node.bias if kind == "Affine" else 0.0
        return node.weight.astype(float) @ self.total(name, t) + bias

    def total(self, name: str, t: int) -> np.ndarray:
        """Return what reaches a node that is no neuron."""
        return sum(self.value(each, t) for each in self.before[name])

    def drive(self, name: str, t: int) -> np.ndarray:
        """Return what reaches neurons in step t."""
        return sum(
            self.out[each][t] if self.kind[each] == "LI" else self.value(each, t - 1)
            for each in self.before[name]
        )

    def step(self, name: str, t: int) -> None:
        node, (i, v) = self.graph.nodes[name], self.state[name]
        x = self.drive(name, t)
        if self.kind[name].startswith("Cuba"):
            i = i + self.dt / node.tau_syn * (node.w_in * x - i)
            x, tau = i, node.tau_mem
        else:
            tau = node.tau
        later = v + self.dt / tau * (node.v_leak - v + node.r * x)
        if "LIF" not in self.kind[name]:
            self.state[name] = (i, later)
            self.out[name].append(later)
            return
        tested = v * np.ones(len(later)) if name in self.seeds else later
        if (np.abs(tested - node.v_threshold) < TIE * node.v_threshold).any():
            self.tie = min(self.tie, t)
        fires = tested > node.v_threshold
        self.state[name] = (i, np.where(fires, node.v_reset, later))
        self.out[name].append(fires)

    def run(self, order: list[str]) -> None:
        """Run the whole trial, nodes of neurons in this order within a step."""
        for t in range(len(self.given)):
            for name in order:
                self.step(name, t)


def walk(graph, given: np.ndarray, dt: float, seeds: set[str] = frozenset()) -> Walk:
    """Return a trial of a graph."""
    trial = Walk(graph, given, dt, seeds)
    # LI nodes that lead to neurons come first, so that these find what they give.
    neurons = [name for name, kind in trial.kind.items() if kind.endswith(("LI", "LIF"))]
    first = {a for a, b in graph.edges if trial.kind[a] == "LI" and trial.kind[b] != "Output"}
    trial.run(sorted(neurons, key=lambda name: name not in first))
    return trial
