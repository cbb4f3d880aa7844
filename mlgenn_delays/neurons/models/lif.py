"""Leaky integrate-and-fire neurons."""

from typing import ClassVar

from mlgenn_delays.neurons.declare import SpikingNeuron, TauMem, TauRefrac, Threshold, neuron


@neuron
class LIF(SpikingNeuron):
    """n leaky integrate-and-fire neurons, reset to 0.

    mlGeNN's `LeakyIntegrateFire` with ``scale_i``.

    Example:
        >>> from mlgenn_delays import LIF
        >>> LIF(256, tau_mem=20.0, tau_refrac=2.0).refractory_steps(dt=0.5)
        4
    """

    tau_mem: TauMem = 20.0
    v_thresh: Threshold = 1.0
    tau_refrac: TauRefrac = 0.0

    step: ClassVar[str] = """
        alpha = exp(-dt / tau_mem)
        V = alpha * V + (1 - alpha) * I
        spike = V >= v_thresh
        if spike: V = 0
    """
    refractory: ClassVar[str] = "tau_refrac"
    nir: ClassVar[str] = "LIF"
