"""Planted delays: how many of them do the delays of a trained network find again?

Data with planted delays d_k[c] (pattern k, channel c) bring the spikes of a pattern together at a
neuron whose synapses have the delays d_k[c] + constant. Delays D[c] and weights w[c] of a hidden
neuron are compared so:

    carries   |w[c]| >= 10 % of the neuron's largest w; inhibition carries weight as well
    error     D[c] - d_k[c], less its median over the synapses that carry weight: a common delay
              of all is free
    pattern   that k for which the mean |error| of the synapses that carry weight is smallest
    found     |error| <= 1 ms

Only neurons that have a part in the answer count: they spike, and an outgoing weight is not 0. With
fewer than three synapses that carry weight, what the median leaves says nothing: none is found.
Delays at random are found now and then as well, for pattern and median are fitted: `chance`.
"""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Network, Projection
from mlgenn_delays.rng import generator

FEWEST = 3  # synapses of a neuron that carry weight, for its delays to say something


@dataclass(frozen=True)
class Recovery:
    """What was found of planted delays, by hidden neuron that has a part in the answer (M).

    Attributes:
        neuron: (M,) its index.
        pattern: (M,) the pattern that fits it best.
        answer: (M,) the class that its largest outgoing weight speaks for.
        offset: (M,) what its delays have in common above the planted ones [ms].
        error: (M, C) error of each delay [ms], NaN where a synapse carries no weight.
        found: (M, C) whether a synapse carries weight and its delay is found.
        silent: Number of hidden neurons that have no part in the answer.
    """

    neuron: np.ndarray
    pattern: np.ndarray
    answer: np.ndarray
    offset: np.ndarray
    error: np.ndarray
    found: np.ndarray
    silent: int

    @property
    def n_found(self) -> int:
        """Synapses whose delay is found."""
        return int(self.found.sum())

    @property
    def n_carrying(self) -> int:
        """Synapses that carry weight."""
        return int(np.isfinite(self.error).sum())

    @property
    def n_idle(self) -> int:
        """Synapses of the same neurons that carry none."""
        return self.error.size - self.n_carrying

    @property
    def share(self) -> float:
        """Share of found among the synapses that carry weight; 0 where there are none."""
        return self.n_found / max(1, self.n_carrying)


def recovered(
    network: Network,
    planted: np.ndarray,
    spikes: np.ndarray,
    *,
    hidden: str = "hidden1",
    tolerance: float = 1.0,
    carries: float = 0.1,
) -> Recovery:
    """Compare the delays onto a hidden population with planted ones.

    Arguments:
        network: The network, with one projection from its input onto the population.
        planted: (K, C) delays that bring the spikes of each pattern together [ms], as of
            `mlgenn_delays.data.sets.coincidence.planted_delays`.
        spikes: (n,) spikes of each hidden neuron over all examples.
        hidden: The population.
        tolerance: Largest |error| of a delay that is found [ms].
        carries: Least |weight| that carries, of the neuron's largest weight.

    Returns:
        What was found.

    Raises:
        InputError: Shapes do not fit, or the population has another input.
    """
    weight, delay = _inputs(network, planted, spikes, hidden)
    outgoing = _outgoing(network, hidden)
    part = (np.asarray(spikes) > 0) & (outgoing != 0).any(axis=1)
    neuron = np.flatnonzero(part)
    size = np.abs(weight[neuron])
    largest = np.maximum(weight[neuron].max(axis=1, keepdims=True), 0.0)
    carrying = (size >= carries * largest) & (size > 0)
    pattern, offset, error = _fit(delay[neuron], carrying, planted)
    enough = carrying.sum(axis=1, keepdims=True) >= FEWEST
    with np.errstate(invalid="ignore"):
        found = (np.abs(error) <= tolerance) & enough
    answer = outgoing[neuron].argmax(axis=1)
    return Recovery(neuron, pattern, answer, offset, error, found, int((~part).sum()))


