"""Removal that emerges: a synapse goes when its magnitude, sign * weight, reaches zero."""

import numpy as np

from mlgenn_delays.rewiring.base import Rewiring, Synapses
from mlgenn_delays.settings import refuse

SIGNS = ("synapse", "dale")


def check_signs(rule: Rewiring, other: str = "") -> None:
    """Reject a rule that removes synapses so, but gives weights no signs.

    Arguments:
        rule: The rule.
        other: What else may be set, in words.

    Raises:
        InputError: As said.
    """
    if rule.signs == "free":
        why = "a synapse is removed where its magnitude reaches zero, which needs a sign"
        refuse(rule, "signs", " or ".join(SIGNS), why + other)


def vanished(synapses: Synapses) -> np.ndarray:
    """Return the indices of the synapses with sign * weight <= 0, ascending."""
    return np.flatnonzero(synapses.magnitude <= 0)
