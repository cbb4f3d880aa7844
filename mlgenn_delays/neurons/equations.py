"""Equations of a neuron as text: one step of time, read line by line.

    alpha = exp(-dt / tau_mem)          a constant: of parameters and dt alone
    V = alpha * V + (1 - alpha) * I     a variable; V on the right is that before the line
    spike = V >= v_thresh               the threshold, `>=` or `>`
    if spike: V = 0                     a reset, through which no gradient flows

Lines are Python's, of ``+ - * / **``, numbers, names and `FUNCTIONS`. ``I`` is the synaptic current
of the step (with the bias), ``dt`` its length [ms], ``spike`` 1 where the neuron spikes, after the
threshold. What a line reads before any line sets it is a state: it lasts, and starts at 0.
"""

import ast
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from textwrap import dedent
from typing import Any

from mlgenn_delays.errors import InputError, nearest, shorten

FUNCTIONS = ("exp", "log", "sqrt", "tanh", "sin", "cos")
CURRENT, STEP_LENGTH, SPIKE = "I", "dt", "spike"
RESERVED = (CURRENT, STEP_LENGTH, SPIKE, "n", "readout")
LARGEST = 1e30  # of the numbers in a line
HIGHEST = 100  # of the powers in a line, also of a power of a power
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Equation:
    """One line: `target` becomes `value`, at a spike only if `at_spike`."""

    target: str
    value: ast.expr
    at_spike: bool
    line: str  # for errors: "line 2 (V = 0)"


@dataclass(frozen=True)
class Equations:
    """One step of a neuron; see the module.

    Attributes:
        constants: What depends on parameters and dt alone, by name, in order.
        lines: The rest in order, with that of the threshold, whose value is what must be > 0, or
            >= 0.
        states: Names of the variables that last from step to step.
        threshold: Place of the threshold in `lines`, None if the neuron does not spike.
        strict: Whether it spikes above the threshold only, not at it.
    """

    constants: tuple[Equation, ...]
    lines: tuple[Equation, ...]
    states: tuple[str, ...]
    threshold: int | None
    strict: bool

    def used(self) -> tuple[str, ...]:
        """Names of the constants and parameters that `lines` read, in order of appearance."""
        own = {e.target for e in self.lines} | {CURRENT, SPIKE, *self.states}
        found = (name for e in self.lines for name in names_in(e.value) if name not in own)
        return tuple(dict.fromkeys(found))

    def variables(self) -> tuple[str, ...]:
        """Names of all that changes from step to step, states first."""
        found = [*self.states, *(e.target for e in self.lines if e.target != SPIKE)]
        return tuple(dict.fromkeys(found))

    def depending(self, parameters: Iterable[str]) -> tuple[str, ...]:
        """Those of `used` that depend on any of some parameters."""
        moved = set(parameters)
        for constant in self.constants:
            if moved & set(names_in(constant.value)):
                moved.add(constant.target)
        return tuple(name for name in self.used() if name in moved)

    def constants_at(self, parameters: Values, dt: float) -> dict[str, Any]:
        """Values of `used` in float64, given the parameters, numbers or arrays [their units]."""
        known = self.known_at(parameters, dt)
        return {name: known[name] for name in self.used()}

    def known_at(self, parameters: Values, dt: float) -> dict[str, Any]:
        """Values of all parameters, dt and constants in float64."""
        import numpy as np

        # NumPy's numbers, so that what is divided by 0 is infinite and no error.
        given = {**parameters, STEP_LENGTH: dt}
        known: dict[str, Any] = {name: np.asarray(value) * 1.0 for name, value in given.items()}
        with np.errstate(all="ignore"):
            for constant in self.constants:
                known[constant.target] = evaluate(constant.value, known)
        return known

    def step(self, state: Values, current: Any, constants: Values) -> tuple[dict[str, Any], Any]:
        """All variables after a step of one neuron, and by how much it is above its threshold.

        Arguments:
            state: Value of each state.
            current: Synaptic current with the bias.
            constants: What `constants_at` gave.
        """
        known: dict[str, Any] = {**constants, **state, CURRENT: current}
        above: Any = -math.inf
        for k, line in enumerate(self.lines):
            if k == self.threshold:
                above = evaluate(line.value, known)
                known[SPIKE] = float(above > 0 if self.strict else above >= 0)
            elif not line.at_spike or known[SPIKE]:
                known[line.target] = evaluate(line.value, known)
        return {name: known[name] for name in self.variables()}, above


