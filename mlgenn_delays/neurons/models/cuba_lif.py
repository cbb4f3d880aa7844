"""Leaky integrate-and-fire neurons with a synaptic current of their own."""

from typing import Annotated, ClassVar

from mlgenn_delays.neurons.declare import SpikingNeuron, TauMem, Threshold, neuron
from mlgenn_delays.settings import PositiveTime, says


@neuron
class CubaLIF(SpikingNeuron):
    """n current-based leaky integrate-and-fire neurons: all that arrives decays in one current.

    What `LIF` with `Exponential` synapses of one time constant computes with `Delta` synapses, as
    CubaLIF of NIR and Norse: the time constant is the neuron's, so it may differ between neurons
    and be learned.

    Example:
        >>> from mlgenn_delays import CubaLIF
        >>> CubaLIF(256, tau_syn=10.0).tau_mem
        20.0
    """

    tau_mem: TauMem = 20.0
    v_thresh: Threshold = 1.0
    tau_syn: Annotated[PositiveTime, says("Time constant of the neuron's synaptic current.")] = 5.0

    step: ClassVar[str] = """
        alpha = exp(-dt / tau_mem)
        decay = exp(-dt / tau_syn)
        gain = tau_syn / dt * (1 - decay)
        i = decay * i + I
        V = alpha * V + (1 - alpha) * gain * i
        spike = V >= v_thresh
        if spike: V = 0
    """
    synapses: ClassVar[tuple[str, ...]] = ("Delta",)
    nir: ClassVar[str] = "CubaLIF"
