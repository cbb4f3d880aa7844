"""What the code of all populations has in common: passes, tapes, flags, arrivals.

A trial of T steps is run forwards, then back, beside another trial's forward pass maybe.
Step u of the backward pass goes through what happened in step t = T - 1 - u, which the forward pass
left on tapes with one entry per neuron and step. Such a tape can neither overflow nor lose its end.

The backward pass adds up R, the adjoint of the arrivals of each group of synapses (LambdaI in the
code), from dL/dI of the neuron, as the CPU engine does:

    R[t] = ToSyn dL/dI[t] + Beta R[t+1]

of which dL/dToSyn and dL/dBeta follow where the time constant is learned.

What comes back from a neuron's targets, dL/d(spike), synapses carry between two steps, so a neuron
raises its event for step t one step earlier on the backward pass, in u = T - 2 - t. Nothing is
sent in the last step of either pass: it would arrive in the trial that follows. What a neuron
sends is in its Flag: SPIKE forwards, EVENT on the backward pass, and LEARNS beside it where it had
spiked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlgenn_delays.engines.shared.plan import of_synapse
from mlgenn_delays.network import Exponential

SPIKE, EVENT, LEARNS = 1, 2, 4
WORD = 32  # channels whose spikes of a step share a value of Raster

# Where what belongs to a step lies: one row of neurons per step, so that neighbours lie together.
_ROW = "(({slot} + (int)batch) * Steps + {step})"
_AT = f"(({_ROW} * num_neurons) + id)"
# GeNN 5.4 does not take >>.
_BIT = f"((Raster[({_ROW} * Words) + (id / {WORD})] & (1 << (id % {WORD}))) != 0)"
HERE, HERE_BIT = (at.format(slot="Slot", step="step") for at in (_AT, _BIT))
THEN = _AT.format(slot="BackSlot", step="(Steps - 1 - step)")
# On the backward pass, the step that it goes through next: the one before THEN.
NEXT, NEXT_BIT = (at.format(slot="BackSlot", step="(Steps - 2 - step)") for at in (_AT, _BIT))
# Spikes of the last step would arrive in the trial that follows.
IN_TIME = "(step + 1 < Steps)"
SENT = f"({IN_TIME} ? {SPIKE} : 0)"


@dataclass
class NeuronCode:
    """What a GeNN neuron model is made of."""

    forwards: str = ""  # code of one step forwards
    backwards: str = ""  # code of one step on the backward pass
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
    # variables that add up gradients over a batch, for the host to read
    sums: list[str] = field(default_factory=list)
    groups: int = 0  # of synapses onto it
    # currents by group of synapses whose time constants are learned; GeNN's Isyn is without them
    learned: dict[int, str] = field(default_factory=dict)
    current: str = "Isyn"  # current of the step, with the bias: terms of a sum
    feedback: str = "RevISyn"  # what its targets sent back

    def sim(self) -> str:
        """Code of one step."""
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

    def add_constants(self, values: Mapping[str, Any]) -> None:
        """Add constants: numbers, or float (n,) where they differ between neurons."""
        for name, value in values.items():
            if np.ndim(value):
                self.variables[name] = np.asarray(value, np.float32)
            else:
                self.params[name] = float(value)

    def add_states(self, names: Iterable[str]) -> None:
        """Add variables that last from step to step of the forward pass."""
        self.variables |= dict.fromkeys(names, 0.0)
        self.reset_forward += names

    def add_adjoints(self, names: Iterable[str]) -> None:
        """Add variables that last from step to step of the backward pass."""
        self.variables |= dict.fromkeys(names, 0.0)
        self.reset_backward += names

    def add_synapses(self, groups: list[Any], dt: float) -> None:
        """Add the adjoint R of each group of synapses; to be called before the neuron is added."""
        self.groups = len(groups)
        self.add_adjoints([f"LambdaI{g}" for g in range(len(groups))])
        for g, synapse in enumerate(groups):
            decay, scale = synapse_constants(synapse, dt)
            self.add_constants({f"Beta{g}": decay, f"ToSyn{g}": scale})
            if getattr(synapse, "learn", False):
                self.learned[g] = f"Isyn{g}"
                self.current += f" + Isyn{g}"
                self.arrays[f"Inner{g}"] = "scalar*"
                self.sums += synapse_sums(g)
                self.variables |= dict.fromkeys(synapse_sums(g), 0.0)

    def add_bias(self, bias: np.ndarray) -> None:
        """Add a constant current, (n,)."""
        if bias.any():
            self.variables["Bias"] = bias.astype(np.float32)
            self.current += " + Bias"

    def add_spikes(self) -> None:
        """Add what all neurons have that spike: their number, and what comes back of them."""
        self.variables |= {"Count": 0, "Flag": 0, "CountGradient": 0.0}
        self.types |= {"Count": "int", "Flag": "uint8_t"}
        self.given.append("CountGradient")
        self.arrays["Tape"] = "scalar*"
        self.reset_forward.append("Count")
        self.receives = True

    def add_refractory(self, steps: int) -> None:
        """Add the steps that a neuron still waits after a spike."""
        self.variables["Wait"] = 0
        self.types |= {"Wait": "int", "Refractory": "int"}
        self.params["Refractory"] = steps
        self.reset_forward.append("Wait")

    def keep_currents(self) -> list[str]:
        """Lines of a step forwards: inSyn of groups that are learned, on tapes."""
        return [f"Inner{g}[{HERE}] = {own} / ToSyn{g};" for g, own in self.learned.items()]

    def receive(self, by_current: str) -> list[str]:
        """Lines that update R of all groups of synapses, from dL/dI."""
        out = [
            f"LambdaI{g} = (Beta{g} * LambdaI{g}) + (ToSyn{g} * {by_current});"
            for g in range(self.groups)
        ]
        for g in self.learned:
            scale, decay = synapse_sums(g)
            out += [
                f"{scale} += {by_current} * Inner{g}[{THEN}];",
                f"{decay} += {IN_TIME} ? (LambdaI{g} * Inner{g}[{NEXT}]) : 0.0;",
            ]
        return out


def synapse_constants(synapse: object, dt: float) -> tuple[Any, Any]:
    """Decay and scale of synapses, numbers or (n,) where time constants differ."""
    if not isinstance(synapse, Exponential):
        return 0.0, 1.0
    return of_synapse(np.asarray(synapse.tau_syn, float), dt)


def synapse_sums(group: int) -> list[str]:
    """Variables in which dL/d(scale) and dL/d(decay) of a group of synapses are added up."""
    return [f"ScaleSum{group}", f"DecaySum{group}"]
