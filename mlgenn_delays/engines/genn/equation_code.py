"""GeNN code of a neuron's step and its adjoint, from its equations: of neurons that spike, for
`SurrogateBPTT` (`eventprop_code` has that of EventProp), and of those that are read out.

The forward pass leaves u, the distance from the threshold, on the tape, RESTING in a refractory
step. On further tapes it leaves states after the step, and the current, as far as the adjoint
(`neurons.adjoint`) reads them. A neuron's own names begin with x_ in the code: they may be any.
"""

import ast

import numpy as np

from mlgenn_delays.engines.genn.tape import (
    EVENT,
    HERE,
    IN_TIME,
    LEARNS,
    NEXT,
    SENT,
    THEN,
    NeuronCode,
)
from mlgenn_delays.learning import Atan, Boxcar
from mlgenn_delays.learning.rules import Surrogate
from mlgenn_delays.neurons.adjoint import KICK, PSI, Adjoint, adjoint
from mlgenn_delays.neurons.declare import OUTPUT, Neuron, ReadoutNeuron, SpikingNeuron
from mlgenn_delays.neurons.equations import CURRENT, SPIKE, Equations
from mlgenn_delays.neurons.write import GENN, write

Names = tuple[str, ...]
RESTING = -1e30
CURRENT_TAPE = "Current"


def add_surrogate(
    code: NeuronCode, model: SpikingNeuron, dt: float, surrogate: Surrogate, learned: Names = ()
) -> None:
    """Add the code of a neuron that spikes, forwards and back.

    Arguments:
        code: What is added to.
        model: The neuron.
        dt: Length of a step [ms].
        surrogate: Derivative of its spikes.
        learned: Names of the constants of its equations whose gradients are wanted.
    """
    assert not isinstance(surrogate, Atan)
    own, back, rest = model.equations, adjoint(model.equations, learned), model.refractory_steps(dt)
    code.add_spikes()
    add_variables(code, model, dt, learned)
    code.params |= {"Width": surrogate.width, "Height": surrogate.height}
    move = [
        *step_lines(own),
        "if (fired) {",
        "    Count++;",
        f"    flag += {SENT};",
        *(["    Wait = Refractory;"] if rest else []),
        "}",
    ]
    if rest:
        code.add_refractory(rest)
        move = ["if (Wait > 0) {", "    Wait--;", "}", "else {", *indented(move), "}"]
    add_forwards(code, [f"scalar away = {RESTING};", *move, f"Tape[{HERE}] = away;"], back)
    psi = "Height" if isinstance(surrogate, Boxcar) else "Height * (1 - fabs(away) / Width)"
    step = [
        f"const int fired = {fired_at(own, 'away')};",
        f"scalar {named(PSI)} = 0;",
        f"scalar {named(KICK)} = 0;",
        "if (fabs(away) < Width) {",
        f"    {named(PSI)} = {psi};",
        f"    {named(KICK)} = {named(PSI)} * ({code.feedback} + CountGradient);",
        "}",
        *adjoint_lines(own, back, learned),
    ]
    if rest:
        step = [f"if (away > {RESTING / 2}) {{", *indented(step), "}"]
    lines = [
        f"const scalar away = Tape[{THEN}];",
        "scalar by_current = 0;",
        *step,
        *code.receive("by_current"),
        f"if ({IN_TIME}) {{",
        f"    const scalar next = Tape[{NEXT}];",
        f"    if ({fired_at(own, 'next')}) {{",
        f"        flag = {EVENT + LEARNS};",
        "    }",
        "    else if (fabs(next) < Width) {",
        f"        flag = {EVENT};",
        "    }",
        "}",
    ]
    code.backwards = as_code(lines)


def add_readout(code: NeuronCode, model: ReadoutNeuron, dt: float, learned: Names = ()) -> None:
    """Add the code of the population that is read out: the host makes Drive of Voltage."""
    own, back = model.equations, adjoint(model.equations, learned)
    code.sends = False
    code.arrays |= {"Voltage": "scalar*", "Drive": "scalar*"}
    add_variables(code, model, dt, learned)
    add_forwards(code, [*step_lines(own), f"Voltage[{HERE}] = {named(OUTPUT)};"], back)
    lines = [
        f"const scalar {named(KICK)} = Drive[{THEN}];",
        "scalar by_current = 0;",
        *adjoint_lines(own, back, learned),
        *code.receive("by_current"),
    ]
    code.backwards = as_code(lines)


