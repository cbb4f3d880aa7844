"""What a pass refuses before it starts."""

import numpy as np

from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.rewiring.base import Pairs, Rewiring, Synapses


def check(
    rule: Rewiring,
    synapses: Synapses,
    pairs: Pairs,
    gradient: np.ndarray | None,
    best_delay: np.ndarray | None,
    step: int,
    total_steps: int,
) -> None:
    """Reject what `rewire` cannot work with; its arguments.

    Raises:
        InputError: Arrays do not fit each other or the rule, or one is missing.
        DivergedError: Weights are not finite.
    """
    if step < 1 or total_steps < 1:
        raise InputError(f"step and total_steps must be >= 1, got {step!r} and {total_steps!r}")
    _check_synapses(synapses)
    shape = (synapses.n_pre, synapses.n_post)
    _need_shape("pairs.delay", pairs.delay, shape)
    _check_signs(rule, synapses, pairs)
    if not synapses.n_absent:
        return
    if rule.needs_gradient:
        _need_shape(f"gradient for {type(rule).__name__}", gradient, shape)
    if rule.grow_delay == "gradient":
        _need_shape('best_delay for grow_delay="gradient"', best_delay, shape)


def _need_shape(what: str, array: np.ndarray | None, shape: tuple[int, ...]) -> None:
    """Reject a missing array or another shape."""
    got = None if array is None else np.shape(array)
    if got != shape:
        raise InputError(f"{what} must have shape {shape}, got {got}")


def _check_synapses(synapses: Synapses) -> None:
    """Reject arrays that are no synapses of n_pre and n_post neurons."""
    shape = (len(synapses),)
    arrays = {"post": synapses.post, "weight": synapses.weight, "delay": synapses.delay}
    for name, array in {**arrays, **synapses.moments}.items():
        _need_shape(f"synapses' {name}", array, shape)
    for name, index, n in (
        ("pre", synapses.pre, synapses.n_pre),
        ("post", synapses.post, synapses.n_post),
    ):
        if len(index) and (index.min() < 0 or index.max() >= n):
            raise InputError(
                f"synapses must have {name} in 0..{n - 1}, got {index.min()}..{index.max()}"
            )
    if (np.diff(synapses.flat) <= 0).any():
        raise InputError("synapses must have ascending (pre, post) without repeats, got others")
    if not np.isfinite(synapses.weight).all():
        raise DivergedError(
            "synapses must have finite weights, got NaN or infinity; lower the learning rate"
        )


def _check_signs(rule: Rewiring, synapses: Synapses, pairs: Pairs) -> None:
    """Reject signs that the rule's `signs` does not allow."""
    if rule.signs == "free":
        if synapses.sign is not None or pairs.sign is not None:
            raise InputError('synapses and pairs must have no signs with signs="free", got some')
        return
    _need_shape(f'synapses\' sign with signs="{rule.signs}"', synapses.sign, (len(synapses),))
    _need_shape(f'pairs.sign with signs="{rule.signs}"', pairs.sign, pairs.delay.shape)
    assert synapses.sign is not None and pairs.sign is not None
    if not ((np.abs(pairs.sign) == 1).all() and (np.abs(synapses.sign) == 1).all()):
        raise InputError("signs must be -1 or 1, got others")
    if rule.signs == "dale":
        row = pairs.sign[:, 0]
        one = (pairs.sign == row[:, None]).all() and (synapses.sign == row[synapses.pre]).all()
        if not one:
            raise InputError('signs="dale" must have one sign per presynaptic neuron, got both')
