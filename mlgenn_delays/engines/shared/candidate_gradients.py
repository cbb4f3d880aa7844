"""Candidate gradients: dL/dw of synapses that are absent, at many delays at once.

A synapse of weight 0 from i to j with delay d would have

    dL/dw = sum over examples and steps of x_i[t] R_j[t + d + 1]

where R is the adjoint at the arrivals. For each value x_i[t] the delays of a pair are one
contiguous stretch of R, so the cost is events x pairs x delays / 16. At one delay per pair, values
of 1 are gathered one by one instead, in the same order.
"""

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.ranks import Share
from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.plan import SPIKING, pair_shape
from mlgenn_delays.engines.shared.simulation import Simulation, SimulationContext
from mlgenn_delays.engines.shared.taps import make_taps
from mlgenn_delays.engines.shared.traces import RowLayout, Traces, events_of, spikes_of
from mlgenn_delays.engines.shared.vector import LANES, shifted_axpys
from mlgenn_delays.network.delays import longest_steps

# Candidate gradients of a projection over all delays take at most so much memory; beyond it,
# neighbouring delays share an entry. So much again is used while a batch is added.
TABLE_BYTES = 2**27
# Postsynaptic neurons that ranks work on at once: finding what is sent, which is done again for
# those of each slice, costs as much as 3 to 20 of them.
LEAST = 16
ROWS = 4  # postsynaptic neurons at once


