"""The surrogate derivative psi of a spike, and dL/d(spike) from the adjoints of its targets."""

import numpy as np

from mlgenn_delays.engines.cpu.spikes import RESTING
from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.vector import shifted_axpy
from mlgenn_delays.learning.rules import Atan, Surrogate, Triangle

ATAN, TRIANGLE, BOXCAR = 0, 1, 2


def shape_of(surrogate: Surrogate) -> tuple[int, np.float32, np.float32, bool]:
    """Return kind and settings of psi as kernels take them, and whether it is compact."""
    if isinstance(surrogate, Atan):
        return ATAN, np.float32(surrogate.slope), np.float32(0.0), False
    kind = TRIANGLE if isinstance(surrogate, Triangle) else BOXCAR
    return kind, np.float32(surrogate.width), np.float32(surrogate.height), True


@kernel
def derivative(kind, one, other, u):
    """Return psi at distance u from the threshold; `one` and `other` are its settings, in order."""
    if kind == ATAN:
        x = np.float32(np.pi / 2) * one * u
        return np.float32(0.5) * one / (np.float32(1.0) + x * x)
    away = abs(u)
    if kind == TRIANGLE:
        return other * max(np.float32(0.0), np.float32(1.0) - away / one)
    return other if away < one else np.float32(0.0)


@kernel
def add_spike_gradients(
    plan, layout, p, size, out_coef, out_address, spectra, traces, e, spike_gradient
):  # fmt: skip
    """Add to `spike_gradient` (n, length) dL/d(spike) over feed-forward synapses, in every step."""
    base = e * layout.neurons * layout.length
    for q in range(len(plan.source)):
        if plan.source[q] != p or plan.recurrent_projection[q] or spectra.chosen[q]:
            continue
        adjoint = traces.adjoint[plan.group[q]]
        flat = spike_gradient.reshape(-1)
        for i in range(plan.n[p]):
            first = np.int64(plan.out[plan.out_first[q] + i])
            last = np.int64(plan.out[plan.out_first[q] + i + 1])
            shifted_axpy(
                flat, i * layout.length, layout.span, adjoint, base, out_address, out_coef,
                first * size, last * size,
            )  # fmt: skip


@kernel
def spike_gradient_at(plan, q, i, t, size, out_coef, out_address, base, adjoint):
    """Return dL/d(spike) of neuron i in step t over the synapses of projection q."""
    total = np.float32(0.0)
    first = np.int64(plan.out[plan.out_first[q] + i]) * size
    last = np.int64(plan.out[plan.out_first[q] + i + 1]) * size
    for k in range(first, last):
        total += out_coef[k] * adjoint[base + out_address[k] + t]
    return total


@kernel
def weigh(
    plan, layout, p, shape, size, out_coef, out_address, neuron_scale, count_gradient, traces, e,
    spike_gradient,
):  # fmt: skip
    """Turn dL/d(spike) into psi G in every step, `spike_gradient` (n, length).

    With a compact surrogate, dL/d(spike) is summed here, where psi is not 0.
    """
    kind, one, other, compact = shape
    base = e * layout.neurons * layout.length
    for i in range(plan.n[p]):
        at = base + (layout.neuron_row[p] + i) * layout.length
        weight, extra = neuron_scale[plan.first[p] + i], count_gradient[plan.first[p] + i]
        row, distance = spike_gradient[i, : layout.steps], traces.distance[at : at + layout.steps]
        if kind == ATAN:
            for t in range(layout.steps):
                x = np.float32(np.pi / 2) * one * distance[t]
                psi = np.float32(0.5) * one / (np.float32(1.0) + x * x)
                row[t] = psi * (weight * row[t] + extra)
            continue
        for t in range(layout.steps):
            psi = derivative(kind, one, other, distance[t])
            row[t] = 0.0
            if psi != 0.0 and distance[t] != RESTING:
                total = np.float32(0.0)
                for q in range(len(plan.source)):
                    if plan.source[q] == p and not plan.recurrent_projection[q]:
                        adjoint = traces.adjoint[plan.group[q]]
                        total += spike_gradient_at(
                            plan, q, i, t, size, out_coef, out_address, base, adjoint
                        )
                row[t] = psi * (weight * total + extra)
