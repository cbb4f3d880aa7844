"""Leaky integrate-and-fire neurons as an Euler step, tested before they move."""

from typing import ClassVar

from mlgenn_delays.neurons.declare import SpikingNeuron, TauMem, Threshold, neuron


@neuron
class EulerLIF(SpikingNeuron):
    """n leaky integrate-and-fire neurons in the discrete form of Mészáros et al. (2024).

    A step tests V first; what arrives in the step of a spike is discarded. Synapses onto it must
    be `Delta`.

    Example:
        >>> from mlgenn_delays import EulerLIF
        >>> EulerLIF(256).tau_mem
        100.5
    """

    tau_mem: TauMem = 100.5
    v_thresh: Threshold = 1.0

    step: ClassVar[str] = """
        alpha = 1 - dt / tau_mem
        spike = V > v_thresh
        V = alpha * V + I
        if spike: V = 0
    """
    synapses: ClassVar[tuple[str, ...]] = ("Delta",)
    shortest: ClassVar[float] = 1.0
    former: ClassVar[tuple[str, ...]] = ("SeedLIF",)
    nir: ClassVar[str] = "LIF"
