"""One pass: synapses go, as many grow, the rest stays bit for bit.

gone   = rule.drop(synapses)
grown  = rule.grow(absent pairs) of the same number
weight = sign * 1e-12 (0 where weights have no sign), moments 0, delay as `grow_delay` says
"""

from dataclasses import replace

import numpy as np

from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.rewiring.base import Pairs, Rewired, Rewiring, Synapses
from mlgenn_delays.rewiring.checks import check
from mlgenn_delays.rewiring.sampling import uniform
from mlgenn_delays.rewiring.signs import growth_score

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
) -> Rewired:
    """Return the synapses after a pass: exactly as many, by pre, then post, one per pair.

    Kept synapses keep weight, delay, sign and moments bit for bit. A synapse that goes leaves its
    delay with its pair, save with ``grow_delay="random"``, where `redraw` before every pass says
    what grows gets. It does not grow again in the same pass unless too few other pairs are
    absent; then which do is chance, and each has the delay of its pair. In a dense projection
    nothing happens. Nothing passed in is changed.

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

    Raises:
        InputError: Arrays do not fit each other or the rule, or one is missing.
        DivergedError: Weights or candidate gradients are not finite.
    """
    check(rule, synapses, pairs, gradient, best_delay, step, total_steps)
    return make_pass(
        rule, synapses, pairs, gradient=gradient, best_delay=best_delay, step=step,
        total_steps=total_steps, rng=rng,
    )  # fmt: skip


def make_pass(
    rule: Rewiring,
    synapses: Synapses,
    pairs: Pairs,
    *,
    gradient: np.ndarray | None = None,
    best_delay: np.ndarray | None = None,
    step: int,
    total_steps: int,
    rng: np.random.Generator,
) -> Rewired:
    """Rewire without the checks: for an engine, whose arrays fit and pass here every few steps."""
    if not synapses.n_absent:
        return _unchanged(synapses, pairs)
    flat = synapses.flat
    absent = _absent(flat, synapses.n_pre * synapses.n_post)
    score = _score(rule, pairs, gradient, absent)
    gone = rule.drop(synapses, step, total_steps, rng)
    if not len(gone):
        return _unchanged(synapses, pairs)
    fresh = absent[rule.grow(score, len(absent), min(len(gone), len(absent)), rng)]
    again = flat[gone[uniform(len(gone), len(gone) - len(fresh), rng)]]
    if rule.grow_delay != "random":
        pairs = _leave_delays(synapses, pairs, gone)
    new = np.concatenate([fresh, again])
    delay = pairs.delay.ravel()[new]
    if rule.grow_delay == "gradient":
        delay[: len(fresh)] = _chosen_delays(best_delay, fresh)
    order = np.argsort(new)
    return _merge(synapses, pairs, np.delete(flat, gone), gone, new[order], delay[order])


def _unchanged(synapses: Synapses, pairs: Pairs) -> Rewired:
    """Return the result of a pass in which nothing happens."""
    return Rewired(synapses, pairs, np.arange(len(synapses)))


def _absent(present: np.ndarray, n_pairs: int) -> np.ndarray:
    """Return the flat indices of the absent pairs, ascending int64."""
    mask = np.ones(n_pairs, bool)
    mask[present] = False
    return np.flatnonzero(mask)


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


def _leave_delays(synapses: Synapses, pairs: Pairs, gone: np.ndarray) -> Pairs:
    """Return the pairs with the delays of the synapses that go."""
    delay = pairs.delay.copy()
    delay[synapses.pre[gone], synapses.post[gone]] = synapses.delay[gone]
    return replace(pairs, delay=delay)


def _chosen_delays(best_delay: np.ndarray | None, fresh: np.ndarray) -> np.ndarray:
    """Return the best delay of each pair that grows [steps]."""
    assert best_delay is not None  # `check` saw to it
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

    Arguments:
        synapses: Before the pass, S of them.
        pairs: After it.
        kept: (S - n,) flat indices of the pairs whose synapses stay, ascending.
        gone: (n,) indices of the synapses that go.
        new: (n,) flat indices of the pairs that grow, ascending.
        delay: (n,) float32 [steps] of what grows.
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
    )
    return Rewired(after, pairs, origin)
