"""State dicts of snnTorch: linear layers, each with `Leaky`, `Synaptic` or a recurrent one of them.

    Leaky      V = beta V + x                           a spike where V > threshold
    Synaptic   I = alpha I + x,  V = beta V + I         the same
    RLeaky, RSynaptic   what the spikes of the step before bring is added to x

A spike resets V to 0, or takes the threshold from it. By default the step after does so
(`reset_delay`), after V has decayed. Where that resets V to 0, it is the same for `Leaky`; the
others lose what arrives then, which no neuron here does. So snnTorch 1.0 computes. Without
`reset_delay`, it adds the threshold again where V was above twice that; here V stays less.
"""

from typing import Annotated, Any

import numpy as np

from mlgenn_delays.distributions import few
from mlgenn_delays.errors import InputError
from mlgenn_delays.imports.chain import (
    OUTPUTS,
    SPIKES,
    Layer,
    Pairs,
    current_gain,
    exact_tau,
    network_of,
)
from mlgenn_delays.imports.state import Module, read_modules, unknown
from mlgenn_delays.network import LIF, EulerLI, Exponential, LeakyIntegrator, Network
from mlgenn_delays.neurons.models.discrete_lif import DiscreteLIF
from mlgenn_delays.settings import LONGEST, one_of, says, settings

_LEAKY = ("beta", "threshold")
_OTHERS = ("alpha", "reset_mechanism_val", "graded_spikes_factor", "recurrent.weight",
           "recurrent.bias")  # fmt: skip
SUBTRACT, ZERO, NONE = range(3)  # reset_mechanism_val


@settings(kw_only=True)
class SnnTorch:
    """What a state dict of snnTorch does not say.

    Example:
        >>> from mlgenn_delays.imports import SnnTorch
        >>> SnnTorch(readout="max").reset_delay
        True
    """

    readout: Annotated[
        str, one_of(*OUTPUTS), says("Of the last layer: its spikes are counted, or V is read.")
    ] = SPIKES
    reset_delay: Annotated[bool, says("That of the neurons, as they were made.")] = True
    currents: Annotated[
        bool, says("Whether the input has real values, not at most one spike a step.")
    ] = False

    def network(self, source: Any, dt: float) -> Network:
        """The network of a state dict, for steps of dt [ms]."""
        linear: list[Module] = []
        neurons: list[Module] = []
        for module in read_modules(source):
            if module.has(_LEAKY, _OTHERS):
                neurons.append(module)
            elif module.has(("weight",), ("bias",)):
                linear.append(module)
            else:
                raise unknown(module, "Linear, Leaky, Synaptic, RLeaky or RSynaptic")
        if len(linear) != len(neurons):
            raise InputError(
                f"each Linear must have a Leaky or Synaptic after it, got {len(linear)} and "
                f"{len(neurons)}"
            )
        layers: list[Layer] = []
        for k, (weights, own) in enumerate(zip(linear, neurons, strict=True), 1):
            n_pre = layers[-1].model.n if layers else None
            weight = weights.matrix("weight", n_pre)
            voltage = k == len(linear) and self.readout != SPIKES
            layers.append(self._layer(weight, weights.bias(len(weight)), own, dt, voltage=voltage))
        return network_of(layers, dt, currents=self.currents)

    def _layer(
        self, weight: np.ndarray, bias: np.ndarray | None, own: Module, dt: float, *, voltage: bool
    ) -> Layer:  # fmt: skip
        n = len(weight)
        beta, threshold = (own.each(key, n) for key in _LEAKY)
        beta = np.clip(beta, 0.0, 1.0)  # as snnTorch does
        reset = SUBTRACT
        if "reset_mechanism_val" in own.arrays:
            reset = int(own.each("reset_mechanism_val", 1)[0])
        self._check(own, beta, threshold, reset, voltage=voltage)
        recurrent = []
        if "recurrent.weight" in own.arrays:
            recurrent = [Pairs(own.matrix("recurrent.weight", n, n))]
            if "recurrent.bias" in own.arrays:
                bias = own.each("recurrent.bias", n) + (0.0 if bias is None else bias)
        common: dict[str, Any] = {"pairs": [Pairs(weight)], "bias": bias, "recurrent": recurrent}
        if "alpha" in own.arrays:
            alpha = own.each("alpha", n)
            if min(alpha.min(), beta.min()) <= 0 or max(alpha.max(), beta.max()) >= 1:
                raise InputError(
                    f"{own.name}.alpha and beta must be in (0, 1), got {alpha.min():g}.."
                    f"{alpha.max():g} and {beta.min():g}..{beta.max():g}"
                )
            tau_mem, tau_syn = few(exact_tau(beta, dt)), few(exact_tau(alpha, dt))
            model: Any = LIF(n, tau_mem, few(threshold))
            if voltage:
                model = LeakyIntegrator(n, tau_mem, self.readout)
            gain = current_gain(tau_syn, dt) / (1.0 - beta)
            return Layer(model, synapse=Exponential(tau_syn), gain=gain, **common)
        tau = few(np.minimum(dt / np.maximum(1.0 - beta, dt / LONGEST), LONGEST))
        if voltage:
            return Layer(EulerLI(n, tau, self.readout), **common)
        drop = np.zeros(n)
        if reset == SUBTRACT:
            drop = threshold / beta if self.reset_delay else threshold
        keep = 1.0 if reset == SUBTRACT else 0.0
        return Layer(DiscreteLIF(n, tau, few(threshold), keep, few(drop)), **common)

    def _check(
        self, own: Module, beta: np.ndarray, threshold: np.ndarray, reset: int, *, voltage: bool
    ) -> None:
        """Reject neurons that no network here has."""
        problem, factor = "", own.arrays.get("graded_spikes_factor", np.ones(1))
        if (factor != 1).any():
            problem = "spikes of height 1, got another graded_spikes_factor"
        elif reset not in (SUBTRACT, ZERO, NONE):
            problem = f"reset_mechanism_val 0, 1 or 2, got {reset}"
        elif threshold.min() <= 0:
            problem = f"a threshold > 0, got {threshold.min():g}"
        elif voltage and reset != NONE:
            problem = (
                f"reset_mechanism 'none' for readout {self.readout!r}, got one whose spikes reset "
                f"V; give readout={SPIKES!r}, or train with reset_mechanism='none'"
            )
        elif not voltage and reset == NONE:
            problem = (
                "a reset where its spikes are sent on or counted, got reset_mechanism 'none'; of "
                f"the last layer, V may be read: give readout={OUTPUTS[0]!r}, say"
            )
        elif "alpha" in own.arrays and not voltage and reset != ZERO:
            problem = (
                "reset_mechanism 'zero', as it is a Synaptic: no neuron here with a current of its "
                "own subtracts its threshold; train it so"
            )
        elif reset == ZERO and self.reset_delay and {"alpha", "recurrent.weight"} & set(own.arrays):
            problem = (
                "reset_delay False, as it is no Leaky: no neuron here loses what arrives in the "
                "step after a spike; give reset_delay=False if it was made so, else train it so"
            )
        elif reset == SUBTRACT and self.reset_delay and not voltage and not beta.all():
            problem = "beta > 0 where the next step subtracts the threshold, got 0"
        if problem:
            raise InputError(f"neurons {own.name!r} must have {problem}")
