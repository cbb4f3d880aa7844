"""Random generators keyed by what they are for, so that no draw depends on any other.

A generator is made anew from (seed, purpose, keys...) wherever random numbers are needed:
shuffling an epoch, a dropout mask of an example, the initial delays of a projection. So results
depend neither on threads, nor on batch layout, nor on whether a run was resumed.
"""

from zlib import crc32

import numpy as np


def generator(seed: int, purpose: str, *keys: int | str) -> np.random.Generator:
    """The generator for a seed, a purpose such as ``"shuffle"``, and keys: an epoch, a name."""
    words = [seed, crc32(purpose.encode())]
    words += [crc32(k.encode()) if isinstance(k, str) else int(k) for k in keys]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
