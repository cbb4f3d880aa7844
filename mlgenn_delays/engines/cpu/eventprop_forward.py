"""The forward pass of EventProp, one example at a time.

With A_g[t] the arrivals over synapse group g, h the bias, a = exp(-dt/tau_mem):

    y_g[t] = decay_g y_g[t-1] + A_g[t];   I[t] = h + sum_g scale_g y_g[t]
    V[t] = a V[t-1] + (1 - a) I[t];       V >= v_thresh: spike in step t, V = 0

V stays 0 in refractory steps. For each spike, `SpikeStore` keeps what the backward pass needs: its
step, slope = I - v_thresh, and release = I of the last step before V moves again.

A population without recurrent synapses runs neuron by neuron, each through the whole trial, for
all of its arrivals are known. `LANES` neurons go side by side, for each one's steps depend on the
one before. A recurrent population runs step by step.
"""

from typing import NamedTuple

import numpy as np

from mlgenn_delays.engines.cpu.linear_neurons import LinearBuffers, run_linear
from mlgenn_delays.engines.cpu.synapses import feed_back, scatter, source_of, synapses_of
from mlgenn_delays.engines.shared.numerics import (
    FLUSH_EVERY,
    MIN_SLOPE,
    flush_all_subnormal,
    flush_subnormal,
    kernel,
)
from mlgenn_delays.engines.shared.plan import INPUT, READOUT

LANES = 8  # neurons worked on at once
ALPHA, V_THRESH = 0, 1  # rows of `Plan.constant` for LIF


class SpikeStore(NamedTuple):
    """Spikes and outputs of a batch."""

    # (B, H) uint64; neuron j of a population with spike_offset o spiked at
    # time[start[b, o + j]:start[b, o + j + 1]]
    start: np.ndarray
    time: np.ndarray  # (B * capacity,) uint32 [steps]
    slope: np.ndarray  # (B * capacity,) I + bias - v_thresh in the step of the spike, above 0
    release: np.ndarray  # (B * capacity,) I + bias in the step before V moves again
    voltage: np.ndarray  # (B, K, T) V of the output
    # (B,) spikes of the example; above the capacity, the example must be run again
    needed: np.ndarray


class Recurrent(NamedTuple):
    """Recurrent synapses in the order of `Plan.out_synapse`, renewed whenever they change."""

    weight: np.ndarray  # float32
    offset: np.ndarray  # uint32, delay + 1 [steps]


class EventBuffers(NamedTuple):
    """Buffers of one thread of `EventSimulation`; rows are padded for the largest delay."""

    rows: np.ndarray  # (G, L, T + max_shift) arrivals by target neuron and step
    current: np.ndarray  # (`LANES`, T) synaptic currents
    # (G, L, T + max_shift, 2) adjoint of inSyn, and derivative with respect to the arrival time of
    # unit weight; zero from step T on
    adjoint: np.ndarray
    time: np.ndarray  # (L, T) uint32 spikes of the neurons at hand
    slope: np.ndarray  # (L, T)
    release: np.ndarray  # (L, T)
    counts: np.ndarray  # (L,) int64 spikes of the neurons at hand
    # (capacity,) derivative with respect to each spike's time, over its synapses
    outgoing: np.ndarray
    kept: LinearBuffers  # of the neurons at hand, where they run step by step
    nothing: LinearBuffers  # without room


@kernel
def arrive(plan, p, weight, offset, start, time, neuron_scale, store, e, low, high, rows):
    """Add what arrives over every feed-forward projection onto neurons low..high-1 of p."""
    for q in range(len(plan.target)):
        if plan.target[q] == p and not plan.recurrent_projection[q]:
            source = source_of(plan, q, start, time, neuron_scale, store, e)
            synapses = synapses_of(plan, q, weight, offset)
            scatter(source, synapses, low, high, rows[plan.group[q]])


