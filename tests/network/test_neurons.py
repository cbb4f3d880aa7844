"""Declarations of neurons that cannot be: one error, naming the line."""

import ast
import re
import sys
from textwrap import indent
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import mlgenn_delays
from mlgenn_delays import (
    LIF,
    Exponential,
    Network,
    Normal,
    ReadoutNeuron,
    SpikeInput,
    SpikingNeuron,
    Uniform,
)
from mlgenn_delays.engines.shared.neuron_parameters import Learned
from mlgenn_delays.errors import InputError
from mlgenn_delays.neurons.adjoint import adjoint, slopes_of
from mlgenn_delays.neurons.declare import NEURONS, make_model, neuron, neuron_models
from mlgenn_delays.neurons.equations import evaluate, read
from mlgenn_delays.neurons.linear import step_of

STEP = """
    alpha = exp(-dt / tau_mem)
    V = alpha * V + (1 - alpha) * I
    spike = V >= v_thresh
    if spike: V = 0
"""
HEAD = """
from typing import Annotated, ClassVar
from mlgenn_delays import *
from mlgenn_delays.settings import Unit
"""
BODY = "    tau_mem: TauMem = 20.0\n    v_thresh: Threshold = 1.0\n"


def declared(
    step: str = STEP, body: str = BODY, base: str = "SpikingNeuron", name: str = "Mine",
    before: str = "",
) -> Any:  # fmt: skip
    """The model of a class as a user writes it, unknown to others."""
    text = f"    step = '''{indent(step, '    ')}    '''\n" if step else ""
    module = sys.modules.setdefault("theirs", ModuleType("theirs"))
    names = vars(module)
    exec(HEAD, names)
    names["neuron"] = make_model
    exec(f"{before}\n@neuron\nclass {name}({base}):\n{body}{text}    pass\n", names)
    return names[name]


# What stands in the place of a piece of `STEP`, and the error.
LINES = [
    ("(1 - alpha)", "(1 - alpha", r"line 2 .*: not Python: '\(' was never closed"),
    ("alpha = ", "lambda = ", r"line 1 .*: not Python"),
    ("    V = alpha", "      V = alpha", r"line 2 .*: not Python: unexpected indent"),
    ("(1 - alpha)", "(1 - alhpa)", "line 2 .*: alhpa is unknown; did you mean 'alpha'"),
    ("* I", "* (I - w)", "line 2 .*: w is unknown"),
    ("* I", "* I * spike", "line 2 .*: spike is unknown; it is known after the threshold"),
    ("exp(", "sigmoid(", "line 1 .*: sigmoid cannot be differentiated here; a function must be"),
    ("exp(", "np.exp(", r"line 1 .*: np\.exp cannot be differentiated"),
    ("* I", "* abs(I)", "line 2 .*: abs cannot be"),
    ("* I", "* (I if I > 0 else 0)", "line 2 .*: I if I > 0 else 0 cannot be"),
    ("* I", "* I % 2", "line 2 .* cannot be"),
    ("* I", "* I[0]", r"line 2 .*: I\[0\] cannot be"),
    ("* I", "* 'I'", "line 2 .*: 'I' must be a number"),
    ("* I", "* 1e400 * I", "line 2 .*: numbers must be less than"),
    ("* I", "* I * 9 ** 9 ** 9", r"line 2 .*: a power must be in -100\.\.100, .* got 9 \*\* 9"),
    ("* I", "* (2 * I) ** 10 ** 20", "line 2 .*: a power must be in"),
    ("* I", "* ((2 * I) ** 99) ** -2", "line 2 .*: a power must be in"),
    ("V = alpha * V +", "V +=", "line 2 .*: must be NAME = EXPRESSION"),
    ("-dt /", "-dt *", r"line 1 .*: exp\(.*\) must be of a number without unit, got .* in ms\^2"),
    ("V >= v_thresh", "V >= tau_mem", "line 3 .*: V - tau_mem adds no unit and ms"),
    ("V = 0", "V = dt", "line 4 .*: V must be in no unit, got ms"),
    ("V >= v_thresh", "V == v_thresh", "line 3 .*: the threshold must be A >= B or A > B"),
    ("V >= v_thresh", "tau_mem >= dt", "line 3 .*: must depend on I"),
    ("* I", "* 1", "line 3 .*: must depend on I"),
    ("if spike: V", "spike = V >= 2\n    if spike: V", "line 4 .*: there must be one threshold"),
    ("if spike: V = 0", "if V > 1: V = 0", "line 4 .*: a condition must be 'if spike:'"),
    ("V = alpha", "if spike: V = 0\n    V = alpha", "line 2 .*: a reset must come after the thr"),
    ("V = 0", "V = 2 * v_thresh", "line 4 .*: the reset must leave the neuron below .* V = 2"),
    ("if spike: V = 0", "tau_mem = 3", "line 4 .*: tau_mem is a parameter and must not be set"),
    ("if spike: V = 0", "dt = 3", "line 4 .*: dt must not be set"),
    ("if spike: V = 0", "I = 3", "line 4 .*: I must not be set"),
    ("alpha", "exp", "line 1 .*, must not be called 'exp', which is a function"),
    ("alpha", "by__V", "line 1 .*, must begin with a letter, .* single _, got 'by__V'"),
    ("alpha", "_alpha", "line 1 .*, must begin with a letter"),
    ("alpha", "größe", "line 1 .*, must begin with a letter, and be of letters from A to Z"),
    ("spike = V >= v_thresh\n", "\n", "must have a threshold, such as spike = V >= 1|reset must"),
    ("v_thresh", "1", r"\.v_thresh must be read by a line of step"),
    ("* I", "* I" + " + I" * 60, "line 2: equations must nest at most 50 operations"),
    ("* I", "* " + "-" * 5000 + "I", "equations must nest at most 50 operations"),
    ("* I", "* I" + " " * 10_000, "must have at most 10000 characters"),
]


