"""Writing equations as code: Numba's Python, of strips of neurons, or C as GeNN and the C export
take it.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlgenn_delays.neurons.equations import SPIKE

_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


@dataclass(frozen=True)
class Language:
    """How expressions are written, in float32."""

    number: Callable[[float], str]
    function: Callable[[str], str]  # by the name of one of `equations.FUNCTIONS`
    choose: str  # of {test}, {yes}, {no}
    as_number: str  # of a truth value {x}
    power: str  # of {x} to the {y}


# Vectors of `engines.shared.lanes`; a truth value is one bit per neuron.
STRIPS = Language(
    lambda x: f"splat(STRIP, np.float32({x!r}))",
    lambda name: name,
    "where({test}, {yes}, {no})",
    "where({x}, one, zero)",
    "power({x}, {y})",
)
C = Language(
    lambda x: f"{float(x)!r}f",
    lambda name: f"{name}f",
    "({test} ? {yes} : {no})",
    "({x} ? 1.0f : 0.0f)",
    "powf({x}, {y})",
)
# GeNN's "scalar" may be float or double: its transpiler takes plain names and numbers.
GENN = Language(
    lambda x: repr(float(x)),
    lambda name: name,
    "({test} ? {yes} : {no})",
    "({x} ? 1.0 : 0.0)",
    "pow({x}, {y})",
)


def write(
    value: ast.expr, language: Language, names: Mapping[str, str] | Callable[[str], str]
) -> str:
    """An expression as code, in brackets, with names replaced."""
    name_of = names if callable(names) else lambda name: names.get(name, name)

    def text(node: ast.expr) -> str:
        if isinstance(node, ast.Constant):
            return language.number(float(node.value))  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            name = name_of(node.id)
            return language.as_number.format(x=name) if node.id == SPIKE else name
        if isinstance(node, ast.UnaryOp):
            inner = text(node.operand)
            return f"(-{inner})" if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.IfExp):
            test = name_of(SPIKE)
            return language.choose.format(test=test, yes=text(node.body), no=text(node.orelse))
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            return f"{language.function(node.func.id)}({text(node.args[0])})"
        assert isinstance(node, ast.BinOp)
        if isinstance(node.op, ast.Pow):
            return _power(node, text, language)
        return f"({text(node.left)} {_SIGNS[type(node.op)]} {text(node.right)})"

    return text(value)


def _power(node: ast.BinOp, text: Callable[[ast.expr], str], language: Language) -> str:
    base = text(node.left)
    try:
        power = ast.literal_eval(node.right)
    except ValueError:
        return language.power.format(x=base, y=text(node.right))
    if power in (2, 3):
        return f"({' * '.join([base] * int(power))})"
    if power == -1:
        return f"({language.number(1.0)} / {base})"
    if power in (-2, -3):
        return f"({language.number(1.0)} / ({' * '.join([base] * -int(power))}))"
    return language.power.format(x=base, y=language.number(float(power)))
