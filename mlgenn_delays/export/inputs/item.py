"""One example as it was given, and how several become a batch.

Shapes: T steps of a trial, C channels, B examples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from mlgenn_delays.data.losses import Losses
from mlgenn_delays.data.types import Batch, CurrentBatch, SpikeBatch, SpikeData

ItemKind = Literal["recording", "image", "frames", "currents", "raster", "events"]


@dataclass(frozen=True)
class Item:
    """One example, checked and not yet encoded, so that many of them take little memory.

    Attributes:
        name: Where it comes from: a file, "file.npz[3]", "input[0]", or a time of a stream.
        kind: What `raw` is.
        raw: "recording", "image" and "frames": see `mlgenn_delays.data.dataset.RawFormat`.
            "currents": (steps, C) as the network takes them. "raster": (steps, C) of 0 and 1.
            "events": the channels and the steps of its spikes, two arrays of int64.
        losses: How long it was and what of it is cut or merged; None if nothing can be. What is
            left of it is known once it is encoded.
    """

    name: str
    kind: ItemKind
    raw: Any
    losses: Losses | None = None


def currents_batch(examples: Sequence[np.ndarray], n_steps: int) -> CurrentBatch:
    """Return currents as a batch, with -1 as their labels.

    Arguments:
        examples: (steps, C) each, of its own length; cut or padded with zeros.
        n_steps: T.
    """
    values = np.zeros((len(examples), n_steps, examples[0].shape[1]), np.float32)
    for row, example in zip(values, examples, strict=True):
        kept = example[:n_steps]
        row[: len(kept)] = kept
    return CurrentBatch(values, _no_labels(len(values)), np.arange(len(values)))


def events_batch(
    examples: Sequence[tuple[np.ndarray, np.ndarray]], n_channels: int, n_steps: int, dt: float
) -> SpikeBatch:
    """Return events as a batch, with -1 as their labels; repeats within a step are merged.

    Arguments:
        examples: (channels, steps) of each, in any order.
        n_channels: C.
        n_steps: T; later events are cut.
        dt: Length of a step [ms].
    """
    n = len(examples)
    data = SpikeData.from_events(
        list(examples),
        np.zeros(n, np.int64),
        n_channels=n_channels,
        n_steps=n_steps,
        dt=dt,
        label_names=("",),
    )
    return SpikeBatch(data.start, data.time, _no_labels(n), np.arange(n), n_steps)


def raster_events(raster: np.ndarray, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the (channels, steps) at which a raster (steps, C) is not 0, up to ``n_steps``."""
    steps, channels = np.nonzero(raster[:n_steps])
    return channels, steps


def joined(batches: Sequence[Batch]) -> Batch:
    """Return batches of one kind and length as one, counted anew."""
    if len(batches) == 1:
        return batches[0]
    n = sum(len(each) for each in batches)
    labels, index = np.concatenate([each.labels for each in batches]), np.arange(n)
    currents = [each.values for each in batches if isinstance(each, CurrentBatch)]
    if currents:
        return CurrentBatch(np.concatenate(currents), labels, index)
    return replace(_end_to_end(batches), labels=labels, index=index)


def _end_to_end(batches: Sequence[Any]) -> SpikeBatch:
    """Return batches of spikes with their spikes one after the other."""
    offsets = np.cumsum([0] + [len(each.time) for each in batches])
    starts = [each.start + offset for each, offset in zip(batches, offsets, strict=False)]
    times = np.concatenate([each.time for each in batches])
    return replace(batches[0], start=np.concatenate(starts), time=times)


def _no_labels(n: int) -> np.ndarray:
    return np.full(n, -1, np.int64)