def read(owner: str, text: str, parameters: Mapping[str, Fraction], spikes: bool) -> Equations:
    """Read the equations of a step.

    Arguments:
        owner: Name of the neuron, for errors.
        text: Its lines.
        parameters: Unit of each parameter, as the power of milliseconds in it.
        spikes: Whether the neuron must have a threshold, or none.

    Raises:
        InputError: A line cannot be read, differentiated or understood, or its units do not fit.
    """
    return _Reader(owner, text, parameters).read(spikes)


class _Reader:
    def __init__(self, owner: str, text: str, parameters: Mapping[str, Fraction]) -> None:
        self.owner, self.text = owner, dedent(text).strip("\n")
        self.units: dict[str, Fraction] = {**parameters, STEP_LENGTH: Fraction(1)}
        self.constants: list[Equation] = []
        self.lines: list[Equation] = []
        self.threshold: int | None = None
        self.strict = False
        self.states: list[str] = []
        self.times: Counter[str] = Counter()  # lines that set each variable
        for name in parameters:
            if name in RESERVED[:3] or name in FUNCTIONS:
                raise InputError(f"{owner}: a parameter must not be called {name!r}")

    def refuse(self, where: str, problem: str) -> InputError:
        return InputError(f"{self.owner}.step, {where}: {problem}")

    def read(self, spikes: bool) -> Equations:
        try:
            body = ast.parse(self.text).body
        except SyntaxError as error:
            line = shorten((error.text or "").strip(), 80)
            raise self.refuse(f"line {error.lineno} ({line})", f"not Python: {error.msg}") from None
        found = [line for node in body for line in self._lines_of(node)]
        self.times = Counter(line.target for line in found)
        for each in found:
            self._add(each, {*self.times})
        if spikes and self.threshold is None:
            raise InputError(f"{self.owner}.step must have a threshold, such as spike = V >= 1")
        if not spikes and self.threshold is not None:
            raise InputError(
                f"{self.owner}.step must have no threshold, for it is read out, got a line "
                "spike = ...; make it a SpikingNeuron, in a recipe with spiking = true"
            )
        self._check_units()
        return Equations(
            tuple(self.constants), tuple(self.lines), tuple(self.states), self.threshold,
            self.strict,
        )  # fmt: skip

    def _lines_of(self, node: ast.stmt) -> Iterator[Equation]:
        text = ast.get_source_segment(self.text, node) or ""
        where = f"line {node.lineno} ({shorten(text.splitlines()[0].strip(), 80)})"
        if isinstance(node, ast.If):
            if not (isinstance(node.test, ast.Name) and node.test.id == SPIKE) or node.orelse:
                raise self.refuse(where, "a condition must be 'if spike:', without else")
            for inner in node.body:
                for line in self._lines_of(inner):
                    if line.target == SPIKE:
                        raise self.refuse(line.line, "the threshold must not depend on a spike")
                    yield Equation(line.target, line.value, True, line.line)
            return
        if not (
            isinstance(node, ast.Assign)
            and len(node.targets) == 1
            and isinstance(node.targets[0], ast.Name)
        ):
            raise self.refuse(where, "must be NAME = EXPRESSION or if spike: NAME = EXPRESSION")
        yield Equation(node.targets[0].id, node.value, False, where)

    def _add(self, line: Equation, targets: set[str]) -> None:
        target, value = line.target, line.value
        if target in (CURRENT, STEP_LENGTH) or target in self.units and target not in targets:
            raise self.refuse(line.line, f"{target} must not be set")
        if target == SPIKE:
            line = self._threshold(line)
            value = line.value
        self._check_expression(line, value)
        self._check_powers(line, value, HIGHEST)
        names = list(names_in(value))
        parameters = set(self.units)
        if target in parameters:
            raise self.refuse(line.line, f"{target} is a parameter and must not be set")
        constants = {each.target for each in self.constants}
        if target in constants:
            raise self.refuse(line.line, f"{target} is a constant already; take another name")
        fixed = all(name in parameters or name in constants for name in names)
        if fixed and target != SPIKE and not line.at_spike and self._once(target):
            self.constants.append(line)
            return
        if line.at_spike and self.threshold is None:
            raise self.refuse(line.line, "a reset must come after the threshold")
        assigned = {each.target for each in self.lines}
        for name in [*names, *([target] if line.at_spike else [])]:
            if name in parameters or name in constants or name in assigned or name == CURRENT:
                continue
            if name == SPIKE or name not in targets:
                known = sorted(parameters | constants | assigned | targets | {CURRENT})
                hint = "; it is known after the threshold only" if name == SPIKE else ""
                raise self.refuse(
                    line.line, f"{name} is unknown{hint or nearest(name, known)}; "
                    f"known: {', '.join(known)}",
                )  # fmt: skip
            if name not in self.states:
                self.states.append(name)
        if target == SPIKE:
            self.threshold = len(self.lines)
        self.lines.append(line)

    def _once(self, target: str) -> bool:
        return self.times[target] == 1 and target not in self.states

    def _threshold(self, line: Equation) -> Equation:
        test = line.value
        if self.threshold is not None:
            raise self.refuse(line.line, "there must be one threshold")
        if not (
            isinstance(test, ast.Compare)
            and len(test.ops) == 1
            and isinstance(test.ops[0], ast.Gt | ast.GtE)
        ):
            raise self.refuse(line.line, "the threshold must be A >= B or A > B")
        self.strict = isinstance(test.ops[0], ast.Gt)
        value = ast.BinOp(test.left, ast.Sub(), test.comparators[0])
        return Equation(SPIKE, value, False, line.line)

    def _check_expression(self, line: Equation, value: ast.expr) -> None:
        for node in ast.walk(value):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
                if name not in FUNCTIONS or len(node.args) != 1 or node.keywords:
                    raise self.refuse(
                        line.line, f"{name} cannot be differentiated here; a function must be one "
                        f"of {', '.join(FUNCTIONS)}, of one argument",
                    )  # fmt: skip
            elif isinstance(node, ast.Constant):
                if isinstance(node.value, bool) or not isinstance(node.value, int | float):
                    raise self.refuse(line.line, f"{node.value!r} must be a number")
                if abs(node.value) >= LARGEST:
                    raise self.refuse(line.line, f"numbers must be less than {LARGEST:g}")
            elif isinstance(node, ast.Name):
                continue
            elif isinstance(node, ast.BinOp) and isinstance(node.op, _OPERATORS):
                continue
            elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
                continue
            elif not isinstance(node, ast.operator | ast.unaryop | ast.expr_context):
                raise self.refuse(
                    line.line, f"{ast.unparse(node)} cannot be differentiated; take + - * / ** "
                    f"and {', '.join(FUNCTIONS)}",
                )  # fmt: skip

    def _check_powers(self, line: Equation, value: ast.AST, most: float) -> None:
        """Reject numbers as powers that SymPy would not be done with."""
        import numpy as np

        for inner in ast.iter_child_nodes(value):
            left = most
            if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Pow):
                if inner is value.left and not any(names_in(value.right)):
                    with np.errstate(all="ignore"):
                        power = abs(evaluate(value.right, {}))
                    if not power <= most:
                        raise self.refuse(
                            line.line, f"a power must be in -{HIGHEST}..{HIGHEST}, one of a power "
                            f"together with it, got {ast.unparse(value)}",
                        )  # fmt: skip
                    left = most / max(1.0, power)
            self._check_powers(line, inner, left)

    # Units: powers of ms. A variable has that of the first line that sets it; 0 fits any.

    def _check_units(self) -> None:
        units: dict[str, Fraction | None] = {**self.units, CURRENT: Fraction(0), SPIKE: Fraction(0)}
        for line in self.constants:
            units[line.target] = self._unit(line, line.value, units)
        for name in self.states:
            units[name] = Fraction(0)
        for line in self.lines:
            unit = self._unit(line, line.value, units)
            if line.target == SPIKE:
                continue
            before = units.get(line.target)
            if before is not None and unit is not None and unit != before:
                raise self.refuse(
                    line.line, f"{line.target} must be in {_unit(before)}, got {_unit(unit)}"
                )
            units[line.target] = unit if before is None else before

    def _unit(
        self, line: Equation, value: ast.expr, units: Mapping[str, Fraction | None]
    ) -> Fraction | None:
        """The power of ms of an expression, None if any fits (0)."""
        if isinstance(value, ast.Constant):
            return None if value.value == 0 else Fraction(0)
        if isinstance(value, ast.Name):
            return units[value.id]
        if isinstance(value, ast.UnaryOp):
            return self._unit(line, value.operand, units)
        if isinstance(value, ast.Call):
            inner = self._unit(line, value.args[0], units)
            if isinstance(value.func, ast.Name) and value.func.id == "sqrt":
                return None if inner is None else inner / 2
            if inner not in (None, 0):
                raise self.refuse(
                    line.line, f"{ast.unparse(value)} must be of a number without unit, got "
                    f"{ast.unparse(value.args[0])} in {_unit(inner)}",
                )  # fmt: skip
            return Fraction(0)
        assert isinstance(value, ast.BinOp)
        left, right = (self._unit(line, side, units) for side in (value.left, value.right))
        if isinstance(value.op, ast.Mult | ast.Div):
            if left is None or right is None:
                return None
            return left + right if isinstance(value.op, ast.Mult) else left - right
        if isinstance(value.op, ast.Pow):
            return self._power(line, value, left, right)
        if left is not None and right is not None and left != right:
            raise self.refuse(
                line.line, f"{ast.unparse(value)} adds {_unit(left)} and {_unit(right)}"
            )
        return right if left is None else left

    def _power(
        self, line: Equation, value: ast.BinOp, base: Fraction | None, power: Fraction | None
    ) -> Fraction | None:
        if power not in (None, 0):
            raise self.refuse(line.line, f"the power in {ast.unparse(value)} must have no unit")
        if base in (None, 0):
            return base
        try:
            return base * Fraction(ast.literal_eval(value.right)).limit_denominator(1000)
        except ValueError:
            raise self.refuse(
                line.line, f"the power of what has a unit must be a number in {ast.unparse(value)}"
            ) from None