@pytest.mark.parametrize(("piece", "instead", "says"), LINES)
def test_a_line_is_named(piece: str, instead: str, says: str) -> None:
    assert piece in STEP
    with pytest.raises(InputError, match=f"(?s)Mine.*{says}"):
        declared(STEP.replace(piece, instead))


@pytest.mark.parametrize("reset", ["V = 2", "above = -1"])
def test_the_reset_counts_at_the_threshold_through_variables_of_the_step(reset: str) -> None:
    test = "above = V - v_thresh\n    spike = above >= 0"
    with pytest.raises(InputError, match="line 5 .*: the reset must leave the neuron below"):
        declared(
            STEP.replace("spike = V >= v_thresh", test).replace("spike: V = 0", f"spike: {reset}")
        )
    declared(STEP.replace("spike = V >= v_thresh", test))


def test_a_threshold_that_is_reached_from_above_has_a_reset_as_well() -> None:
    falls = STEP.replace("* I", "* -I").replace("V >= v_thresh", "-V >= v_thresh")
    declared(falls)
    with pytest.raises(InputError, match="line 4 .*: the reset must leave the neuron below .* -2"):
        declared(falls.replace("spike: V = 0", "spike: V = -2"))


BODIES = [
    ("n: PositiveTime = 1.0", "must not be called 'n'"),
    ("dt: PositiveTime = 1.0", "must not be called 'dt'"),
    ("I: Positive = 1.0", "must not be called 'I'"),
    ("spike: Positive = 1.0", "must not be called 'spike'"),
    ("readout: Readout = 'mean'", "must not be called 'readout'"),
    ("exp: Positive = 1.0", "must not be called 'exp'"),
    ("bias: Positive = 1.0", "must not be called 'bias'"),
    ("values: Positive = 1.0", "must not be called 'values'"),
    ("größe: Positive = 1.0", "must begin with a letter, .*'größe'"),
    ("gain_a = 2.0", r"\.gain_a must have an annotation, such as gain_a: Positive"),
    ("kind: str = 'a'", "kind must be annotated as a number, .*got <class 'str'>"),
    ("tau: Positive = '3'", "tau must be a number by default, got '3'"),
    ("tau: Positive = Normal(20, 4)", "tau must be a number by default, .*; give other values to"),
    ("tau_mem: TauMem = -2.0", r"\.tau_mem must be a number > 0 ms.*, got -2\.0"),
    ("v_thresh: Threshold = 0.0", r"\.v_thresh must be a number > 0.*, got 0"),
    ("late: Positive", "non-default argument 'late'"),
    ("volts: Annotated[Positive, Unit('mV')] = 1.0", "volts must be in ms, in 1/ms or without"),
    ("refractory = 'tau'", r"refractory must be the name of a parameter in ms, got 'tau'"),
    ("refractory = 'v_thresh'", r"refractory must be the name of a parameter in ms"),
    ("refractory = 3", "refractory must be the name of a parameter in ms, got 3"),
    ("synapses = 'Delta'", r"synapses must be a tuple of names of synapse models.*got 'Delta'"),
    ("shortest = -1", r"shortest must be a number >= 0 steps, got -1"),
    ("step = 3", r"step must be a text, the equations of a step, got 3"),
]


