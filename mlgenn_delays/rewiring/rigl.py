"""RigL: synapses grow where the gradient would make them grow fastest.

With a sign s, growth is where the gradient with respect to the magnitude, s dL/dw, is most
negative; without, where abs(dL/dw) is largest.

References: Evci et al., "Rigging the lottery: making all tickets winners", ICML 2020 (magnitude);
Mészáros, Knight, Nowotny, "Learning delays through gradients and structure: emergence of
spatiotemporal patterns in spiking neural networks", 2024 (signed).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mlgenn_delays.checks import check_number, check_word
from mlgenn_delays.rewiring.base import Rewiring, Synapses
from mlgenn_delays.rewiring.magnitude_pruning import MagnitudePruning
from mlgenn_delays.rewiring.sign_crossing import check_signs, vanished


@dataclass(frozen=True, kw_only=True)
class RigL(MagnitudePruning):
    """Settings of RigL.

    Arguments:
        form: ``"signed"`` (a synapse goes where its magnitude reached zero) or ``"magnitude"``
            (a share of the weakest goes).
        every: As in `Rewiring`; None for the form's own, 1 (signed) or 20 (magnitude).
        signs: As in `Rewiring`; not ``"free"`` in the signed form.
        grow_delay: As in `Rewiring`.
        drop_fraction: As in `MagnitudePruning`; the signed form does not use it.
        decay: As in `MagnitudePruning`; the signed form does not use it.
        until: As in `MagnitudePruning`; the signed form never stops, so there it becomes 1.
        averaging: Decay of the exponential average of candidate gradients over batches, in
            [0, 1); 0 takes one batch alone.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("signed", "magnitude")
    GROW_DELAYS: ClassVar[tuple[str, ...]] = ("kept", "random", "gradient")

    form: str = "signed"
    every: int = None  # type: ignore[assignment]  # made a number at construction
    averaging: float = 0.9

    def __post_init__(self) -> None:
        check_word(self, "form", self.FORMS)
        if self.every is None:
            object.__setattr__(self, "every", 1 if self.signed else 20)
        if self.signed:
            check_signs(self, '; or set form="magnitude"')
        super().__post_init__()
        check_number(self, "averaging", 0, 1, open_high=True)
        if self.signed:
            object.__setattr__(self, "until", 1.0)

    @property
    def signed(self) -> bool:
        """Whether the form is the signed one."""
        return self.form == "signed"

    @property
    def needs_gradient(self) -> bool:
        """True: growth reads candidate gradients."""
        return True

    def due(self, step: int, total_steps: int, last_of_epoch: bool) -> bool:
        """Return whether a pass follows an optimiser step."""
        if self.signed:
            return Rewiring.due(self, step, total_steps, last_of_epoch)
        return super().due(step, total_steps, last_of_epoch)

    def drop(
        self, synapses: Synapses, step: int, total_steps: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Return the indices of the synapses that go, ascending."""
        if self.signed:
            return vanished(synapses)
        return super().drop(synapses, step, total_steps, rng)
