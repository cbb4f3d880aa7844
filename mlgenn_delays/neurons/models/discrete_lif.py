"""Leaky integrate-and-fire neurons in the discrete form of PyTorch's tools."""

from typing import Annotated, ClassVar

from mlgenn_delays.neurons.declare import SpikingNeuron, TauMem, Threshold, neuron
from mlgenn_delays.settings import NonNegative, Probability, says

Keep = Annotated[Probability, says("Share of V that a spike leaves: 0 resets V to 0.")]
Drop = Annotated[NonNegative, says("What a spike takes from V besides.")]


@neuron
class DiscreteLIF(SpikingNeuron):
    """n leaky integrate-and-fire neurons as an Euler step that takes currents as they are.

    SpikingJelly's `LIFNode` with ``decay_input=False`` (so the neuron of SNN-delays), and
    snnTorch's `Leaky` of beta = 1 - dt / tau_mem. Where V is reset by subtraction, keep is 1 and
    drop the threshold, or v_thresh / beta if V decays before its reset, as in `Leaky` by default.
    Unlike `EulerLIF` it loses nothing of what arrives. Synapses onto it must be `Delta`.

    Example:
        >>> from mlgenn_delays import DiscreteLIF
        >>> DiscreteLIF(256, tau_mem=10.05).keep
        0.0
    """

    tau_mem: TauMem = 20.0
    v_thresh: Threshold = 1.0
    keep: Keep = 0.0
    drop: Drop = 0.0

    step: ClassVar[str] = """
        alpha = 1 - dt / tau_mem
        V = alpha * V + I
        spike = V >= v_thresh
        if spike: V = keep * V - drop
    """
    synapses: ClassVar[tuple[str, ...]] = ("Delta",)
    shortest: ClassVar[float] = 1.0
