"""Directive that writes a neuron from its declaration: ``{neuron} LIF``.

Equations, variables, what EventProp and NIR make of it, and a table of its parameters.
"""

import ast
from collections.abc import Iterator

from recipe_keys import Written
from sphinx.application import Sphinx

from mlgenn_delays.distributions import Varying
from mlgenn_delays.engines.shared.neuron_parameters import Learned
from mlgenn_delays.errors import InputError
from mlgenn_delays.neurons.declare import Neuron, model_of
from mlgenn_delays.neurons.equations import Equation, Equations
from mlgenn_delays.neurons.linear import limit_of
from mlgenn_delays.settings import bounds_of, fields_of, meaning_of, range_of, unit_of

GREEK = ("alpha", "beta", "gamma", "tau", "omega", "theta", "eta", "rho", "lambda", "kappa")
SIGNS = {ast.Add: " + ", ast.Sub: " - ", ast.Mult: r" \, "}
STRENGTH = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.Div: 3, ast.Pow: 4}
SCALES = {"log": "logarithm", "logit": "log odds", "plain": "its value"}


def symbol(name: str) -> str:
    """A name in LaTeX; what follows the _ of a letter is its subscript."""
    if name == "dt":
        return r"\Delta t"
    head, _, index = name.partition("_")
    if head not in GREEK and len(head) > 1:
        word = name.replace("_", r"\_")
        return rf"\mathit{{{word}}}"
    inner = index.replace("_", r"\_")
    letter = f"\\{head}" if head in GREEK else head
    return letter + (rf"_\mathrm{{{inner}}}" if index else "")


def latex(node: ast.expr, strength: int = 0) -> str:
    """An expression in LaTeX, in brackets where what is around it binds more strongly."""
    if isinstance(node, ast.Constant):
        return f"{node.value:g}"
    if isinstance(node, ast.Name):
        return r"\mathit{spike}" if node.id == "spike" else symbol(node.id)
    if isinstance(node, ast.UnaryOp):
        text = f"-{latex(node.operand, 2)}"
        return rf"\left({text}\right)" if strength > 1 else text
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        inner = latex(node.args[0])
        if node.func.id == "sqrt":
            return rf"\sqrt{{{inner}}}"
        return rf"\{node.func.id}\left({inner}\right)"
    assert isinstance(node, ast.BinOp)
    own = STRENGTH[type(node.op)]
    if isinstance(node.op, ast.Div):
        return rf"\frac{{{latex(node.left)}}}{{{latex(node.right)}}}"
    if isinstance(node.op, ast.Pow):
        return f"{latex(node.left, own + 1)}^{{{latex(node.right)}}}"
    right = own + isinstance(node.op, ast.Sub)
    text = latex(node.left, own) + SIGNS[type(node.op)] + latex(node.right, right)
    return rf"\left({text}\right)" if own < strength else text


def _line(line: Equation, own: Equations) -> str:
    if own.threshold is not None and line is own.lines[own.threshold]:
        assert isinstance(line.value, ast.BinOp)
        sign = ">" if own.strict else r"\ge"
        left, right = latex(line.value.left), latex(line.value.right)
        return rf"& \mathit{{spike}}: && {left} {sign} {right}"
    arrow = rf"{symbol(line.target)} \leftarrow {latex(line.value)}"
    return rf"& \text{{at a spike}}: && {arrow}" if line.at_spike else f"&&& {arrow}"


def equations(own: Equations) -> list[str]:
    """The equations of a step as lines of LaTeX."""
    constants = [f"&&& {symbol(e.target)} = {latex(e.value)}" for e in own.constants]
    lines = [*constants, *(_line(line, own) for line in own.lines)]
    return ["$$", r"\begin{aligned}", *(f"{line} \\\\" for line in lines), r"\end{aligned}", "$$"]


def takes(model: type[Neuron]) -> str:
    """What of the rules and exports takes a neuron."""
    rules = "`EventProp` and `SurrogateBPTT`"
    try:
        limit_of(model(1), 1.0)
    except InputError:
        rules = "`SurrogateBPTT`"
    if model.synapses:
        rules = "`SurrogateBPTT`" if "Exponential" not in model.synapses else rules
    synapses = " or ".join(f"`{each}`" for each in model.synapses or ("Exponential", "Delta"))
    node = f", node `{model.nir}` of NIR" if model.nir else ""
    return f"Synapses {synapses}; {rules}{node}."


def parameters(model: type[Neuron]) -> Iterator[str]:
    """Rows of the table of a neuron's parameters."""
    yield "| parameter | default | range | learned on the scale of | |"
    yield "|---|---|---|---|---|"
    for name in model.parameters():
        info = fields_of(model)[name]
        low, high = bounds_of(info)
        scale = SCALES[Learned(1, low, high).scale] if name != model.refractory else "not learned"
        allowed = range_of(info).replace(Varying.also, "").removeprefix("a ").replace("number ", "")
        unit, meaning = unit_of(info), meaning_of(info)
        meaning = meaning.replace(f" [{unit}]", "") if unit else meaning
        default = "required" if info.is_required() else f"{info.default:g}"
        yield f"| `{name}` | {default} | {allowed} | {scale} | {meaning} |"


def neuron_lines(name: str) -> list[str]:
    """A neuron as Markdown."""
    model = model_of(name)
    states = ", ".join(f"`{each}`" for each in model.equations.states) or "none"
    table = parameters(model) if model.parameters() else ()
    text = f"Variables that last: {states}. {takes(model)}"
    return [*equations(model.equations), "", text, "", *table]


class NeuronPage(Written):
    """``{neuron} NAME``."""

    required_arguments = 1

    def lines(self) -> list[str]:
        """The neuron."""
        return neuron_lines(self.arguments[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("neuron", NeuronPage)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