@kernel
def filter_currents(plan, layout, p, low, current, e, steps, buffers):
    """Turn the arrivals of `LANES` neurons into their synaptic currents, bias included.

    To them come the currents that a `CurrentInput` brings, ``current``, empty if there is none.
    """
    bias = plan.bias[plan.first[p] + low :]
    for k in range(LANES):
        buffers.current[k, :steps] = bias[k] if k < len(bias) else np.float32(0.0)
        if len(current) > 0 and low + k < plan.n[p]:
            at = (e * layout.neurons + layout.neuron_row[p] + low + k) * layout.length
            for t in range(steps):
                buffers.current[k, t] += current[at + t]
    for g in range(plan.groups[p]):
        decay, scale = np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
        for k in range(min(LANES, plan.n[p] - low)):
            decay[k] = plan.decay[g, plan.first[p] + low + k]
            scale[k] = plan.scale[g, plan.first[p] + low + k]
        rows, inner = buffers.rows[g], np.zeros(LANES, np.float32)
        for begin in range(0, steps, FLUSH_EVERY):
            for t in range(np.uint64(begin), np.uint64(min(begin + FLUSH_EVERY, steps))):
                for k in range(LANES):
                    x = decay[k] * inner[k] + rows[k, t]
                    inner[k] = x
                    buffers.current[k, t] += scale[k] * x
            for k in range(LANES):
                inner[k] = flush_subnormal(inner[k])


@kernel
def integrate_spiking(plan, p, j, current, steps, time, slope, release):
    """Run LIF neuron j of all through the trial from its current (T,); return its spike count."""
    hold, alpha, v_thresh = plan.refractory[p], plan.constant[ALPHA, j], plan.constant[V_THRESH, j]
    beta, min_slope = np.float32(1.0) - alpha, MIN_SLOPE * v_thresh
    v, count, resting = np.float32(0.0), np.uint64(0), 0
    for begin in range(0, steps, FLUSH_EVERY):
        for t in range(np.uint64(begin), np.uint64(min(begin + FLUSH_EVERY, steps))):
            drive = current[t]
            if resting > 0:
                resting -= 1
                if resting == 0:
                    release[count - np.uint64(1)] = drive
                continue
            v = alpha * v + beta * drive
            if v >= v_thresh:
                time[count] = t
                slope[count] = max(drive - v_thresh, min_slope)
                release[count] = drive
                count += np.uint64(1)
                v = np.float32(0.0)
                resting = hold
        v = flush_subnormal(v)
    return count


@kernel
def integrate_readout(plan, j, current, steps, voltage):
    """Run leaky integrator j of all through the trial from its current (T,) to its V (T,)."""
    alpha = plan.constant[ALPHA, j]
    beta = np.float32(1.0) - alpha
    v = np.float32(0.0)
    for begin in range(0, steps, FLUSH_EVERY):
        for t in range(np.uint64(begin), np.uint64(min(begin + FLUSH_EVERY, steps))):
            v = alpha * v + beta * current[t]
            voltage[t] = v
        v = flush_subnormal(v)


@kernel
def integrate_recurrent(plan, layout, p, recurrent, neuron_scale, current, e, steps, buffers):
    """Run a recurrent LIF population through the trial, step by step."""
    n, hold = plan.n[p], plan.refractory[p]
    bias, own_scale = plan.bias[plan.first[p] :], neuron_scale[plan.first[p] :]
    v, inner = np.zeros(n, np.float32), np.zeros((plan.groups[p], n), np.float32)
    resting, total = np.zeros(n, np.int64), np.empty(n, np.float32)
    buffers.counts[:n] = 0
    for t in range(np.uint64(steps)):
        if t % np.uint64(FLUSH_EVERY) == 0:
            flush_all_subnormal(v)
            for g in range(plan.groups[p]):
                flush_all_subnormal(inner[g])
        total[:] = bias[:n]
        if len(current) > 0:
            for k in range(n):
                total[k] += current[
                    (e * layout.neurons + layout.neuron_row[p] + k) * layout.length + t
                ]
        for g in range(plan.groups[p]):
            decay, scale = plan.decay[g, plan.first[p] :], plan.scale[g, plan.first[p] :]
            rows, x = buffers.rows[g], inner[g]
            for k in range(np.uint64(n)):
                x[k] = decay[k] * x[k] + rows[k, t]
                total[k] += scale[k] * x[k]
        for k in range(np.uint64(n)):
            if resting[k] > 0:
                resting[k] -= 1
                if resting[k] == 0:
                    buffers.release[k, buffers.counts[k] - 1] = total[k]
                continue
            alpha = plan.constant[ALPHA, plan.first[p] + k]
            v_thresh = plan.constant[V_THRESH, plan.first[p] + k]
            v[k] = alpha * v[k] + (np.float32(1.0) - alpha) * total[k]
            if v[k] >= v_thresh:
                c = buffers.counts[k]
                buffers.time[k, c] = t
                buffers.slope[k, c] = max(total[k] - v_thresh, MIN_SLOPE * v_thresh)
                buffers.release[k, c] = total[k]
                buffers.counts[k] = c + 1
                v[k] = 0.0
                resting[k] = hold
                feed_back(plan, p, recurrent, own_scale[k], k, t, buffers.rows)


