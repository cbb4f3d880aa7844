"""New delays for pairs: what a synapse would get where it grows."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mlgenn_delays.errors import InputError
<<<<<<< HEAD
from mlgenn_delays.network.initialise import SIGNS
=======
>>>>>>> h-engines
from mlgenn_delays.rewiring.base import Pairs

Draw = Callable[[np.random.Generator, int], np.ndarray]


<<<<<<< HEAD
def make_pairs(
    n_pre: int, n_post: int, signs: str, rng: np.random.Generator, draw_delay: Draw
) -> Pairs:
    """Return pairs with random signs and delays.

    Arguments:
        n_pre: Number of presynaptic neurons.
        n_post: Number of postsynaptic neurons.
        signs: ``"free"``, ``"synapse"`` or ``"dale"``, as in `Rewiring`.
        rng: Draws the delays, then the signs, so that delays are the same whatever `signs` is.
        draw_delay: Called with (rng, n), returns n delays [steps].

    Raises:
        InputError: `signs` is unknown, or the delays drawn are no delays.
    """
    if signs not in SIGNS:
        known = ", ".join(SIGNS)
        raise InputError(f"make_pairs must have signs one of {known}, got {signs!r}")
    delay = _delays((n_pre, n_post), rng, draw_delay)
    if signs == "free":
        return Pairs(None, delay)
    drawn = rng.integers(0, 2, (n_pre, 1 if signs == "dale" else n_post), dtype=np.int8) * 2 - 1
    return Pairs(np.broadcast_to(drawn, (n_pre, n_post)).astype(np.int8), delay)


=======
>>>>>>> h-engines
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
