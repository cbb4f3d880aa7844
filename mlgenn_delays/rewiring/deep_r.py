"""DEEP R: synapses go where their magnitude reached zero, others grow uniformly at random.

Reference: Bellec, Kappel, Maass, Legenstein, "Deep rewiring: training very sparse deep networks",
ICLR 2018. The pull towards zero is the L1 term of the loss, which the optimiser applies.
"""

import numpy as np

from mlgenn_delays.rewiring.base import Rewiring, Synapses, check_signs, vanished
from mlgenn_delays.settings import settings


@settings(kw_only=True)
class DeepR(Rewiring):
    """Settings of DEEP R, which needs signs that are not free.

    Example:
        >>> from mlgenn_delays import DeepR
        >>> DeepR(signs="dale").every
        1
    """

    def __post_init__(self) -> None:
        check_signs(self)
        super().__post_init__()

    def drop(
        self, synapses: Synapses, step: int, total_steps: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Return the indices of the synapses whose magnitude reached zero, ascending."""
        return vanished(synapses)
