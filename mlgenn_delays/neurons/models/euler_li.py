"""Leaky integrators as an Euler step, read out as the prediction of a network."""

from typing import ClassVar

from mlgenn_delays.neurons.declare import Readout, ReadoutNeuron, TauMem, neuron


@neuron
class EulerLI(ReadoutNeuron):
    """n leaky integrators without threshold, integrating as `EulerLIF`; read out as the prediction.

    Example:
        >>> from mlgenn_delays import EulerLI
        >>> EulerLI(10).readout
        'softmax-sum'
    """

    tau_mem: TauMem = 100.5
    readout: Readout = "softmax-sum"

    step: ClassVar[str] = """
        alpha = 1 - dt / tau_mem
        V = alpha * V + I
    """
    synapses: ClassVar[tuple[str, ...]] = ("Delta",)
    shortest: ClassVar[float] = 1.0
    former: ClassVar[tuple[str, ...]] = ("SeedLI",)
    nir: ClassVar[str] = "LI"