@kernel
def keep_spikes(buffers, lanes, entry, limit, at, store, e):
    """Append the spikes of `lanes` neurons to the store; return where the next ones go.

    Past the limit they are counted, not kept: the caller runs the example again.
    """
    for k in range(lanes):
        count = buffers.counts[k]
        if at + count <= limit:
            store.time[at : at + count] = buffers.time[k, :count]
            store.slope[at : at + count] = buffers.slope[k, :count]
            store.release[at : at + count] = buffers.release[k, :count]
        at += count
        store.start[e, entry + k + 1] = at
    return at


@kernel
def run_population(
    plan, linear, layout, p, weight, offset, recurrent, start, time, neuron_scale, current, store,
    e, at,
    limit, steps, buffers,
):  # fmt: skip
    """Run population p in example e; return where the next spikes go in the store."""
    n = plan.n[p]
    block = n if plan.recurrent_population[p] else LANES
    spiking = plan.kind[p] != READOUT
    if spiking:
        store.start[e, plan.spike_offset[p]] = at
    for low in range(0, n, block):
        lanes = min(block, n - low)
        buffers.rows[: plan.groups[p], :lanes] = 0.0
        arrive(
            plan, p, weight, offset, start, time, neuron_scale, store, e, low, low + lanes,
            buffers.rows,
        )  # fmt: skip
        if linear.own[p]:
            run_linear(
                plan, linear, layout, p, low, lanes, recurrent, neuron_scale[plan.first[p] :],
                current, store, e, steps, buffers, buffers.nothing,
            )  # fmt: skip
        elif plan.recurrent_population[p]:
            integrate_recurrent(
                plan, layout, p, recurrent, neuron_scale, current, e, steps, buffers
            )
        else:
            filter_currents(plan, layout, p, low, current, e, steps, buffers)
            for k in range(lanes):
                own = buffers.current[k]
                if spiking:
                    buffers.counts[k] = integrate_spiking(
                        plan, p, plan.first[p] + low + k, own, steps, buffers.time[k],
                        buffers.slope[k], buffers.release[k],
                    )  # fmt: skip
                else:
                    integrate_readout(
                        plan, plan.first[p] + low + k, own, steps, store.voltage[e, low + k]
                    )
        if spiking:
            at = keep_spikes(buffers, lanes, plan.spike_offset[p] + low, limit, at, store, e)
    return at


@kernel
def run_chunk(
    plan, linear, layout, weight, offset, recurrent, starts, time, spike_scale, current, store,
    low, high, steps, buffers,
):  # fmt: skip
    """Run examples low..high-1 of a batch; ``current`` is `Traces.current`, or empty.

    Spikes and output voltages go to their rows of the store.
    """
    capacity = len(store.time) // len(store.needed)
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        at = e * capacity
        limit = at + capacity
        for p in range(len(plan.kind)):
            if plan.kind[p] != INPUT and at <= limit:
                at = run_population(
                    plan, linear, layout, p, weight, offset, recurrent, starts[e], time,
                    neuron_scale,
                    current, store, e, at, limit, steps, buffers,
                )  # fmt: skip
        store.needed[e] = at - e * capacity
