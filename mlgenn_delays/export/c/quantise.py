"""Weights as 8-bit integers: w of a synapse onto neuron j becomes q, with w about q scale_j.

    scale_j = max |w| / 127 over the synapses of one projection onto neuron j
    q       = round(w / scale_j), in -127..127

One scale per neuron and projection: projections onto one neuron (input and recurrent ones, say)
differ in size by far more than the weights of one of them. Zero stays zero, so the scale is all
that there is to store, and sums of q over synapses that act in one step are exact integers.
"""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Network, Projection

LARGEST = 127


@dataclass(frozen=True)
class Quantised:
    """Integer weights of a network.

    Attributes:
        values: (S,) int8 by projection, in the order of its synapses.
        scales: (n_post,) float32 by projection; 0 where all weights of a neuron are 0.

    Raises:
        InputError: The arrays are of other types, or a value is outside -127..127.
    """

    values: dict[str, np.ndarray]
    scales: dict[str, np.ndarray]
    bits: int = 8

    def __post_init__(self) -> None:
        if self.values.keys() != self.scales.keys():
            raise InputError("Quantised must have values and scales of the same projections")
        for name, q in self.values.items():
            if q.dtype != np.int8 or q.ndim != 1 or (q < -LARGEST).any():
                raise InputError(
                    f"Quantised must have int8 values in -{LARGEST}..{LARGEST} of {name!r}"
                )
            scale = self.scales[name]
            if scale.dtype != np.float32 or scale.ndim != 1 or not (scale >= 0).all():
                raise InputError(f"Quantised must have float32 scales >= 0 of {name!r}")

    def weights(self, projection: Projection) -> np.ndarray:
        """The weights q scale that the integers stand for, (S,) float32."""
        q, scale = self.values.get(projection.name), self.scales.get(projection.name)
        synapses, post = projection.n_synapses, projection.post
        if q is None or scale is None or len(q) != synapses or len(scale) <= post.max(initial=-1):
            raise InputError(
                f"Quantised must have the {synapses} synapses of projection {projection.name!r}; "
                "use the network that quantise returned with it"
            )
        return q.astype(np.float32) * scale[post]


def quantise(network: Network) -> tuple[Network, Quantised]:
    """Round the weights of a network to 8 bits.

    Arguments:
        network: A network without normalisation; it stays as it is.

    Returns:
        The network with the weights q scale, which any engine can run, and the integers. No
        weight moves by more than half a scale, and none changes its sign.

    Raises:
        InputError: A population is normalised, or a weight is not finite.
    """
    rounded, values, scales = network.copy(), {}, {}
    for population in network.populations.values():
        if population.normalisation is not None:
            raise InputError(
                f"population {population.name!r} must have no normalisation to be quantised; "
                "fold it in with Network.folded()"
            )
    for name, p in rounded.projections.items():
        if not np.isfinite(p.weight).all():
            raise InputError(f"projection {name!r} must have finite weights to be quantised")
        values[name], scales[name] = _round(p, network.populations[p.target].n)
    quantised = Quantised(values, scales)
    for p in rounded.projections.values():
        p.weight = quantised.weights(p)
    return rounded, quantised


def _round(projection: Projection, n_post: int) -> tuple[np.ndarray, np.ndarray]:
    """The integers (S,) and scales (n_post,) of a projection."""
    weight = projection.weight.astype(np.float64)
    largest = np.zeros(n_post)
    np.maximum.at(largest, projection.post, np.abs(weight))
    scale = (largest / LARGEST).astype(np.float32)
    # Rounded up, so that the largest weight is at most 127 scales, however small they are.
    low = scale.astype(np.float64) * LARGEST < largest
    scale[low] = np.nextafter(scale[low], np.float32(np.inf))
    own = scale[projection.post].astype(np.float64)
    q = np.rint(np.divide(weight, own, out=np.zeros_like(weight), where=own > 0))
    return q.astype(np.int8), scale
