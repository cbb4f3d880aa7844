"""Signs of synapses: growth by sign, weights that keep to their side of zero."""

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


def clamp_signs(weight: np.ndarray, sign: np.ndarray | None) -> np.ndarray:
    """Return the weights, with 0 for those on the wrong side of zero.

    For use after every optimiser step: so no weight ever acts with flipped sign.

    Arguments:
        weight: (S,) float.
        sign: (S,) of -1 and 1, or None for weights of any sign, which stay.
    """
    if sign is None:
        return weight
    return np.where(sign * weight < 0, weight.dtype.type(0), weight)


def with_signs(weight: np.ndarray, sign: np.ndarray | None) -> np.ndarray:
    """Return abs(weight) * sign, or the weights themselves without signs.

    Arguments:
        weight: (S,) float.
        sign: (S,) of -1 and 1, or None.
    """
    if sign is None:
        return weight
    return np.abs(weight) * sign
