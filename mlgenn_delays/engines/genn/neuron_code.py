"""GeNN code of populations: what a neuron does in one step of the forward and the backward pass.

A trial of T steps is run forwards, then back, beside another trial's forward pass maybe.
Step u of the backward pass goes through what happened in step t = T - 1 - u, which the forward pass
left on a tape with one entry per neuron and step:

    LIF, EventProp           I + bias - v_thresh > 0 where it spiked, else 0; REST in a refractory
                             step, LAST_REST in the last of them, whose current is on a second tape
    spiking, SurrogateBPTT   V - v_thresh as the threshold saw it; RESTING in a refractory step

With P the adjoint of V carried back and R that of the arrivals of each group of synapses (LambdaI
in the code), the equations are those of the CPU engine: R[t] = ToSyn p[t] + Beta R[t+1],
P = Alpha p[t] and

    LIF, EventProp, spike    p = (P I_end - (tau_mem/dt) G) / slope + CountGradient
    LIF, SurrogateBPTT       p = psi (G + CountGradient) + (0 if it spiked, else P)

where G is what comes back from the targets. Synapses carry it between two steps, so a neuron
raises its event for step t one step earlier on the backward pass, in u = T - 2 - t. Nothing is
sent in the last step of either pass: it would arrive in the trial that follows. What a neuron
sends is in its Flag: SPIKE forwards, EVENT on the backward pass, and LEARNS beside it where it had
spiked.

A tape with an entry per step can neither overflow nor lose its end.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlgenn_delays.engines.shared.numerics import MIN_SLOPE
from mlgenn_delays.engines.shared.plan import synapse_groups
from mlgenn_delays.learning import Atan, Boxcar, EventProp, Rule
from mlgenn_delays.learning.rules import Surrogate
from mlgenn_delays.network import (
    LIF,
    CurrentInput,
    EulerLI,
    EulerLIF,
    Exponential,
    Network,
    Population,
    SpikeInput,
)

REST, LAST_REST, RESTING = -1.0, -2.0, -1e30
SPIKE, EVENT, LEARNS = 1, 2, 4
WORD = 32  # channels whose spikes of a step share a value of Raster

# Where what belongs to a step lies: one row of neurons per step, so that neighbours lie together.
_ROW = "(({slot} + (int)batch) * Steps + {step})"
_AT = f"(({_ROW} * num_neurons) + id)"
# GeNN 5.4 does not take >>.
_BIT = f"((Raster[({_ROW} * Words) + (id / {WORD})] & (1 << (id % {WORD}))) != 0)"
HERE, HERE_BIT = (at.format(slot="Slot", step="step") for at in (_AT, _BIT))
THEN = _AT.format(slot="BackSlot", step="(Steps - 1 - step)")
NEXT, NEXT_BIT = (at.format(slot="BackSlot", step="(Steps - 2 - step)") for at in (_AT, _BIT))
# Spikes of the last step would arrive in the trial that follows.
IN_TIME = "(step + 1 < Steps)"
SENT = f"({IN_TIME} ? {SPIKE} : 0)"


@dataclass
class NeuronCode:
    """What a GeNN neuron model is made of."""

    forwards: str  # code of one step forwards
    backwards: str  # code of one step on the backward pass
    params: dict[str, float] = field(default_factory=dict)  # constants by name
    # initial values by name; an array has one value per neuron
    variables: dict[str, Any] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)  # types of variables that are no "scalar"
    # variables that the host writes for every example and the code only reads
    given: list[str] = field(default_factory=list)
    # element types of arrays that the host allocates, by name
    arrays: dict[str, str] = field(default_factory=dict)
    # variables that are 0 at the start of a trial
    reset_forward: list[str] = field(default_factory=list)
    # variables that are 0 at the start of the backward pass
    reset_backward: list[str] = field(default_factory=list)
    sends: bool = True  # whether it has targets
    receives: bool = False  # whether its targets send something back

    def sim(self) -> str:
        """Return the code of one step."""
        begin, end = ("int flag = 0;", "Flag = flag;") if self.sends else ("", "")
        return f"""
        const int step = (int)round(t / dt);
        {begin}
        if (Backward) {{{self.backwards}
        }}
        if (Forward) {{{self.forwards}
        }}
        {end}
        """


def neuron_code(network: Network, population: Population, rule: Rule, keeps: bool) -> NeuronCode:
    """Return the code of a population; with `keeps`, the adjoints of all steps are kept."""
    model = population.model
    if isinstance(model, SpikeInput):
        return _spike_input(population.n)
    if isinstance(model, CurrentInput):
        return _current_input()
    if population is network.output():
        code = _output()
    elif isinstance(rule, EventProp):
        assert isinstance(model, LIF)
        code = _eventprop(model, network.dt)
    else:
        assert isinstance(model, LIF | EulerLIF)
        code = _surrogate(model, network.dt, rule.surrogate)
    groups = synapse_groups(network, population.name)
    _add_membrane(code, network, population, groups)
    if code.receives and rule.dropout.get(population.name):
        code.variables |= {"Gain": 1.0, "GainBack": 1.0}
        code.backwards = code.backwards.replace("RevISyn", "(GainBack * RevISyn)")
    if keeps:
        for g in range(len(groups)):
            code.arrays[f"Adjoint{g}"] = "scalar*"
            code.backwards += f"\n            Adjoint{g}[{THEN}] = LambdaI{g};"
    return code


def _add_membrane(
    code: NeuronCode, network: Network, population: Population, groups: list[Any]
) -> None:
    """Add what all populations with a membrane have: leak, bias, and the adjoint of each group of
    synapses, which takes the place of ``RECEIVE(p)``.
    """
    model: Any = population.model
    dt = network.dt
    alpha = float(np.exp(-dt / model.tau_mem))
    into = 1.0 - alpha
    if isinstance(model, EulerLIF | EulerLI):
        alpha, into = 1.0 - dt / model.tau_mem, 1.0
    code.params |= {"Alpha": alpha, "In": into}
    code.variables |= {"V": 0.0, "P": 0.0}
    code.reset_forward.append("V")
    code.reset_backward.append("P")
    receive = ""
    for g, synapse in enumerate(groups):
        decay, scale = 0.0, 1.0
        if isinstance(synapse, Exponential):
            decay = float(np.exp(-dt / synapse.tau_syn))
            scale = synapse.tau_syn / dt * (1.0 - decay)
        code.params |= {f"Beta{g}": decay, f"ToSyn{g}": scale * into}
        code.variables[f"LambdaI{g}"] = 0.0
        code.reset_backward.append(f"LambdaI{g}")
        receive += f"LambdaI{g} = (Beta{g} * LambdaI{g}) + (ToSyn{g} * ARGUMENT); "
    code.backwards = re.sub(
        r"RECEIVE\((\w+)\);", lambda m: receive.replace("ARGUMENT", m[1]), code.backwards
    )
    whole = "Isyn"
    if population.bias.any():
        code.variables["Bias"] = population.bias.astype(np.float32)
        whole = "(Isyn + Bias)"
    code.forwards = code.forwards.replace("CURRENT", whole)


def words(n: int) -> int:
    """Return the values of Raster that the spikes of n channels in a step take."""
    return -(-n // WORD)


def _spike_input(n: int) -> NeuronCode:
    """Return the code of a `SpikeInput` of n channels: a bit of Raster per channel and step."""
    return NeuronCode(
        forwards=f"""
            if ({HERE_BIT}) {{
                flag += {SENT};
            }}""",
        backwards=f"""
            if ({IN_TIME} && {NEXT_BIT}) {{
                flag = {EVENT};
            }}""",
        params={"Words": words(n)},
        variables={"Flag": 0},
        types={"Words": "int", "Flag": "uint8_t"},
        arrays={"Raster": "uint32_t*"},
    )


def _current_input() -> NeuronCode:
    """Return the code of a `CurrentInput`: a spike of the current's value where it is not 0."""
    return NeuronCode(
        forwards=f"""
            Gain = Value[{HERE}];
            flag += (Gain != 0) ? {SENT} : 0;""",
        backwards=f"""
            if ({IN_TIME}) {{
                GainBack = Value[{NEXT}];
                if (GainBack != 0) {{
                    flag = {EVENT};
                }}
            }}""",
        variables={"Gain": 0.0, "GainBack": 0.0, "Flag": 0},
        types={"Flag": "uint8_t"},
        arrays={"Value": "scalar*"},
    )


