"""What the forward pass of a batch leaves for the backward pass, and the buffers of a thread.

Shapes: B examples, H entries (n+1 per spiking population), K output neurons, T steps, G synapse
groups, L neurons worked on together (all of a recurrent population, else `LANES`).
"""

from typing import NamedTuple

import numpy as np

from mlgenn_delays.engines.shared.plan import SPIKING, Plan
from mlgenn_delays.engines.shared.traces import RowLayout, Traces

LANES = 8


class SpikeStore(NamedTuple):
    """Spikes and outputs of a batch."""

    # (B, H) uint64; neuron j of a population with spike_offset o spiked at
    # time[start[b, o + j]:start[b, o + j + 1]]
    start: np.ndarray
    time: np.ndarray  # (B * capacity,) uint32 [steps]
    slope: np.ndarray  # (B * capacity,) I + bias - v_thresh in the step of the spike, above 0
    release: np.ndarray  # (B * capacity,) I + bias in the step before V moves again
    voltage: np.ndarray  # (B, K, T) V of the output
    logits: np.ndarray  # (B, K)
    loss: np.ndarray  # (B,) cross-entropy
    # (B,) spikes of the example; above the capacity, the example must be run again
    needed: np.ndarray

    @property
    def capacity(self) -> int:
        """Spikes per example for which there is room."""
        return len(self.time) // max(1, len(self.needed))


def make_spike_store(
    examples: int, entries: int, capacity: int, classes: int, steps: int
) -> SpikeStore:
    """Return an empty store for B examples with room for `capacity` spikes each."""
    return SpikeStore(
        np.zeros((examples, entries), np.uint64),
        np.empty(examples * capacity, np.uint32),
        np.empty(examples * capacity, np.float32),
        np.empty(examples * capacity, np.float32),
        np.empty((examples, classes, steps), np.float32),
        np.empty((examples, classes), np.float32),
        np.empty(examples, np.float32),
        np.zeros(examples, np.int64),
    )


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
    drive: np.ndarray  # (K, T) derivative of the loss with respect to V of the output
    # (capacity,) derivative with respect to each spike's time, over its synapses
    outgoing: np.ndarray


def make_event_buffers(
    groups: int, lanes: int, steps: int, max_shift: int, classes: int, capacity: int
) -> EventBuffers:
    """Allocate the buffers of a thread; `max_shift` is the largest delay + 1 [steps]."""
    # An odd number of cache lines: rows of a power-of-two length would fight for the same sets.
    length = ((steps + max_shift + 15) // 16 | 1) * 16
    return EventBuffers(
        rows=np.zeros((groups, lanes, length), np.float32),
        current=np.zeros((LANES, length), np.float32),
        adjoint=np.zeros((groups, lanes, length, 2), np.float32),
        time=np.empty((lanes, steps), np.uint32),
        slope=np.empty((lanes, steps), np.float32),
        release=np.empty((lanes, steps), np.float32),
        counts=np.zeros(lanes, np.int64),
        drive=np.empty((classes, steps), np.float32),
        outgoing=np.empty(capacity, np.float32),
    )


def keep_spikes(
    plan: Plan, layout: RowLayout, store: SpikeStore, size: int, traces: Traces
) -> None:
    """Copy the spikes of a batch's store to its traces."""
    for p in np.flatnonzero(plan.kind == SPIKING):
        rows = slice(layout.neuron_row[p], layout.neuron_row[p] + plan.n[p])
        start = store.start[
            :size, plan.spike_offset[p] : plan.spike_offset[p] + plan.n[p] + 1
        ].astype(np.int64)
        count = np.diff(start)
        traces.counts[:size, rows] = count
        valid = np.arange(layout.steps) < count[:, :, None]
        spikes = [store.time[own[0] : own[-1]] for own in start]
        traces.time[:size, rows][valid] = np.concatenate(spikes)
