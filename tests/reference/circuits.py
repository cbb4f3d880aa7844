"""Neurons that are linear between spikes, and networks of them, for the twins of EventProp.

    x' = a x + b I + c between events,   n.x = theta from below: a spike, then x = reset x + kick

x is the state (m,), I the sum of a neuron's synaptic currents and its bias. A `Kind` makes these
of named parameters, one value a neuron; all of it is algebra, so an imaginary step in a parameter
gives its derivative to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.linalg import expm

from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network

TINY = 1e-30  # imaginary step


@dataclass(frozen=True)
class Linear:
    """One neuron: a, reset (m, m); b, c, n, kick (m,); theta."""

    a: np.ndarray
    b: np.ndarray
    n: np.ndarray
    theta: complex
    reset: np.ndarray
    kick: np.ndarray
    c: np.ndarray


def of_lists(a, b, n, theta, reset, kick, c=None) -> Linear:
    """Return a neuron of nested lists."""
    c = [0.0] * len(b) if c is None else c
    rows = [np.asarray(value) for value in (a, b, n, reset, kick, c)]
    return Linear(rows[0], rows[1], rows[2], theta, rows[3], rows[4], rows[5])


def lif(tau_mem, theta) -> Linear:
    """x = (V,): tau_mem V' = -V + I; V = 0 at a spike."""
    return of_lists([[-1 / tau_mem]], [1 / tau_mem], [1.0], theta, [[0.0]], [0.0])


def leaky(tau_mem) -> Linear:
    """The same without threshold."""
    return lif(tau_mem, np.inf)


def subtracting(tau_mem, theta) -> Linear:
    """The same, V -= theta at a spike."""
    return of_lists([[-1 / tau_mem]], [1 / tau_mem], [1.0], theta, [[1.0]], [-theta])


def adaptive(tau_mem, tau_w, a, beta, theta) -> Linear:
    """x = (V, w): tau_mem V' = -V - w + I, tau_w w' = -w + a V; V = 0, w += beta at a spike."""
    rates = [[-1 / tau_mem, -1 / tau_mem], [a / tau_w, -1 / tau_w]]
    return of_lists(
        rates, [1 / tau_mem, 0.0], [1.0, 0.0], theta, [[0.0, 0.0], [0.0, 1.0]], [0.0, beta]
    )


def adaptive_threshold(tau_mem, tau_w, beta, theta) -> Linear:
    """x = (V, h): V as `lif`, tau_w h' = -h; a spike where V - h = theta, then V = 0, h += beta."""
    rates = [[-1 / tau_mem, 0.0], [0.0, -1 / tau_w]]
    reset = [[0.0, 0.0], [0.0, 1.0]]
    return of_lists(rates, [1 / tau_mem, 0.0], [1.0, -1.0], theta, reset, [0.0, beta])


def resonator(tau_mem, omega, theta) -> Linear:
    """x = (V, u): V' = -V/tau - omega u + I/tau, u' = omega V - u/tau; both 0 at a spike."""
    rates = [[-1 / tau_mem, -omega], [omega, -1 / tau_mem]]
    zeros = [[0.0, 0.0], [0.0, 0.0]]
    return of_lists(rates, [1 / tau_mem, 0.0], [1.0, 0.0], theta, zeros, [0.0, 0.0])


@dataclass
class Kind:
    """The neurons of one population.

    Attributes:
        build: Makes a `Linear` of its parameters by name.
        parameters: By name, (n,) each: those of `build`, ``bias``, and ``tau_syn PROJECTION`` of
            each projection onto them.
        held: (m,) bool, what stands still in a refractory period.
        tau_refrac: Its length [ms].
    """

    build: Callable[..., Linear]
    parameters: dict[str, np.ndarray]
    held: tuple[bool, ...] = ()
    tau_refrac: float = 0.0

    def one(self, j: int, imaginary: str = "") -> Linear:
        """Return neuron j, with an imaginary step in one of its parameters."""
        given = self.given(j, imaginary)
        own = {k: v for k, v in given.items() if k != "bias" and not k.startswith("tau_syn ")}
        return self.build(**own)

    def given(self, j: int, imaginary: str = "") -> dict[str, complex]:
        """Return its parameters, with an imaginary step in one of them."""
        return {
            name: complex(values[j], TINY) if name == imaginary else float(values[j])
            for name, values in self.parameters.items()
        }

    def refractory_steps(self, dt: float) -> int:
        return int(np.ceil(self.tau_refrac / dt - 1e-6))


