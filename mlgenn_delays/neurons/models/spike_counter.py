"""Counters of spikes, read out as the prediction of a network whose last neurons spike."""

from typing import ClassVar

from mlgenn_delays.neurons.declare import Readout, ReadoutNeuron, neuron


@neuron
class SpikeCounter(ReadoutNeuron):
    """n counters: V is what arrives in a step, and the logit what arrives in the trial.

    Connected one to one to neurons that spike, by synapses of weight 1, V is their spikes, a step
    later, and the logits are their spike counts.

    Example:
        >>> from mlgenn_delays import SpikeCounter
        >>> SpikeCounter(10).readout
        'sum'
    """

    readout: Readout = "sum"

    step: ClassVar[str] = """
        V = I
    """
    synapses: ClassVar[tuple[str, ...]] = ("Delta",)
    nir: ClassVar[str] = "LI"