@pytest.mark.parametrize(("line", "says"), BODIES)
def test_a_parameter_is_named(line: str, says: str) -> None:
    with pytest.raises(InputError, match=f"Mine.*{says}"):
        declared("" if line.startswith("step") else STEP, f"{BODY}    {line}\n")


@pytest.mark.parametrize("base", ["object", "SpikingNeuron, ReadoutNeuron"])
def test_a_neuron_has_one_base(base: str) -> None:
    with pytest.raises(InputError, match="stand above a class of SpikingNeuron or ReadoutNeuron"):
        declared(base=base)
    with pytest.raises(InputError, match="@neuron must stand above a class"):
        neuron(3)
    with pytest.raises(InputError, match="@neuron must stand above .* without brackets after it"):
        neuron()


def test_the_output_is_read() -> None:
    body = "    readout: Readout = 'mean'\n"
    assert declared("\n    V = V + I\n", body, "ReadoutNeuron")(2).readout == "mean"
    for step, own, says in (
        ("\n    X = X + I\n", body, "must set V, which is read out"),
        ("\n    X = X + I\n    V = 0.5 * V\n", body, "V: must depend on I"),
        ("\n    V = V + I\n    spike = V >= 1\n", body, "must have no threshold"),
        ("\n    V = V + I\n", "", "must have a field readout: Readout = 'mean'"),
    ):
        with pytest.raises(InputError, match=says):
            declared(step, own, "ReadoutNeuron")


def test_names_of_the_package_are_taken() -> None:
    for name in ("LIF", "BalancedResonator", "SeedLIF"):
        made = declared(name=name)
        with pytest.raises(InputError, match=f"a name of its own, got {name}"):
            neuron(
                type(
                    name,
                    (SpikingNeuron,),
                    {
                        "__module__": "theirs",
                        "step": made.step,
                        "__annotations__": made.__annotations__,
                        "tau_mem": 1.0,
                        "v_thresh": 1.0,
                    },
                )
            )
    assert neuron_models()["LIF"] is LIF
    with pytest.raises(InputError, match="letters from A to Z, .*got Nöron"):
        declared(name="Nöron")


def test_what_is_allowed() -> None:
    """Annotations as text, blocks, comments, an annotated step, inherited lines, no docstring."""
    assert declared(before="from __future__ import annotations").equations.states == ("V",)
    block = STEP.replace("if spike: V = 0", "if spike:\n        V = 0\n        w_1 = w_1 + 1  # up")
    assert declared(block).equations.states == ("V", "w_1")
    text = f"{BODY}    step: str = '''{STEP}'''\n"
    assert declared("", text).parameters() == ("tau_mem", "v_thresh")
    assert declared("", "    tau_mem: TauMem = 9.0\n", "LIF")(2).constants(1.0)["v_thresh"] == 1.0
    assert declared()(2).__doc__.startswith("n neurons Mine.\n\nArguments:\n    n: Number")


def test_a_class_without_the_decorator_makes_no_neuron() -> None:
    class Forgotten(SpikingNeuron):
        step = STEP

    class Refined(LIF):
        pass

    for kind in (Forgotten, Refined):
        with pytest.raises(InputError, match=f"{kind.__name__} must be declared with @neuron"):
            kind(3)


