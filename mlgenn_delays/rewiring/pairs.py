"""Signs and delays of all pairs: what a synapse would get where it grows."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.network.initialise import SIGNS
from mlgenn_delays.rewiring.base import Pairs

Draw = Callable[[np.random.Generator, int], np.ndarray]


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


def redraw(pairs: Pairs, rng: np.random.Generator, draw: Draw) -> Pairs:
    """Return the pairs with new delays; for ``grow_delay="random"``, before every pass.

    Arguments:
        pairs: The pairs; their signs stay.
        rng: Draws the delays.
        draw: Called with (rng, n), returns n delays [steps].

    Raises:
        InputError: The delays drawn are no delays.
    """
    return replace(pairs, delay=_delays(pairs.delay.shape, rng, draw))


def _delays(shape: tuple[int, ...], rng: np.random.Generator, draw: Draw) -> np.ndarray:
    """Return one delay a pair, float32 of a shape."""
    n = int(np.prod(shape))
    drawn = np.asarray(draw(rng, n))
    if drawn.shape != (n,):
        raise InputError(f"delays drawn for pairs must have shape ({n},), got {drawn.shape}")
    if not (np.isfinite(drawn).all() and (drawn >= 0).all()):
        raise InputError("delays drawn for pairs must have finite values >= 0, got others")
    return drawn.astype(np.float32).reshape(shape)