def _output() -> NeuronCode:
    """Return the code of the population that is read out: the host makes Drive of Voltage."""
    return NeuronCode(
        forwards=f"""
            V = (Alpha * V) + (In * CURRENT);
            Voltage[{HERE}] = V;""",
        backwards=f"""
            P += Drive[{THEN}];
            RECEIVE(P);
            P *= Alpha;""",
        arrays={"Voltage": "scalar*", "Drive": "scalar*"},
        sends=False,
    )


def _spiking(model: LIF | EulerLIF) -> NeuronCode:
    return NeuronCode(
        "",
        "",
        params={"Vthresh": model.v_thresh},
        variables={"Count": 0, "Flag": 0, "CountGradient": 0.0},
        types={"Count": "int", "Flag": "uint8_t"},
        given=["CountGradient"],
        arrays={"Tape": "scalar*"},
        reset_forward=["Count"],
        receives=True,
    )


def _add_refractory(code: NeuronCode, steps: int) -> None:
    code.variables["Wait"] = 0
    code.types |= {"Wait": "int", "Refractory": "int"}
    code.params["Refractory"] = steps
    code.reset_forward.append("Wait")


def _eventprop(model: LIF, dt: float) -> NeuronCode:
    code, rest = _spiking(model), model.refractory_steps(dt)
    code.params |= {"TauMem": model.tau_mem / dt, "MinSlope": float(MIN_SLOPE) * model.v_thresh}
    move = """
            V = (Alpha * V) + (In * CURRENT);
            if (V >= Vthresh) {
                mark = fmax(CURRENT - Vthresh, MinSlope);
                V = 0;
                Count++;
                flag += SENT;
                SPIKED
            }""".replace("SENT", SENT)
    restart = "(mark + Vthresh)"
    first, last = "", ""
    if rest:
        _add_refractory(code, rest)
        code.variables["Restart"] = 0.0
        code.arrays["Release"] = "scalar*"
        code.reset_backward.append("Restart")
        move = f"""
            if (Wait > 0) {{
                Wait--;
                mark = (Wait == 0) ? {LAST_REST} : {REST};
                Release[{HERE}] = CURRENT;
            }}
            else {{{move.replace("SPIKED", "Wait = Refractory;")}
            }}"""
        restart, last = "Restart", "Restart = 0;"
        first = f"""
            if (mark == {LAST_REST}) {{
                Restart = Release[{THEN}];
            }}"""
    code.forwards = f"""
            scalar mark = 0;{move.replace("SPIKED", "")}
            Tape[{HERE}] = mark;"""
    code.backwards = f"""
            const scalar mark = Tape[{THEN}];{first}
            scalar p = 0;
            if (mark > 0) {{
                P = ((P * {restart}) - (TauMem * RevISyn)) / mark + CountGradient;
                {last}
            }}
            if (mark >= 0) {{
                p = P;
                P *= Alpha;
            }}
            RECEIVE(p);
            if ({IN_TIME} && Tape[{NEXT}] > 0) {{
                flag = {EVENT};
            }}"""
    return code


