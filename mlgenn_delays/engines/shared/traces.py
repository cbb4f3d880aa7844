"""Rows of values along time, one per neuron, that `TimestepSimulation` works on, and strips.

Row r begins at ``r * length`` of a flat array: example by example, population by population. The
places behind the last of T steps hold zeros for the longest delay, so that a shifted read past
either end of a row meets zeros. Strip s (see `strip_vector`) begins at ``s * span * STRIP``, in the
same order; the last one of a population has lanes without a neuron. Which of its neurons spike is a
bit each per step: rows of what they send are made where they are read, for they come out of memory
more slowly.
"""

from typing import NamedTuple

import numpy as np

from mlgenn_delays.data.types import Batch, CurrentBatch
from mlgenn_delays.engines.shared.lanes import STRIP, having, lowest, put, splat, where
from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.parameters import Parameters
from mlgenn_delays.engines.shared.plan import INPUT, READOUT, SPIKING, Plan
from mlgenn_delays.engines.shared.vector import LANES

LINE = 64  # bytes of a cache line
WAYS = 4  # spikes of a neuron that are added one by one to rows of their own


class RowLayout(NamedTuple):
    """Where the rows of an example lie."""

    steps: int  # T
    span: int  # T rounded up to whole vectors
    length: int  # places of a row
    # (P,) first row of a population's output among those of an example's sources
    source_row: np.ndarray
    neuron_row: np.ndarray  # (P,) first row of a population among those of an example's neurons
    sources: int  # rows of sources per example
    neurons: int  # rows of neurons per example
    strip: np.ndarray  # (P,) first strip of a population among those of an example
    strips: int  # per example
    # (P,) whether a population's spikes are walked one by one: its row of values is not needed
    event_driven: np.ndarray


class Traces(NamedTuple):
    """The rows of a batch of B examples, end to end."""

    sources: np.ndarray  # what the input sends; a row of zeros, then B examples
    fires: np.ndarray  # (B strips span,) uint16 which neurons of a strip spike, 0 behind the trial
    # (G,) rows of dL/d(arrivals) of each synapse group, if others than the kernel that makes them
    # read them; a row of zeros at the end
    adjoint: np.ndarray
    time: np.ndarray  # (B, neurons, T) uint32 steps of the spikes
    counts: np.ndarray  # (B, neurons) int64 their number
    voltage_out: np.ndarray  # (B, K, T) V of the output


class Strips(NamedTuple):
    """The strips of a batch, end to end."""

    current: np.ndarray  # synaptic currents before normalisation
    # from the threshold; in the backward pass, the derivative by the normalised current takes its
    # place
    distance: np.ndarray
    kept: np.ndarray  # (S, places) states after each step, if they are kept


class ThreadBuffers(NamedTuple):
    """Buffers of one thread of `TimestepSimulation`; n is rounded up to whole strips."""

    current: np.ndarray  # (n length,) currents of a population
    arrivals: np.ndarray  # (n length,) its arrivals over `Exponential` synapses
    rows: np.ndarray  # (G, n, length) arrivals of a recurrent population
    sent: np.ndarray  # what a population's neurons send, for spikes their scale; a row of 0 first
    listed: np.ndarray  # (n T,) uint32 steps of the spikes of a population
    ways: np.ndarray  # (WAYS (length + LANES),) what spikes bring to a neuron, in turn to each row
    adjoint: np.ndarray  # (G, n length) dL/d(arrivals) of a population in one example
    spike_gradient: np.ndarray  # (n, length) dL/d(spike) of a population
    strip: np.ndarray  # (span STRIP,) one strip, 0 behind the trial
    other: np.ndarray  # (span STRIP,) another one
    block: np.ndarray  # (STRIP STRIP,) of a strip
    found: np.ndarray  # (2 STRIP,) float64 sums of a strip


def max_shift_of(parameters: Parameters, steps: int) -> int:
    """Return the largest shift of a row in trials of so many steps [steps]."""
    return min(int(parameters.longest.max(initial=0)), steps) + 2


