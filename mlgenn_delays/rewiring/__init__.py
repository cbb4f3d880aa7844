"""Structure learning: which synapses go and which grow, as pure functions on synapse arrays.

A pass removes synapses of one projection and grows as many at absent pairs. A rule says which:

    deep_r  magnitude reached zero goes      uniform growth       Bellec et al. 2018
    rigl    signed: magnitude reached zero   growth by gradient   Mészáros, Knight, Nowotny 2024
            magnitude: the smallest go       growth by gradient   Evci et al. 2020
    set     the smallest go                  uniform growth       Mocanu et al. 2018
"""

from mlgenn_delays.rewiring.base import Pairs, Rewired, Rewiring, Synapses, growth_score
from mlgenn_delays.rewiring.deep_r import DeepR
from mlgenn_delays.rewiring.densities import synapse_counts
from mlgenn_delays.rewiring.passes import redraw, rewire
from mlgenn_delays.rewiring.rigl import RigL
from mlgenn_delays.rewiring.set import SET

RULES: dict[str, type[Rewiring]] = {"deep_r": DeepR, "rigl": RigL, "set": SET}

__all__ = [
    "RULES",
    "SET",
    "DeepR",
    "Pairs",
    "Rewired",
    "Rewiring",
    "RigL",
    "Synapses",
    "growth_score",
    "redraw",
    "rewire",
    "synapse_counts",
]
