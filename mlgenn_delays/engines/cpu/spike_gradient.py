"""The surrogate derivative psi of a spike, and dL/d(spike) from the adjoints of its targets."""

import numpy as np

from mlgenn_delays.engines.shared.lanes import (
    STRIP,
    above,
    load,
    magnitude,
    put,
    splat,
    where,
)
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
    """Return psi of a strip at distances u; `one` and `other` are its settings, in order."""
    if kind == ATAN:
        x = splat(STRIP, np.float32(np.pi / 2) * one) * u
        return splat(STRIP, np.float32(0.5) * one) / (splat(STRIP, np.float32(1.0)) + x * x)
    away, zero, height = magnitude(u), splat(STRIP, np.float32(0.0)), splat(STRIP, other)
    if kind == TRIANGLE:
        left = splat(STRIP, np.float32(1.0)) - away / splat(STRIP, one)
        return height * where(above(left, zero), left, zero)
    return where(above(splat(STRIP, one), away), height, zero)


@kernel
def add_spike_gradients(
    plan, layout, p, size, out_coef, out_address, neuron_scale, spectra, traces, e, spike_gradient
):  # fmt: skip
    """Add to `spike_gradient` (n, length) dL/d(spike) over feed-forward synapses, in every step.

    Spikes that are dropped have none.
    """
    base = e * layout.neurons * layout.length
    for q in range(len(plan.source)):
        if plan.source[q] != p or plan.recurrent_projection[q] or spectra.back[q]:
            continue
        adjoint = traces.adjoint[plan.group[q]]
        flat = spike_gradient.reshape(-1)
        for i in range(plan.n[p]):
            if neuron_scale[plan.first[p] + i] == 0.0:
                continue
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
def gather_compact(
    plan, layout, p, shape, size, out_coef, out_address, distance, at, low, traces, e, psi, strip
):  # fmt: skip
    """Write dL/d(spike) of neurons low..low + STRIP - 1 to a strip, where psi is not 0, else 0.

    Their distances begin at place `at`. ``psi`` (STRIP,) is a buffer.
    """
    kind, one, other, compact = shape
    base = e * layout.neurons * layout.length
    for t in range(layout.steps):
        put(psi, 0, derivative(kind, one, other, load(STRIP, distance, at + t * STRIP)))
        for k in range(min(STRIP, plan.n[p] - low)):
            total = np.float32(0.0)
            if psi[k] != 0.0:
                for q in range(len(plan.source)):
                    if plan.source[q] == p and not plan.recurrent_projection[q]:
                        adjoint = traces.adjoint[plan.group[q]]
                        total += spike_gradient_at(
                            plan, q, low + k, t, size, out_coef, out_address, base, adjoint
                        )
            strip[t * STRIP + k] = total
