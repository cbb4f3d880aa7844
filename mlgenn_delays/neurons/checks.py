"""What a declared neuron must be: its class, its equations, its values at a length of a step."""

import ast
import inspect
import warnings
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.neurons.equations import (
    CURRENT,
    FUNCTIONS,
    LARGEST,
    SPIKE,
    Equation,
    Equations,
    evaluate,
    names_in,
)
from mlgenn_delays.settings import is_number, must_be

MOST_TEXT = 10_000  # characters of equations
DEEPEST = 50  # operations within each other
_POWERS = {"": Fraction(0), "1": Fraction(0), "ms": Fraction(1), "1/ms": Fraction(-1)}


def check_class(cls: Any, bases: tuple[type, ...], about: type) -> dict[str, Any]:
    """The annotations of a class that is to become a neuron.

    Arguments:
        cls: The class.
        bases: Those of which it must have one.
        about: Class of what describes a neuron beside its parameters, such as ``step``.

    Raises:
        InputError: It is no class of this kind, or a parameter is no number.
    """
    names = " or ".join(base.__name__ for base in bases)
    if cls is None:
        raise InputError(f"@neuron must stand above a class of {names} without brackets after it")
    if not inspect.isclass(cls) or sum(issubclass(cls, base) for base in bases) != 1:
        raise InputError(f"@neuron must stand above a class of {names}, got {_shown(cls)}")
    if not cls.__name__.isascii():  # it becomes part of the names of files
        raise InputError(
            f"a neuron must have a name of letters from A to Z, digits and _, got {cls.__name__}"
        )
    own = cls.__dict__.get("__annotations__", {})
    for name in about.__annotations__:
        if name in own and name != "n":  # without ClassVar, it would be a parameter
            del own[name]
    try:
        hints = get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise InputError(
            f"annotations of {cls.__name__} must be known where its module begins, got {error}; "
            "import them there"
        ) from None
    _check_text(cls)
    for name, value in cls.__dict__.items():
        if is_number(value) and name not in own and not hasattr(about, name):
            raise InputError(
                f"{cls.__name__}.{name} must have an annotation, such as {name}: Positive = {value}"
            )
    found = {k: hints[k] for k in own if k in hints and get_origin(hints[k]) is not ClassVar}
    for name, kind in found.items():
        _check_parameter(cls, name, kind, spiking=issubclass(cls, bases[0]))
    return found


