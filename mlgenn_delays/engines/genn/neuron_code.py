"""GeNN code of populations: what a neuron does in one step of the forward and the backward pass.

Passes and tapes are those of `tape`; neurons come from their equations (`equation_code`), with what
EventProp does at a spike (`eventprop_code`).
"""

from typing import Any

from mlgenn_delays.engines.genn.equation_code import add_readout, add_surrogate, constant
from mlgenn_delays.engines.genn.eventprop_code import add_eventprop, spike_constants
from mlgenn_delays.engines.genn.tape import (
    EVENT,
    HERE,
    HERE_BIT,
    IN_TIME,
    NEXT,
    NEXT_BIT,
    SENT,
    THEN,
    WORD,
    NeuronCode,
)
from mlgenn_delays.engines.shared.neuron_parameters import LearnedNeurons
from mlgenn_delays.engines.shared.plan import synapse_groups
from mlgenn_delays.learning import EventProp, Rule
from mlgenn_delays.network import CurrentInput, Network, Population, SpikeInput
from mlgenn_delays.neurons.declare import ReadoutNeuron, SpikingNeuron


def neuron_code(network: Network, population: Population, rule: Rule, keeps: bool) -> NeuronCode:
    """The code of a population; with `keeps`, the adjoints of all steps are kept."""
    model, dt = population.model, network.dt
    if isinstance(model, SpikeInput):
        return _spike_input(population.n)
    if isinstance(model, CurrentInput):
        return _current_input()
    groups = synapse_groups(network, population.name)
    code = NeuronCode()
    code.add_synapses(groups, dt)
    code.add_bias(population.bias)
    if rule.dropout.get(population.name):
        code.variables |= {"Gain": 1.0, "GainBack": 1.0}
        code.feedback = f"(GainBack * {code.feedback})"
    learned = LearnedNeurons(population, dt) if population.learn else None
    names = learned.names if learned is not None else ()
    if isinstance(model, ReadoutNeuron):
        add_readout(code, model, dt, names)
    elif isinstance(rule, EventProp):
        assert isinstance(model, SpikingNeuron)
        add_eventprop(code, model, dt, learned)
    else:
        assert isinstance(model, SpikingNeuron)
        add_surrogate(code, model, dt, rule.surrogate, names)
    if keeps:
        for g in range(len(groups)):
            code.arrays[f"Adjoint{g}"] = "scalar*"
            code.backwards += f"\n            Adjoint{g}[{THEN}] = LambdaI{g};"
    return code


def learned_values(neurons: LearnedNeurons, rule: Rule) -> dict[str, Any]:
    """Values of all variables that may change with learned parameters, by name."""
    known = neurons.constants()
    out = {constant(name): known[name] for name in neurons.names}
    if isinstance(rule, EventProp) and neurons.model.spiking:
        out |= spike_constants(neurons.current(), neurons.dt)
    return out


def words(n: int) -> int:
    """The values of Raster that the spikes of n channels in a step take."""
    return -(-n // WORD)


def _spike_input(n: int) -> NeuronCode:
    """The code of a `SpikeInput` of n channels: a bit of Raster per channel and step."""
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
    """The code of a `CurrentInput`: a spike of the current's value where it is not 0."""
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
