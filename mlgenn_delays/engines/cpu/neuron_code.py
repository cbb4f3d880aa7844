"""Numba code of a neuron's step and its adjoint, from its equations.

`surrogate_forward` and `surrogate_backward` hold the loops over examples and populations, with
blanks between ``# Of the neuron`` and ``# For any neuron``; each neuron model gets modules of its
own in which they are filled in. Variables are vectors of a strip of neurons (`strip_vector`). Code
of a trial goes along time; that of one step is for populations that project to themselves.
"""

import sys
from collections.abc import Callable, Iterable
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from mlgenn_delays.kernels import stored_source
from mlgenn_delays.neurons.adjoint import KICK, PSI, Adjoint, adjoint
from mlgenn_delays.neurons.declare import OUTPUT, Neuron
from mlgenn_delays.neurons.equations import CURRENT, SPIKE, Equations
from mlgenn_delays.neurons.write import STRIPS, write

if TYPE_CHECKING:
    from mlgenn_delays.network import Network

BEGIN, END = "# Of the neuron\n", "# For any neuron\n"
_HERE = Path(__file__).parent


class NeuronKernels(NamedTuple):
    """Modules of kernels of one neuron model."""

    forward: Any
    backward: Any


class Variant(NamedTuple):
    """What the kernels of a model may leave out, for speed, or do besides."""

    holds: bool = False  # whether there is a refractory period
    learned: tuple[str, ...] = ()  # constants whose gradients are wanted
    keeps: bool = False  # whether the states of all steps are kept
    recurrent: bool = False  # whether its population projects to itself


def kernels_of(network: "Network", name: str, *, keeps: bool = False) -> NeuronKernels:
    """The kernels of a population's neurons; `keeps` is that of `Variant`."""
    population = network.populations[name]
    model: Any = population.model
    kind: Any = type(model)
    variant = Variant(
        model.refractory_steps(network.dt) > 0,
        model.equations.depending(population.learn),
        keeps,
        any(p.recurrent for p in network.incoming(name)),
    )
    return neuron_kernels(kind, variant)


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


def _constants(equations: Equations) -> list[str]:
    """Lines that read what the trial does not change."""
    return [
        "zero, one = splat(STRIP, np.float32(0.0)), splat(STRIP, np.float32(1.0))",
        *(
            f"{_x(name)} = load(STRIP, constants, {m} * constants.shape[1] + first)"
            for m, name in enumerate(equations.used())
        ),
    ]


def _fired(equations: Equations) -> str:
    return "above(u, zero)" if equations.strict else "at_least(u, zero)"


def _flushed(name: str) -> str:
    return f"{name} = where(at_least(splat(STRIP, SUBNORMAL), magnitude({name})), zero, {name})"


def _loaded(names: Iterable[str], prefix: str, array: str) -> list[str]:
    """Lines that read one row of an array for each name."""
    return [
        f"{prefix}{name} = load(STRIP, {array}, {m} * {array}.shape[1] + first)"
        for m, name in enumerate(names)
    ]


def _kept(names: Iterable[str], value: Callable[[str], str], array: str, at: str) -> list[str]:
    """Lines that write one row of an array for each name."""
    return [
        f"put({array}, {m} * {array}.shape[1] + {at}, {value(name)})"
        for m, name in enumerate(names)
    ]


# Forwards


def forward_code(model: type[Neuron], how: Variant) -> str:
    """The blanks of `surrogate_forward`."""
    own = model.equations
    states, holds = own.states, how.holds
    begin = [
        *_constants(own),
        "f, h, count = load(STRIP, factor, first), load(STRIP, shift, first), zero",
        *(f"{_x(name)} = zero" for name in states),
        *(["resting = zero"] if holds else []),
    ]
    row = [
        "here = at + t * STRIP",
        "fetch(current, here + AHEAD * STRIP)",
        f"{_x(CURRENT)} = f * load(STRIP, current, here) + h",
        *_step(model, holds),
        f"put(out, to + t * STRIP, {'u' if model.spiking else _x(OUTPUT)})",
        *(_kept(states, _x, "kept", "here") if how.keeps else []),
        *(_NOTE if model.spiking else []),
    ]
    step = [
        *_constants(own),
        f"rest = {len(states)} * states.shape[1] + first",
        *_loaded(states, "x_", "states"),
        *(["resting = load(STRIP, states, rest)"] if holds else []),
        f"{_x(CURRENT)} = current",
        *_step(model, holds),
        *_kept(states, _x, "states", "first"),
        *(["put(states, rest, resting)"] if holds else []),
        f"return {'u, fired' if model.spiking else f'{_x(OUTPUT)}, at_least(zero, one)'}",
    ]
    return f"""STATES, KEEPS = {len(states)}, {how.keeps}
SPIKING, RECURRENT = {model.spiking}, {how.recurrent}


@kernel
def run_strip({_RUN}):
{_indented(begin, 1)}
    for t in range(steps):
{_indented(row, 2)}
    put(counts, first, count)


@kernel
def run_step(constants, first, hold, current, states):
{_indented(step, 1)}
"""