def chance(
    network: Network,
    planted: np.ndarray,
    spikes: np.ndarray,
    *,
    draws: int = 1000,
    hidden: str = "hidden1",
    tolerance: float = 1.0,
    carries: float = 0.1,
    seed: int = 0,
) -> float:
    """The share that the same measure finds when every neuron's delays are shuffled.

    Arguments:
        network: As of `recovered`.
        planted: As of `recovered`.
        spikes: As of `recovered`.
        draws: Number of shuffled networks, of which the mean is taken.
        hidden: As of `recovered`.
        tolerance: As of `recovered`.
        carries: As of `recovered`.
        seed: Seed of shuffling.

    Raises:
        InputError: As of `recovered`, or there are no draws.
    """
    if draws < 1:
        raise InputError(f"draws must be >= 1, got {draws!r}")
    actual = recovered(
        network, planted, spikes, hidden=hidden, tolerance=tolerance, carries=carries
    )
    _, delay = _inputs(network, planted, spikes, hidden)
    carrying = np.isfinite(actual.error)
    enough = carrying.sum(axis=1, keepdims=True) >= FEWEST
    rng = generator(seed, "planted", "chance")
    total = 0
    for _ in range(draws):
        shuffled = delay[actual.neuron]
        for row, kept in zip(shuffled, carrying, strict=True):
            row[kept] = rng.permutation(row[kept])
        _, _, error = _fit(shuffled, carrying, planted)
        with np.errstate(invalid="ignore"):
            total += int(((np.abs(error) <= tolerance) & enough).sum())
    return total / draws / max(1, actual.n_carrying)


def _inputs(
    network: Network, planted: np.ndarray, spikes: np.ndarray, hidden: str
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and delays [ms] onto the neurons, both (n, C); an absent synapse weighs 0."""
    source = network.input()
    incoming = network.incoming(hidden) if hidden in network.populations else []
    if len(incoming) != 1 or incoming[0].source != source.name:
        raise InputError(
            f"{hidden!r} must have one projection onto it, from the input, got "
            f"{', '.join(p.name for p in incoming) or 'none'}"
        )
    n, planted = network.populations[hidden].n, np.asarray(planted)
    if planted.ndim != 2 or planted.shape[1] != source.n:
        raise InputError(f"planted must have shape (K, {source.n}), got {planted.shape}")
    if np.shape(spikes) != (n,):
        raise InputError(f"spikes must have shape ({n},), got {np.shape(spikes)}")
    p = incoming[0]
    return _dense(p, p.weight, n), _dense(p, p.delay_per_synapse(), n)


def _dense(projection: Projection, values: np.ndarray, n: int) -> np.ndarray:
    """Values (S,) of synapses as (n, C) by postsynaptic and presynaptic neuron."""
    out = np.zeros((n, len(projection.indptr) - 1))
    out[projection.post, projection.pre()] = values
    return out


def _outgoing(network: Network, hidden: str) -> np.ndarray:
    """The weights (n, K) of a population onto the output."""
    output = network.output()
    out = np.zeros((network.populations[hidden].n, output.n))
    for projection in network.incoming(output.name):
        if projection.source == hidden:
            out[projection.pre(), projection.post] = projection.weight
    return out


def _fit(
    delay: np.ndarray, carrying: np.ndarray, planted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pattern (M,), offset (M,) and error (M, C) of the best fit of each neuron."""
    m, channels = delay.shape
    pattern, offset = np.zeros(m, np.int64), np.zeros(m)
    error = np.full((m, channels), np.nan)
    for j in range(m):
        kept = carrying[j]
        if not kept.any():
            continue
        above = delay[j, kept] - planted[:, kept]
        common = np.median(above, axis=1, keepdims=True)
        left = above - common
        best = int(np.abs(left).mean(axis=1).argmin())
        pattern[j], offset[j] = best, common[best, 0]
        error[j, kept] = left[best]
    return pattern, offset, error
