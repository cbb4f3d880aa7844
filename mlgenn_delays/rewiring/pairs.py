"""New delays for pairs: what a synapse would get where it grows."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.rewiring.base import Pairs

Draw = Callable[[np.random.Generator, int], np.ndarray]


def redraw(pairs: Pairs, rng: np.random.Generator, draw: Draw) -> Pairs:
    """Return the pairs with new delays; for ``grow_delay="random"``, before every pass.

    Arguments:
        pairs: The pairs; their signs stay.
        rng: Draws the delays.
        draw: Called with (rng, n), returns n delays [steps].

    Raises:
        InputError: The delays drawn are no delays.
    """
    drawn = np.asarray(draw(rng, pairs.delay.size))
    if drawn.shape != (pairs.delay.size,):
        raise InputError(
            f"delays drawn for pairs must have shape ({pairs.delay.size},), got {drawn.shape}"
        )
    if not (np.isfinite(drawn).all() and (drawn >= 0).all()):
        raise InputError("delays drawn for pairs must be finite and >= 0, got others")
    return replace(pairs, delay=drawn.astype(np.float32).reshape(pairs.delay.shape))
