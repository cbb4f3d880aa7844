"""Float64 twin of EventProp on the grid for neurons that are linear between spikes.

Forwards, step t of dt ms; (E, F, H) move a neuron on by a step of constant current, (E', F', H')
in its refractory steps; e = exp(-dt/tau_syn), s = (tau_syn/dt)(1 - e):

    g[t] = e g[t-1] + arrivals;   I[t] = sum of s g[t] + bias
    x-[t] = E x[t-1] + F I[t] + H;   n.x-[t] >= theta: a spike, x[t] = reset x-[t] + kick

Backwards, p adjoint of x at the end of step t before a reset, P of x after it, handed back:

    no spike   p = P + dL/dx[t]
    spike      p = reset^T P + kappa n,   kappa = reg - J / rise
               J = P.(reset f- - f+) + G / dt,   rise = n.f- >= 1e-6 theta |n.a n| / n.n
    r[t] = s F.p + e r[t+1];   D[t] = r[t+1] - r[t];   P = E^T p

f = a x + b I[t] + c is taken at x-, the state `at_threshold` in that step, for f-, and at
x+ = reset x- + kick for f+, with I the mean over the step in which the spike is. G is the sum over
the neuron's synapses of w D_target[t + d + 1], reg the spike count's regularisation. With R > 0
refractory steps, what is held is 0 in f+, and J has one term more, from the end of the step
u = t + R, in which the neuron rests for the last time, with P as handed back to u:

    - P.(what is held of a x[u] + b I[u] + c),   0 if u is after the end of the trial

A parameter q has the sum over steps of p.(dE/dq x[t-1] + dF/dq I[t] + dH/dq), with E', F', H' in
refractory steps; the bias that of F.p; tau_syn that of F.p g[t] ds/dq + r[t] g[t-1] de/dq; and
over spikes

    P.(dreset/dq x- + dkick/dq) + kappa (dn/dq.x- - dtheta/dq)
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm

from tests.reference import forward
from tests.reference.circuits import TINY, Circuit, Linear
from tests.reference.eventprop import share_delays
from tests.reference.exact import Gradients

FORM = "line"  # of `at_threshold`


@dataclass(frozen=True)
class Step:
    """How a step moves one neuron on: E (m, m), F (m,), H (m,), for a current constant in it."""

    e: np.ndarray
    f: np.ndarray
    h: np.ndarray


Stepper = Callable[[Linear, float, tuple[bool, ...]], Step]


def exact_step(one: Linear, dt: float, held: tuple[bool, ...]) -> Step:
    """Return the exact step of a neuron, some of whose state stands still."""
    m = len(one.b)
    matrix = np.zeros((m + 2, m + 2), dtype=np.result_type(one.a, one.b, one.c))
    matrix[:m, :m], matrix[:m, m], matrix[:m, m + 1] = one.a, one.b, one.c
    matrix[:m][list(held or (False,) * m)] = 0.0
    moved = expm(matrix * dt)
    return Step(moved[:m, :m], moved[:m, m], moved[:m, m + 1])


def euler_step(one: Linear, dt: float, held: tuple[bool, ...]) -> Step:
    """Return the forward Euler step of a neuron, some of whose state stands still."""
    moves = np.where(held or (False,) * len(one.b), 0.0, dt)
    return Step(np.eye(len(one.b)) + moves[:, None] * one.a, moves * one.b, moves * one.c)


@dataclass
class Layer:
    """What one population did.

    Attributes:
        current: (T, n), mean over each step, with the bias.
        tested: (T, n, m), x at the end of each step before any reset.
        after: (T, n, m), and after it.
        fired, still: (T, n) bool, where there is a spike, and where it is refractory.
    """

    current: np.ndarray
    tested: np.ndarray
    after: np.ndarray
    fired: np.ndarray
    still: np.ndarray


@dataclass
class Trace:
    """One trial: layers by population, g (T, n) by projection, stimulus, logits, loss."""

    layers: dict[str, Layer]
    g: dict[str, np.ndarray]
    stimulus: np.ndarray
    logits: np.ndarray
    loss: float


def run(
    circuit: Circuit, given: np.ndarray, label: int = 0, stepper: Stepper = exact_step
) -> Trace:
    """Return everything that happens in one trial driven by spikes `given`, (T, C)."""
    network, steps = circuit.network, len(given)
    layers = {name: _layer(circuit, name, steps) for name in circuit.kinds}
    arrivals = {
        q.name: np.zeros((steps, network.populations[q.target].n))
        for q in network.projections.values()
    }
    g = {name: np.zeros_like(a) for name, a in arrivals.items()}
    delays = {q.name: forward.delay_steps(q, network.dt) for q in network.projections.values()}
    moves = {name: _moves(circuit, name, stepper) for name in circuit.kinds}
    waiting = {name: np.zeros(layers[name].fired.shape[1], dtype=int) for name in circuit.kinds}
    for t in range(steps):
        for q in network.projections.values():
            e, s = _decay(circuit, q.target, q.name)
            g[q.name][t] = arrivals[q.name][t] + (e * g[q.name][t - 1] if t else 0.0)
            layers[q.target].current[t] += s * g[q.name][t]
        for name, layer in layers.items():
            _advance(circuit, name, layer, t, moves[name], waiting[name])
        for q in network.projections.values():
            sent = given if q.source == network.input().name else layers[q.source].fired
            forward.send(arrivals[q.name], q, delays[q.name], sent[t].astype(float), t)
    output = network.output()
    states = layers[output.name].after
    edges = np.array([circuit.kinds[output.name].one(j).n for j in range(output.n)])
    logits = np.einsum("tjm,jm->j", states, edges) / steps
    return Trace(layers, g, given, logits, forward.cross_entropy(logits, label))


def _layer(circuit: Circuit, name: str, steps: int) -> Layer:
    kind = circuit.kinds[name]
    bias = kind.parameters["bias"]
    n, m = len(bias), len(kind.one(0).b)
    empty = np.zeros((steps, n), dtype=bool)
    states = np.zeros((2, steps, n, m))
    return Layer(np.tile(bias, (steps, 1)), *states, empty, empty.copy())


def _moves(circuit: Circuit, name: str, stepper: Stepper) -> list[tuple[Linear, Step, Step]]:
    """Return each neuron, its step, and its step while refractory."""
    kind, dt = circuit.kinds[name], circuit.network.dt
    ones = [kind.one(j) for j in range(len(kind.parameters["bias"]))]
    return [(one, stepper(one, dt, ()), stepper(one, dt, kind.held)) for one in ones]


def _decay(circuit: Circuit, target: str, projection: str) -> tuple[np.ndarray, np.ndarray]:
    """Return e and s of each neuron of the target."""
    tau, dt = circuit.kinds[target].parameters[f"tau_syn {projection}"], circuit.network.dt
    return np.exp(-dt / tau), -tau / dt * np.expm1(-dt / tau)


def _advance(
    circuit: Circuit,
    name: str,
    layer: Layer,
    t: int,
    moves: list[tuple[Linear, Step, Step]],
    waiting: np.ndarray,
) -> None:
    """Move one population on by step t, counting refractory steps down in place."""
    rest = circuit.kinds[name].refractory_steps(circuit.network.dt)
    for j, (one, moving, standing) in enumerate(moves):
        before = layer.after[t - 1, j] if t else np.zeros(len(one.b))
        layer.still[t, j] = waiting[j] > 0
        step = standing if waiting[j] > 0 else moving
        x = step.e @ before + step.f * layer.current[t, j] + step.h
        layer.tested[t, j] = layer.after[t, j] = x
        waiting[j] = max(waiting[j] - 1, 0)
        if not layer.still[t, j] and one.n @ x >= one.theta:
            layer.fired[t, j] = True
            layer.after[t, j] = one.reset @ x + one.kick
            waiting[j] = rest


def at_threshold(one: Linear, before: np.ndarray, after: np.ndarray, form: str) -> np.ndarray:
    """Return the state at a spike, from the states (m,) at the ends of its step.

    `FORM` is the most accurate of the forms, as `tests.reference.linear_variants` shows: the
    straight line between the two, where it crosses the threshold. ``"project"`` moves the state
    at the end along n, ``"end"`` takes that state itself.
    """
    low, high = float(one.n @ before) - one.theta, float(one.n @ after) - one.theta
    if form == "end":
        return after
    if form == "project":
        return after - one.n * high / float(one.n @ one.n)
    assert form == "line"
    return after - (after - before) * high / (high - low)


def backward(
    circuit: Circuit,
    trace: Trace,
    label: int,
    form: str = FORM,
    stepper: Stepper = exact_step,
    by_count: dict[str, np.ndarray] | None = None,
) -> Gradients:
    """Return the gradients of one trial; those of delays per step.

    Arguments:
        circuit: The network that gave the trace.
        trace: What happened.
        label: Class of the trial.
        form: See `at_threshold`.
        stepper: What makes a step of a neuron, with which the trace was made too.
        by_count: Derivative (n,) of the regularisation by the spike counts, by population.
    """
    return _Backward(circuit, trace, label, form, stepper, by_count or {}).run()


class _Backward:
    """One pass backwards."""

    def __init__(
        self,
        circuit: Circuit,
        trace: Trace,
        label: int,
        form: str,
        stepper: Stepper,
        by_count: dict[str, np.ndarray],
    ) -> None:
        self.circuit, self.trace, self.form, self.stepper = circuit, trace, form, stepper
        self.by_count = by_count
        self.network, self.dt = circuit.network, circuit.network.dt
        self.steps = len(trace.stimulus)
        by_logit = forward.softmax(trace.logits)
        by_logit[label] -= 1.0
        self.by_value = by_logit / self.steps
        self.moves = {name: _moves(circuit, name, stepper) for name in circuit.kinds}
        self.decay = {
            q.name: _decay(circuit, q.target, q.name) for q in self.network.projections.values()
        }
        self.lag = {
            q.name: forward.delay_steps(q, self.dt) for q in self.network.projections.values()
        }
        self.r = {name: np.zeros((self.steps + 2, g.shape[1])) for name, g in trace.g.items()}
        self.p = {name: np.zeros_like(layer.after) for name, layer in trace.layers.items()}
        self.carried = {name: np.zeros(p.shape[1:]) for name, p in self.p.items()}
        self.woken: dict[tuple[str, int], float] = {}  # what J has of the end of the period
        self.out = Gradients.zeros(circuit)

    def d(self, name: str, t: int, j: int) -> float:
        """Return D[t] of neuron j."""
        return self.r[name][t + 1, j] - self.r[name][t, j]

    def run(self) -> Gradients:
        order = [p.name for p in reversed(self.network.order()) if p.name in self.p]
        for t in reversed(range(self.steps)):
            for name in order:
                for j in range(self.p[name].shape[1]):
                    self._neuron(name, j, t)
                for q in self.network.incoming(name):
                    self._synapses(q.name, name, t)
        self._parameters()
        self._gather()
        return self.out

    def _neuron(self, name: str, j: int, t: int) -> None:
        """Find p of step t, and P to hand back."""
        layer, (one, moving, standing) = self.trace.layers[name], self.moves[name][j]
        p = carried = self.carried[name][j]
        rest = self.circuit.kinds[name].refractory_steps(self.dt)
        if name == self.network.output().name:
            p = carried + one.n * self.by_value[j]
        if rest and t >= rest and layer.fired[t - rest, j]:
            x, i = layer.after[t, j], layer.current[t, j]
            f = one.a @ x + one.b * i + one.c
            self.woken[name, j] = float(carried @ (self._held(name, f) - f))
        if layer.fired[t, j]:
            p = self._spike(name, j, t, carried)
        self.p[name][t, j] = p
        step = standing if layer.still[t, j] else moving
        self.carried[name][j] = step.e.T @ p

    def _held(self, name: str, f: np.ndarray) -> np.ndarray:
        """Return x' in the refractory period after a spike, given the x' without one."""
        kind = self.circuit.kinds[name]
        return np.where(kind.held or False, 0.0, f) if kind.refractory_steps(self.dt) else f

    def _spike(self, name: str, j: int, t: int, carried: np.ndarray) -> np.ndarray:
        """Return p of a spike, given P."""
        layer, (one, _, _) = self.trace.layers[name], self.moves[name][j]
        start = layer.after[t - 1, j] if t else np.zeros(len(one.b))
        x, i = at_threshold(one, start, layer.tested[t, j], self.form), layer.current[t, j]
        before = one.a @ x + one.b * i + one.c
        after = one.a @ (one.reset @ x + one.kick) + one.b * i + one.c
        after = self._held(name, after)
        g = self._by_spike_time(name, j, t)
        later = float(carried @ (one.reset @ before - after)) + g / self.dt
        later += self.woken.pop((name, j), 0.0)
        least = 1e-6 * one.theta * abs(one.n @ one.a @ one.n) / (one.n @ one.n)
        kappa = -later / max(float(one.n @ before), least)
        if self.by_count:
            kappa += float(self.by_count[name][j])
        kind = self.circuit.kinds[name]
        for key in kind.parameters:
            change = kind.one(j, key)
            by = carried @ (change.reset.imag @ x + change.kick.imag)
            by += kappa * (change.n.imag @ x - np.imag(change.theta))
            self.out.parameter[name, key][j] += by / TINY
        return one.reset.T @ carried + one.n * kappa

    def _by_spike_time(self, name: str, i: int, t: int) -> float:
        """Return G: by how much the loss grows through the synapses a step of a later spike."""
        total = 0.0
        for q in self.network.projections.values():
            for s in range(q.indptr[i], q.indptr[i + 1]) if q.source == name else ():
                when = t + self.lag[q.name][s] + 1
                if when < self.steps:
                    total += float(q.weight[s]) * self.d(q.name, when, q.post[s])
        return total

    def _synapses(self, projection: str, name: str, t: int) -> None:
        e, s = self.decay[projection]
        still, moves = self.trace.layers[name].still[t], self.moves[name]
        for j, (_, moving, standing) in enumerate(moves):
            f = standing.f if still[j] else moving.f
            gain = s[j] * float(f @ self.p[name][t, j])
            self.r[projection][t, j] = gain + e[j] * self.r[projection][t + 1, j]

    def _parameters(self) -> None:
        for name, kind in self.circuit.kinds.items():
            for j in range(self.p[name].shape[1]):
                for key in kind.parameters:
                    self.out.parameter[name, key][j] += self._parameter(name, j, key)

    def _parameter(self, name: str, j: int, key: str) -> float:
        """Return the sum over steps that a parameter has."""
        layer, kind, dt = self.trace.layers[name], self.circuit.kinds[name], self.dt
        p, still, current = self.p[name][:, j], layer.still[:, j], layer.current[:, j]
        _, moving, standing = self.moves[name][j]
        f = np.where(still[:, None], standing.f, moving.f)
        by_current = (p * f).sum(axis=1)
        if key == "bias":
            return float(by_current.sum())
        if key.startswith("tau_syn "):
            q = key.split(maxsplit=1)[1]
            tau, g = complex(kind.parameters[key][j], TINY), self.trace.g[q][:, j]
            e = np.exp(-dt / tau)
            s = tau / dt * (1 - e)
            total = float(by_current @ g) * s.imag
            return (total + float(self.r[q][1 : self.steps, j] @ g[:-1]) * e.imag) / TINY
        one = kind.one(j, key)
        before = np.vstack([np.zeros((1, p.shape[1])), layer.after[:-1, j]])
        total = 0.0
        for held, there in (((), ~still), (kind.held, still)):
            change = self.stepper(one, dt, held)
            moved = before @ change.e.imag.T + np.outer(current, change.f.imag) + change.h.imag
            total += float((p * moved)[there].sum())
        return total / TINY

    def _gather(self) -> None:
        for q in self.network.projections.values():
            own = q.source == self.network.input().name
            sent = self.trace.stimulus if own else self.trace.layers[q.source].fired
            pre = q.pre()
            for s in range(q.n_synapses):
                for t in np.flatnonzero(sent[:, pre[s]]):
                    when = t + self.lag[q.name][s] + 1
                    if when < self.steps:
                        self.out.weight[q.name][s] += self.r[q.name][when, q.post[s]]
                        later = float(q.weight[s]) * self.d(q.name, when, q.post[s])
                        self.out.delay[q.name][s] += later
            self.out.delay[q.name] = share_delays(q, self.out.delay[q.name])