def delay_stride(context: SimulationContext, name: str, delays: int) -> int:
    """Return how many neighbouring delays share an entry of a table over all pairs and delays."""
    n_pre, n_post = pair_shape(context.network, context.network.projections[name])
    return max(1, -(-4 * n_pre * n_post * delays // TABLE_BYTES))


def candidate_gradients(
    context: SimulationContext, simulation: Simulation, batch: Batch, spike_scale: np.ndarray,
    name: str, width: float, delay: np.ndarray | None,
) -> np.ndarray:  # fmt: skip
    """Return dL/dw of a synapse of weight 0 at every pair, summed over the batch just gone back.

    With the `delay` of each pair [steps], (n_pre, n_post) float32 for delay kernels of a `width`
    [steps]; without, (n_pre, n_post, entries) with one entry per whole delay, or one for
    `delay_stride` neighbouring ones (their mean; the kernel's width is then left out).
    """
    q, projection = context.layout.projections.index(name), context.network.projections[name]
    n_pre, n_post = pair_shape(context.network, projection)
    whole = longest_steps(projection.max_delay, context.network.dt) + 1
    if delay is not None:
        flat = np.ascontiguousarray(delay, np.float32).ravel()
        longest = np.full(len(flat), whole - 1, np.int64)
        taps = make_taps(
            flat, np.arange(len(flat)), longest, batch.n_steps, width, learning=False,
            spread=context.spread,
        )  # fmt: skip
        table = simulation.correlate(
            batch, spike_scale, q, taps.first.reshape(n_pre, n_post), taps.size
        )
        acting = taps.acting.reshape(n_pre, n_post, taps.size)
        return np.einsum("ijk,ijk->ij", table, acting).astype(np.float32)
    stride = delay_stride(context, name, whole)
    if stride == 1:
        zero = np.zeros((n_pre, n_post), np.int64)
        table = simulation.correlate(batch, spike_scale, q, zero, min(whole, batch.n_steps + 1))
        if width > 0:
            # Not a matrix product: its rounding may depend on the threads of a library.
            smoothing = _smoothing(table.shape[2], whole, width)
            table = np.einsum("ijk,kd->ijd", table, smoothing, optimize=False)
        return _widened(table, whole)
    return _binned(simulation, batch, spike_scale, q, (n_pre, n_post), whole, stride)


def _smoothing(delays: int, whole: int, width: float) -> np.ndarray:
    """Return the weight of each step's correlation in each delay's kernel, (step, delay)."""
    own = np.arange(delays)
    longest = np.full(delays, whole - 1, np.int64)
    taps = make_taps(own.astype(np.float32), own, longest, delays - 1, width, learning=False)
    out = np.zeros((delays, delays), np.float32)
    for d in own:
        out[taps.first[d] : taps.first[d] + taps.size, d] = taps.acting[d]
    return out


def _widened(table: np.ndarray, delays: int) -> np.ndarray:
    """Return a table with zeros for the delays that no trial of this length can show."""
    missing = delays - table.shape[2]
    return np.pad(table, ((0, 0), (0, 0), (0, missing))) if missing > 0 else table


def _binned(
    simulation: Simulation, batch: Batch, spike_scale: np.ndarray, q: int, shape: tuple[int, int],
    delays: int, stride: int,
) -> np.ndarray:  # fmt: skip
    """Return the mean over every `stride` delays, working on as many at once as memory allows."""
    entries = -(-delays // stride)
    out = np.zeros((*shape, entries), np.float32)
    at_once = max(1, TABLE_BYTES // (4 * shape[0] * shape[1]) // stride)
    for low in range(0, entries, at_once):
        high = min(entries, low + at_once)
        begin = low * stride
        if begin > batch.n_steps:
            break
        size = min((high - low) * stride, delays - begin, batch.n_steps + 1 - begin)
        part = simulation.correlate(batch, spike_scale, q, np.full(shape, begin, np.int64), size)
        part = _widened(part, (high - low) * stride).reshape(*shape, high - low, stride)
        binned = np.minimum(stride, delays - stride * np.arange(low, high))  # fewer in the last
        out[:, :, low:high] = part.sum(3) / binned.astype(np.float32)
    return out


def correlate(
    context: SimulationContext, layout: RowLayout, traces: Traces, batch: Batch,
    spike_scale: np.ndarray, q: int, first: np.ndarray, size: int, share: Share,
) -> np.ndarray:  # fmt: skip
    """Return the adjoints of all pairs of a projection; see `Simulation.correlate`.

    Ranks that share the batch have traces of their examples alone, and add these in turn.
    """
    n_pre, n_post = first.shape
    starts, times = events_of(batch)
    by_post = np.ascontiguousarray(first.T)
    source = context.plan.source[q]
    own = spike_scale[:, context.plan.first[source] : context.plan.first[source + 1]]
    if size == 1 and layout.event_driven[source] and (own == 1.0).all():
        sums = np.zeros((n_post, n_pre), np.float32)

        def gather(low: int, high: int) -> None:
            gather_spikes(
                context.plan, layout, q, by_post, starts, times, *share.own, traces, low, high, sums
            )

        share.fold(sums, lambda low, high: context.spread_over(low, high, gather), LEAST)
        return sums.T[:, :, None]
    table = np.zeros((n_post, n_pre, -(-size // LANES) * LANES), np.float32)

    def add(low: int, high: int) -> None:
        correlate_rows(
            context.plan, layout, q, by_post, starts, times, spike_scale, *share.own, traces, low,
            high, table,
        )  # fmt: skip

    share.fold(table, lambda low, high: context.spread_over(low, high, add), LEAST)
    return table[:, :, :size].transpose(1, 0, 2)


@kernel
def list_times(when, first, end, place):
    """Write the steps after those of a neuron's spikes first..end-1; return their number."""
    n = np.int64(0)
    for k in range(first, end):
        place[n] = np.int64(when[k]) + 1
        n += 1
    return n


@kernel
def list_values(row, at, steps, place, value):
    """Write the values of a row that are not 0, and the steps after them; return their number."""
    n = np.int64(0)
    for t in range(steps):
        x = row[at + t]
        if x != 0.0:
            place[n] = t + 1
            value[n] = x
            n += 1
    return n


@kernel
def correlate_rows(
    plan, layout, q, first, starts, time, spike_scale, begin, end, traces, low, high, table
):
    """Add to table (n_post, n_pre, lanes) the sums of postsynaptic neurons low..high-1.

    Those of examples begin..end-1.

    ``first`` (n_post, n_pre) is each pair's first delay; lanes is a multiple of 16. Delays at
    which an arrival would be past the row's end give sums of no meaning.
    """
    source, target = plan.source[q], plan.target[q]
    adjoint, n_pre, lanes = traces.adjoint[plan.group[q]], table.shape[1], table.shape[2]
    row, length, steps = n_pre * lanes, layout.length, layout.steps
    place, value = np.empty(steps, np.int64), np.empty(steps, np.float32)
    flat, shift = table.reshape(-1), first.reshape(-1)
    listed = np.empty(plan.n[source] * steps, np.uint32)
    spikes = layout.event_driven[source] or plan.kind[source] == SPIKING
    for e in range(begin, end):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        events, when = spikes_of(plan, layout, source, starts[e], time, traces, e, listed)
        own = (e * layout.neurons + layout.neuron_row[target]) * length
        for i in range(n_pre):
            weight = neuron_scale[plan.first[source] + i]
            if weight == 0.0:
                continue
            if spikes:
                n = list_times(when, events[i, 0], events[i, 1], place)
            else:
                at = (1 + e * n_pre + i) * length
                n = list_values(traces.sources, at, steps, place, value)
            if n == 0:
                continue
            if spikes:
                for k in range(n):
                    value[k] = weight
            for u in range(0, lanes, LANES):
                j = low
                while j < high:
                    at, base, pair = j * row + i * lanes + u, own + j * length + u, j * n_pre + i
                    if j + ROWS <= high:
                        shifted_axpys(
                            ROWS, flat, at, row, adjoint, base, length, shift, pair, n_pre, place,
                            value, 0, n,
                        )  # fmt: skip
                        j += ROWS
                    else:
                        shifted_axpys(
                            1, flat, at, row, adjoint, base, length, shift, pair, n_pre, place,
                            value, 0, n,
                        )  # fmt: skip
                        j += 1


@kernel
def gather_spikes(plan, layout, q, first, starts, time, begin, end, traces, low, high, table):
    """Add to table (n_post, n_pre) the sums at one delay per pair, ``first`` (n_post, n_pre).

    Those of examples begin..end-1. The source sends spikes of value 1. The sums are those of
    `correlate_rows`, bit for bit.
    """
    source, target = plan.source[q], plan.target[q]
    adjoint = traces.adjoint[plan.group[q]]
    listed = np.empty(plan.n[source] * layout.steps, np.uint32)
    for e in range(begin, end):
        events, when = spikes_of(plan, layout, source, starts[e], time, traces, e, listed)
        for j in range(low, high):
            base = (e * layout.neurons + layout.neuron_row[target] + j) * layout.length + 1
            for i in range(table.shape[1]):
                at = base + first[j, i]
                k, stop = np.int64(events[i, 0]), np.int64(events[i, 1])
                one, two, three, four = table[j, i], np.float32(0), np.float32(0), np.float32(0)
                while k + 4 <= stop:
                    one += adjoint[at + np.int64(when[k])]
                    two += adjoint[at + np.int64(when[k + 1])]
                    three += adjoint[at + np.int64(when[k + 2])]
                    four += adjoint[at + np.int64(when[k + 3])]
                    k += 4
                while k < stop:
                    one += adjoint[at + np.int64(when[k])]
                    k += 1
                table[j, i] = one + two + three + four
