"""Float64 twin of neurons from the text of their equations, read line by line by Python itself.

Derivatives are by complex steps, so nothing is differentiated as the engines do it. What follows
`if spike:` is chosen by a spike that is given; `spike` in an expression is the number that is
emitted, 0 or 1, or smooth.
"""

import re
from collections.abc import Callable
from textwrap import dedent
from typing import Any

import numpy as np

NUMPY = {name: getattr(np, name) for name in ("exp", "log", "sqrt", "tanh", "sin", "cos")}
TINY = 1e-30
Values = dict[str, Any]


def parameters(model: Any) -> Values:
    """Return the parameters of a neuron model, float64 by name."""
    return dict(model.values())


def step(
    model: Any, values: Values, reset: Callable[[Any], Any], emit: Callable[[Any], Any]
) -> tuple[Values, Any]:
    """Return all variables after a step, and u, the distance from the threshold before a reset.

    Arguments:
        model: The neuron model.
        values: Its parameters, dt, the states before the step, and I.
        reset: Where what follows ``if spike:`` holds, given u.
        emit: Value of ``spike`` in expressions, given u.
    """
    known, u, fired = dict(values), None, None
    for line in dedent(model.step).strip().splitlines():
        conditional, _, rest = line.strip().rpartition("if spike:")
        target, _, text = (rest if "if spike:" in line else line).strip().partition("=")
        target, text = target.strip(), text.strip()
        if target == "spike":
            left, right = re.split(">=|>", text)
            u = eval(left, NUMPY, known) - eval(right, NUMPY, known)
            fired, known["spike"] = reset(u), emit(u)
            continue
        value = eval(text, NUMPY, known)
        known[target] = np.where(fired, value, known[target]) if "if spike:" in line else value
    return known, u


def states(model: Any) -> tuple[str, ...]:
    """Return the names of what lasts from step to step."""
    return tuple(model.equations.states)


def slopes(
    model: Any, values: Values, fired: np.ndarray, emitted: Any, by: str
) -> tuple[Values, Any]:
    """Return the derivatives of the states after a step and of u by one of its values.

    `by` is a state, I, a parameter, or ``spike`` for what is emitted; resets are held.
    """
    moved = dict(values)
    if by != "spike":
        moved[by] = values[by] + 1j * TINY
    given = emitted + 1j * TINY if by == "spike" else emitted
    after, u = step(model, moved, lambda u: fired, lambda u: given)
    zero = np.zeros(np.shape(emitted))
    out = {name: np.imag(after[name]) / TINY + zero for name in states(model)}
    return out, np.imag(u) / TINY + zero


def step_back(
    model: Any, values: Values, fired: np.ndarray, emitted: Any, psi: Any, sent: Any, lam: Values,
    learned: tuple[str, ...] = (), still: Any = False,
) -> tuple[Any, Values, Values]:  # fmt: skip
    """Return dL/dI, dL/d(states before the step) and dL/d(parameters learned).

    Arguments:
        model, values, fired, emitted: What happened, see `step`.
        psi: Surrogate derivative at the step's u.
        sent: dL/d(emitted) from other neurons.
        lam: dL/d(states after the step).
        learned: Names of parameters.
        still: Where the neuron stays as it is.
    """
    by_spike, _ = slopes(model, values, fired, emitted, "spike")
    kick = psi * (sent + sum(lam[name] * by_spike[name] for name in states(model)))

    def through(by: str) -> Any:
        after, u = slopes(model, values, fired, emitted, by)
        return sum(lam[name] * after[name] for name in states(model)) + kick * u

    before = {name: np.where(still, lam[name], through(name)) for name in states(model)}
    added = {name: np.where(still, 0.0, through(name)) for name in learned}
    return np.where(still, 0.0, through("I")), before, added
