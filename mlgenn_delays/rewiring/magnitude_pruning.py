"""Pruning by magnitude: the share of synapses that goes at each pass.

At optimiser step k of n, with end = until * n and the drop fraction f:

    cosine    f/2 (1 + cos(pi k / end))   for k < end, else 0
    constant  f                           for k < end, else 0

Reference: Evci et al., "Rigging the lottery: making all tickets winners", ICML 2020.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mlgenn_delays.checks import check_number, check_word
from mlgenn_delays.rewiring.base import Rewiring, Synapses
from mlgenn_delays.rewiring.sampling import largest


@dataclass(frozen=True, kw_only=True)
class MagnitudePruning(Rewiring):
    """Settings of rules that drop a share of the weakest synapses.

    Arguments:
        every: As in `Rewiring`; a grown synapse has this many steps to become strong.
        drop_fraction: Share of the synapses that goes at a pass, at the start, in (0, 1).
        decay: ``"cosine"`` (the share falls to 0) or ``"constant"``.
        until: Share of all optimiser steps after which the structure stays, in (0, 1].
    """

    DECAYS: ClassVar[tuple[str, ...]] = ("cosine", "constant")

    every: int = 20
    drop_fraction: float = 0.3
    decay: str = "cosine"
    until: float = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "drop_fraction", 0, 1, open_low=True, open_high=True)
        check_word(self, "decay", self.DECAYS)
        check_number(self, "until", 0, 1, open_low=True)

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
