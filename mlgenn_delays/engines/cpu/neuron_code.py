"""Numba code of a neuron's step and its adjoint, from its equations.

`surrogate_forward` and `surrogate_backward` hold the loops over examples and populations, with
blanks between ``# Of the neuron`` and ``# For any neuron``; each neuron model gets modules of its
own in which they are filled in. Code of a trial goes along time for `LANES` neighbouring neurons
side by side, since each one's steps depend on the one before; that of one step is for populations
that project to themselves.
"""

import sys
from collections.abc import Callable, Iterable
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from mlgenn_delays.kernels import stored_source
from mlgenn_delays.neurons.adjoint import KICK, PSI, Adjoint, adjoint
from mlgenn_delays.neurons.declare import OUTPUT, Neuron
from mlgenn_delays.neurons.equations import CURRENT, SPIKE, Equations
from mlgenn_delays.neurons.write import NUMBA, write

BEGIN, END = "# Of the neuron\n", "# For any neuron\n"
_HERE = Path(__file__).parent


class NeuronKernels(NamedTuple):
    """Modules of kernels of one neuron model."""

    forward: Any
    backward: Any


class Variant(NamedTuple):
    """What the kernels of a model may leave out, for speed, or do besides."""

    holds: bool = False  # whether there is a refractory period
    apart: tuple[str, ...] = ()  # constants that differ between the neurons of a population
    learned: tuple[str, ...] = ()  # constants whose gradients are wanted
    keeps: bool = False  # whether the states of all steps are kept


@cache
def neuron_kernels(model: type[Neuron], variant: Variant) -> NeuronKernels:
    """The kernels of a neuron model."""
    backward = _module(
        "surrogate_backward", model, variant._replace(keeps=False),
        lambda: backward_code(model, variant),
    )  # fmt: skip
    variant = variant._replace(keeps=variant.keeps or backward.READS)
    forward = _module(
        "surrogate_forward", model, variant._replace(learned=()),
        lambda: forward_code(model, variant),
    )  # fmt: skip
    return NeuronKernels(forward, backward)


