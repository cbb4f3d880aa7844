"""Spikes on their way into GeNN and out of it: rasters of bits, and lists by neuron."""

import numpy as np

from mlgenn_delays.data.types import SpikeBatch
from mlgenn_delays.engines.genn.neuron_code import WORD
from mlgenn_delays.engines.shared.context import SimulationContext


def draw_raster(context: SimulationContext, batch: SpikeBatch, rows: np.ndarray) -> None:
    """Set the bits of a batch's spikes, of which a channel has at most one per step.

    Arguments:
        context: Spreads the work over threads.
        batch: The batch.
        rows: (slots, T, words) uint32; those of the batch's examples are written.
    """
    channels = np.arange(batch.n_channels)

    def task(low: int, high: int) -> None:
        for b in range(low, high):
            start = batch.start[b]
            channel = np.repeat(channels, np.diff(start))
            place = batch.time[start[0] : start[-1]] * rows.shape[2] + channel // WORD
            drawn = np.bincount(place, 2.0 ** (channel % WORD), rows[b].size)
            rows[b] = drawn.reshape(rows[b].shape)

    context.spread(len(batch), task)


def ordered_spikes(fired: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return spikes ordered by example, neuron and step.

    Arguments:
        fired: (B, T, n) bool.

    Returns:
        (B, n) int64 spikes of each neuron, and int32 [steps] of all of them.
    """
    by_neuron = fired.transpose(0, 2, 1)
    return by_neuron.sum(2), np.nonzero(by_neuron)[2].astype(np.int32)
