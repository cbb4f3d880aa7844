"""Rows of values along time, one a neuron, that the passes of `SurrogateBPTT` work on.

A row of T steps takes `length` places; those behind its last step hold zeros for the longest
delay, so that a shifted read past either end of a row meets zeros.
"""

from typing import NamedTuple

import numpy as np

from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.plan import INPUT, READOUT, SPIKING, Plan
from mlgenn_delays.engines.shared.vector import LANES


class Frame(NamedTuple):
    """The layout of rows.

    Attributes:
        steps: T.
        span: T rounded up to whole vectors.
        length: Places of a row.
        source_row: (P,) first row of a population's output among those of an example's sources.
        neuron_row: (P,) first row of a population among those of an example's neurons.
        sources: Rows of sources an example.
        neurons: Rows of neurons an example.
        by_events: (P,) whether a population's spikes are walked one by one: its row of values is
            not needed.
    """

    steps: int
    span: int
    length: int
    source_row: np.ndarray
    neuron_row: np.ndarray
    sources: int
    neurons: int
    by_events: np.ndarray


class Series(NamedTuple):
    """The rows of a batch of B examples, end to end.

    Attributes:
        sources: What each source sends, 0 or its gain for spikes; a row of zeros, then B examples.
        current: Synaptic currents before normalisation.
        voltage: V as the threshold sees it; in the backward pass, dL/dI takes its place.
        adjoint: (G,) rows of dL/d(arrivals) of each synapse group; a row of zeros at the end.
        time: (B, neurons, T) uint32 steps of the spikes.
        counts: (B, neurons) int64 their number.
        voltage_out: (B, K, T) V of the output.
        logits: (B, K).
        loss: (B,) cross-entropy.
    """

    sources: np.ndarray
    current: np.ndarray
    voltage: np.ndarray
    adjoint: np.ndarray
    time: np.ndarray
    counts: np.ndarray
    voltage_out: np.ndarray
    logits: np.ndarray
    loss: np.ndarray


class Scratch(NamedTuple):
    """Memory of one thread.

    Attributes:
        arrivals: (n length,) arrivals of a population.
        rows: (G, n, length) arrivals of a recurrent population.
        pulled: (n, length) dL/d(spike) of a population.
        drive: (K, T) dL/dV of the output.
        spare: (3, 8 length) rows of a few neurons.
    """

    arrivals: np.ndarray
    rows: np.ndarray
    pulled: np.ndarray
    drive: np.ndarray
    spare: np.ndarray


def make_frame(plan: Plan, steps: int, reach: int, by_events: np.ndarray) -> Frame:
    """Return the layout of trials of so many steps; `reach` is the largest shift [steps]."""
    span = -(-steps // LANES) * LANES
    length = -(-max(span, steps + reach) // LANES) * LANES
    wanted = np.where((plan.kind == READOUT) | by_events, 0, plan.n)
    own = np.where(plan.kind == INPUT, 0, plan.n)
    return Frame(
        steps, span, length, np.cumsum(wanted) - wanted, np.cumsum(own) - own,
        int(wanted.sum()), int(own.sum()), by_events,
    )  # fmt: skip


def make_series(plan: Plan, frame: Frame, examples: int, classes: int) -> Series:
    """Return the rows of B examples."""
    places = examples * frame.neurons * frame.length
    return Series(
        sources=np.zeros((1 + examples * frame.sources) * frame.length + LANES, np.float32),
        current=np.zeros(places, np.float32),
        voltage=np.zeros(places, np.float32),
        adjoint=np.zeros((int(plan.groups.max()), places + frame.length), np.float32),
        time=np.empty((examples, frame.neurons, frame.steps), np.uint32),
        counts=np.zeros((examples, frame.neurons), np.int64),
        voltage_out=np.empty((examples, classes, frame.steps), np.float32),
        logits=np.empty((examples, classes), np.float32),
        loss=np.empty(examples, np.float32),
    )


def make_scratch(plan: Plan, frame: Frame, classes: int) -> Scratch:
    """Return the memory of one thread."""
    spiking = plan.n[plan.kind == SPIKING]
    wide = int(plan.n[plan.recurrent].max(initial=0))
    return Scratch(
        arrivals=np.zeros(int(plan.n[plan.kind != INPUT].max()) * frame.length, np.float32),
        rows=np.zeros((int(plan.groups.max()), wide, frame.length), np.float32),
        pulled=np.zeros((int(spiking.max(initial=1)), frame.length), np.float32),
        drive=np.empty((classes, frame.steps), np.float32),
        spare=np.zeros((3, 8 * frame.length), np.float32),
    )


@kernel
def places(plan, frame, p, start, series, e):
    """Return where the spikes of each neuron of p lie in `spikes`, (n, 2) int64."""
    n = plan.n[p]
    out = np.empty((n, 2), np.int64)
    for i in range(n):
        if plan.kind[p] == INPUT:
            out[i, 0], out[i, 1] = start[i], start[i + 1]
        else:
            row = e * frame.neurons + frame.neuron_row[p] + i
            out[i, 0] = row * frame.steps
            out[i, 1] = row * frame.steps + series.counts[e, frame.neuron_row[p] + i]
    return out


@kernel
def spikes(plan, p, time, series):
    """Return the array that `places` points into."""
    if plan.kind[p] == INPUT:
        return time
    return series.time.reshape(-1)