def test_one_may_be_declared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlgenn_delays.neurons.declare.NEURONS", dict(NEURONS))
    for threshold in (1.0, 2.0):

        @neuron
        class Again(SpikingNeuron):
            step = f"V = V + I\nspike = V >= {threshold}\nif spike: V = 0"

    assert Again.equations.step({"V": 1.5}, 0.0, {})[1] == -0.5
    assert neuron_models()["Again"] is Again


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"tau_mem": 0.4}, "tau_mem of Mine 'x' must be >= 0.5 dt"),
        ({"tau_mem": [1.0, 0.3, 2.0]}, "tau_mem of Mine 'x' must be >= 0.5 dt"),
        ({"tau_mem": [1.0, 2.0]}, "Mine.tau_mem must be a number or 3 of them"),
        ({"tau_mem": [[1.0, 2.0, 3.0]]}, "Mine.tau_mem must be a number > 0 ms .*one per neuron"),
        ({"tau_mem": [1.0, np.nan, 3.0]}, "Mine.tau_mem must be a number > 0 ms .*one per neuron"),
        ({"tau_mem": Uniform(-2.0, -1.0)}, "tau_mem of 'x' must be in 0.5.*, got Uniform"),
        ({"v_thresh": Normal(-5.0, 0.0)}, "v_thresh of 'x' must be > 0, got Normal"),
        ({"tau_mem": {"norml": [20, 4]}}, "Mine.tau_mem must be a number > 0 ms .*one per neuron"),
    ],
)
def test_values_that_cannot_be(values: dict, says: str) -> None:
    model = declared()
    with pytest.raises(InputError, match=re.compile(says)):
        Network(dt=1.0).add("x", model(3, **values))


@pytest.mark.parametrize("bound", [0.7, 0.1, -0.1, -0.7])
def test_values_may_lie_on_their_bounds(bound: float) -> None:
    # As float32, 0.7 is less than 0.7, and 0.1 is more.
    kind = f"Annotated[Number, Field(ge={bound}, le={bound} + 2)]"
    body = f"{BODY}    low: {kind} = {bound}\n    high: {kind} = {bound} + 2\n"
    model = declared(
        STEP.replace("* I", "* (I + low * high)"), body, before="from pydantic import Field"
    )
    for value in ([bound] * 3, np.full(3, bound), Uniform(bound, bound)):
        network = Network(dt=1.0)
        network.add("x", model(3, low=value))
        assert np.min(network.populations["x"].model.low) >= bound
    network = Network(dt=1.0)
    learned = network.add("x", model(3, high=[bound + 2] * 3), learn=["low", "high"])
    assert np.allclose(learned.model.low, bound) and np.max(learned.model.high) <= bound + 2


@pytest.mark.parametrize(("low", "high"), [(0.7, 1e9), (-0.1, 1e9), (0.0, 1e9), (-0.1, 0.1)])
def test_learned_values_do_not_round_out_of_their_range(low: float, high: float) -> None:
    for step in (-1e6, 1e6):
        learned = Learned(2, low, high)
        learned.value[:] = low + 1e-3
        learned.move(np.full(2, step, np.float32))
        assert low <= learned.value.astype(np.float64).min() <= learned.value.max() <= high


@pytest.mark.parametrize(
    ("piece", "instead", "says"),
    [
        (
            "exp(-dt / tau_mem)",
            "sqrt(1 - 2 * tau_mem / dt)",
            "line 1 .*: alpha must be finite, got nan",
        ),
        ("exp(-dt", "exp(1000 * dt", "line 1 .*: alpha must be finite, got inf at dt = 20 ms"),
        ("exp(-dt / tau_mem)", "1 / (dt - tau_mem) * dt", "line 1 .*: alpha must be finite"),
        ("* I", "/ I", "line 2 .*: V must be finite, got inf at rest"),
        ("V >= v_thresh", "log(V) >= v_thresh", "line 3 .*: the distance .* got -inf at rest"),
        ("* I", "* sqrt(I)", "line 2 .*: must have a finite derivative by I at rest.* add a small"),
        ("+ (1", "** 0.5 + (1", "line 2 .*: must have a finite derivative by V at rest"),
        ("V >= v_thresh", "sqrt(V ** 2) >= v_thresh", "line 3 .*: must have a finite derivative"),
    ],
)
def test_what_is_not_finite_is_refused_with_its_line(piece: str, instead: str, says: str) -> None:
    assert piece in STEP
    made = declared(STEP.replace(piece, instead))
    with pytest.raises(InputError, match=says):
        Network(dt=20.0).add("x", made(3))