def kind(build: Callable[..., Linear], n: int, *, held=(), tau_refrac=0.0, **values) -> Kind:
    """Return n neurons; values are numbers or (n,)."""
    every = {name: np.full(n, 1.0) * value for name, value in values.items()}
    return Kind(build, every, held, tau_refrac)


@dataclass
class Circuit:
    """A network whose populations are of any kind that is linear between spikes.

    Attributes:
        network: Sizes, projections, weights, delays and bias; its models only where `kinds` has
            none.
        kinds: By population but the input.
    """

    network: Network
    kinds: dict[str, Kind] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, population in self.network.populations.items():
            if population is self.network.input():
                continue
            kind_of = self.kinds.setdefault(name, _kind_of(population.model))
            bias = population.bias.astype(np.float64)
            kind_of.parameters.setdefault("bias", bias)
            for q in self.network.incoming(name):
                assert isinstance(q.synapse, Exponential)
                tau = np.full(population.n, q.synapse.tau_syn)
                kind_of.parameters.setdefault(f"tau_syn {q.name}", tau)

    def incoming(self, name: str) -> list[str]:
        return [q.name for q in self.network.incoming(name)]

    def spiking(self) -> list[str]:
        return [name for name in self.kinds if name != self.network.output().name]


def _kind_of(model: object) -> Kind:
    if isinstance(model, LIF):
        values = {"tau_mem": model.tau_mem, "theta": model.v_thresh}
        return kind(lif, model.n, held=(True,), tau_refrac=model.tau_refrac, **values)
    assert isinstance(model, LeakyIntegrator)
    assert model.readout == "mean"
    return kind(leaky, model.n, tau_mem=model.tau_mem)


@dataclass(frozen=True)
class Motion:
    """One neuron with its synaptic currents, as one homogeneous system.

    z = (x, current of each projection onto it, 1, integral of n.x of the output):

        z' = flow z between events, rest z in a refractory period
        edge.z = 0 from below: a spike, then z = jump z

    Attributes:
        flow, rest, jump: (d, d).
        edge: (d,); n alone at the output.
        size: m.
    """

    flow: np.ndarray
    rest: np.ndarray
    jump: np.ndarray
    edge: np.ndarray
    size: int


def motion(circuit: Circuit, name: str, j: int, imaginary: str = "") -> Motion:
    """Return the system of neuron j, with an imaginary step in one of its parameters."""
    kind_of = circuit.kinds[name]
    one, given = kind_of.one(j, imaginary), kind_of.given(j, imaginary)
    taus = [given[f"tau_syn {q}"] for q in circuit.incoming(name)]
    output = name == circuit.network.output().name
    m, unit = len(one.b), len(one.b) + len(taus)
    flow = np.zeros((unit + 1 + output,) * 2, dtype=complex)
    flow[:m, :m] = one.a
    flow[:m, m:unit] = one.b[:, None]
    flow[:m, unit] = one.c + one.b * given["bias"]
    flow[range(m, unit), range(m, unit)] = [-1 / tau for tau in taus]
    edge = np.zeros(len(flow), dtype=complex)
    edge[:m] = one.n
    jump = np.eye(len(flow), dtype=complex)
    if output:
        flow[-1, :m] = one.n
    else:
        edge[unit] = -one.theta
        jump[:m, :m], jump[:m, unit] = one.reset, one.kick
    rest = flow.copy()
    rest[:m][list(kind_of.held or (False,) * m)] = 0.0
    return Motion(flow, rest, jump, edge, m)


def real(one: Motion) -> Motion:
    return Motion(one.flow.real, one.rest.real, one.jump.real, one.edge.real, one.size)


def slope(one: Motion) -> Motion:
    """Return the derivative of a system by the parameter that has the imaginary step."""
    parts = (part.imag / TINY for part in (one.flow, one.rest, one.jump, one.edge))
    return Motion(*parts, one.size)