_RUN = "constants, first, hold, steps, factor, shift, current, at, out, to, kept, fires, counts"
_NOTE = (
    "fires[t] = fired",
    "count = count + where(fired, one, zero)",
)


def _step(model: type[Neuron], holds: bool) -> list[str]:
    """Lines that move the neuron on: u, and whether it `fired`; its variables have new values."""
    own = model.equations
    out = (
        ["rests = above(resting, zero)", *(f"o_{n} = {_x(n)}" for n in own.states)] if holds else []
    )
    for k, line in enumerate(own.lines):
        value = write(line.value, STRIPS, _named)
        if k == own.threshold:
            still = f"where(rests, splat(STRIP, RESTING), {value})" if holds else value
            out += [f"u = {still}", f"fired = {_fired(own)}"]
        elif line.at_spike:
            out.append(f"{_x(line.target)} = where(fired, {value}, {_x(line.target)})")
        else:
            out.append(f"{_x(line.target)} = {value}")
    out += [_flushed(_x(name)) for name in own.states]
    if holds:
        after = "where(fired, splat(STRIP, np.float32(hold)), zero)"
        out += [
            *(f"{_x(n)} = where(rests, o_{n}, {_x(n)})" for n in own.states),
            f"resting = where(rests, resting - one, {after})",
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
    psi = "psi = derivative(kind, settings, more, u)"
    begin = [
        *_constants(own),
        "kind, settings, more, compact = shape",
        "f, h = load(STRIP, factor, first), load(STRIP, shift, first)",
        "sends, extra = load(STRIP, scale, first), load(STRIP, count_gradient, first)",
        *(f"{_x('by__' + name)} = zero" for name in states),
    ]
    kick = "psi * (sends * gradient + extra)" if model.spiking else "gradient"
    row = [
        "t = steps - 1 - back",
        "here = at + t * STRIP",
        "fetch(distance, here - AHEAD * STRIP)",
        "fetch(current, here - AHEAD * STRIP)",  # for `add_up`
        *([f"{_x(CURRENT)} = f * load(STRIP, current, here) + h"] if back.current else []),
        *_before(back, states),
        *(["u = load(STRIP, distance, here)", psi] if model.spiking else []),
        "gradient = load(STRIP, gradients, t * STRIP)",
        f"{_x(KICK)} = {kick}",
        *_back_step(model, back, how),
        f"put(distance, here, {_x('new__by__I')})",
        *(f"{_x('by__' + name)} = {_x('new__by__' + name)}" for name in states),
        *_learn(learned),
    ]
    step = [
        *_constants(own),
        "kind, settings, more, compact = shape",
        *([f"{_x(CURRENT)} = current"] if back.current else []),
        *_before(back, states),
        *([psi] if back.psi else []),
        f"{_x(KICK)} = kick",
        *_loaded(states, "x_by__", "carried"),
        *_back_step(model, back, how),
        *_kept(states, lambda name: _x(f"new__by__{name}"), "carried", "first"),
        *_learn(learned),
        f"return {_x('new__by__I')}",
    ]
    reads = bool(back.reads or back.current)
    return f"""STATES, READS = {len(states)}, {reads}
SPIKING, RECURRENT = {model.spiking}, {how.recurrent}


@kernel
def back_strip({_BACK}):
{_indented(begin, 1)}
    for back in range(steps):
{_indented(row, 2)}


@kernel
def back_step(constants, first, t, here, shape, kick, u, current, kept, carried, by_constant):
{_indented(step, 1)}
"""


_BACK = (
    "constants, first, steps, shape, gradients, scale, count_gradient, distance, at, factor, "
    "shift, current, kept, by_constant"
)


def _learn(learned: Iterable[str]) -> list[str]:
    return [
        f"add_wide(by_constant, {m} * by_constant.shape[1] + first, {_x('new__by__' + name)})"
        for m, name in enumerate(learned)
    ]


def _before(back: Adjoint, states: tuple[str, ...]) -> list[str]:
    """Lines that read the states before step t, whose place is `here`."""
    lines = [f"{_x(name)}__0 = zero" for name in back.reads]
    if lines:
        lines.append("if t > 0:")
    for name in back.reads:
        place = f"{states.index(name)} * kept.shape[1] + here - STRIP"
        lines.append(f"    {_x(name)}__0 = load(STRIP, kept, {place})")
    return lines


def _back_step(model: type[Neuron], back: Adjoint, how: Variant) -> list[str]:
    own = model.equations
    out = [f"fired = {_fired(own)}"] if model.spiking else []
    if back.psi:
        out.append(f"{_x(PSI)} = psi")
    for s in (*back.forwards, *back.backwards):
        out.append(f"{_x(s.target)} = {write(s.value, STRIPS, _named)}")
    out += [_flushed(_x(f"new__by__{name}")) for name in own.states]
    if how.holds:
        results = [(name, _x(f"by__{name}")) for name in own.states]
        results += [(name, "zero") for name in (CURRENT, *how.learned)]
        out.append("rests = at_least(splat(STRIP, RESTING), u)")
        for name, value in results:
            new = _x(f"new__by__{name}")
            out.append(f"{new} = where(rests, {value}, {new})")
    return out