def constant(name: str) -> str:
    """The variable of a constant that is learned, or differs between the neurons."""
    return named(name)


def constant_gradient(name: str) -> str:
    """The variable in which the gradient of a constant is added up."""
    return named(f"sum__by__{name}")


def state_tape(name: str) -> str:
    """The array with a state after every step."""
    return f"State_{name}"


def named(name: str) -> str:
    """What the code calls a neuron's variable, parameter or constant."""
    return "fired" if name == SPIKE else f"x_{name}"


def _written(value: ast.expr) -> str:
    return write(value, GENN, named)


def fired_at(equations: Equations, distance: str) -> str:
    """Code of whether a neuron spikes at a distance from the threshold."""
    return f"({distance} > 0)" if equations.strict else f"({distance} >= 0)"


def indented(lines: list[str]) -> list[str]:
    """Lines one level further in."""
    return [f"    {line}" for line in lines]


def as_code(lines: list[str]) -> str:
    """Lines as `NeuronCode` takes them."""
    return "".join(f"\n            {line}" for line in lines)


def add_variables(code: NeuronCode, model: Neuron, dt: float, learned: Names) -> None:
    """Add constants, states and their adjoints, and sums of gradients."""
    values = model.constants(dt)
    values |= {name: np.broadcast_to(values[name], (model.n,)) for name in learned}
    code.add_constants({constant(name): value for name, value in values.items()})
    sums = [constant_gradient(name) for name in learned]
    code.sums += sums
    code.variables |= dict.fromkeys(sums, 0.0)
    code.add_states([named(name) for name in model.equations.states])
    code.add_adjoints([named(f"by__{name}") for name in model.equations.states])


def add_forwards(code: NeuronCode, step: list[str], back: Adjoint) -> None:
    """Add the code of a step forwards, and the tapes that the adjoint reads."""
    tapes = {state_tape(name): named(name) for name in back.reads}
    if back.current:
        tapes[CURRENT_TAPE] = named(CURRENT)
    code.arrays |= dict.fromkeys(tapes, "scalar*")
    code.forwards = as_code(
        [
            f"const scalar {named(CURRENT)} = {code.current};",
            *step,
            *(f"{tape}[{HERE}] = {name};" for tape, name in tapes.items()),
            *code.keep_currents(),
        ]
    )


def step_lines(equations: Equations) -> list[str]:
    """Lines of a step: they set `away` and `fired`, and variables to their new values."""
    inner = [name for name in equations.variables() if name not in equations.states]
    out = [f"scalar {named(name)} = 0;" for name in inner]
    for k, line in enumerate(equations.lines):
        value = _written(line.value)
        if k == equations.threshold:
            out += [f"away = {value};", f"const int fired = {fired_at(equations, 'away')};"]
        elif line.at_spike:
            out += ["if (fired) {", f"    {named(line.target)} = {value};", "}"]
        else:
            out.append(f"{named(line.target)} = {value};")
    return out


def adjoint_lines(equations: Equations, back: Adjoint, learned: Names) -> list[str]:
    """Lines of the adjoint of a step: they set `by_current`, and carry the adjoints of states."""
    given = [
        f"const scalar {named(f'{name}__0')} = {IN_TIME} ? {state_tape(name)}[{NEXT}] : 0.0;"
        for name in back.reads
    ]
    if back.current:
        given.append(f"const scalar {named(CURRENT)} = {CURRENT_TAPE}[{THEN}];")
    return [
        *given,
        *(
            f"const scalar {named(s.target)} = {_written(s.value)};"
            for s in (*back.forwards, *back.backwards)
        ),
        *(f"{named(f'by__{name}')} = {named(f'new__by__{name}')};" for name in equations.states),
        *(f"{constant_gradient(name)} += {named(f'new__by__{name}')};" for name in learned),
        f"by_current = {named(f'new__by__{CURRENT}')};",
    ]