def make_row_layout(plan: Plan, steps: int, max_shift: int, event_driven: np.ndarray) -> RowLayout:
    """Return the layout of trials of so many steps; `max_shift` is the largest shift [steps]."""
    span = -(-steps // LANES) * LANES
    length = -(-max(span, steps + max_shift) // LANES) * LANES
    wanted = np.where((plan.kind == READOUT) | event_driven, 0, plan.n)
    own = np.where(plan.kind == INPUT, 0, plan.n)
    strips = -(-own // STRIP)
    return RowLayout(
        steps, span, length, np.cumsum(wanted) - wanted, np.cumsum(own) - own,
        int(wanted.sum()), int(own.sum()), np.cumsum(strips) - strips, int(strips.sum()),
        event_driven,
    )  # fmt: skip


def aligned(*shape: int) -> np.ndarray:
    """Return zeros, float32, from the start of a cache line on: vectors do not cross lines."""
    size = int(np.prod(shape))
    whole = np.zeros(size + LANES, np.float32)
    first = -whole.ctypes.data % LINE // whole.itemsize
    return whole[first : first + size].reshape(shape)


def make_traces(plan: Plan, layout: RowLayout, examples: int, classes: int) -> Traces:
    """Allocate the rows of B examples."""
    places = examples * layout.neurons * layout.length
    read = (plan.kind == INPUT) & ~layout.event_driven
    return Traces(
        sources=aligned((1 + examples * int(plan.n[read].sum())) * layout.length + LANES),
        fires=np.zeros(examples * layout.strips * layout.span, np.uint16),
        adjoint=aligned(int(plan.groups.max()), places + layout.length),
        time=np.empty((examples, layout.neurons, layout.steps), np.uint32),
        counts=np.zeros((examples, layout.neurons), np.int64),
        voltage_out=np.empty((examples, classes, layout.steps), np.float32),
    )


def make_strips(layout: RowLayout, examples: int, states: int) -> Strips:
    """Allocate the strips of B examples, with so many states to keep of each neuron."""
    places = examples * layout.strips * layout.span * STRIP
    return Strips(
        current=aligned(places),
        distance=aligned(places),
        kept=aligned(states, places if states else 0),
    )


def rows_of(plan: Plan, layout: RowLayout, p: int, strips: np.ndarray) -> np.ndarray:
    """Return a copy of population p's strips as rows, (B, n, T)."""
    n = int(plan.n[p])
    own = slice(layout.strip[p], layout.strip[p] - (-n // STRIP))
    found = strips.reshape(-1, layout.strips, layout.span, STRIP)[:, own, : layout.steps]
    return found.transpose(0, 1, 3, 2).reshape(len(found), -1, layout.steps)[:, :n]


def make_thread_buffers(plan: Plan, layout: RowLayout) -> ThreadBuffers:
    """Allocate the buffers of a thread."""

    def widest(chosen: np.ndarray) -> int:
        return -(-int(plan.n[chosen].max(initial=1)) // STRIP) * STRIP

    rows, sends = widest(plan.kind != INPUT) * layout.length, plan.kind == SPIKING
    recurrent = widest(plan.recurrent_population)
    return ThreadBuffers(
        current=aligned(rows),
        arrivals=aligned(rows),
        rows=aligned(int(plan.groups.max()), recurrent, layout.length),
        sent=aligned((1 + widest(sends & ~layout.event_driven)) * layout.length),
        listed=np.empty(widest(sends & ~layout.event_driven) * layout.steps, np.uint32),
        ways=aligned(WAYS * (layout.length + LANES)),
        adjoint=aligned(int(plan.groups.max()), rows + LANES),
        spike_gradient=aligned(widest(sends), layout.length),
        strip=aligned(layout.span * STRIP),
        other=aligned(layout.span * STRIP),
        block=aligned(STRIP * STRIP),
        found=np.zeros(2 * STRIP),
    )


def events_of(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Return the spikes of a batch as kernels take them: none if it holds currents."""
    if isinstance(batch, CurrentBatch):
        return np.zeros((len(batch), batch.n_channels + 1), np.uint64), np.zeros(0, np.uint32)
    return batch.start.view(np.uint64), batch.time.view(np.uint32)


def show_input(
    plan: Plan, layout: RowLayout, batch: Batch, traces: Traces, low: int, high: int
) -> None:
    """Write what the input sends in examples low..high-1 to its rows, if it is read there."""
    p = int(np.flatnonzero(plan.kind == INPUT)[0])
    if layout.event_driven[p]:
        return
    size, n = len(batch), int(plan.n[p])
    end = (1 + size * n) * layout.length
    own = traces.sources[layout.length : end].reshape(size, n, layout.length)[low:high]
    if isinstance(batch, CurrentBatch):
        own[:, :, : layout.steps] = batch.values[low:high].transpose(0, 2, 1)
        return
    own[:, :, : layout.steps] = 0.0
    for row, start in zip(own, batch.start[low:high], strict=True):
        row[np.repeat(np.arange(n), np.diff(start)), batch.time[start[0] : start[-1]]] = 1.0


def spike_starts(count: np.ndarray) -> np.ndarray:
    """Return where the spikes of each neuron begin, and end, (B, n+1), from their number (B, n)."""
    ends = np.cumsum(count.ravel()).reshape(count.shape)
    return np.concatenate([ends[:, :1] - count[:, :1], ends], axis=1)


def keep_spikes(
    layout: RowLayout, traces: Traces, row: int, count: np.ndarray, time: np.ndarray,
    first: int = 0,
) -> None:  # fmt: skip
    """Write a population's spikes, (B, n) of them at steps `time`, to its rows from `row` on.

    The examples are those from `first` on.
    """
    here, own = slice(first, first + len(count)), slice(row, row + count.shape[1])
    traces.counts[here, own] = count
    valid = np.arange(layout.steps) < count[:, :, None]
    traces.time[here, own][valid] = time


@kernel
def strip_place(layout, p, e, low):
    """Return where the strip of neurons low..low + STRIP - 1 of population p begins."""
    return (e * layout.strips + layout.strip[p] + low // STRIP) * layout.span * STRIP


@kernel
def fires_of(layout, p, e, low, traces):
    """Return which neurons of a strip of population p spike in each step, uint16 (span,)."""
    first = strip_place(layout, p, e, low) // STRIP
    return traces.fires[first : first + layout.span]


@kernel
def rows_sent(plan, layout, p, neuron_scale, traces, e, sent):
    """Return an array and where in it the rows of what population p sends in example e begin.

    ``sent`` is that of `ThreadBuffers`; the population's spikes are not walked one by one.
    """
    if plan.kind[p] == INPUT:
        return traces.sources, np.int64((1 + e * plan.n[p]) * layout.length)
    zero = splat(STRIP, np.float32(0.0))
    for low in range(0, plan.n[p], STRIP):
        fires = fires_of(layout, p, e, low, traces)
        for k in range(min(STRIP, plan.n[p] - low)):
            scale = splat(STRIP, neuron_scale[plan.first[p] + low + k])
            for t in range(0, layout.span, STRIP):
                spikes = where(having(fires, t, k), scale, zero)
                put(sent, (1 + low + k) * layout.length + t, spikes)
    return sent, np.int64(layout.length)


@kernel
def list_spikes(layout, p, n, e, traces, own, listed):
    """List the spikes of a population's n neurons; see `spikes_of`."""
    for low in range(0, n, STRIP):
        fires = fires_of(layout, p, e, low, traces)
        for i in range(low, min(low + STRIP, n)):
            at = i * layout.steps
            own[i] = at
            for begin in range(0, layout.span, 64):
                left = np.uint64(0)  # of 64 steps, a bit each
                for t in range(begin, min(begin + 64, layout.span), STRIP):
                    left |= np.uint64(having(fires, t, i - low)) << np.uint64(t - begin)
                while left:
                    listed[at] = begin + np.int64(lowest(left))
                    at += 1
                    left &= left - np.uint64(1)
            own[i, 1] = at


@kernel
def spikes_of(plan, layout, p, start, time, traces, e, listed):
    """Return the spikes of population p in example e: neuron i's are times[own[i, 0]:own[i, 1]].

    They are `own` (n, 2) int64 and `times`, which may be ``listed`` of `ThreadBuffers`.
    """
    n = plan.n[p]
    own = np.empty((n, 2), np.int64)
    if plan.kind[p] == INPUT:
        for i in range(n):
            own[i, 0], own[i, 1] = start[i], start[i + 1]
        return own, time
    if not layout.event_driven[p]:
        list_spikes(layout, p, n, e, traces, own, listed)
        return own, listed
    for i in range(n):
        row = e * layout.neurons + layout.neuron_row[p] + i
        own[i, 0] = row * layout.steps
        own[i, 1] = row * layout.steps + traces.counts[e, layout.neuron_row[p] + i]
    return own, traces.time.reshape(-1)