def is_number_kind(kind: Any) -> bool:
    """Whether an annotation is that of a number."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind in (int, float)


def check_name(what: str, name: str) -> None:
    """Reject names that have a meaning in equations, or in the code that is made of them."""
    if name.startswith("_") or "__" in name or not name.isascii():  # as `adjoint` has them
        raise InputError(
            f"the name of {what} must begin with a letter, and be of letters from A to Z, digits "
            f"and single _, got {name!r}"
        )
    if name in FUNCTIONS:
        raise InputError(f"{what} must not be called {name!r}, which is a function")


def _shown(cls: Any) -> str:
    if not inspect.isclass(cls):
        return repr(cls)
    return f"{cls.__name__}({', '.join(base.__name__ for base in cls.__bases__)})"


def _check_text(cls: Any) -> None:
    step = getattr(cls, "step", None)
    if not isinstance(step, str):
        raise InputError(must_be(f"{cls.__name__}.step", "a text, the equations of a step", step))
    if not isinstance(cls.refractory, str):
        wanted = "the name of a parameter in ms"
        raise InputError(must_be(f"{cls.__name__}.refractory", wanted, cls.refractory))
    synapses = cls.synapses
    if not isinstance(synapses, tuple) or not all(isinstance(each, str) for each in synapses):
        wanted = "a tuple of names of synapse models, such as ('Delta',)"
        raise InputError(must_be(f"{cls.__name__}.synapses", wanted, synapses))
    if not is_number(cls.shortest) or not cls.shortest >= 0:
        raise InputError(must_be(f"{cls.__name__}.shortest", "a number >= 0 steps", cls.shortest))


def _check_parameter(cls: Any, name: str, kind: Any, *, spiking: bool) -> None:
    what = f"{cls.__name__}.{name}"
    if name == "n" or (name == "readout" and spiking):
        raise InputError(f"{cls.__name__}: a parameter must not be called {name!r}")
    if name == "readout":
        return
    check_name(f"a parameter of {cls.__name__}", name)
    if not is_number_kind(kind):
        wanted = "annotated as a number, such as Positive or PositiveTime"
        raise InputError(must_be(what, wanted, kind))
    default = cls.__dict__.get(name, 0.0)
    if not is_number(default):
        raise InputError(
            must_be(what, "a number by default", default, "give other values to the neurons made")
        )


def power_of(cls: Any, name: str, unit: str) -> Fraction:
    """The power of milliseconds in the unit of a parameter."""
    if unit not in _POWERS:
        raise InputError(
            f"{cls.__name__}.{name} must be in ms, in 1/ms or without unit, got one in {unit}"
        )
    return _POWERS[unit]


def check_text(owner: str, text: str) -> None:
    """Reject equations that code which goes through them recursively could not.

    What is no Python passes: it is told of with its line, later.
    """
    if "\0" in text:
        raise InputError(f"{owner}.step must be text, got a null character in it")
    if len(text) > MOST_TEXT:
        raise InputError(f"{owner}.step must have at most {MOST_TEXT} characters, got {len(text)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            waiting: list[tuple[ast.AST, int]] = [(ast.parse(text), 0)]
    except SyntaxError:
        return
    except (MemoryError, RecursionError):  # of Python's parser
        waiting = [(ast.Pass(), DEEPEST + 1)]
    line = 0
    while waiting:
        node, depth = waiting.pop()
        line = getattr(node, "lineno", line)
        if depth > DEEPEST:
            where = f", line {line}" if line else ""
            raise InputError(
                f"{owner}.step{where}: equations must nest at most {DEEPEST} operations; give a "
                "part of them a line of its own"
            )
        waiting += [(inner, depth + 1) for inner in ast.iter_child_nodes(node)]


def check_equations(owner: str, own: Equations, parameters: tuple[str, ...], output: str) -> None:
    """Reject names that cannot be, parameters without effect, and what does not depend on I."""
    lines = (*own.constants, *own.lines)
    variables = own.variables()
    for name in dict.fromkeys(line.target for line in lines):
        where = next(line.line for line in lines if line.target == name)
        check_name(f"a variable of {owner}.step, {where},", name)
    if own.threshold is None:
        if output not in variables:
            raise InputError(f"{owner}.step must set {output}, which is read out")
        reads, where = {output}, output
    else:
        line = own.lines[own.threshold]
        reads, where = set(names_in(line.value)), line.line
    if not reads & _reached(own):
        raise InputError(f"{owner}.step, {where}: must depend on {CURRENT}, the synaptic current")
    for name in parameters:
        if not own.depending((name,)):
            raise InputError(
                f"{owner}.{name} must be read by a line of step, got none; remove it, or use it"
            )


def _reached(own: Equations) -> set[str]:
    """Variables that depend on the current, at once or in later steps."""
    found, before = {CURRENT}, 0
    while len(found) > before:
        before = len(found)
        found |= {line.target for line in own.lines if found & set(names_in(line.value))}
    return found


@np.errstate(all="ignore")
def check_finite(owner: str, own: Equations, parameters: Mapping[str, Any], dt: float) -> None:
    """Reject constants that are not finite, and a neuron that is not so at rest, or whose adjoint
    is not.

    Raises:
        InputError: Naming the line.
    """
    known = own.known_at(parameters, dt)
    remedy = f"at dt = {dt:g} ms; change its parameters or dt"
    for line in own.constants:
        _check_value(owner, line, known[line.target], remedy)
    known |= dict.fromkeys((*own.states, CURRENT), np.float64(0))
    for k, line in enumerate(own.lines):
        if line.at_spike:
            continue
        value = evaluate(line.value, known)
        _check_value(owner, line, value, f"at rest, where states and {CURRENT} are 0")
        _check_slopes(owner, line, known, {*own.variables(), CURRENT})
        known[line.target] = np.float64(0) if k == own.threshold else value


def _check_value(owner: str, line: Equation, value: Any, when: str) -> None:
    good = np.abs(value) <= LARGEST  # not if it is nan
    if not np.all(good):
        bad = np.asarray(value)[~np.asarray(good)][0] if np.ndim(value) else value
        what = "the distance from the threshold" if line.target == SPIKE else line.target
        raise InputError(f"{owner}.step, {line.line}: {what} must be finite, got {bad:g} {when}")


def _check_slopes(owner: str, line: Equation, known: Mapping[str, Any], moving: set[str]) -> None:
    """Reject roots that have no finite derivative at rest, where every trial starts."""
    if not any(_is_root(node) for node in ast.walk(line.value)):
        return
    from mlgenn_delays.neurons.adjoint import slopes_of

    for name, slope in slopes_of(line.value, line.line):
        if name not in moving:
            continue
        calls = {ast.unparse(n.func) for n in ast.walk(slope) if isinstance(n, ast.Call)}
        if calls - set(FUNCTIONS) or not np.all(np.abs(evaluate(slope, known)) <= LARGEST):
            raise InputError(
                f"{owner}.step, {line.line}: must have a finite derivative by {name} at rest, "
                f"where states and {CURRENT} are 0; add a small number to what the root is of"
            )


def _is_root(node: ast.AST) -> bool:
    """Whether it is a square root, or a power that may be one: not a whole number."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "sqrt"
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)):
        return False
    power = node.right.value if isinstance(node.right, ast.Constant) else None
    return not (is_number(power) and float(power).is_integer())  # type: ignore[arg-type]


