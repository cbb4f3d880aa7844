"""Spikes as data: splits made of events, and the events of splits and batches."""

from typing import Any

import numpy as np

from mlgenn_delays.data.types import SpikeBatch, SpikeData

CHANNELS, STEPS = 12, 30


def spike_data(events: list[Any], labels: Any = None) -> SpikeData:
    """Return a split of events (channels, steps) in 12 channels and 30 steps of 1 ms."""
    return SpikeData.from_events(
        events,
        np.zeros(len(events), np.int64) if labels is None else np.asarray(labels),
        n_channels=CHANNELS,
        n_steps=STEPS,
        dt=1.0,
        label_names=tuple("abcdef"),
    )


def events_of(batch: SpikeBatch, row: int) -> list[tuple[int, int]]:
    """Return the (channel, step) of an example as they lie."""
    start = batch.start[row]
    return [(c, int(t)) for c in range(CHANNELS) for t in batch.time[start[c] : start[c + 1]]]


def check_batch(result: SpikeBatch, batch: SpikeBatch) -> None:
    """Check that spikes are sorted, in range and without repeats, and labels those of a batch."""
    assert result.n_steps == STEPS and result.start.shape == batch.start.shape
    assert (np.diff(result.start, axis=1) >= 0).all()
    assert not len(result.time) or (result.time.min() >= 0 and result.time.max() < STEPS)
    for row in range(len(batch)):
        found = events_of(result, row)
        assert found == sorted(set(found))
    np.testing.assert_array_equal(result.labels, batch.labels)
    np.testing.assert_array_equal(result.index, batch.index)


def spikes(data: Any, row: int) -> set[tuple[int, int]]:
    """Return the spikes of an example as (channel, step), each of them once."""
    batch = data.batch(np.array([row]))
    found = [
        (channel, int(step))
        for channel in range(data.n_channels)
        for step in batch.time[batch.start[0, channel] : batch.start[0, channel + 1]]
    ]
    assert len(found) == len(set(found))
    return set(found)


def counts(data: dict[str, Any]) -> dict[str, int]:
    """Return the number of examples by split."""
    return {split: len(each) for split, each in data.items()}