def _module(name: str, model: type[Neuron], how: Variant, make: Callable[[], str]) -> Any:
    """A template, its blanks filled in for a model."""
    template = (_HERE / f"{name}.py").read_text()
    key = repr((template, model.step, model.spiking, how))
    stem = f"{name}_{model.__name__}_{sha256(key.encode()).hexdigest()[:16]}"
    path, text = stored_source("engines.cpu", stem, partial(_filled, template, make))
    module = ModuleType(f"mlgenn_delays.engines.cpu.generated.{stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # Numba's cache looks up functions there
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def _filled(template: str, make: Callable[[], str]) -> str:
    head, rest = template.split(BEGIN)
    return f"{head}{BEGIN}\n{make()}\n\n{END}{rest.split(END)[1]}"


def _x(name: str) -> str:
    """The name of a neuron's own variable in the code: apart from those of the loops."""
    return f"x_{name}"


def _indented(lines: Iterable[str], depth: int) -> str:
    return "\n".join(f"{'    ' * depth}{line}" for line in lines)


def _constants(equations: Equations, apart: tuple[str, ...], own: bool) -> list[str]:
    """Lines that read the constants of neuron k alone (`own`), or those that all share."""
    return [
        f"{_x(name)} = constants[{m}, first{' + k' if own else ''}]"
        for m, name in enumerate(equations.used())
        if (name in apart) == own
    ]


def _fired(equations: Equations) -> str:
    return "u > np.float32(0.0)" if equations.strict else "u >= np.float32(0.0)"


def _flushed(name: str) -> str:
    return f"{name} = np.float32(0.0) if abs({name}) <= SUBNORMAL else {name}"


def _trial(
    name: str, arguments: str, begin: list[str], along: list[str], row: list[str],
    end: Iterable[str] = (),
) -> str:  # fmt: skip
    """Kernels of whole trials: of `LANES` neighbouring neurons, and of fewer.

    Arguments:
        name: Their first word.
        arguments: Of the first; the second has their number before.
        begin: Lines before the trial.
        along: The loop over its steps.
        row: Lines of neuron k in a step.
        end: Lines of neuron k after the trial.
    """

    def kernel(kind: str, arguments: str, lanes: str) -> str:
        each = f"for k in range({lanes}):"
        lines = [*along, f"    {each}", *(f"        {line}" for line in row)]
        last = [each, *(f"    {line}" for line in end)] if end else []
        return f"@kernel\ndef {name}_{kind}({arguments}):\n" + _indented([*begin, *lines, *last], 1)

    few = kernel("few", f"lanes, {arguments}", "lanes")
    return f"{kernel('rows', arguments, 'LANES')}\n\n\n{few}"


# Forwards


def forward_code(model: type[Neuron], how: Variant) -> str:
    """The blanks of `surrogate_forward`."""
    own = model.equations
    states, holds = own.states, how.holds
    lanes = [
        *_constants(own, how.apart, own=False),
        *(f"s_{name} = np.zeros(LANES, np.float32)" for name in states),
        *(["resting = np.zeros(LANES, np.int32)"] if holds else []),
    ]
    load = [f"{_x(name)} = s_{name}[k]" for name in states]
    store = [f"s_{name}[k] = {_x(name)}" for name in states]
    arguments = (
        "constants, first, hold, steps, length, out_length, factor, shift, current, distance, kept"
    )
    row = [
        "here = k * length + t",
        *_constants(own, how.apart, own=True),
        *load,
        f"{_x(CURRENT)} = factor[k] * current[here] + shift[k]",
        *_step(model, holds),
        f"distance[k * out_length + t] = {'u' if model.spiking else _x(OUTPUT)}",
        *(_keep(states) if how.keeps else []),
        *store,
    ]
    step = [
        *_constants(own, how.apart, own=False),
        *_constants(own, how.apart, own=True),
        *(f"{_x(name)} = states[{m}, k]" for m, name in enumerate(states)),
        f"{_x(CURRENT)} = current",
        *_step(model, holds),
        *(f"states[{m}, k] = {_x(name)}" for m, name in enumerate(states)),
        f"return {'u, fired' if model.spiking else f'{_x(OUTPUT)}, False'}",
    ]
    return f"""STATES, STRICT, KEEPS = {len(states)}, {own.strict}, {how.keeps}


{_trial("run", arguments, lanes, ["for t in range(steps):"], row)}


@kernel
def run_step(constants, first, hold, current, states, resting, k):
{_indented(step, 1)}
"""


def _keep(states: Iterable[str]) -> list[str]:
    return [f"kept[{m}, here] = {_x(name)}" for m, name in enumerate(states)]


def _step(model: type[Neuron], holds: bool) -> list[str]:
    """Lines that move the neuron on: u, and whether it `fired`; its variables have new values."""
    own = model.equations
    out = ["rests = resting[k] > 0", *(f"o_{n} = {_x(n)}" for n in own.states)] if holds else []
    for k, line in enumerate(own.lines):
        value = write(line.value, NUMBA, _named)
        if k == own.threshold:
            still = f"RESTING if rests else {value}" if holds else value
            out += [f"u = {still}", f"fired = {_fired(own)}"]
        elif line.at_spike:
            out.append(f"{_x(line.target)} = {value} if fired else {_x(line.target)}")
        else:
            out.append(f"{_x(line.target)} = {value}")
    out += [_flushed(_x(name)) for name in own.states]
    if holds:
        out += [
            *(f"{_x(n)} = o_{n} if rests else {_x(n)}" for n in own.states),
            "resting[k] = resting[k] - 1 if rests else (hold if fired else 0)",
        ]
    return out


def _named(name: str) -> str:
    """The name of a variable in the code; `fired` stands for the spike."""
    return "fired" if name == SPIKE else _x(name)


# Backwards


def backward_code(model: type[Neuron], how: Variant) -> str:
    """The blanks of `surrogate_backward`."""
    own = model.equations
    back, learned, states = adjoint(own, how.learned), how.learned, own.states
    lanes = [
        "kind, one, other, compact = shape",
        *_constants(own, how.apart, own=False),
        *(f"b_{name} = np.zeros(LANES, np.float32)" for name in states),
        *(f"g_{name} = np.zeros(LANES)" for name in learned),
    ]
    given = [f"{_x(CURRENT)} = factor[k] * current[here] + shift[k]"] if back.current else []
    row = [
        "here = k * length + t",
        *_constants(own, how.apart, own=True),
        *given,
        *_before(back, states, "here"),
        *(["u = distance[here]"] if model.spiking else []),
        f"{_x(KICK)} = kick[k * kick_length + t]",
        *(f"{_x('by__' + name)} = b_{name}[k]" for name in states),
        *_back_step(model, back, how),
        f"distance[here] = {_x('new__by__I')}",
        *(f"b_{name}[k] = {_x('new__by__' + name)}" for name in states),
        *(f"g_{name}[k] += {_x('new__by__' + name)}" for name in learned),
    ]
    add = [f"by_constant[{m}, first + k] += g_{name}[k]" for m, name in enumerate(learned)]
    step = [
        *_constants(own, how.apart, own=False),
        *_constants(own, how.apart, own=True),
        *([f"{_x(CURRENT)} = current"] if back.current else []),
        *_before(back, states, "at"),
        f"{_x(KICK)} = kick",
        *(f"{_x('by__' + name)} = carried[{m}, k]" for m, name in enumerate(states)),
        *_back_step(model, back, how),
        *(f"carried[{m}, k] = {_x('new__by__' + name)}" for m, name in enumerate(states)),
        *(f"by_constant[{m}, first + k] += {_x('new__by__' + n)}" for m, n in enumerate(learned)),
        f"return {_x('new__by__I')}",
    ]
    arguments = (
        "constants, first, steps, length, shape, kick, kick_length, distance, factor, shift, "
        "current, kept, by_constant"
    )
    backwards = ["for back in range(steps):", "    t = steps - 1 - back"]
    reads = bool(back.reads or back.current)
    return f"""STATES, READS = {len(states)}, {reads}


{_trial("back", arguments, lanes, backwards, row, add)}


@kernel
def back_step(constants, first, t, at, shape, kick, u, current, kept, carried, k, by_constant):
    kind, one, other, compact = shape
{_indented(step, 1)}
"""


def _before(back: Adjoint, states: tuple[str, ...], at: str) -> list[str]:
    """Lines that read the states before a step, whose place is `at`."""
    return [
        f"{_x(name)}__0 = kept[{states.index(name)}, {at} - 1] if t > 0 else np.float32(0.0)"
        for name in back.reads
    ]


def _back_step(model: type[Neuron], back: Adjoint, how: Variant) -> list[str]:
    own = model.equations
    out = [f"fired = {_fired(own)}"] if model.spiking else []
    if back.psi:
        out.append(f"{_x(PSI)} = derivative(kind, one, other, u)")
    for s in (*back.forwards, *back.backwards):
        out.append(f"{_x(s.target)} = {write(s.value, NUMBA, _named)}")
    out += [_flushed(_x(f"new__by__{name}")) for name in own.states]
    if how.holds:
        results = [(name, _x(f"by__{name}")) for name in own.states]
        results += [(name, "np.float32(0.0)") for name in (CURRENT, *how.learned)]
        out.append("rests = u == RESTING")
        for name, value in results:
            new = _x(f"new__by__{name}")
            out.append(f"{new} = {value} if rests else {new}")
    return out
