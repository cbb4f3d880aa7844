"""The synapses onto neurons as points in space and time: place of the source, delay, weight.

Shapes: S synapses, M postsynaptic neurons, n presynaptic ones, D axes of space.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Projection


@dataclass(frozen=True)
class Places:
    """Where presynaptic neurons lie.

    Attributes:
        names: Name of each of the D axes.
        size: Number of places along each axis.
        position: (n, D) int64 place of each neuron.
    """

    names: tuple[str, ...]
    size: tuple[int, ...]
    position: np.ndarray

    @staticmethod
    def of(axes: Sequence[tuple[str, int]], n: int) -> "Places | None":
        """Place n channels, None where they have no order.

        Arguments:
            axes: Name and size of each axis, the last running fastest, as of the ``space`` of a
                data set's options (`mlgenn_delays.data.dataset.Dataset`). A size of 0 is what is
                left. More channels than places (several levels of a band) share them.
            n: Number of channels.

        Raises:
            InputError: The channels do not fill the places.
        """
        if not axes:
            return None
        known = math.prod(size for _, size in axes if size)
        size = tuple(size or n // known for _, size in axes)
        count = math.prod(size)
        if count < 1 or n % count:
            raise InputError(f"{n} channels must fill places of {size} evenly")
        position = np.stack(np.unravel_index(np.arange(n) % count, size), axis=1)
        return Places(tuple(name for name, _ in axes), size, position.astype(np.int64))


@dataclass(frozen=True)
class Afferents:
    """The synapses of a projection by postsynaptic neuron; those of weight 0 are left out.

    Attributes:
        start: (M+1,) int64; neuron j has the synapses ``start[j]:start[j+1]``.
        pre: (S,) int64 presynaptic neuron, ascending within a neuron.
        weight: (S,) float64.
        delay: (S,) float64 [ms].
        max_delay: Largest delay that learning may reach [ms].
        there: `pair_keys` of all synapses of the projection, those that are left out among them;
            None for those above alone.
    """

    start: np.ndarray
    pre: np.ndarray
    weight: np.ndarray
    delay: np.ndarray
    max_delay: float
    there: np.ndarray | None = None

    @staticmethod
    def of(projection: Projection, n_post: int, strongest: float = 1.0) -> "Afferents":
        """Sort the synapses of a projection by postsynaptic neuron.

        Arguments:
            projection: The projection.
            n_post: M.
            strongest: Share of each neuron's synapses that count, those of the largest weights.

        Raises:
            InputError: The share is not in (0, 1].
        """
        if not 0 < strongest <= 1:
            raise InputError(f"strongest must be a share in (0, 1], got {strongest!r}")
        weight = projection.weight.astype(np.float64)
        post, pre = projection.post.astype(np.int64), projection.pre().astype(np.int64)
        kept = np.flatnonzero(weight)
        kept = kept[np.lexsort((pre[kept], post[kept]))]
        if strongest < 1:
            kept = _strongest(kept, post, weight, strongest)
        start = np.searchsorted(post[kept], np.arange(n_post + 1))
        return Afferents(
            start.astype(np.int64),
            pre[kept],
            weight[kept],
            projection.delay_per_synapse()[kept],
            float(projection.max_delay),
            pair_keys(projection),
        )

    @property
    def n_neurons(self) -> int:
        """M, the number of postsynaptic neurons."""
        return len(self.start) - 1

    @property
    def post(self) -> np.ndarray:
        """(S,) int64 postsynaptic neuron of each synapse."""
        return np.repeat(np.arange(self.n_neurons), np.diff(self.start))

    @property
    def sign(self) -> np.ndarray:
        """(S,) int8, 1 of excitatory and -1 of inhibitory synapses."""
        return np.sign(self.weight).astype(np.int8)

    def take(self, neurons: np.ndarray) -> "Afferents":
        """The synapses of some neurons alone, in their order."""
        counts = np.diff(self.start)[neurons]
        index = np.concatenate(
            [np.arange(self.start[j], self.start[j + 1]) for j in neurons] or [np.zeros(0, int)]
        ).astype(np.int64)
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Afferents(
            start, self.pre[index], self.weight[index], self.delay[index], self.max_delay
        )


def receptive_fields(
    projection: Projection, n_post: int, *, bin_width: float
) -> tuple[np.ndarray, np.ndarray]:
    """Sum signed weights over source and delay: the spatiotemporal receptive fields.

    Arguments:
        projection: The projection.
        n_post: M.
        bin_width: Width of a bin of delays [ms].

    Returns:
        (M, n, bins) float32, summed weights of the synapses from a source whose delay is in a bin,
        and the edges (bins+1,) of the bins [ms].

    Raises:
        InputError: The width is not positive.
    """
    if not bin_width > 0:
        raise InputError(f"bin_width must be > 0 ms, got {bin_width!r}")
    n_pre = len(projection.indptr) - 1
    bins = int(projection.max_delay // bin_width) + 1
    out = np.zeros((n_post, n_pre, bins), np.float32)
    place = (projection.delay_per_synapse() // bin_width).astype(np.int64)
    np.add.at(out, (projection.post, projection.pre(), place), projection.weight)
    return out, np.arange(bins + 1) * bin_width


def pair_keys(projection: Projection) -> np.ndarray:
    """One number per synapse, the same for the same pair of neurons, (S,) int64."""
    return projection.pre().astype(np.int64) << 32 | projection.post.astype(np.int64)


def _strongest(kept: np.ndarray, post: np.ndarray, weight: np.ndarray, share: float) -> np.ndarray:
    """Those of the synapses, sorted by neuron, with the largest weights of their neuron."""
    out = []
    for own in np.split(kept, np.flatnonzero(np.diff(post[kept])) + 1):
        n = math.ceil(share * len(own) - 1e-9)  # 0.07 * 100 is above 7 by rounding
        order = np.argsort(-np.abs(weight[own]), kind="stable")[:n]
        out.append(own[np.sort(order)])
    return np.concatenate(out)