@np.errstate(all="ignore")
def check_reset(owner: str, own: Equations, parameters: Mapping[str, Any]) -> None:
    """Reject a reset after which the neuron is still above its threshold."""
    assert own.threshold is not None
    resets = [line for line in own.lines if line.at_spike]
    if not resets:
        return
    constants = own.constants_at(parameters, 1e-3)
    rest: dict[str, Any] = {**constants, **dict.fromkeys((*own.states, "I"), np.float64(0))}
    low = _distance(own, rest)
    slopes = {name: _distance(own, rest | {name: 1.0}) - low for name in own.states}
    rising = {name: slope for name, slope in slopes.items() if np.all(slope > 0)}
    # What only lowers V, as adaptation does, leads to no threshold, unless nothing rises.
    falling = {name: slope for name, slope in slopes.items() if np.all(slope < 0)}
    for name, slope in (rising or falling).items():  # the state in which it is there, alone
        known = {**rest, name: -low / slope, SPIKE: 1.0}
        for line in own.lines[own.threshold + 1 :]:
            known[line.target] = evaluate(line.value, known)
        after = np.max(_distance(own, known))
        if after > 0 or (after == 0 and not own.strict):
            where = next((line for line in resets if line.target == name), resets[-1]).line
            raise InputError(
                f"{owner}.step, {where}: the reset must leave the neuron below its threshold, got "
                f"{name} = {np.max(known[name]):g} after a spike; change the reset or its "
                "parameters"
            )


def _distance(own: Equations, known: Mapping[str, Any]) -> Any:
    """How far a neuron whose states are `known` is above its threshold."""
    assert own.threshold is not None
    known = dict(known)
    for line in own.lines[: own.threshold]:
        if line.target not in own.states:  # such as above = V - v_thresh
            known[line.target] = evaluate(line.value, known)
    return evaluate(own.lines[own.threshold].value, known)
