"""RigL: synapses grow where the gradient would make them grow fastest.

With a sign s, growth is where the gradient with respect to the magnitude, s dL/dw, is most
negative; without, where abs(dL/dw) is largest.

References: Evci et al., "Rigging the lottery: making all tickets winners", ICML 2020 (magnitude);
Mészáros, Knight, Nowotny, "Learning delays through gradients and structure: emergence of
spatiotemporal patterns in spiking neural networks", 2024 (signed).
"""

from typing import Annotated, ClassVar

import numpy as np

from mlgenn_delays.rewiring.base import Every, Rewiring, Synapses, check_signs, vanished
from mlgenn_delays.rewiring.magnitude_pruning import MagnitudePruning
from mlgenn_delays.settings import Share, one_of, says, settings

Form = Annotated[
    str,
    one_of("signed", "magnitude"),
    says(
        "Of rigl: signed (a synapse is removed where its magnitude reached zero) or magnitude (a "
        "share of the weakest is removed)."
    ),
]
Averaging = Annotated[
    Share,
    says(
        "Decay of the average of candidate gradients over batches; 0 takes one batch alone (rigl)."
    ),
]


@settings(kw_only=True)
class RigL(MagnitudePruning):
    """Settings of RigL.

    The signed form needs signs that are not free, uses neither ``drop_fraction`` nor ``decay``, and
    never stops, so there ``until`` becomes 1. Its own ``every`` is 1, that of the other 20.

    Example:
        >>> from mlgenn_delays import RigL
        >>> RigL(form="magnitude", signs="free").every
        20
    """

    grows_by_gradient: ClassVar[bool] = True

    form: Form = "signed"
    every: Annotated[Every | None, says("As in `Rewiring`; None for the form's own.")] = None  # type: ignore[assignment]
    averaging: Averaging = 0.9

    def __post_init__(self) -> None:
        if self.every is None:
            object.__setattr__(self, "every", 1 if self.signed else 20)
        if self.signed:
            check_signs(self, '; or set form="magnitude"')
        super().__post_init__()
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
