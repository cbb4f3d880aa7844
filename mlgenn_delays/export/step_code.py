"""The step of neurons as C, from their equations, for the exports as C and as GeNN's code.

What parameters and dt alone decide is worked out beforehand, in float32 as the engines do it: it is
a number in the code, or an array where it differs between the neurons of a population. Names of
variables begin with ``x_``, which no name of the exports does.
"""

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.neurons.declare import OUTPUT, Neuron
from mlgenn_delays.neurons.equations import CURRENT, SPIKE, Equation, Equations, evaluate, names_in
from mlgenn_delays.neurons.write import Language, write

LONGEST_NAME = 24  # characters of a variable's name in the code


@dataclass(frozen=True)
class Target:
    """How code is written.

    Attributes:
        language: Of its expressions.
        kind: Type of a number.
        state: How a state is read and written, by name.
        current: What holds the synaptic current and the bias.
        array: How the neuron's value of the m-th array of constants is read.
        at_spike: Statements for a neuron that spikes.
    """

    language: Language
    kind: str
    state: Callable[[str], str]
    current: str
    array: Callable[[int], str]
    at_spike: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepCode:
    """A step of one neuron.

    Attributes:
        lines: Statements, which read and write the states.
        names: How each variable is called in them.
        arrays: Constants that differ between neurons, (n,) float32 each.
        operations: Additions, multiplications, comparisons and so on of a step without a spike.
        at_spike: How many more there are in a step with one.
    """

    lines: tuple[str, ...]
    names: dict[str, str]
    arrays: tuple[np.ndarray, ...]
    operations: int
    at_spike: int


def local_names(equations: Equations) -> dict[str, str]:
    """A name in C for each variable of equations."""
    plain = {
        name: name if len(name) <= LONGEST_NAME else str(m)
        for m, name in enumerate(equations.variables())
    }
    return {name: f"x_{text}" for name, text in plain.items()}


def step_code(model: Neuron, dt: float, target: Target) -> StepCode:
    """The code of a step.

    Arguments:
        model: The neurons.
        dt: Length of the step [ms].
        target: How code is written.

    Raises:
        InputError: A constant is not finite in float32.
    """
    return _Writer(model, dt, target).code()


def indented(lines: Iterable[str]) -> list[str]:
    """Lines of C, moved to the right."""
    return [f"    {line}" for text in lines for line in text.splitlines()]


