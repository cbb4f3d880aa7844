"""Writing a network as a module of PyTorch: one Python file and its weights.

`templates/model.py` holds what any network needs, with blanks between ``# Of the network`` and
``# For any network``. The neurons are written from their equations. Names and labels may come from
anywhere: they reach the file as literals, or as what Python itself has read as names.
"""

import ast
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.engines.shared.plan import synapse_groups
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.files import write_atomic
from mlgenn_delays.network import CurrentInput, Exponential, Network
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.neurons.declare import OUTPUT, Neuron
from mlgenn_delays.neurons.equations import (
    CURRENT,
    SPIKE,
    STEP_LENGTH,
    Equation,
    Equations,
    evaluate,
    names_in,
)
from mlgenn_delays.neurons.write import Language, write

BEGIN, END = "# Of the network\n", "# For any network\n"
MODEL, WEIGHTS = "model.py", "weights.safetensors"
TORCH = Language(lambda x: repr(float(x)), lambda name: f"torch.{name}", "", "{x}", "({x} ** {y})")


def write_torch(artifact: Artifact, folder: Path) -> None:
    """Write ``model.py`` and ``weights.safetensors`` to a folder.

    Arguments:
        artifact: The network.
        folder: It must be there.

    Raises:
        WorkError: A file cannot be written.
    """
    from safetensors.numpy import save

    template = files("mlgenn_delays.export.torch") / "templates" / MODEL
    head, rest = template.read_text(encoding="utf-8").split(BEGIN)
    text = f"{head}{BEGIN}\n{source(artifact)}\n{END}{rest.split(END)[1]}"
    write_atomic(folder / MODEL, text.encode())
    write_atomic(folder / WEIGHTS, save(weights(artifact.network)))


def _populations(network: Network) -> list[str]:
    """Names of the populations, each after those that project to it: the input, then neurons."""
    inputs = network.input().name
    order = [p.name for p in network.order() if p.name not in (inputs, network.output().name)]
    return [inputs, *order, network.output().name]


def weights(network: Network) -> dict[str, np.ndarray]:
    """What the module's ``state_dict`` has, by its names."""
    out: dict[str, Any] = {}
    for k, p in enumerate(network.projections.values()):
        own = {
            "pre": p.pre().astype(np.int64),
            "post": p.post.astype(np.int64),
            "weight": p.weight.astype(np.float32),
            "delay": delay_steps(p, network.dt).astype(np.float32),
        }
        out |= {f"projections.{k}.{name}": array for name, array in own.items()}
    for k, name in enumerate(_populations(network)[1:]):
        base, population = f"populations.{k}", network.populations[name]
        out[f"{base}.bias"] = population.bias.astype(np.float32)
        model: Any = population.model
        for parameter in _read(model.equations):
            value = np.asarray(model.values()[parameter], np.float32)
            out[f"{base}.neuron.p_{parameter}"] = value
        for m, synapse in enumerate(synapse_groups(network, name)):
            if isinstance(synapse, Exponential):
                tau: Any = synapse.tau_syn
                out[f"{base}.synapses.{m}.tau_syn"] = np.asarray(tau, np.float32)
    return {key: np.ascontiguousarray(array) for key, array in out.items()}


def source(artifact: Artifact) -> str:
    """What the file has of the network."""
    network, names = artifact.network, _populations(artifact.network)
    models: list[Any] = [network.populations[name].model for name in names]
    output = network.output().model
    neurons, kinds = [], []
    for k, model in enumerate(models[1:], 1):
        kinds.append(f"Neuron{k}")
        neurons.append(_neuron(f"Neuron{k}", model, network.dt))
    populations = [
        f"    ({name!r}, {model.n}, {kind}),"
        for name, model, kind in zip(names, models, ["None", *kinds], strict=True)
    ]
    projections = []
    groups = {name: synapse_groups(network, name) for name in names}
    for p in network.projections.values():
        longest = int(delay_steps(p, network.dt).max(initial=0))
        ends = (names.index(p.source), names.index(p.target), groups[p.target].index(p.synapse))
        projections.append(f"    {(p.name, *ends, p.n_synapses, longest)!r},")
    synapses = [[_synapse(each) for each in groups[name]] for name in names]
    lines = [
        f"DT = {float(network.dt)!r}  # length of a step [ms]",
        f"STEPS = {artifact.about.n_steps}  # of a trial as it was trained; others may be longer",
        f"LABELS: tuple[str, ...] = {tuple(artifact.about.labels)!r}  # of the outputs",
        f"READOUT = {getattr(output, 'readout', 'mean')!r}  # of the output's voltage",
        f"CURRENTS = {isinstance(models[0], CurrentInput)}  # whether the input is currents",
        "",
        "",
        *neurons,
        "# Name, neurons and model of each population, each after those that project to it.",
        "POPULATIONS: tuple[tuple[str, int, Any], ...] = (",
        *populations,
        ")",
        "# Name, source, target, synapse of the target, synapses and largest delay [steps].",
        "PROJECTIONS: tuple[tuple[str, int, int, int, int, int], ...] = (",
        *projections,
        ")",
        "# Synapses of each population: whether they decay, and values of the time constant.",
        "SYNAPSES: tuple[tuple[tuple[bool, int], ...], ...] = (",
        *(f"    {tuple(each)!r}," for each in synapses),
        ")",
        "",
    ]
    return "\n".join(lines)


