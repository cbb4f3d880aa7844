"""Leaky integrate-and-fire neurons with an adaptation current."""

from typing import Annotated, ClassVar

from mlgenn_delays.neurons.declare import SpikingNeuron, TauMem, Threshold, neuron
from mlgenn_delays.settings import Number, PositiveTime, says

TauAdapt = Annotated[PositiveTime, says("Time constant of the adaptation current.")]
Subthreshold = Annotated[Number, says("Adaptation current that V calls for, per V.")]
SpikeTriggered = Annotated[Number, says("Adaptation current that a spike adds.")]


@neuron
class AdaptiveLIF(SpikingNeuron):
    """n leaky integrate-and-fire neurons with an adaptation current w, by V and by spikes.

    In continuous time tau_mem V' = I - w - V and tau_adapt w' = adapt_v V - w; a spike resets V to
    0 and adds adapt_spike to w. With adapt_v = 0 it is the adaptive neuron (ALIF) whose spikes
    alone tire it; with both it is SE-adLIF of Baronig et al. (2025, doi
    10.1038/s41467-025-60878-z), whose b is adapt_spike / (1 - exp(-dt / tau_adapt)), and like it
    is stepped by symplectic Euler: w takes V of the same step (Deckers et al. 2024, doi
    10.3389/fnins.2024.1360300, compare the two).

    Example:
        >>> from mlgenn_delays import AdaptiveLIF
        >>> AdaptiveLIF(256, adapt_spike=0.2).tau_adapt
        100.0
    """

    tau_mem: TauMem = 20.0
    v_thresh: Threshold = 1.0
    tau_adapt: TauAdapt = 100.0
    adapt_v: Subthreshold = 0.2
    adapt_spike: SpikeTriggered = 0.05

    step: ClassVar[str] = """
        alpha = exp(-dt / tau_mem)
        beta = exp(-dt / tau_adapt)
        V = alpha * V + (1 - alpha) * (I - w)
        spike = V >= v_thresh
        if spike: V = 0
        w = beta * w + (1 - beta) * adapt_v * V + adapt_spike * spike
    """