def _unit(power: Fraction | None) -> str:
    if power in (None, 0):
        return "no unit"
    return "ms" if power == 1 else f"ms^{power}"


def names_in(value: ast.expr) -> Iterator[str]:
    """Names of variables, constants and parameters in an expression, in order."""
    functions = {id(node.func) for node in ast.walk(value) if isinstance(node, ast.Call)}
    found = [n for n in ast.walk(value) if isinstance(n, ast.Name) and id(n) not in functions]
    found.sort(key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0)))
    return (node.id for node in found)


def evaluate(value: ast.expr, known: Values) -> Any:
    """The value of an expression in float64, of numbers or NumPy arrays."""
    import numpy as np

    if isinstance(value, ast.Constant):
        return np.float64(value.value)  # type: ignore[arg-type]
    if isinstance(value, ast.Name):
        return known[value.id]
    if isinstance(value, ast.UnaryOp):
        inner = evaluate(value.operand, known)
        return -inner if isinstance(value.op, ast.USub) else inner
    if isinstance(value, ast.Call):
        assert isinstance(value.func, ast.Name)
        return getattr(np, value.func.id)(evaluate(value.args[0], known))
    assert isinstance(value, ast.BinOp)
    left, right = evaluate(value.left, known), evaluate(value.right, known)
    match value.op:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
    return left**right
