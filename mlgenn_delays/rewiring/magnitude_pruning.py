"""Pruning by magnitude: the share of synapses that goes at each pass.

At optimiser step k of n, with end = until * n and the drop fraction f:

    cosine    f/2 (1 + cos(pi k / end))   for k < end, else 0
    constant  f                           for k < end, else 0

Reference: Evci et al., "Rigging the lottery: making all tickets winners", ICML 2020.
"""

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from mlgenn_delays.rewiring.base import Every, Rewiring, Synapses, largest
from mlgenn_delays.settings import Number, OpenShare, one_of, says, settings

DropFraction = Annotated[
    OpenShare,
    says("Share of the synapses removed by a pass, at the start (set, rigl by magnitude)."),
]
Decay = Annotated[
    str,
    one_of("cosine", "constant"),
    says("How that share falls: to 0 (cosine), or not at all (set, rigl by magnitude)."),
]
Until = Annotated[
    Number,
    Field(gt=0, le=1),
    says("Share of the training after which the structure stays (set, rigl by magnitude)."),
]


@settings(kw_only=True)
class MagnitudePruning(Rewiring):
    """Settings of rules that remove a share of the weakest synapses.

    A grown synapse has ``every`` steps to become strong.
    """

    every: Every = 20
    drop_fraction: DropFraction = 0.3
    decay: Decay = "cosine"
    until: Until = 0.75

    @property
    def follows_length(self) -> bool:
        """True: `until` and `decay` count in shares of the training."""
        return True

    def due(self, step: int, total_steps: int, last_of_epoch: bool) -> bool:
        """Return whether a pass follows an optimiser step; none does from until * total on."""
        return step < self.until * total_steps and super().due(step, total_steps, last_of_epoch)

    def fraction(self, step: int, total_steps: int) -> float:
        """Return the share of the synapses that goes at a step."""
        end = self.until * total_steps
        if step >= end:
            return 0.0
        if self.decay == "constant":
            return self.drop_fraction
        return self.drop_fraction / 2 * (1 + math.cos(math.pi * step / end))

    def drop(
        self, synapses: Synapses, step: int, total_steps: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Return the indices of the weakest synapses, ascending; never more than absent pairs.

        A synapse dropped without another place to grow would only lose its weight.
        """
        n = math.floor(self.fraction(step, total_steps) * len(synapses) + 1e-9)
        return np.sort(largest(-synapses.magnitude, min(n, synapses.n_absent), rng))
