"""Synapses whose signs are placed by a law: random, clusters, stripes, a checkerboard."""

import numpy as np

from mlgenn_delays.analysis.afferents import Afferents, Places

BANDS, LONGEST = 40, 240.0
PLACES = Places.of((("mel band", BANDS),), BANDS)


def afferents(law, *, neurons=20, synapses=30, seed=0):
    """Return synapses at random places and delays, with a random magnitude and the law's sign.

    law: Function of (band, delay [ms], generator) that gives the signs of a neuron.
    """
    rng = np.random.default_rng(seed)
    pre, delay, weight = [], [], []
    for _ in range(neurons):
        band = np.sort(rng.choice(BANDS, synapses, replace=False))
        late = rng.uniform(0, LONGEST, synapses)
        pre.append(band)
        delay.append(late)
        weight.append(law(band, late, rng) * rng.uniform(0.1, 1.0, synapses))
    start = np.arange(neurons + 1) * synapses
    return Afferents(
        start, np.concatenate(pre), np.concatenate(weight), np.concatenate(delay), LONGEST
    )


def at_random(band, delay, rng):
    return rng.choice([-1.0, 1.0], len(band))


def clusters(band, delay, rng):
    """Signs of a smooth field: a few places of excitation and of inhibition."""
    x, y = rng.uniform(0, BANDS, 6), rng.uniform(0, LONGEST, 6)
    far = ((band[:, None] - x) / 8) ** 2 + ((delay[:, None] - y) / 50) ** 2
    return np.where(far.argmin(axis=1) % 2, 1.0, -1.0)


def checkerboard(band, delay, rng):
    """Neighbouring bands are unlike at one delay, and turn every 10 ms."""
    return np.where((band + delay // 10) % 2, 1.0, -1.0)


def stripes_in_space(band, delay, rng):
    return np.where(band // 5 % 2, 1.0, -1.0) * rng.choice(
        [-1.0, 1.0], p=[0.1, 0.9], size=len(band)
    )


def stripes_in_time(band, delay, rng):
    return np.where(delay // 40 % 2, 1.0, -1.0)
