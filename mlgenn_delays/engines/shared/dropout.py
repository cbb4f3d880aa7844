"""Dropout masks: which neurons' spikes count in an example, drawn as `rng.generator` draws.

A generator per example, made and used once, costs more than its draws. So NumPy's `SeedSequence`
and `PCG64` (O'Neill 2014, XSL-RR 128/64), whose streams NumPy keeps as they are, are kernels here.
"""

from zlib import crc32

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.simulation import SimulationContext
from mlgenn_delays.errors import InputError

# Of SeedSequence, uint32
_POOL, _SHIFT = 4, np.uint32(16)
_FIRST, _FIRST_BY = np.uint32(0x43B0D7E5), np.uint32(0x931E8875)
_SECOND, _SECOND_BY = np.uint32(0x8B51F9DD), np.uint32(0x58F38DED)
_LEFT, _RIGHT = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)
# The multiplier of PCG64: high and low half
_HIGH, _LOW = np.uint64(2549297995355413924), np.uint64(4865540595714422341)
_HALF, _ONES = np.uint64(32), np.uint64(0xFFFFFFFF)
_DOUBLE = 1.0 / 9007199254740992.0


def words_of(*keys: int) -> np.ndarray:
    """Return whole numbers as `SeedSequence` takes them, 32 bits each, low ones first."""
    words = []
    for key in keys:
        if key < 0:
            raise InputError(f"seed must be at least 0, got {key}; give another one")
        words.append(key & 0xFFFFFFFF)
        while key := key >> 32:
            words.append(key & 0xFFFFFFFF)
    return np.array(words, np.uint32)


@kernel
def hashed(value, at, by):
    """Return a word hashed with a constant and the next one."""
    value = np.uint32(np.uint32(value ^ at) * np.uint32(at * by))
    return np.uint32(value ^ (value >> _SHIFT))


@kernel
def mixed(one, other):
    """Return a mixture of two words."""
    value = np.uint32(np.uint32(_LEFT * one) - np.uint32(_RIGHT * other))
    return np.uint32(value ^ (value >> _SHIFT))


@kernel
def seed_state(words, pool, state):
    """Write the first 8 words of the seed sequence of `words` to `state`; ``pool`` is a buffer."""
    at = _FIRST
    for k in range(_POOL):
        pool[k] = hashed(words[k] if k < len(words) else np.uint32(0), at, _FIRST_BY)
        at = np.uint32(at * _FIRST_BY)
    for source in range(max(_POOL, len(words))):
        for k in range(_POOL):
            if k != source:
                value = pool[source] if source < _POOL else words[source]
                pool[k] = mixed(pool[k], hashed(value, at, _FIRST_BY))
                at = np.uint32(at * _FIRST_BY)
    at = _SECOND
    for k in range(len(state)):
        state[k] = hashed(pool[k % _POOL], at, _SECOND_BY)
        at = np.uint32(at * _SECOND_BY)


@kernel
def joined(low, high):
    """Return two words as one of 64 bits."""
    return np.uint64(low) | np.uint64(high) << _HALF


@kernel
def stepped(high, low, more_high, more_low):
    """Return the next state of PCG64, high and low, of an increment."""
    a, b = low >> _HALF, low & _ONES
    c, d = _LOW >> _HALF, _LOW & _ONES
    middle = (b * d >> _HALF) + (a * d & _ONES) + (b * c & _ONES)
    carry = a * c + (a * d >> _HALF) + (b * c >> _HALF) + (middle >> _HALF)
    new_low = low * _LOW + more_low
    over = np.uint64(new_low < more_low)
    return carry + high * _LOW + low * _HIGH + more_high + over, new_low


@kernel
def draw_masks(words, index, begin, end, chance, scale, low, high):
    """Write the scale of spikes (B, N) of examples low..high-1: 0, or 1 / (1 - chance).

    Neurons begin[k]..end[k]-1 are dropped with ``chance[k]``; the generator of an example is keyed
    by `words` and its index.
    """
    one, n = np.uint64(1), len(words)
    own = np.empty(n + 2, np.uint32)
    for k in range(n):
        own[k] = words[k]
    pool, state = np.empty(_POOL, np.uint32), np.empty(2 * _POOL, np.uint32)
    for e in range(low, high):
        key = np.uint64(index[e])
        own[n], own[n + 1] = key & _ONES, key >> _HALF
        seed_state(own[: n + 2 if own[n + 1] > 0 else n + 1], pool, state)
        more_high, more_low = joined(state[4], state[5]), joined(state[6], state[7])
        more_high, more_low = more_high << one | more_low >> np.uint64(63), more_low << one | one
        first = more_low + joined(state[2], state[3])
        over = np.uint64(first < more_low)
        a, b = stepped(more_high + joined(state[0], state[1]) + over, first, more_high, more_low)
        for k in range(len(chance)):
            kept = np.float32(1.0 / (1.0 - chance[k]))
            for j in range(begin[k], end[k]):
                a, b = stepped(a, b, more_high, more_low)
                x, turn = a ^ b, a >> np.uint64(58)
                x = x >> turn | x << (np.uint64(64) - turn & np.uint64(63))
                share = np.float64(x >> np.uint64(11)) * _DOUBLE
                scale[e, j] = kept if share >= chance[k] else np.float32(0.0)


def draw_scale(context: SimulationContext, seed: int, batch: Batch, epoch: int) -> np.ndarray:
    """Return the scale of each neuron's spikes: (1, N) ones, or a mask per example, (B, N)."""
    layout, chances = context.layout, context.rule.dropout
    dropped = [name for name in layout.spiking if chances.get(name, 0.0) > 0.0]
    scale = np.ones((len(batch) if dropped else 1, int(context.plan.first[-1])), np.float32)
    if dropped:
        neurons = [layout.neurons[name] for name in dropped]
        begin, end = np.array([[s.start, s.stop] for s in neurons]).T.copy()
        chance = np.array([chances[name] for name in dropped], np.float64)
        words, index = words_of(seed, crc32(b"dropout"), epoch), np.asarray(batch.index, np.int64)
        context.spread(
            len(batch),
            lambda low, high: draw_masks(words, index, begin, end, chance, scale, low, high),
        )
    return scale
