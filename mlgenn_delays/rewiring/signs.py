"""The growth score of absent synapses, by sign."""

import numpy as np


def growth_score(gradient: np.ndarray, sign: np.ndarray | None) -> np.ndarray:
    """Return how fast a synapse of weight 0 would grow: larger grows first.

    Arguments:
        gradient: dL/dw, of any shape, such as (n_pre, n_post) or (delays, n_pre, n_post).
        sign: -1 and 1, of a shape that broadcasts with `gradient`, or None for weights of any
            sign.

    Returns:
        -sign * gradient, or abs(gradient) without signs.
    """
    if sign is None:
        return np.abs(gradient)
    return -(sign * gradient)