@pytest.mark.parametrize("power", ["sqrt(1 + I)", "I ** 1.5", "I ** 2", "I ** v_thresh"])
def test_roots_and_powers_that_have_a_derivative_at_rest(power: str) -> None:
    made = declared(STEP.replace("* I", f"* {power}"))
    Network(dt=1.0).add("x", made(3))


def test_a_power_that_is_a_parameter_has_a_derivative_at_rest() -> None:
    slope = dict(slopes_of(ast.parse("(1 - a) * x ** p", mode="eval").body, "line 1"))["x"]
    found = evaluate(slope, {"a": 0.5, "x": np.array([0.0, 3.0]), "p": np.float64(2)})
    np.testing.assert_array_equal(found, [0.0, 3.0])


@pytest.mark.parametrize(
    "line",
    [
        "exp(1) * V + I", "V * sqrt(V * V) + I", "(V ** 2) ** 0.5 * I", "log(exp(V)) + I / 3",
        "V ** V + exp(2) * I ** -2", "2 ** V * tanh(I) - sin(V) ** 3", "sqrt(exp(V)) * cos(3) * I",
    ],
)  # fmt: skip
def test_derivatives_are_written_in_what_equations_have(line: str) -> None:
    spike = "spike = V >= 100"
    own = read("Mine", f"V = {line}\n{spike}", {}, True)
    back = adjoint(own)
    known = {"V__0": 0.7, "I": 0.4, "by__V": 1.0, "kick__": 0.0, "spike": 0.0}
    for s in (*back.forwards, *back.backwards):
        known[s.target] = float(evaluate(s.value, known))
    for name, got in (("V", known["new__by__V"]), ("I", known["new__by__I"])):
        moved = {"V": 0.7, "I": 0.4} | {name: {"V": 0.7, "I": 0.4}[name] + 1e-30j}
        assert got == pytest.approx(np.imag(evaluate(own.lines[0].value, moved)) / 1e-30, rel=1e-12)


@pytest.mark.parametrize("line", ["(-1) ** V + I", "V * log(-2) + I", "V * sqrt(-2) + I"])
def test_derivatives_are_real(line: str) -> None:
    own = read("Mine", f"V = {line}\nspike = V >= 1", {}, True)
    with pytest.raises(InputError, match=r"line 1 .*: cannot be differentiated by V; take no"):
        adjoint(own)


def test_a_refractory_period_beyond_all_trials_is_one() -> None:
    assert LIF(1, tau_refrac=1e9).refractory_steps(1e-3) == 2**31 - 1


@pytest.mark.parametrize("tau", [0.4, [5.0, 0.4], [5.0, 5.0, 5.0]])
def test_time_constants_of_synapses_that_cannot_be(tau: Any) -> None:
    network = Network(dt=1.0)
    network.add("in", SpikeInput(2))
    network.add("x", LIF(2))
    says = r"tau_syn onto 'x' must be a number or 2 of them, >= 0.5 dt \(0.5 ms\), got"
    with pytest.raises(InputError, match=says):
        network.connect("in", "x", Exponential(tau), weight=1.0)


def test_what_is_learned_is_of_the_parameters() -> None:
    network = Network()
    assert network.add("x", LIF(2), learn="tau_mem").learn == ("tau_mem",)
    with pytest.raises(InputError, match=r"'y' must be of its parameters \(it has none\), got 'n'"):
        network.add("y", SpikeInput(2), learn=["n"])


def test_names_of_variables_do_not_matter() -> None:
    wanted = step_of(declared()(2), 1.0)
    got = step_of(declared(STEP.replace("V ", "u ").replace("= V", "= u"))(2), 1.0)
    for part in ("distance", "quiet", "spike"):
        for name in ("matrix", "by_current", "rest"):
            one, other = getattr(getattr(got, part), name), getattr(getattr(wanted, part), name)
            assert np.array_equal(one, other)


def test_former_names_are_still_there() -> None:
    assert mlgenn_delays.SeedLIF is mlgenn_delays.EulerLIF
    assert mlgenn_delays.SeedLI is mlgenn_delays.EulerLI
    assert not {"SeedLIF", "SeedLI"} & set(dir(mlgenn_delays))
    assert issubclass(mlgenn_delays.EulerLI, ReadoutNeuron)