def _surrogate(model: LIF | EulerLIF, dt: float, surrogate: Surrogate) -> NeuronCode:
    assert not isinstance(surrogate, Atan)
    psi = "Height" if isinstance(surrogate, Boxcar) else "(Height * (1 - fabs(away) / Width))"
    if isinstance(model, EulerLIF):
        spiked = "(away > 0)"
        code = _surrogate_seed(model, psi, spiked)
    else:
        spiked = "(away >= 0)"
        code = _surrogate_lif(model, dt, psi, spiked)
    code.params |= {"Width": surrogate.width, "Height": surrogate.height}
    code.backwards += f"""
            if ({IN_TIME}) {{
                const scalar next = Tape[{NEXT}];
                if ({spiked.replace("away", "next")}) {{
                    flag = {EVENT + LEARNS};
                }}
                else if (fabs(next) < Width) {{
                    flag = {EVENT};
                }}
            }}"""
    return code


def _surrogate_seed(model: EulerLIF, psi: str, spiked: str) -> NeuronCode:
    """Return the code of a `EulerLIF`, from that of psi and of the test for a spike."""
    code = _spiking(model)
    code.forwards = f"""
            const scalar away = V - Vthresh;
            V = (Alpha * V) + (In * CURRENT);
            if {spiked} {{
                V = 0;
                Count++;
                flag += {SENT};
            }}
            Tape[{HERE}] = away;"""
    code.backwards = f"""
            const scalar away = Tape[{THEN}];
            const scalar kept = {spiked} ? 0 : P;
            RECEIVE(kept);
            P = Alpha * kept;
            if (fabs(away) < Width) {{
                P += {psi} * (RevISyn + CountGradient);
            }}"""
    return code


def _surrogate_lif(model: LIF, dt: float, psi: str, spiked: str) -> NeuronCode:
    """Return the code of a `LIF`, from that of psi and of the test for a spike."""
    code, rest = _spiking(model), model.refractory_steps(dt)
    move = f"""
            V = (Alpha * V) + (In * CURRENT);
            away = V - Vthresh;
            if (V >= Vthresh) {{
                V = 0;
                Count++;
                flag += {SENT};
                SPIKED
            }}"""
    if rest:
        _add_refractory(code, rest)
        move = f"""
            if (Wait > 0) {{
                Wait--;
            }}
            else {{{move.replace("SPIKED", "Wait = Refractory;")}
            }}"""
    code.forwards = f"""
            scalar away = {RESTING};{move.replace("SPIKED", "")}
            Tape[{HERE}] = away;"""
    code.backwards = f"""
            const scalar away = Tape[{THEN}];
            scalar p = 0;
            if (away > {RESTING / 2}) {{
                p = {spiked} ? 0 : P;
                if (fabs(away) < Width) {{
                    p += {psi} * (RevISyn + CountGradient);
                }}
                P = Alpha * p;
            }}
            RECEIVE(p);"""
    return code
