"""EventProp of any neuron that is linear between spikes (docs/method/eventprop.md), step by step.

With the matrices of `neurons.linear`, P the adjoint of the state after step t carried back from
later steps, f per step, and I the current of the step (that of the last refractory step in f+):

    at a spike      y = E x[t-1] + F I + H, moved back along the step to n y = theta
                    f- = A y + b I + c;   f+ = A (R y + k) + b I + c
                    kappa = regularisation - (P (R f- - f+) + G) / (n f-)
                    P -> Es' P + kappa g;   dL/dI = Fs P + kappa h
    otherwise       P -> E' P;              dL/dI = F P           (refractory: P stays, dL/dI = 0)
    r[t] = scale dL/dI + decay r[t+1];   D[t] = r[t+1] - r[t]

The backward pass runs a block of neurons forwards again, for states, currents and synapses of all
steps. `by_matrix` is what each step adds to dL/d(matrices); parameters follow from it.

LIF neurons and leaky integrators whose parameters are not learned have kernels of their own
(`eventprop_forward`, `eventprop_backward`), which the tests hold against these.
"""

from typing import NamedTuple

import numpy as np

from mlgenn_delays.engines.cpu.synapses import (
    QUAD,
    add_recurrent_time_gradients,
    feed_back,
    take_from_line,
)
from mlgenn_delays.engines.shared.lanes import BLOCK, LANES, PAIR
from mlgenn_delays.engines.shared.numerics import SUBNORMAL, kernel
from mlgenn_delays.engines.shared.plan import READOUT

QUIET, FIRED, RESTS = 0, 1, 2


class Linear(NamedTuple):
    """Matrices of the neurons of populations that run here; float32, M states at most."""

    own: np.ndarray  # (P,) whether a population runs here
    states: np.ndarray  # (P,) its number of states
    strict: np.ndarray  # (P,) whether its neurons spike above the threshold only, not at it
    output: np.ndarray  # (P,) place of V among the states of a readout
    distance: np.ndarray  # (N, M+2): g, h, q
    quiet: np.ndarray  # (N, M, M+2): E, F, H
    spike: np.ndarray  # (N, M, M+2): Es, Fs, Hs
    flow: np.ndarray  # (N, M, M+2): A, b, c per step
    reset: np.ndarray  # (N, M, M+1): R, k
    normal: np.ndarray  # (N, M+1): n, theta
    least: np.ndarray  # (N,) what n f- counts as at least


class LinearBuffers(NamedTuple):
    """What a thread keeps of L neurons in all of T steps."""

    state: np.ndarray  # (L, T, M)
    current: np.ndarray  # (L, T)
    inner: np.ndarray  # (G, L, T) of each synapse group
    mark: np.ndarray  # (L, T) uint8


@kernel
def times(matrix, m, x, current, out):
    """Write M x + b I + c to out, from rows of (M, b, c)."""
    for i in range(m):
        total = matrix[i, -2] * current + matrix[i, -1]
        for j in range(m):
            total += matrix[i, j] * x[j]
        out[i] = np.float32(0.0) if abs(total) <= SUBNORMAL else total


