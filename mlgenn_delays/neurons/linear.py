"""Neurons that are linear between spikes, as matrices, for EventProp.

A step of such a neuron, with state x (m,), current I and distance u from the threshold:

    u = g x + h I + q;   x' = E x + F I + H,  or at a spike  x' = Es x + Fs I + Hs

and, as steps get short, x' = A x + b I + c between spikes [per ms], u = n x - theta, and
x -> R x + k at a spike. All of these are found by probing the equations, for they are affine: at 0,
at unit vectors, and where the sum of those is checked. So nothing but the equations of a step is
declared.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.neurons.declare import OUTPUT, Neuron
from mlgenn_delays.neurons.equations import CURRENT, SPIKE, evaluate

DISTANCE = "distance from the threshold"  # no name that a variable may have
SHORT = 1e-6  # of a step: at this length, its differences from the limit do not count
JUMP = 1e-3  # a larger change in so short a step is none that goes with its length


@dataclass(frozen=True)
class Affine:
    """A function of state and current per neuron: matrix (n, r, m), by_current and rest (n, r)."""

    matrix: np.ndarray
    by_current: np.ndarray
    rest: np.ndarray


@dataclass(frozen=True)
class Step:
    """A step of n neurons: its distance from the threshold, and the next state without and with a
    spike.
    """

    distance: Affine
    quiet: Affine
    spike: Affine


@dataclass(frozen=True)
class Limit:
    """What becomes of it as steps get short: flow per ms, threshold, reset; see the module."""

    a: np.ndarray  # (n, m, m)
    b: np.ndarray  # (n, m)
    c: np.ndarray  # (n, m)
    normal: np.ndarray  # (n, m)
    theta: np.ndarray  # (n,)
    reset: np.ndarray  # (n, m, m)
    kick: np.ndarray  # (n, m)

    def fall(self, dt: float) -> np.ndarray:
        """By how much n x at the threshold falls by itself in a step of dt [ms], (n,).

        1 where it does not.
        """
        pull = np.einsum("ni,nij,nj->n", self.normal, self.a * dt, self.normal)
        square = (self.normal**2).sum(1)
        falls = np.abs(self.theta * pull / square)
        return np.where(falls > 0, falls, 1.0)


@np.errstate(all="ignore")
def step_of(
    model: Neuron, dt: float, parameters: dict[str, Any] | None = None, *, population: str = ""
) -> Step:
    """The step of dt [ms] as matrices, float64, or complex for complex parameters.

    Arguments:
        model: The neurons.
        dt: Length of the step [ms].
        parameters: In the place of the model's own.
        population: Its name, for errors.

    Raises:
        InputError: The neuron is not linear between spikes, naming the line.
    """
    states, called = model.equations.states, _called(model, population)
    if not states:
        raise InputError(f"{called} must have a state for EventProp, got none; take SurrogateBPTT")
    constants = model.equations.constants_at(parameters or model.values(), dt)
    probe = _Probe(model, constants, called)
    quiet = probe.affine(lambda known: [known[s] for s in states], spike=0.0)
    distance = probe.affine(lambda known: [known[DISTANCE]], spike=0.0)
    return Step(distance, quiet, probe.affine(lambda known: [known[s] for s in states], spike=1.0))


def _called(model: Neuron, population: str) -> str:
    kind = type(model).__name__
    return f"{kind} of {population!r}" if population else kind


def limit_of(model: Neuron, dt: float, population: str = "") -> Limit:
    """The limit of short steps; `population` is its name, for errors.

    Raises:
        InputError: The neuron is not linear between spikes, or has no such limit.
    """
    short, states, called = SHORT * dt, model.equations.states, _called(model, population)
    step, m = step_of(model, short, population=population), len(states)
    moves = (step.quiet.matrix - np.eye(m), step.quiet.by_current, step.quiet.rest)
    jump = max(abs(move).max() for move in moves)
    if jump > JUMP:
        raise InputError(
            f"{called} must change little in a short step for EventProp, got a change of {jump:g} "
            f"in a step of {short:g} ms; take SurrogateBPTT"
        )
    for what, part in (("threshold", step.distance), ("reset", step.spike)):
        if abs(part.by_current).max() > JUMP:
            raise InputError(
                f"the {what} of {called} must be of states alone for EventProp, got one that "
                f"depends on {CURRENT}; take SurrogateBPTT"
            )
    if not model.spiking and OUTPUT not in states:
        raise InputError(
            f"{OUTPUT} of {called} must be a state for EventProp, got a variable of the step from "
            f"{', '.join(states)}; take SurrogateBPTT"
        )
    return Limit(
        a=(step.quiet.matrix - np.eye(m)) / short,
        b=step.quiet.by_current / short,
        c=step.quiet.rest / short,
        normal=step.distance.matrix[:, 0],
        theta=-step.distance.rest[:, 0],
        reset=step.spike.matrix,
        kick=step.spike.rest,
    )


def slopes(model: Neuron, dt: float, parameters: dict[str, Any], name: str) -> Step:
    """The derivative of a step's matrices by a parameter of every neuron."""
    tiny = 1e-30
    moved = parameters | {name: np.asarray(parameters[name]) + 1j * tiny}

    def imaginary(part: Affine) -> Affine:
        found = (np.imag(getattr(part, each.name)) / tiny for each in fields(Affine))
        return Affine(*found)

    step = step_of(model, dt, moved)
    return Step(imaginary(step.distance), imaginary(step.quiet), imaginary(step.spike))


