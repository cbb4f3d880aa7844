"""Regularisers, added after the mean over the batch."""

from dataclasses import dataclass

from mlgenn_delays.checks import check_number


@dataclass(frozen=True)
class SpikeCount:
    """Pull each hidden neuron's mean spike count over the batch towards a target.

    The loss strength/2 * sum_j (mean count_j - target)^2 has no gradient of its own; each spike
    of neuron j hands on strength * (mean count_j - target) as the adjoint of its voltage
    (Nowotny, Turner and Knight 2025, the regularisation of EventProp for SHD).

    Arguments:
        target: Wanted spikes a trial, >= 0.
        strength: Strength, >= 0; mlGeNN's 5e-11 at tau_mem 20 ms is 2e-8 here.
    """

    target: float = 14.0
    strength: float = 0.0

    def __post_init__(self) -> None:
        check_number(self, "target", 0)
        check_number(self, "strength", 0)
