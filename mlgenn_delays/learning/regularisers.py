"""Regularisers, added after the mean over the batch."""

from typing import Annotated

from mlgenn_delays.settings import NonNegative, says, settings

Target = Annotated[NonNegative, says("Wanted spikes per neuron and trial.")]
Strength = Annotated[
    NonNegative,
    says("Strength of the regularisation; mlGeNN's 5e-11 at tau_mem 20 ms is 2e-8 here."),
]


@settings
class SpikeCount:
    """Pull each hidden neuron's mean spike count over the batch towards a target.

    The loss strength/2 * sum_j (mean count_j - target)^2 has no gradient of its own; each spike
    of neuron j hands on strength * (mean count_j - target) as the adjoint of its voltage
    (Nowotny, Turner and Knight 2025, the regularisation of EventProp for SHD).

    Example:
        >>> from mlgenn_delays import SpikeCount
        >>> SpikeCount(target=14.0, strength=2e-8).target
        14.0
    """

    target: Target = 14.0
    strength: Strength = 0.0