class _Writer:
    def __init__(self, model: Neuron, dt: float, target: Target) -> None:
        self.model, self.target, self.own = model, target, model.equations
        self.known = {k: np.asarray(v, np.float32) for k, v in model.constants(dt).items()}
        self.arrays: list[np.ndarray] = []
        local = local_names(self.own)
        self.names = local | {name: target.state(name) for name in self.own.states}
        self.names |= {CURRENT: target.current, SPIKE: "fired"}
        self.declared, self.live = set(self.own.states), _live(model)
        self.operations = self.at_spike = 0

    def code(self) -> StepCode:
        lines, place = self.own.lines, self.own.threshold
        if place is None:
            out = [text for line in lines for text in self.plain(line)]
        else:
            out = [text for line in lines[:place] for text in self.plain(line)]
            out += self.after_test(self.test(lines[place]), lines[place + 1 :])
        return StepCode(tuple(out), self.names, tuple(self.arrays), self.operations, self.at_spike)

    def after_test(self, test: str, lines: tuple[Equation, ...]) -> list[str]:
        """What follows the threshold; what is done for a spike goes with the last reset."""
        runs = [(at_spike, list(run)) for at_spike, run in groupby(lines, lambda x: x.at_spike)]
        resets = [k for k, (at_spike, _) in enumerate(runs) if at_spike]
        if not resets:
            resets = [len(runs)]
            runs.append((True, []))
        alone = resets == [0] and not any(SPIKE in names_in(line.value) for line in lines)
        out = [] if alone else [f"const int fired = {test};"]
        for k, (at_spike, run) in enumerate(runs):
            if not at_spike:
                out += [text for line in run for text in self.plain(line)]
                continue
            body = [*(self.target.at_spike if k == resets[-1] else ())]
            body += [self.assign(line) for line in run]
            out += [f"if ({test if alone else 'fired'}) {{", *indented(body), "}"]
        return out

    def test(self, line: Equation) -> str:
        """The comparison of two sides whose difference the line is."""
        assert isinstance(line.value, ast.BinOp)
        left, right = (self.folded(side) for side in (line.value.left, line.value.right))
        self.operations += 1 + _operations(left) + _operations(right)
        sign = ">" if self.own.strict else ">="
        return f"{self.text(left)} {sign} {self.text(right)}"

    def plain(self, line: Equation) -> list[str]:
        """A line that is run in every step; none if nothing comes of its variable."""
        return [self.assign(line)] if line.target in self.live else []

    def assign(self, line: Equation) -> str:
        value = self.folded(line.value)
        if line.at_spike:
            self.at_spike += _operations(value)
        else:
            self.operations += _operations(value)
        text = self.text(value)
        if isinstance(value, ast.BinOp) and text.startswith("("):
            text = text[1:-1]
        new = line.target not in self.declared
        self.declared.add(line.target)
        return f"{f'{self.target.kind} ' if new else ''}{self.names[line.target]} = {text};"

    def text(self, value: ast.expr) -> str:
        return write(value, self.target.language, lambda name: self.names.get(name, name))

    # Working out constants

    def folded(self, value: ast.expr) -> ast.expr:
        """An expression in which all that constants alone decide are numbers and arrays."""
        found = self.fold(value)
        return found if isinstance(found, ast.expr) else self.stored(found)

    def fold(self, node: ast.expr) -> ast.expr | np.ndarray:
        if isinstance(node, ast.Constant):
            return np.asarray(node.value, np.float32)
        if isinstance(node, ast.Name):
            return self.known.get(node.id, node)
        names = [name for name, part in ast.iter_fields(node) if isinstance(part, ast.expr)]
        if isinstance(node, ast.Call):
            inner = self.fold(node.args[0])
            if isinstance(inner, ast.expr):
                return ast.Call(node.func, [inner], [])
            return self.value(ast.Call(node.func, [ast.Name("0")], []), [inner])
        parts = [self.fold(getattr(node, name)) for name in names]
        if any(isinstance(part, ast.expr) for part in parts):
            kept = [p if isinstance(p, ast.expr) else self.stored(p) for p in parts]
            return self.like(node, names, kept)
        values = [part for part in parts if not isinstance(part, ast.expr)]
        places: list[ast.expr] = [ast.Name(str(m)) for m in range(len(parts))]
        return self.value(self.like(node, names, places), values)

    @staticmethod
    def like(node: ast.expr, names: list[str], parts: list[ast.expr]) -> ast.expr:
        """The same operation of other operands."""
        fields = dict(ast.iter_fields(node)) | dict(zip(names, parts, strict=True))
        return type(node)(**fields)

    @staticmethod
    def value(node: ast.expr, operands: list[np.ndarray]) -> np.ndarray:
        """What an operation gives, in float32; operands are called 0 and 1."""
        with np.errstate(all="ignore"):
            known = {str(m): operand for m, operand in enumerate(operands)}
            return np.asarray(evaluate(node, known), np.float32)

    def stored(self, value: np.ndarray) -> ast.expr:
        """A constant as a number, or as the name of an array."""
        if not np.isfinite(value).all():
            raise InputError(
                f"constants of {type(self.model).__name__} must be finite in single precision, got "
                f"{value.ravel()[~np.isfinite(value.ravel())][0]}; change its parameters or dt"
            )
        if np.ptp(value) == 0:
            return ast.Constant(float(value.ravel()[0]))
        same = [m for m, array in enumerate(self.arrays) if np.array_equal(array, value)]
        m = same[0] if same else len(self.arrays)
        if not same:
            self.arrays.append(value)
        return ast.Name(self.target.array(m))


def _live(model: Neuron) -> set[str]:
    """The variables from which states, spikes or the output come."""
    lines = model.equations.lines
    live = {*model.equations.states, SPIKE, *(() if model.spiking else (OUTPUT,))}
    before = 0
    while len(live) > before:
        before = len(live)
        for line in reversed(lines):
            live.update(names_in(line.value) if line.target in live else ())
    return live


def _operations(value: ast.expr) -> int:
    return sum(isinstance(n, ast.BinOp | ast.UnaryOp | ast.Call) for n in ast.walk(value))
