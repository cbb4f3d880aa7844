"""What simulations share that work on rows of values (`Traces`)."""

import numpy as np

from mlgenn_delays.data.types import Batch, CurrentBatch
from mlgenn_delays.engines.shared import correlate_kernels
from mlgenn_delays.engines.shared.parameters import Parameters
from mlgenn_delays.engines.shared.plan import INPUT, Plan
from mlgenn_delays.engines.shared.simulation import SimulationContext
from mlgenn_delays.engines.shared.taps import Taps, place_taps
from mlgenn_delays.engines.shared.traces import RowLayout, Traces
from mlgenn_delays.engines.shared.vector import LANES


def max_shift_of(parameters: Parameters, steps: int) -> int:
    """Return the largest shift of a row in trials of so many steps [steps]."""
    return min(int(parameters.longest.max(initial=0)), steps) + 2


def events_of(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Return the spikes of a batch as kernels take them: none if it holds currents."""
    if isinstance(batch, CurrentBatch):
        return np.zeros((len(batch), batch.n_channels + 1), np.uint64), np.zeros(0, np.uint32)
    return batch.start.view(np.uint64), batch.time.view(np.uint32)


def show_input(plan: Plan, layout: RowLayout, batch: Batch, traces: Traces) -> None:
    """Write what the input sends to its rows, if it is read there."""
    p = int(np.flatnonzero(plan.kind == INPUT)[0])
    if layout.event_driven[p]:
        return
    size, n = len(batch), int(plan.n[p])
    end = (1 + size * layout.sources) * layout.length
    rows = traces.sources[layout.length : end].reshape(size, layout.sources, layout.length)
    own = rows[:, layout.source_row[p] : layout.source_row[p] + n]
    if isinstance(batch, CurrentBatch):
        own[:, :, : layout.steps] = batch.values.transpose(0, 2, 1)
        return
    own[:, :, : layout.steps] = 0.0
    for row, start in zip(own, batch.start, strict=True):
        row[np.repeat(np.arange(n), np.diff(start)), batch.time[start[0] : start[-1]]] = 1.0


def placed(
    plan: Plan, layout: RowLayout, taps: Taps, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficient and address of each tap, (S W,) each; see `place_taps`."""
    n = len(weight) * taps.size
    coef, address = np.empty(n, np.float32), np.empty(n, np.int64)
    place_taps(plan, layout, taps, weight, coef, address)
    return coef, address


def correlate(
    context: SimulationContext, layout: RowLayout, traces: Traces, batch: Batch,
    spike_scale: np.ndarray, q: int, first: np.ndarray, size: int,
) -> np.ndarray:  # fmt: skip
    """Return the adjoints of all pairs of a projection; see `Simulation.correlate`."""
    n_pre, n_post = first.shape
    starts, times = events_of(batch)
    by_post = np.ascontiguousarray(first.T)
    source = context.plan.source[q]
    own = spike_scale[:, context.plan.first[source] : context.plan.first[source + 1]]
    if size == 1 and layout.event_driven[source] and (own == 1.0).all():
        sums = np.zeros((n_post, n_pre), np.float32)
        context.spread(
            n_post,
            lambda low, high: correlate_kernels.gather(
                context.plan, layout, q, by_post, starts, times, len(batch), traces, low, high, sums
            ),
        )
        return sums.T[:, :, None]
    table = np.zeros((n_post, n_pre, -(-size // LANES) * LANES), np.float32)
    context.spread(
        n_post,
        lambda low, high: correlate_kernels.correlate(
            context.plan, layout, q, by_post, starts, times, spike_scale, len(batch), traces, low,
            high, table,
        ),
    )  # fmt: skip
    return table[:, :, :size].transpose(1, 0, 2)
