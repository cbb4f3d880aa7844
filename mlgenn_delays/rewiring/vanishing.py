"""Removal that emerges: a synapse goes when its magnitude, sign * weight, reaches zero."""

import numpy as np

from mlgenn_delays.rewiring.base import Synapses

SIGNS = ("synapse", "dale")
WHY = "; a synapse goes where its magnitude reaches zero, which needs a sign"


def vanished(synapses: Synapses) -> np.ndarray:
    """Return the indices of the synapses with sign * weight <= 0, ascending."""
    return np.flatnonzero(synapses.magnitude <= 0)
