"""Leaky integrate-and-fire neurons with a dendritic compartment."""

from typing import Annotated, ClassVar

from pydantic import Field

from mlgenn_delays.neurons.declare import SpikingNeuron, Threshold, neuron
from mlgenn_delays.settings import NonNegative, Number, OpenShare, says


@neuron
class TwoCompartmentLIF(SpikingNeuron):
    """n neurons of a soma V and a dendrite D that keep and inhibit one another (TC-LIF).

    Zhang et al. (2024, doi 10.1609/aaai.v38i15.29625; arXiv 2308.13250, eq. 10 and 11): neither
    compartment leaks, so a dendrite remembers over long times. A spike takes v_thresh from V and
    dendrite_reset from D in the next step. Their beta_1 and beta_2 are -sigmoid(c_1) and
    sigmoid(c_2). A step is a step, whatever its length.

    Example:
        >>> from mlgenn_delays import TwoCompartmentLIF
        >>> TwoCompartmentLIF(256).beta_1
        -0.5
    """

    v_thresh: Threshold = 1.0
    beta_1: Annotated[Number, Field(gt=-1, lt=0), says("What V adds to D in a step.")] = -0.5
    beta_2: Annotated[OpenShare, says("What D adds to V in a step.")] = 0.5
    dendrite_reset: Annotated[NonNegative, says("What a spike takes from D.")] = 0.5

    step: ClassVar[str] = """
        D = D + beta_1 * V + I - dendrite_reset * fired
        V = V + beta_2 * D - v_thresh * fired
        spike = V >= v_thresh
        fired = spike
    """