class Flow:
    """exp(matrix u) z for any matrix: a table over whole `STEP`s, and a series for the rest."""

    STEP = 0.5  # ms
    TERMS = 18

    def __init__(self, matrix: np.ndarray, total: float) -> None:
        size = np.abs(matrix).sum(axis=1).max() * self.STEP
        assert size < 2.0, "the series is too short for constants so small"
        self.matrix = matrix
        step, count = expm(matrix * self.STEP), int(total / self.STEP) + 2
        self.table = np.empty((count, *matrix.shape))
        self.table[0] = np.eye(len(matrix))
        for k in range(1, count):
            self.table[k] = step @ self.table[k - 1]
        self.orders = np.arange(self.TERMS)
        terms = [np.eye(len(matrix))]
        for k in range(1, self.TERMS):
            terms.append(matrix @ terms[-1] / k)
        self.terms = np.reshape(terms, (self.TERMS, -1))
        self.bends: dict[tuple[bytes, float], np.ndarray] = {}

    def move(self, z: np.ndarray, u: float) -> np.ndarray:
        """Return z a time u later."""
        whole = int(u / self.STEP)
        series = (u - whole * self.STEP) ** self.orders @ self.terms
        return series.reshape(self.matrix.shape) @ (self.table[whole] @ z)

    def _bend(self, edge: np.ndarray, width: float) -> np.ndarray:
        """Return what |z| is to be multiplied by to bound |d2/du2 edge.z| for `width` ms.

        Absolute values of every entry, so nothing cancels: |exp(M u)| <= exp(|M| width).
        """
        key = edge.tobytes(), width
        if key not in self.bends:
            first = np.abs(edge @ self.matrix @ self.matrix)
            self.bends[key] = first @ expm(np.abs(self.matrix) * width)
        return self.bends[key]

    def first_crossing(self, z: np.ndarray, edge: np.ndarray, span: float) -> float:
        """Return when edge.z becomes >= 0 from below, infinity if not within `span` ms.

        No crossing is missed, however short: an interval is passed over only if its ends and
        the bound of the second derivative keep edge.z below 0, and it is halved until then, or
        until edge.z is monotone in it.
        """
        states = self.table[: int(span / self.STEP) + 2] @ z
        above = states @ edge
        bend = np.abs(states[:-1]) @ self._bend(edge, self.STEP)
        highest = np.maximum(above[:-1], above[1:]) + bend * self.STEP**2 / 8
        for k in np.flatnonzero(highest >= 0):
            inside = self._within(states[k], edge, self.STEP)
            if inside < np.inf:
                when = k * self.STEP + inside
                return when if when < span else np.inf
        return np.inf

    def _within(self, z: np.ndarray, edge: np.ndarray, width: float) -> float:
        later = self.move(z, width)
        first, last = float(edge @ z), float(edge @ later)
        bend = float(np.abs(z) @ self._bend(edge, width))
        if max(first, last) + bend * width**2 / 8 < 0:
            return np.inf
        if abs(edge @ self.matrix @ z) > bend * width or width < 1e-9:
            return self._root(z, edge, width) if first < 0 <= last else np.inf
        early = self._within(z, edge, width / 2)
        if early < np.inf:
            return early
        return width / 2 + self._within(self.move(z, width / 2), edge, width / 2)

    def _root(self, z: np.ndarray, edge: np.ndarray, width: float) -> float:
        """Return the root in a monotone interval: Newton's step, or half where it leaves it."""
        low, high, u = 0.0, width, width / 2
        for _ in range(100):
            at = self.move(z, u)
            value, rate = float(edge @ at), float(edge @ self.matrix @ at)
            low, high = (u, high) if value < 0 else (low, u)
            new = u - value / rate if rate > 0 else np.nan
            new = new if low <= new <= high else (low + high) / 2
            if abs(new - u) < 1e-15 * max(1.0, u) or high - low < 1e-15:
                return new
            u = new
        return u


@lru_cache(maxsize=4096)
def _flow(data: bytes, size: int, total: float) -> Flow:
    return Flow(np.frombuffer(data).reshape(size, size), total)


def flow(matrix: np.ndarray, total: float) -> Flow:
    """Return the flow of a matrix for up to `total` ms, made once."""
    return _flow(np.ascontiguousarray(matrix).tobytes(), len(matrix), total)