class _Probe:
    def __init__(self, model: Neuron, constants: dict[str, Any], called: str) -> None:
        self.model, self.constants, self.called = model, constants, called
        self.complex = any(np.iscomplexobj(value) for value in constants.values())

    def affine(self, read: Any, spike: float) -> Affine:
        states, n = self.model.equations.states, self.model.n
        names = [*states, CURRENT]

        def at(point: dict[str, float]) -> np.ndarray:
            known = self._run({name: point.get(name, 0.0) for name in names}, spike)
            return np.stack([np.zeros(n) + value for value in read(known)], axis=1)

        rest = at({})
        columns = [at({name: 1.0}) - rest for name in names]
        check = {name: 0.7 + 0.4 * k for k, name in enumerate(names)}
        wanted = rest + sum(check[name] * col for name, col in zip(names, columns, strict=True))
        if not np.allclose(at(check), wanted, rtol=1e-9, atol=1e-12):
            raise InputError(
                f"{self.called} must be linear between spikes for EventProp, got "
                f"{self._where(names)}; take SurrogateBPTT"
            )
        return Affine(np.stack(columns[:-1], axis=2), columns[-1], rest)

    def _run(self, known: dict[str, Any], spike: float) -> dict[str, Any]:
        known = {**self.constants, **known, SPIKE: spike, DISTANCE: -1.0}
        for k, line in enumerate(self.model.equations.lines):
            if k == self.model.equations.threshold:
                known[DISTANCE] = evaluate(line.value, known)
            elif not line.at_spike or spike:
                known[line.target] = evaluate(line.value, known)
        return known

    def _where(self, names: list[str]) -> str:
        """The first line whose value is not affine."""
        for k, line in enumerate(self.model.equations.lines):
            found = []
            for share in (0.0, 1.0, 2.0):
                known = {name: share * (0.7 + 0.4 * i) for i, name in enumerate(names)}
                known = {**self.constants, **known, SPIKE: 0.0}
                for before in self.model.equations.lines[:k]:
                    if before.target != SPIKE and not before.at_spike:
                        known[before.target] = evaluate(before.value, known)
                found.append(np.asarray(evaluate(line.value, known)))
            if not np.allclose(found[2] - found[1], found[1] - found[0], rtol=1e-9, atol=1e-12):
                return line.line
        return "its reset"
