"""Small projections to rewire."""

import numpy as np

from mlgenn_delays.network.initialise import pair_signs
from mlgenn_delays.rewiring import SET, DeepR, Pairs, Rewiring, RigL, Synapses

RANGE = 24.0
RULES: list[Rewiring] = [
    DeepR(),
    DeepR(signs="dale"),
    DeepR(grow_delay="random"),
    RigL(),
    RigL(signs="dale", grow_delay="gradient"),
    RigL(grow_delay="random"),
    RigL(form="magnitude", grow_delay="gradient"),
    RigL(form="magnitude", signs="free"),
    RigL(form="magnitude", signs="dale", decay="constant", until=1.0),
    RigL(form="magnitude", signs="free", grow_delay="random", drop_fraction=0.9),
    SET(),
    SET(signs="free", decay="constant", drop_fraction=0.6),
    SET(signs="dale", grow_delay="random"),
]


def name(rule: Rewiring) -> str:
    return f"{type(rule).__name__}-{getattr(rule, 'form', '')}-{rule.signs}-{rule.grow_delay}"


def delays(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.uniform(0, RANGE, n)


def projection(
    rule: Rewiring, n_pre: int, n_post: int, count: int, rng: np.random.Generator
) -> tuple[Synapses, Pairs]:
    """Return random synapses and pairs that a rule can work with."""
    delay = delays(rng, n_pre * n_post).astype(np.float32).reshape(n_pre, n_post)
    seed = int(rng.integers(2**32))
    pairs = Pairs(pair_signs(rule.signs, seed, "projection", n_pre, n_post), delay)
    flat = np.sort(rng.choice(n_pre * n_post, count, replace=False))
    sign = None if pairs.sign is None else pairs.sign.ravel()[flat]
    weight = rng.normal(size=count).astype(np.float32)
    synapses = Synapses(
        n_pre,
        n_post,
        (flat // n_post).astype(np.int32),
        (flat % n_post).astype(np.int32),
        weight if sign is None else np.abs(weight) * sign,
        pairs.delay.ravel()[flat],
        sign,
        {each: rng.normal(size=count).astype(np.float32) for each in ("weight_m", "delay_v")},
    )
    return synapses, pairs


def candidates(
    synapses: Synapses, rng: np.random.Generator, levels: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return gradients and best delays, of few different values or many; NaN where present."""
    shape = (synapses.n_pre, synapses.n_post)
    gradient = rng.normal(size=shape).astype(np.float32)
    if levels:
        gradient = rng.integers(-levels, levels + 1, shape).astype(np.float32)
    best = rng.integers(0, int(RANGE), shape).astype(np.float32)
    gradient[synapses.pre, synapses.post] = np.nan
    best[synapses.pre, synapses.post] = np.nan
    return gradient, best
