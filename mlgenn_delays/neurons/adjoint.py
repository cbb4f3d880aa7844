"""The adjoint of a step: reverse-mode differentiation of its equations, by SymPy.

For a step from x to x' with current I and distance u from the threshold, given the adjoints
``by__x`` of the states after it and G = dL/d(spike), the statements give ``by__x`` before it and
``by__I``, in an order in which they can be executed. The derivative of the spike by u is ``psi``;
through a reset (``if spike:``) flows what its value depends on, nothing by the spike itself.

    by__u = psi (G + what the lines after the threshold take of the spike)

``kick__`` is psi G, ``spike`` is whether the neuron spiked. Variables within a step are told apart
by number: V__0 is V before the step, V__1 after the first line that sets it.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from mlgenn_delays.errors import InputError
from mlgenn_delays.neurons.equations import CURRENT, SPIKE, Equations, names_in

# With two underscores, which names of users do not have.
KICK, PSI = "kick__", "psi__"


@dataclass(frozen=True)
class Statement:
    """`target` becomes `value`, which may hold ``A if spike else B``."""

    target: str
    value: ast.expr


@dataclass(frozen=True)
class Adjoint:
    """What goes back through a step.

    Attributes:
        forwards: Variables within the step that `backwards` reads, from the states before it and I.
        backwards: Adjoints, in order; the last of each name counts.
        reads: States before the step that either of them reads.
        current: Whether either of them reads I.
        psi: Whether `backwards` reads psi (beside kick).
    """

    forwards: tuple[Statement, ...]
    backwards: tuple[Statement, ...]
    reads: tuple[str, ...]
    current: bool
    psi: bool


@dataclass(frozen=True)
class _Numbered:
    target: str
    value: ast.expr
    before: str | None  # of a reset: what stays without a spike
    line: str  # for errors


@cache
def adjoint(equations: Equations, learned: tuple[str, ...] = (), surrogate: bool = True) -> Adjoint:
    """The adjoint of a step.

    Arguments:
        equations: Of the neuron.
        learned: Names of `Equations.used` whose gradients are wanted, as ``by__NAME``: what the
            step adds to them.
        surrogate: Whether a spike has a derivative psi. Without it kick is all of ``by__u``, as
            EventProp has it.

    Raises:
        InputError: A derivative is no real number, naming the line.
    """
    numbered, last = _number(equations)
    terms: dict[str, list[ast.expr]] = {}
    inner = {CURRENT, SPIKE, *(line.target for line in numbered)}
    inner |= {f"{state}__0" for state in equations.states}
    for state in equations.states:
        terms.setdefault(last[state], []).append(_name(f"by__{state}"))
    if equations.threshold is None:  # V of the output has a gradient of its own in every step
        terms.setdefault(last["V"], []).append(_name(KICK))
    out: list[Statement] = []
    gradients: dict[str, list[ast.expr]] = {name: [] for name in learned}
    for line in reversed(numbered):
        given = terms.pop(line.target, [])
        if line.target == SPIKE:
            through = [_product(_name(PSI), _sum(given))] if given and surrogate else []
            total = _sum([_name(KICK), *through])
        elif not given:
            continue
        else:
            total = _sum(given)
        by = f"by__{line.target}"
        if line.before is not None:
            out.append(Statement(by, total))
            terms.setdefault(line.before, []).append(_choose(_number_of(0), _name(by)))
            total = _choose(_name(by), _number_of(0))
        elif not isinstance(total, ast.Name):
            out.append(Statement(by, total))
            total = _name(by)
        for name, part in _parts(line, total):
            if name in inner:
                terms.setdefault(name, []).append(part)
            elif name in gradients:
                gradients[name].append(part)
    results = [
        (f"by__{state}", terms.pop(f"{state}__0", []) or [_number_of(0)])
        for state in equations.states
    ]
    results.append((f"by__{CURRENT}", terms.pop(CURRENT, []) or [_number_of(0)]))
    results += [(f"by__{name}", parts or [_number_of(0)]) for name, parts in gradients.items()]
    # Results may read the adjoints after the step, which they replace: all at once.
    fresh = [Statement(f"new__{name}", _sum(parts)) for name, parts in results]
    out += fresh
    needed = _needed(numbered, out)
    read = {name for s in [*needed, *out] for name in names_in(s.value)}
    return Adjoint(
        tuple(needed), tuple(out), tuple(s for s in equations.states if f"{s}__0" in read),
        CURRENT in read, PSI in read,
    )  # fmt: skip


def _number(equations: Equations) -> tuple[list[_Numbered], dict[str, str]]:
    """The lines with numbered variables, and the last number of each."""
    last = {state: f"{state}__0" for state in equations.states}
    out = []
    for k, line in enumerate(equations.lines):
        value = _renamed(line.value, last)
        if k == equations.threshold:
            out.append(_Numbered(SPIKE, value, None, line.line))
            continue
        before = last.get(line.target)
        number = int(before.rpartition("__")[2]) + 1 if before else 1
        last[line.target] = f"{line.target}__{number}"
        stays = before if line.at_spike else None
        out.append(_Numbered(last[line.target], value, stays, line.line))
    return out, last


def _renamed(value: ast.expr, names: dict[str, str]) -> ast.expr:
    class Rename(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.Name:
            return _name(names.get(node.id, node.id))

    return Rename().visit(ast.parse(ast.unparse(value), mode="eval").body)


def _parts(line: _Numbered, total: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """What the adjoint of a line adds to those of all names that the line reads."""
    for name, slope in slopes_of(line.value, line.line):
        yield name, _product(slope, total)


def slopes_of(value: ast.expr, line: str) -> Iterator[tuple[str, ast.expr]]:
    """Names that an expression reads, with its derivative by each, where that is not 0.

    `line` is where it stands, for errors.

    Raises:
        InputError: A derivative is not real or not finite wherever it is taken.
    """
    import sympy

    # Not of real symbols, of which SymPy makes abs and sign.
    symbols = {name: sympy.Symbol(name) for name in names_in(value)}
    whole = sympy.sympify(ast.unparse(value), locals=symbols)
    for name, symbol in symbols.items():
        slope = sympy.diff(whole, symbol)
        if slope.has(sympy.I, sympy.nan, sympy.oo, sympy.zoo):
            plain = name.partition("__")[0]
            raise InputError(
                f"step, {line}: cannot be differentiated by {plain}; take no power, root or "
                "logarithm of a negative number"
            )
        if not all(power.exp.is_number for power in slope.atoms(sympy.Pow)):
            slope = sympy.powsimp(slope)  # p x^(p - 1) instead of p x^p / x, which 0 / 0 would be
        if slope != 0:
            yield name, _expression(slope)


def _expression(value: Any) -> ast.expr:
    from sympy.printing.str import StrPrinter

    class Printer(StrPrinter):
        def _print_Exp1(self, expr: Any) -> str:
            return "exp(1)"

    return ast.parse(Printer().doprint(value), mode="eval").body


def _needed(numbered: list[_Numbered], out: list[Statement]) -> list[Statement]:
    """Lines of the step whose results the adjoint reads, in order."""
    wanted = {name for statement in out for name in names_in(statement.value)}
    found: list[Statement] = []
    for line in reversed(numbered):
        if line.target == SPIKE or line.target not in wanted:
            continue
        value = line.value
        if line.before is not None:
            value = _choose(value, _name(line.before))
        wanted |= set(names_in(value))
        found.append(Statement(line.target, value))
    return found[::-1]


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _number_of(value: float) -> ast.Constant:
    return ast.Constant(value)


def _choose(at_spike: ast.expr, else_: ast.expr) -> ast.expr:
    return ast.IfExp(_name(SPIKE), at_spike, else_)


def _product(one: ast.expr, other: ast.expr) -> ast.expr:
    if isinstance(one, ast.Constant) and one.value == 1:
        return other
    return ast.BinOp(one, ast.Mult(), other)


def _sum(parts: Iterable[Any]) -> ast.expr:
    first, *rest = parts
    for part in rest:
        first = ast.BinOp(first, ast.Add(), part)
    return first
