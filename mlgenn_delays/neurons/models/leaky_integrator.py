"""Leaky integrators, read out as the prediction of a network."""

from typing import ClassVar

from mlgenn_delays.neurons.declare import Readout, ReadoutNeuron, TauMem, neuron


@neuron
class LeakyIntegrator(ReadoutNeuron):
    """n leaky integrators without threshold, read out as the prediction of the network.

    mlGeNN's `LeakyIntegrate` with ``scale_i``.

    Example:
        >>> from mlgenn_delays import LeakyIntegrator
        >>> LeakyIntegrator(10, readout="sum").readout
        'sum'
    """

    tau_mem: TauMem = 20.0
    readout: Readout = "mean"

    step: ClassVar[str] = """
        alpha = exp(-dt / tau_mem)
        V = alpha * V + (1 - alpha) * I
    """
    nir: ClassVar[str] = "LI"
