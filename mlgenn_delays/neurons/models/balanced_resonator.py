"""Resonate-and-fire neurons in balanced form."""

from typing import Annotated, ClassVar

from mlgenn_delays.neurons.declare import SpikingNeuron, Threshold, neuron
from mlgenn_delays.settings import NonNegative, OpenShare, Positive, PositiveTime, Unit, says

PerMillisecond = Unit("1/ms")


@neuron
class BalancedResonator(SpikingNeuron):
    """n balanced resonate-and-fire neurons (BRF): V and U oscillate, and spikes damp them.

    Higuchi, Kairat, Bohté and Otte (2024, arXiv 2402.14603, eq. 10 to 13), with time in ms: the
    damping has the least strength at which Euler's step does not grow by itself (their divergence
    boundary), plus `damping`; a spike raises threshold and damping by q, which decays. There is no
    reset. The current comes in with time constant tau_mem, their step being 1 / tau_mem.

    Example:
        >>> from mlgenn_delays import BalancedResonator
        >>> BalancedResonator(256, omega=0.1).damping
        0.01
    """

    omega: Annotated[Positive, PerMillisecond, says("Angular frequency.")] = 0.1
    damping: Annotated[NonNegative, PerMillisecond, says("Damping without spikes.")] = 0.01
    spike_damping: Annotated[NonNegative, PerMillisecond, says("Damping that a spike adds.")] = 0.05
    q_decay: Annotated[OpenShare, says("What is left of q after a step.")] = 0.9
    tau_mem: Annotated[PositiveTime, says("How slowly the current drives V.")] = 20.0
    v_thresh: Threshold = 1.0

    step: ClassVar[str] = """
        boundary = (sqrt(1 - (dt * omega) ** 2) - 1) / dt
        b = boundary - damping - spike_damping * q
        X = V + dt * (b * V - omega * U + I / tau_mem)
        U = U + dt * (omega * V + b * U)
        V = X
        spike = V >= v_thresh + q
        q = q_decay * q + spike
    """
