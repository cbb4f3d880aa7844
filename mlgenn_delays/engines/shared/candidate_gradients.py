"""Candidate gradients: dL/dw of synapses that are absent."""

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.shared.simulation import Simulation, SimulationContext
from mlgenn_delays.engines.shared.taps import make_taps
from mlgenn_delays.network.delays import longest_steps

# Candidate gradients of a projection over all delays take at most so much memory; beyond it,
# neighbouring delays share an entry. So much again is used while a batch is added.
TABLE_BYTES = 2**27


def delay_stride(context: SimulationContext, name: str, delays: int) -> int:
    """Return how many neighbouring delays share an entry of a table over all pairs and delays."""
    projection = context.network.projections[name]
    n_pre = context.network.populations[projection.source].n
    n_post = context.network.populations[projection.target].n
    return max(1, -(-4 * n_pre * n_post * delays // TABLE_BYTES))


def candidate_gradients(
    context: SimulationContext, simulation: Simulation, batch: Batch, spike_scale: np.ndarray,
    name: str, width: float, delay: np.ndarray | None,
) -> np.ndarray:  # fmt: skip
    """Return dL/dw of a synapse of weight 0 at every pair, summed over the batch just gone back.

    Arguments:
        context: What the engine runs.
        simulation: What went back.
        batch: The batch.
        spike_scale: That of its forward pass.
        name: The projection.
        width: Of the delay kernel [steps], 0 for Dirac.
        delay: (n_pre, n_post) float32 delay of each pair [steps], or None for all whole ones.

    Returns:
        (n_pre, n_post) float32, or (n_pre, n_post, entries) with one entry a delay, or one for
        `delay_stride` neighbouring ones (their mean; the kernel's width is then left out).
    """
    q, projection = context.layout.projections.index(name), context.network.projections[name]
    n_pre = context.network.populations[projection.source].n
    n_post = context.network.populations[projection.target].n
    whole = longest_steps(projection.max_delay, context.network.dt) + 1
    if delay is not None:
        flat = np.ascontiguousarray(delay, np.float32).ravel()
        longest = np.full(len(flat), whole - 1, np.int64)
        taps = make_taps(flat, np.arange(len(flat)), longest, batch.n_steps, width, learning=False)
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
