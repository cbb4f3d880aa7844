"""SET, sparse evolutionary training: the weakest go, others grow uniformly at random.

Reference: Mocanu et al., "Scalable training of artificial neural networks with adaptive sparse
connectivity inspired by network science", Nat. Commun. 9, 2018.
"""

from mlgenn_delays.rewiring.magnitude_pruning import MagnitudePruning
from mlgenn_delays.settings import settings


@settings(kw_only=True)
class SET(MagnitudePruning):
    """Settings of SET; the arguments of `MagnitudePruning`.

    Mocanu et al. have ``decay="constant"``, ``until=1.0``, ``signs="free"`` and a pass an epoch
    (``every=0``).

    Example:
        >>> from mlgenn_delays import SET
        >>> SET(decay="constant", until=1.0, signs="free", every=0).fraction(5, 10)
        0.3
    """
