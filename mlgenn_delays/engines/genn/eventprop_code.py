"""GeNN code of neurons that spike and learn by `EventProp` (docs/method/eventprop.md).

A step and its adjoint come from the neuron's equations (`equation_code`); at a spike the adjoint of
the distance from the threshold is kappa, in which the matrices of `neurons.linear` have a part:

    kappa = CountGradient - (P jump + G) / slope,   slope = n f-,   jump = R f- - f+

with P the adjoint of the state carried back and G what comes back from the targets. The forward
pass leaves the slope > 0 on the tape where a neuron spiked, else 0; REST in a refractory step,
LAST_REST in the last of them, whose current, on a tape of its own, is that of f+. The jump is on
further tapes, one per state.

Where the only state becomes 0 at a spike, as that of `LIF`, slope and jump follow from the current,
and the current from the slope: such a neuron has the first tape alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mlgenn_delays.engines.genn.equation_code import (
    CURRENT_TAPE,
    Names,
    add_forwards,
    add_variables,
    adjoint_lines,
    as_code,
    indented,
    named,
    step_lines,
)
from mlgenn_delays.engines.genn.tape import EVENT, HERE, IN_TIME, NEXT, SENT, THEN, NeuronCode
from mlgenn_delays.engines.shared.neuron_parameters import LearnedNeurons
from mlgenn_delays.engines.shared.numerics import MIN_SLOPE
from mlgenn_delays.neurons.adjoint import KICK, Adjoint, adjoint
from mlgenn_delays.neurons.declare import Neuron, SpikingNeuron
from mlgenn_delays.neurons.equations import CURRENT, SPIKE, Equations
from mlgenn_delays.neurons.linear import Limit, limit_of
from mlgenn_delays.neurons.write import GENN, write

REST, LAST_REST = -1.0, -2.0
_MOVE = 0.01  # of learned parameters on their scales: what changes with them is a variable
_ABOVE_ZERO = 1e-30  # least slope: a spike is where the tape is > 0


def add_eventprop(
    code: NeuronCode, model: SpikingNeuron, dt: float, learned: LearnedNeurons | None = None
) -> None:
    """Add the code of a neuron, forwards and back.

    Arguments:
        code: What is added to.
        model: The neuron.
        dt: Length of a step [ms].
        learned: Its parameters that are learned, None if none are.
    """
    names = learned.names if learned is not None else ()
    code.add_spikes()
    add_variables(code, model, dt, names)
    matrices, rest = _Matrices(spike_constants(model, dt), learned), model.refractory_steps(dt)
    if rest:
        code.add_refractory(rest)
        code.add_adjoints(["Restart"])
        code.arrays[CURRENT_TAPE] = "scalar*"
    spike = (_resetting if matrices.reset() else _jumping)(matrices, model.equations, rest)
    code.arrays |= dict.fromkeys(spike.tapes, "scalar*")
    code.add_constants(matrices.used())
    back = adjoint(model.equations, names, surrogate=False)
    add_forwards(code, _forwards(model.equations, back, spike, rest), back)
    code.backwards = as_code(_backwards(code, model.equations, back, spike, names))


def _forwards(equations: Equations, back: Adjoint, spike: "_AtSpike", rest: int) -> list[str]:
    step = [
        *spike.before,
        "scalar away = 0;",
        *step_lines(equations),
        "if (fired) {",
        "    Count++;",
        f"    flag += {SENT};",
        *(["    Wait = Refractory;"] if rest else []),
        *indented(spike.forwards),
        "}",
    ]
    if rest:
        step = [
            "if (Wait > 0) {",
            "    Wait--;",
            f"    mark = (Wait == 0) ? {LAST_REST} : {REST};",
            *([] if back.current else [f"    {CURRENT_TAPE}[{HERE}] = {named(CURRENT)};"]),
            "}",
            "else {",
            *indented(step),
            "}",
        ]
    return ["scalar mark = 0;", *step, f"Tape[{HERE}] = mark;"]


def _backwards(
    code: NeuronCode, equations: Equations, back: Adjoint, spike: "_AtSpike", learned: Names
) -> list[str]:
    rests = "Restart" in code.variables
    return [
        f"const scalar mark = Tape[{THEN}];",
        "scalar by_current = 0;",
        *([f"if (mark == {LAST_REST}) {{", f"    Restart = {CURRENT_TAPE}[{THEN}];", "}"] * rests),
        "if (mark >= 0) {",
        "    const int fired = (mark > 0);",
        f"    scalar {named(KICK)} = 0;",
        "    if (fired) {",
        f"        const scalar jump = {_sum([code.feedback, *spike.jump])};",
        f"        {named(KICK)} = CountGradient - (jump / mark);",
        *(["        Restart = 0;"] * rests),
        "    }",
        *indented(adjoint_lines(equations, back, learned)),
        "}",
        *code.receive("by_current"),
        f"if ({IN_TIME} && Tape[{NEXT}] > 0) {{",
        f"    flag = {EVENT};",
        "}",
    ]


def spike_constants(model: Neuron, dt: float) -> dict[str, np.ndarray]:
    """What the code at a spike reads of a neuron's matrices, float64 (n,) each.

    Flow0_1, FlowI0 and Flow0 are entries of A, b and c per step; Reset0_1 and Reset0 those of R
    and k; Normal0 those of n; Theta is the threshold. SlopeI and Slope are n f- at the threshold
    where there is one state, by I and without it.
    """
    limit = _limit(model, dt)
    flow, by_current, constant = limit.a * dt, limit.b * dt, limit.c * dt
    normal, reset, kick = limit.normal, limit.reset, limit.kick
    out = {"Theta": limit.theta, "Least": np.maximum(MIN_SLOPE * limit.fall(dt), _ABOVE_ZERO)}
    for i in range(normal.shape[1]):
        out |= {
            f"Normal{i}": normal[:, i], f"FlowI{i}": by_current[:, i],
            f"Flow{i}": constant[:, i], f"Reset{i}": kick[:, i],
        }  # fmt: skip
        for j in range(normal.shape[1]):
            out |= {f"Flow{i}_{j}": flow[:, i, j], f"Reset{i}_{j}": reset[:, i, j]}
    out["SlopeI"] = normal[:, 0] * by_current[:, 0]
    out["Slope"] = limit.theta * flow[:, 0, 0] + normal[:, 0] * constant[:, 0]
    return out


def _limit(model: Neuron, dt: float) -> Limit:
    """The limit of short steps, with 0 and 1 where it differs from them by the short step alone."""
    found, longer = limit_of(model, dt), limit_of(model, 2 * dt)

    def settled(name: str) -> np.ndarray:
        part, other = getattr(found, name), getattr(longer, name)
        change = 2 * np.abs(other - part)
        for whole in (0.0, 1.0):
            part = np.where(change > np.abs(part - whole), whole, part)
        return part

    return Limit(**{field.name: settled(field.name) for field in fields(Limit)})


class _Matrices:
    """Entries of the matrices by name, and those that code has read."""

    def __init__(self, values: Mapping[str, np.ndarray], learned: LearnedNeurons | None) -> None:
        self._values: dict[str, Any] = {
            name: value[0] if (value == value[0]).all() else value for name, value in values.items()
        }
        for moved in _moved(learned) if learned is not None else ():
            for name, value in moved.items():
                if not np.array_equal(value, values[name]):
                    self._values[name] = values[name]
        self._read: list[str] = []

    def reset(self) -> bool:
        """Whether there is one state, and every spike sets it to 0 for good."""
        return (
            "Normal1" not in self._values
            and all(
                np.ndim(self._values[n]) == 0 == self._values[n] for n in ("Reset0", "Reset0_0")
            )
            and all(np.min(self._values[name]) > 0 for name in ("Theta", "SlopeI"))
        )

    def times(self, name: str, what: str = "") -> str:
        """An entry, times something; "" if it is 0 for good."""
        value = self._values[name]
        if not np.ndim(value) and value in (0.0, 1.0):
            return (what or "1.0") if value else ""
        self._read.append(name)
        return f"({name} * {what})" if what else name

    def used(self) -> dict[str, Any]:
        """Those that code has read: numbers, or (n,) where they differ or will."""
        return {name: self._values[name] for name in dict.fromkeys(self._read)}


def _moved(learned: LearnedNeurons) -> Iterator[dict[str, np.ndarray]]:
    """`spike_constants` of neurons whose learned parameters are a little larger, or smaller."""
    before = {name: each.value.copy() for name, each in learned.learned.items()}
    for move in (_MOVE, -_MOVE):
        for each in learned.learned.values():
            each.move(np.full_like(each.value, move))
        yield spike_constants(learned.current(), learned.dt)
        for name, each in learned.learned.items():
            each.value[:] = before[name]


@dataclass(frozen=True)
class _AtSpike:
    """Code at a spike."""

    forwards: list[str]  # sets mark to the slope
    jump: list[str]  # P jump: terms of a sum
    before: tuple[str, ...] = ()  # code before the step
    tapes: tuple[str, ...] = ()


def _resetting(matrices: _Matrices, equations: Equations, rest: int) -> _AtSpike:
    """Code of a neuron whose only state becomes 0: f+ = b I + c."""
    times = matrices.times
    slope = _sum([times("SlopeI", named(CURRENT)), times("Slope")])
    current = f"({_difference('mark', times('Slope'))} / {times('SlopeI')})"
    again = _sum([times("FlowI0", "Restart" if rest else current), times("Flow0")])
    return _AtSpike(
        [f"mark = fmax({slope}, {times('Least')});"],
        [f"(-{again} * {named(f'by__{equations.states[0]}')})"],
    )


def _jumping(matrices: _Matrices, equations: Equations, rest: int) -> _AtSpike:
    """Code of any neuron; f+ of one with a refractory period lacks b I on the tapes."""
    times, states = matrices.times, equations.states
    m, current = range(len(states)), named(CURRENT)
    there = [f"there_{name}" for name in states]

    def dot(name: str, vector: list[str], *more: str) -> str:
        return _sum([*(times(f"{name}{j}", vector[j]) for j in m), *more])

    def flow(i: int, state: list[str], *more: str) -> str:
        return dot(f"Flow{i}_", state, times(f"Flow{i}"), *more)

    def above(vector: list[str]) -> str:
        return _difference(dot("Normal", vector), times("Theta"))

    return _AtSpike(
        [
            *_without_spike(equations),
            f"const scalar start = {above([f'before_{name}' for name in states])};",
            f"const scalar end = {above(there)};",
            "const scalar share = (end > start) "
            "? fmin(fmax(-start / (end - start), 0.0), 1.0) : 1.0;",
            *(f"{to} = before_{s} + (share * ({to} - before_{s}));"
              for s, to in zip(states, there, strict=True)),
            *(f"const scalar down{i} = {flow(i, there, times(f'FlowI{i}', current))};" for i in m),
            *(f"const scalar up{i} = {dot(f'Reset{i}_', there, times(f'Reset{i}'))};" for i in m),
            f"mark = fmax({dot('Normal', [f'down{i}' for i in m])}, {times('Least')});",
            *(
                f"Jump{i}[{HERE}] = " + _difference(
                    dot(f"Reset{i}_", [f"down{j}" for j in m]),
                    flow(i, [f"up{j}" for j in m], "" if rest else times(f"FlowI{i}", current)),
                ) + ";"
                for i in m
            ),
        ],
        [
            f"({_difference(f'Jump{i}[{THEN}]', times(f'FlowI{i}', 'Restart') if rest else '')} "
            f"* {named(f'by__{name}')})"
            for i, name in enumerate(states)
        ],
        tuple(f"const scalar before_{name} = {named(name)};" for name in states),
        tuple(f"Jump{i}" for i in m),
    )  # fmt: skip


def _without_spike(equations: Equations) -> list[str]:
    """Lines that set there_NAME of each state to what it were after the step without a spike."""
    variables = equations.variables()

    def name_of(name: str) -> str:
        if name == SPIKE:
            return "0"
        return f"there_{name}" if name in variables else named(name)

    out = [
        f"scalar there_{name} = {f'before_{name}' if name in equations.states else 0};"
        for name in variables
    ]
    return out + [
        f"there_{line.target} = {write(line.value, GENN, name_of)};"
        for k, line in enumerate(equations.lines)
        if k != equations.threshold and not line.at_spike
    ]


def _sum(terms: Iterable[str]) -> str:
    """A sum in brackets; "" is 0."""
    return f"({' + '.join(term for term in terms if term) or '0.0'})"


def _difference(one: str, other: str) -> str:
    return f"({one} - {other})" if other else one
