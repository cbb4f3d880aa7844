"""Gradients by what the input sends: dL/dx_i[t] = sum over synapses of w sum_k K[k] R_j[t + k + 1].

x is a current, or how much a spike of step t counts: 1 where there is one, 0 elsewhere. R is the
adjoint at the arrivals, which simulations keep in `Traces.adjoint` if asked. Shapes: B examples, C
channels, T steps, S synapses, W taps of each.
"""

import numpy as np

from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.plan import INPUT
from mlgenn_delays.engines.shared.simulation import SimulationContext
from mlgenn_delays.engines.shared.taps import Taps
from mlgenn_delays.engines.shared.traces import RowLayout, Traces


@kernel
def add_input_gradients(plan, layout, q, size, first, acting, weight, adjoints, low, high, out):
    """Add what projection q brings back in examples low..high-1 to out (B, C, T).

    ``first`` (S,) and ``acting`` (S, W) are those of `Taps`.
    """
    target, begin = plan.target[q], plan.row_first[q]
    adjoint, steps = adjoints[plan.group[q]], layout.steps
    for e in range(low, high):
        for j in range(plan.n[target]):
            row = (e * layout.neurons + layout.neuron_row[target] + j) * layout.length
            for s in range(np.int64(plan.row[begin + j]), np.int64(plan.row[begin + j + 1])):
                own = out[e, np.int64(plan.pre[s])]
                for m in range(size):
                    coef, shift = weight[s] * acting[s, m], first[s] + m + 1
                    if coef != 0.0:
                        for t in range(steps - shift):
                            own[t] += coef * adjoint[row + shift + t]


def input_gradient(
    context: SimulationContext, layout: RowLayout, traces: Traces, taps: Taps, examples: int
) -> np.ndarray:
    """Return dL/dx of the examples of the last batch, (B, T, C) float32."""
    plan, weight = context.plan, context.parameters.acting_weight
    (own,) = np.flatnonzero(plan.kind == INPUT)
    out = np.zeros((examples, int(plan.n[own]), layout.steps), np.float32)
    for q in map(int, np.flatnonzero(plan.source == own)):

        def task(low: int, high: int, q: int = q) -> None:
            add_input_gradients(
                plan, layout, q, taps.size, taps.first, taps.acting, weight, traces.adjoint, low,
                high, out,
            )  # fmt: skip

        context.spread(examples, task)
    return np.ascontiguousarray(out.transpose(0, 2, 1))
