"""One pass: synapses go, as many grow, the rest stays bit for bit.

gone   = rule.drop(synapses)
grown  = rule.grow(absent pairs) of the same number
weight = sign * 1e-12 (0 where weights have no sign), moments 0, delay as `grow_delay` says
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.rewiring.base import Pairs, Rewired, Rewiring, Synapses, growth_score, uniform

if TYPE_CHECKING:
    from mlgenn_delays.hardware import Room

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


# Of a new synapse with a sign: next to nothing, yet not the zero at which it would go again.
NEW_MAGNITUDE = 1e-12


def rewire(
    rule: Rewiring,
    synapses: Synapses,
    pairs: Pairs,
    *,
    gradient: np.ndarray | None = None,
    best_delay: np.ndarray | None = None,
    step: int,
    total_steps: int,
    rng: np.random.Generator,
    room: "Room | None" = None,
    checked: bool = True,
) -> Rewired:
    """Return the synapses after a pass: exactly as many, by pre, then post, one per pair.

    Kept synapses keep weight, delay, sign and moments bit for bit. A synapse that goes leaves its
    delay with its pair, save with ``grow_delay="random"``, where `redraw` before every pass says
    what grows gets. It does not grow again in the same pass unless too few other pairs are
    absent; then which do is chance, and each has the delay of its pair. In a dense projection
    nothing happens. Nothing passed in is changed.

    Where the best absent pairs do not fit into `room`, they are taken one by one, best first, and
    those for which there is no room are left out (`rewiring.growth_kernel`). So that there are as
    many, some synapses may grow where one has just gone, or at a random pair.

    Arguments:
        rule: Says what goes and what grows.
        synapses: The projection's synapses.
        pairs: Sign and delay of what grows.
        gradient: (n_pre, n_post) dL/dw of absent synapses, for rules with `needs_gradient`;
            values at present pairs are not read.
        best_delay: (n_pre, n_post) [steps], with ``grow_delay="gradient"``: the delay that
            `gradient` belongs to; values at present pairs are not read.
        step: The optimiser step just taken, counted from 1.
        total_steps: Optimiser steps of the whole training.
        rng: Uniform growth, and ties of scores or weights.
        room: Room for synapses of this projection, those that there are included; None for any.
        checked: Whether the arguments are checked first; False for an engine, whose arrays fit
            and pass here every few steps.

    Raises:
        InputError: Arrays do not fit each other or the rule, or one is missing.
        DivergedError: Weights or candidate gradients are not finite.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays.rewiring import SET, Pairs, Synapses, rewire
        >>> pre, post = np.array([0, 0, 1]), np.array([0, 1, 1])
        >>> weight, delay = np.array([0.1, 0.5, 0.9], np.float32), np.zeros(3, np.float32)
        >>> synapses = Synapses(2, 3, pre, post, weight, delay, sign=None, moments={})
        >>> pairs = Pairs(sign=None, delay=np.zeros((2, 3), np.float32))
        >>> rule = SET(every=1, signs="free")
        >>> rng = np.random.default_rng(0)
        >>> rewired = rewire(rule, synapses, pairs, step=1, total_steps=10, rng=rng)
        >>> len(rewired.synapses.weight)
        3
    """
    if checked:
        if step < 1 or total_steps < 1:
            raise InputError(f"step and total_steps must be >= 1, got {step!r} and {total_steps!r}")
        _check_arrays(rule, synapses, pairs, gradient, best_delay)
    unchanged = Rewired(synapses, pairs, np.arange(len(synapses)))
    if not synapses.n_absent:
        return unchanged
    flat = synapses.flat
    mask = np.ones(synapses.n_pre * synapses.n_post, bool)
    mask[flat] = False
    absent = np.flatnonzero(mask)
    score = _score(rule, pairs, gradient, absent)
    gone = rule.drop(synapses, step, total_steps, rng)
    if not len(gone):
        return unchanged
    fresh = absent[rule.grow(score, len(absent), min(len(gone), len(absent)), rng)]
    again = flat[gone[uniform(len(gone), len(gone) - len(fresh), rng)]]
    if room is not None:
        kept = np.delete(flat, gone)
        after = np.concatenate([kept, fresh, again])
        if not room.without(after // synapses.n_post, after % synapses.n_post).fits():
            fresh, again = _grown_within(room, score, absent, kept, flat[gone], rng)
    if rule.grow_delay != "random":
        left = pairs.delay.copy()
        left[synapses.pre[gone], synapses.post[gone]] = synapses.delay[gone]
        pairs = replace(pairs, delay=left)
    new = np.concatenate([fresh, again])
    delay = pairs.delay.ravel()[new]
    if rule.grow_delay == "gradient":
        delay[: len(fresh)] = _chosen_delays(best_delay, fresh)
    order = np.argsort(new)
    return _merge(synapses, pairs, np.delete(flat, gone), gone, new[order], delay[order])


def _grown_within(
    room: "Room", score: np.ndarray | None, absent: np.ndarray, kept: np.ndarray, gone: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return the pairs that grow by rank, and those that grow so that there are as many."""
    from mlgenn_delays.rewiring.growth_kernel import grow_within

    order, held, n_post = rng.permutation(len(absent)), rng.permutation(gone), len(room.post)
    if score is not None:
        order = order[np.argsort(-score[order], kind="stable")]
    before = np.concatenate([kept, gone])
    left = room.without(before // n_post, before % n_post)
    present = np.zeros(len(room.pre) * n_post, bool)
    present[before] = True
    pre, post = held // n_post, held % n_post
    grown = np.empty(len(held), np.int64)
    n = grow_within(
        absent[order], pre, post, present, left.pre, left.post, left.core, left.size, grown
    )
    return grown[:n], (pre * n_post + post)[: len(held) - n]


def _score(
    rule: Rewiring, pairs: Pairs, gradient: np.ndarray | None, absent: np.ndarray
) -> np.ndarray | None:
    """Return the growth score of each absent pair, or None where the rule reads no gradient."""
    if not rule.needs_gradient or gradient is None:
        return None
    at_absent = gradient.ravel()[absent]
    finite = np.isfinite(at_absent)
    if not finite.all():
        raise DivergedError(
            "candidate gradients must have finite values, got NaN or infinity for "
            f"{np.count_nonzero(~finite)} of {len(absent)} absent synapses; lower the learning rate"
        )
    return growth_score(at_absent, None if pairs.sign is None else pairs.sign.ravel()[absent])


def _chosen_delays(best_delay: np.ndarray | None, fresh: np.ndarray) -> np.ndarray:
    assert best_delay is not None  # `_check_arrays` saw to it
    delay = best_delay.ravel()[fresh]
    if not (np.isfinite(delay).all() and (delay >= 0).all()):
        raise InputError("best_delay must have finite values >= 0 where synapses grow, got others")
    return delay


def _merge(
    synapses: Synapses,
    pairs: Pairs,
    kept: np.ndarray,
    gone: np.ndarray,
    new: np.ndarray,
    delay: np.ndarray,
) -> Rewired:
    """Return the kept and the new synapses in order.

    `kept` (S - n,) and `new` (n,) are flat indices of pairs, ascending; `gone` (n,) are indices of
    synapses; `delay` (n,) is of what grows [steps].
    """
    at = np.searchsorted(kept, new) + np.arange(len(new))
    stays = np.ones(len(synapses), bool)
    stays[at] = False
    origin = np.full(len(synapses), -1)
    origin[stays] = np.delete(np.arange(len(synapses)), gone)

    def join(before: np.ndarray, values: np.ndarray | float) -> np.ndarray:
        joined = before[origin]
        joined[at] = values
        return joined

    sign = None if pairs.sign is None else pairs.sign.ravel()[new]
    after = replace(
        synapses,
        pre=join(synapses.pre, new // synapses.n_post),
        post=join(synapses.post, new % synapses.n_post),
        weight=join(synapses.weight, 0.0 if sign is None else sign * NEW_MAGNITUDE),
        delay=join(synapses.delay, delay),
        sign=None if synapses.sign is None or sign is None else join(synapses.sign, sign),
        moments={name: join(moment, 0.0) for name, moment in synapses.moments.items()},
        dead=None,
    )
    return Rewired(after, pairs, origin)


def _check_arrays(
    rule: Rewiring,
    synapses: Synapses,
    pairs: Pairs,
    gradient: np.ndarray | None,
    best_delay: np.ndarray | None,
) -> None:
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
    got = None if array is None else np.shape(array)
    if got != shape:
        raise InputError(f"{what} must have shape {shape}, got {got}")


def _check_synapses(synapses: Synapses) -> None:
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
