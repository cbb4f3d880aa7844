"""State dicts of Norse: linear layers, and the weights of recurrent LIF cells.

Its neurons have no entries in a state dict. They are stepped by Euler's method:

    i += x;  V += dt/tau_mem (i - V);  i -= dt/tau_syn i;  a spike where V > v_th resets V to 0
"""

from typing import Annotated, Any

import numpy as np

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
from mlgenn_delays.imports.state import read_modules, unknown
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network
from mlgenn_delays.settings import Positive, PositiveTime, one_of, says, settings


@settings(kw_only=True)
class Norse:
    """What a state dict of Norse does not say; the defaults are those of its `LIFParameters`.

    Example:
        >>> from mlgenn_delays.imports import Norse
        >>> Norse(readout="max").tau_mem
        10.0
    """

    tau_mem: Annotated[PositiveTime, says("Membrane time constant, 1 / tau_mem_inv.")] = 10.0
    tau_syn: Annotated[PositiveTime, says("Synaptic time constant, 1 / tau_syn_inv.")] = 5.0
    v_thresh: Annotated[Positive, says("Threshold, v_th.")] = 1.0
    readout: Annotated[
        str, one_of(*OUTPUTS), says("Of the last layer: an LICell that is read, or its spikes.")
    ] = "mean"
    currents: Annotated[
        bool, says("Whether the input has real values, not at most one spike a step.")
    ] = False

    def network(self, source: Any, dt: float) -> Network:
        """The network of a state dict, for steps of dt [ms]."""
        for name in ("tau_mem", "tau_syn"):
            if getattr(self, name) <= dt:
                raise InputError(
                    f"{name} must be > dt ({dt:g} ms) for Euler's method, got {getattr(self, name)}"
                )
        modules = read_modules(source)
        layers: list[Layer] = []
        for k, module in enumerate(modules, 1):
            n_pre = layers[-1].model.n if layers else None
            recurrent: list[Pairs] = []
            if module.has(("input_weights", "recurrent_weights")):
                weight = module.matrix("input_weights", n_pre)
                recurrent = [Pairs(module.matrix("recurrent_weights", len(weight), len(weight)))]
            elif module.has(("weight",), ("bias",)):
                weight = module.matrix("weight", n_pre)
            else:
                raise unknown(module, "Linear, or a LIFRecurrentCell with its two matrices")
            voltage = k == len(modules) and self.readout != SPIKES
            if voltage and recurrent:
                raise InputError(
                    f"{module.name!r} must be Linear to be read as {self.readout}, got recurrent "
                    f"neurons; give readout={SPIKES!r}"
                )
            layers.append(
                self._layer(weight, module.bias(len(weight)), recurrent, dt, voltage=voltage)
            )
        return network_of(layers, dt, currents=self.currents)

    def _layer(
        self, weight: np.ndarray, bias: np.ndarray | None, recurrent: list[Pairs], dt: float, *,
        voltage: bool,
    ) -> Layer:  # fmt: skip
        tau_mem, tau_syn = (
            float(exact_tau(1.0 - dt / tau, dt)) for tau in (self.tau_mem, self.tau_syn)
        )
        n = len(weight)
        model: Any = LIF(n, tau_mem, self.v_thresh)
        if voltage:
            model = LeakyIntegrator(n, tau_mem, self.readout)
        return Layer(
            model, [Pairs(weight)], Exponential(tau_syn), float(current_gain(tau_syn, dt)), bias,
            recurrent,
        )  # fmt: skip
