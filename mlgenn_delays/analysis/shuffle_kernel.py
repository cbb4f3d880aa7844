"""Sums over pairs of near synapses when what the synapses are is shuffled within each neuron.

Shapes: S synapses of M neurons, P pairs.
"""

from typing import Any

from mlgenn_delays.kernels import kernel


@kernel
def shuffle_within(start: Any, uniform: Any, order: Any) -> None:
    """Shuffle the synapses of each neuron among themselves (Fisher and Yates).

    Arguments:
        start: (M+1,) int64 first synapse of each neuron.
        uniform: (S,) float64 in [0, 1), one draw per synapse.
        order: (S,) int64, set: the synapse whose label each synapse gets.
    """
    for j in range(len(start) - 1):
        first = start[j]
        for s in range(first, start[j + 1]):
            order[s] = s
        for s in range(start[j + 1] - 1, first, -1):
            other = first + int(uniform[s] * (s - first + 1))
            order[s], order[other] = order[other], order[s]


@kernel
def pair_sums(pair_start: Any, a: Any, b: Any, positive: Any, value: Any, out: Any) -> None:
    """Add up the pairs of each neuron by what the labels of both are.

    There is no branch on a label: labels are shuffled, so it would be guessed wrong half the time.

    Arguments:
        pair_start: (M+1,) int64 first pair of each neuron.
        a: (P,) int32 synapse.
        b: (P,) int32 synapse.
        positive: (S,) float64 label of each synapse, 1 or 0.
        value: (S,) float64 label of each synapse.
        out: (M, 3), set: pairs of two positive ones, of two others, and the sum of the products
            of the values.
    """
    for j in range(len(pair_start) - 1):
        both = 0.0
        either = 0.0
        product = 0.0
        for p in range(pair_start[j], pair_start[j + 1]):
            s, t = a[p], b[p]
            both += positive[s] * positive[t]
            either += positive[s] + positive[t]
            product += value[s] * value[t]
        out[j, 0] = both
        out[j, 1] = pair_start[j + 1] - pair_start[j] - either + both
        out[j, 2] = product


@kernel
def timed_sums(
    pair_start: Any, a: Any, b: Any, positive: Any, value: Any, delay: Any, reach: Any, out: Any
) -> None:
    """Add up those pairs of each neuron that are near in time.

    Arguments:
        pair_start: (M+1,) int64 first pair of each neuron; the pairs are near in space.
        a: (P,) int32 synapse.
        b: (P,) int32 synapse.
        positive: (S,) float64 label of each synapse, 1 or 0.
        value: (S,) float64 label of each synapse.
        delay: (S,) float64 [ms].
        reach: How far delays are apart at most [ms].
        out: (M, 3), set: pairs near in time, those of them with equal labels, and the sum of the
            products of their values.
    """
    for j in range(len(pair_start) - 1):
        near = 0.0
        same = 0.0
        product = 0.0
        for p in range(pair_start[j], pair_start[j + 1]):
            s, t = a[p], b[p]
            counts = 1.0 if abs(delay[s] - delay[t]) <= reach else 0.0
            unlike = positive[s] - positive[t]
            near += counts
            same += counts * (1.0 - unlike * unlike)
            product += counts * value[s] * value[t]
        out[j, 0] = near
        out[j, 1] = same
        out[j, 2] = product


@kernel
def place_sums(c: Any, d: Any, sums: Any, position: Any, reach: Any, order: Any, out: Any) -> None:
    """Add up the pairs of presynaptic neurons that are near in space, when places are shuffled.

    Arguments:
        c: (P,) int64 presynaptic neuron.
        d: (P,) int64 presynaptic neuron.
        sums: (P, K) float64 what each pair adds.
        position: (n, D) int64 places.
        reach: (D,) int64 how far near ones are apart at most.
        order: (n,) int64 whose place each presynaptic neuron has.
        out: (K,), set.
    """
    out[:] = 0.0
    for p in range(len(c)):
        near = True
        for axis in range(len(reach)):
            far = abs(position[order[c[p]], axis] - position[order[d[p]], axis])
            if far > reach[axis]:
                near = False
        if near:
            for k in range(len(out)):
                out[k] += sums[p, k]
