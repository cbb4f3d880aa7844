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
        uniform: (S,) float64 in [0, 1), one draw a synapse.
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
def pair_sums(
    pair_start: Any, a: Any, b: Any, positive: Any, value: Any, order: Any, out: Any
) -> None:
    """Add up the pairs of each neuron by what the labels of both are.

    Arguments:
        pair_start: (M+1,) int64 first pair of each neuron.
        a: (P,) int64 synapse.
        b: (P,) int64 synapse.
        positive: (S,) bool label of each synapse.
        value: (S,) float64 label of each synapse.
        order: (S,) int64 whose labels each synapse has.
        out: (M, 3), set: pairs of two positive ones, of two others, and the sum of the products
            of the values.
    """
    for j in range(len(pair_start) - 1):
        both = 0.0
        neither = 0.0
        product = 0.0
        for p in range(pair_start[j], pair_start[j + 1]):
            s, t = order[a[p]], order[b[p]]
            if positive[s] and positive[t]:
                both += 1.0
            elif not positive[s] and not positive[t]:
                neither += 1.0
            product += value[s] * value[t]
        out[j, 0] = both
        out[j, 1] = neither
        out[j, 2] = product


@kernel
def timed_sums(
    pair_start: Any,
    a: Any,
    b: Any,
    positive: Any,
    value: Any,
    delay: Any,
    reach: Any,
    order: Any,
    out: Any,
) -> None:
    """Add up those pairs of each neuron that are near in time, when delays are shuffled.

    Arguments:
        pair_start: (M+1,) int64 first pair of each neuron; the pairs are near in space.
        a: (P,) int64 synapse.
        b: (P,) int64 synapse.
        positive: (S,) bool label of each synapse.
        value: (S,) float64 label of each synapse.
        delay: (S,) float64 [ms].
        reach: How far delays are apart at most [ms].
        order: (S,) int64 whose delay each synapse has.
        out: (M, 3), set: pairs near in time, those of them with equal labels, and the sum of the
            products of their values.
    """
    for j in range(len(pair_start) - 1):
        near = 0.0
        same = 0.0
        product = 0.0
        for p in range(pair_start[j], pair_start[j + 1]):
            s, t = a[p], b[p]
            if abs(delay[order[s]] - delay[order[t]]) <= reach:
                near += 1.0
                if positive[s] == positive[t]:
                    same += 1.0
                product += value[s] * value[t]
        out[j, 0] = near
        out[j, 1] = same
        out[j, 2] = product