def _synapse(synapse: Any) -> tuple[bool, int]:
    """Whether it decays, and the values of its time constant, 0 if one is for all neurons."""
    decays = isinstance(synapse, Exponential)
    return decays, np.size(synapse.tau_syn) if decays and np.ndim(synapse.tau_syn) else 0


# Neurons


def _read(equations: Equations) -> list[str]:
    """The parameters that equations read, in order."""
    fixed = {each.target for each in equations.constants} | {STEP_LENGTH}
    found = [name for each in equations.constants for name in names_in(each.value)]
    return [name for name in dict.fromkeys([*found, *equations.used()]) if name not in fixed]


def _x(name: str) -> str:
    """A variable of the step, apart from all other names of the file."""
    return f"x_{name}"


def _tuple(values: Iterable[str]) -> str:
    """A tuple as code."""
    own = list(values)
    return f"({', '.join(own)}{',' * (len(own) == 1)})"


def _neuron(kind: str, model: Neuron, dt: float) -> str:
    """A class for a neuron, from its equations."""
    own, parameters = model.equations, _read(model.equations)
    known = {name: f"self.p_{name}.double()" for name in parameters} | {STEP_LENGTH: "dt"}
    constants = []
    for each in own.constants:
        constants.append(f"{_x(each.target)} = {_text(each.value, known)}")
        known[each.target] = _x(each.target)
    shapes = [np.shape(model.values()[name]) for name in parameters]
    used = (f"torch.as_tensor({known[name]}).float()" for name in own.used())
    head = {"constants": own.used(), "states": own.states}
    step = [f"{_tuple(map(_x, names))} = {what}" for what, names in head.items() if names]
    for k, line in enumerate(own.lines):
        step += _line(line, own, threshold=k == own.threshold)
    spikes, rest = own.threshold is not None, model.refractory_steps(dt)
    value = "spike" if spikes else _x(OUTPUT)
    return "\n".join(
        [
            f"class {kind}(nn.Module):",
            f"    # {type(model).__name__!r}",
            f"    STATES, REFRACTORY, SPIKES = {len(own.states)}, {rest}, {spikes}",
            "",
            "    def __init__(self) -> None:",
            "        super().__init__()",
            *(
                f"        self.p_{name} = nn.Parameter(torch.ones({shape}), requires_grad=False)"
                for name, shape in zip(parameters, shapes, strict=True)
            ),
            "",
            "    def constants(self) -> tuple[Tensor, ...]:",
            "        dt = torch.tensor(DT, dtype=torch.float64)",
            *(f"        {line}" for line in constants),
            "        return (",
            *(f"            {each}," for each in used),
            "        )",
            "",
            "    def step(self, current: Tensor, states: Any, constants: Any) -> Any:",
            *(f"        {line}" for line in step),
            f"        return {value}, [{', '.join(map(_x, own.states))}]",
            "",
            "",
        ]
    )


def _line(line: Equation, own: Equations, *, threshold: bool) -> list[str]:
    """Statements of a line of a step."""
    names = {CURRENT: "current", SPIKE: "spike"}
    names |= {name: _x(name) for name in (*own.used(), *own.variables())}
    text = _text(line.value, names)
    if threshold:
        return [f"spike = Spike.apply({text}, {own.strict})", "fired = spike.detach() > 0"]
    target = _x(line.target)
    if line.at_spike:
        return [f"{target} = torch.where(fired, {text}, {target})"]
    return [f"{target} = {text}"]


def _text(value: ast.expr, names: dict[str, str]) -> str:
    """An expression as code, without brackets around all of it."""
    folded = _Folded().visit(ast.parse(ast.unparse(value), mode="eval").body)
    text = write(folded, TORCH, names)
    whole = isinstance(folded, ast.BinOp | ast.UnaryOp) and text.startswith("(")
    return text[1:-1] if whole and text.endswith(")") else text


class _Folded(ast.NodeTransformer):
    """Works out functions of numbers alone, which PyTorch takes of tensors only."""

    def visit_Call(self, node: ast.Call) -> ast.expr:  # noqa: N802
        argument = self.visit(node.args[0])
        if any(names_in(argument)):
            return ast.Call(node.func, [argument], [])
        return ast.Constant(float(evaluate(ast.Call(node.func, [argument], []), {})))