@kernel
def run_linear(
    plan, linear, layout, p, low, lanes, recurrent, own_scale, current, store, e, steps, buffers,
    kept
):  # fmt: skip
    """Run neurons low..low+lanes-1 of population p through the trial, from `buffers.rows`.

    Spikes go to `buffers.fired`, V of a readout to the store, and all of it to `kept`, for the
    backward pass, if that has room.
    """
    m, hold, first = linear.states[p], plan.refractory[p], plan.first[p] + low
    x, after = np.zeros((lanes, m), np.float32), np.zeros(m, np.float32)
    inner, resting = np.zeros((plan.groups[p], lanes), np.float32), np.zeros(lanes, np.int64)
    keeps = kept.current.shape[1] > 0
    buffers.fired[: -(-lanes // BLOCK)] = 0
    feeds_back = plan.recurrent_population[p]
    if recurrent is not None and feeds_back:
        buffers.line[:] = 0.0
    for t in range(steps):
        if recurrent is not None and feeds_back:
            take_from_line(buffers.line, plan.groups[p], t, buffers.rows)
        for k in range(lanes):
            j = first + k
            total = plan.bias[j]
            if len(current) > 0:
                at = e * layout.neurons + layout.neuron_row[p] + low + k
                total += current[at * layout.length + t]
            for g in range(plan.groups[p]):
                y = (
                    plan.decay[g, j] * inner[g, k]
                    + buffers.rows[g, k // LANES, t * LANES + k % LANES]
                )
                inner[g, k] = np.float32(0.0) if abs(y) <= SUBNORMAL else y
                total += plan.scale[g, j] * inner[g, k]
                if keeps:
                    kept.inner[g, k, t] = inner[g, k]
            mark = RESTS if resting[k] > 0 else QUIET
            if mark == RESTS:
                resting[k] -= 1
            else:
                u = linear.distance[j, -2] * total + linear.distance[j, -1]
                for i in range(m):
                    u += linear.distance[j, i] * x[k, i]
                mark = FIRED if u > 0.0 or (u == 0.0 and not linear.strict[p]) else QUIET
                times(linear.spike[j] if mark == FIRED else linear.quiet[j], m, x[k], total, after)
                for i in range(m):
                    x[k, i] = after[i]
            if keeps:
                kept.current[k, t], kept.mark[k, t] = total, mark
                for i in range(m):
                    kept.state[k, t, i] = x[k, i]
            if plan.kind[p] == READOUT:
                if not keeps:
                    store.voltage[e, low + k, t] = x[k, linear.output[p]]
            elif mark == FIRED:
                buffers.fired[k // BLOCK, t] |= np.uint32(1 << k % BLOCK)
                resting[k] = hold
        if recurrent is not None and feeds_back:
            feed_back(p, recurrent, own_scale[low : low + lanes], buffers.fired, t, buffers.line)


@kernel
def through_spike(linear, j, m, before, current, restart, carried, outgoing):
    """Return kappa of a spike of neuron j of all, but for the regularisation.

    Arguments: the state `before` the step, its current, that with which the neuron starts again, P,
    and G.
    """
    there, down, up = np.zeros(m, np.float32), np.zeros(m, np.float32), np.zeros(m, np.float32)
    times(linear.quiet[j], m, before, current, there)
    start, end = -linear.normal[j, m], -linear.normal[j, m]
    for i in range(m):
        start += linear.normal[j, i] * before[i]
        end += linear.normal[j, i] * there[i]
    share = -start / (end - start) if end > start else np.float32(1.0)
    share = min(max(share, np.float32(0.0)), np.float32(1.0))
    for i in range(m):
        there[i] = before[i] + share * (there[i] - before[i])
    times(linear.flow[j], m, there, current, down)
    jump, slope = outgoing, np.float32(0.0)
    for i in range(m):
        slope += linear.normal[j, i] * down[i]
        back, start_again = np.float32(0.0), linear.reset[j, i, m]
        for o in range(m):
            back += linear.reset[j, i, o] * down[o]
            start_again += linear.reset[j, i, o] * there[o]
        jump += carried[i] * back
        up[i] = start_again
    times(linear.flow[j], m, up, restart, there)
    for i in range(m):
        jump -= carried[i] * there[i]
    return -jump / max(slope, linear.least[j])


@kernel
def back_linear(
    plan, linear, p, low, lanes, recurrent, own_scale, count_gradient, drive, base, store, e,
    steps, buffers, kept, by_matrix, by_synapse
):  # fmt: skip
    """Write the adjoints of neurons low..low+lanes-1 of population p to `buffers.adjoint`.

    `add_recurrent_time_gradients` takes those of later steps.
    What the trial adds to dL/d(distance, quiet, spike) goes to `by_matrix` (N, 1 + 2M, M+2), that
    to dL/d(scale, decay) of each group of synapses to `by_synapse` (N, G, 2).
    """
    m, hold, first = linear.states[p], plan.refractory[p], plan.first[p] + low
    size = linear.quiet.shape[1]
    left = np.zeros(lanes, np.uint64)
    carried, after = np.zeros((lanes, m), np.float32), np.zeros(m, np.float32)
    r, zero = np.zeros((plan.groups[p], lanes), np.float32), np.zeros(m, np.float32)
    for k in range(lanes if plan.kind[p] != READOUT else 0):
        left[k] = store.start[e, plan.spike_offset[p] + low + k + 1]
    feeds_back = plan.recurrent_population[p]
    if recurrent is not None and feeds_back:
        buffers.line[:] = 0.0
    for back in range(steps):
        t = steps - 1 - back
        if recurrent is not None and feeds_back:
            add_recurrent_time_gradients(
                p, recurrent, own_scale[low : low + lanes], left, buffers.fired, t,
                buffers.line, base, buffers.outgoing,
            )  # fmt: skip
        for k in range(lanes):
            j, mark, by_current = first + k, kept.mark[k, t], np.float32(0.0)
            if mark != RESTS:
                current = kept.current[k, t]
                before = kept.state[k, t - 1] if t > 0 else zero
                if plan.kind[p] == READOUT:
                    carried[k, linear.output[p]] += drive[low + k, t]
                kappa = np.float32(0.0)
                if mark == FIRED:
                    left[k] -= np.uint64(1)
                    outgoing = buffers.outgoing[left[k] - base]
                    restart = kept.current[k, min(t + hold, steps - 1)]
                    kappa = count_gradient[low + k] + through_spike(
                        linear, j, m, before, current, restart, carried[k], outgoing
                    )
                matrix = linear.spike[j] if mark == FIRED else linear.quiet[j]
                row = 1 + size if mark == FIRED else 1
                by_current = kappa * linear.distance[j, -2]
                for i in range(m):
                    after[i] = kappa * linear.distance[j, i]
                    for o in range(m):
                        after[i] += matrix[o, i] * carried[k, o]
                    by_current += matrix[i, -2] * carried[k, i]
                if len(by_matrix) > 0:
                    add_products(by_matrix[j], row, size, m, carried[k], kappa, before, current)
                for i in range(m):
                    y = after[i]
                    carried[k, i] = np.float32(0.0) if abs(y) <= SUBNORMAL else y
            for g in range(plan.groups[p]):
                y = plan.scale[g, j] * by_current + plan.decay[g, j] * r[g, k]
                y = np.float32(0.0) if abs(y) <= SUBNORMAL else y
                both, at = buffers.adjoint[g, k // QUAD], t * LANES + k % QUAD * PAIR
                both[at], both[at + 1] = y, r[g, k] - y
                if len(by_synapse) > 0:
                    by_synapse[j, g, 0] += by_current * kept.inner[g, k, t]
                    by_synapse[j, g, 1] += y * kept.inner[g, k, t - 1] if t > 0 else 0.0
                if feeds_back:
                    reach = buffers.line.shape[1] // 2
                    buffers.line[g, t % reach, k] = r[g, k] - y
                    buffers.line[g, t % reach + reach, k] = r[g, k] - y
                r[g, k] = y


@kernel
def add_products(by_matrix, row, size, m, carried, kappa, before, current):
    """Add what one step adds to dL/d(distance, and the matrix of its kind, from `row` on)."""
    for i in range(m):
        by_matrix[0, i] += kappa * before[i]
        for o in range(m):
            by_matrix[row + i, o] += carried[i] * before[o]
        by_matrix[row + i, size] += carried[i] * current
        by_matrix[row + i, size + 1] += carried[i]
    by_matrix[0, size] += kappa * current
    by_matrix[0, size + 1] += kappa
